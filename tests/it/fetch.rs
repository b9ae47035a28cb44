//! `trace fetch` against a server on loopback: whole, cut, without ranges, wrong, untrusted, absent, and without a network.
use crate::program::{Ended, command, end_of};
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// What a server does.
#[derive(Clone, Default)]
struct Manners {
    body: Vec<u8>,
    /// Bytes after which each of the first so many answers is cut.
    cut: Option<(usize, usize)>,
    ranges: bool,
    tag: Option<&'static str>,
    status: Option<&'static str>,
}

/// A server that answers until the test ends.
struct Server {
    url: String,
    /// The heads that it was sent.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(manners: Manners) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/trace", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let head = head_of(&stream);
                let before = seen.lock().unwrap().len();
                answer(&mut stream, &manners, &head, before);
                seen.lock().unwrap().push(head);
            }
        });
        Server { url, heads }
    }

    /// The ranges that were asked for, in order; empty where the whole was.
    fn ranges(&self) -> Vec<String> {
        let of = |head: &String| head.lines().find_map(|l| l.strip_prefix("range: ")).unwrap_or("").to_string();
        self.heads.lock().unwrap().iter().map(of).collect()
    }
}

/// A request's head, in lower case.
fn head_of(stream: &TcpStream) -> String {
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    lines.take_while(|l| !l.is_empty()).map(|l| l.to_lowercase() + "\n").collect()
}

fn answer(stream: &mut TcpStream, manners: &Manners, head: &str, before: usize) {
    let body = &manners.body;
    let asked = head.lines().find_map(|l| l.strip_prefix("range: bytes=")).filter(|_| manners.ranges);
    let from = asked.map_or(0, |r| r.trim_end_matches('-').parse::<usize>().unwrap());
    let status = match (manners.status, asked) {
        (Some(status), _) => status,
        (None, Some(_)) if from >= body.len() => "416 Range Not Satisfiable",
        (None, Some(_)) => "206 Partial Content",
        (None, None) => "200 OK",
    };
    let part = &body[from.min(body.len())..];
    let mut text = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n", part.len());
    if status.starts_with("206") {
        text.push_str(&format!("Content-Range: bytes {from}-{}/{}\r\n", body.len() - 1, body.len()));
    }
    manners.tag.into_iter().for_each(|t| text.push_str(&format!("ETag: {t}\r\n")));
    let end = manners.cut.filter(|(_, times)| before < *times).map_or(part.len(), |(at, _)| at.min(part.len()));
    // A client that has seen enough may be gone.
    let _ = stream.write_all((text + "\r\n").as_bytes()).and_then(|()| stream.write_all(&part[..end]));
}

fn body() -> Vec<u8> {
    let rows = (0..20_000).map(|i| format!("{i}.0,{},{}\n", 100 + i % 900, 1 + i % 300));
    ("arrival_s,prompt_tokens,output_tokens\n".to_string() + &rows.collect::<String>()).into_bytes()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// A user with a cache and a manifest of one trace.
struct User(PathBuf);

impl User {
    /// `known` is the body whose size and hash the manifest has.
    fn new(name: &str, url: &str, known: Option<&[u8]>) -> User {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let hash = known.map_or_else(|| "unverified".into(), sha256);
        let bytes = known.map_or_else(String::new, |k| format!("bytes = {}\n", k.len()));
        let manifest = format!(
            "[[trace]]\nname = \"mine\"\nabout = \"a trace\"\nformat = \"baseload-csv\"\nfile = \"mine.csv\"\n\
             url = \"{url}\"\npage = \"https://example.org/mine\"\nsha256 = \"{hash}\"\n{bytes}licence = \"CC0\"\ncitation = \"me\"\n"
        );
        std::fs::write(folder.join("manifest.toml"), manifest).unwrap();
        User(folder)
    }
    fn fetch(&self, more: &[&str]) -> Ended {
        let mut command = command();
        for name in
            ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "BASELOAD_DATA"]
        {
            command.env_remove(name);
        }
        command.env("BASELOAD_CACHE", self.0.join("cache"));
        end_of(command.args(["trace", "fetch", "mine", "--manifest"]).arg(self.0.join("manifest.toml")).args(more))
    }
    #[track_caller]
    fn refused(&self, more: &[&str], says: &[&str]) {
        let ended = self.fetch(more);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{}", ended.stderr);
        let message = ended.message();
        says.iter().for_each(|s| assert!(message.contains(s), "`{s}` is not in: {message}"));
    }
    /// Names in the cache, in order.
    fn cached(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.0.join("cache")) else { return Vec::new() };
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
    fn file(&self) -> Vec<u8> {
        std::fs::read(self.0.join("cache/mine.csv")).unwrap()
    }
}

#[test]
fn a_whole_file_is_fetched_once_and_checked() {
    let server = Server::start(Manners { body: body(), ranges: true, ..Manners::default() });
    let user = User::new("fetch-whole", &server.url, Some(&body()));
    let said = user.fetch(&[]).well();
    assert!(said.stdout.contains("mine.csv\n") && said.stdout.contains(&sha256(&body())), "{}", said.stdout);
    assert_eq!((user.file(), said.stderr), (body(), String::new()), "no progress where nobody watches");
    assert_eq!(user.cached(), ["mine.csv", "mine.csv.toml"]);
    user.fetch(&[]).well();
    user.fetch(&["--offline"]).well();
    assert_eq!(server.ranges(), [""], "what is in the cache is not fetched again");
    std::fs::write(user.0.join("cache/mine.csv"), "changed").unwrap();
    user.refused(&[], &["is another file or was damaged", "delete it"]);
    let list = user.fetch(&["--list"]).well().stdout;
    assert!(list.contains("CC0") && list.contains("https://example.org/mine") && list.contains("a trace"), "{list}");
}

#[test]
fn a_cut_download_goes_on_where_it_ended() {
    let cut = Manners { body: body(), ranges: true, cut: Some((100_000, 2)), ..Manners::default() };
    let server = Server::start(cut.clone());
    let user = User::new("fetch-cut", &server.url, Some(&body()));
    user.fetch(&[]).well();
    assert_eq!((user.file(), server.ranges().join(" ")), (body(), " bytes=100000- bytes=200000-".into()));
    // A part that an earlier run left.
    let server = Server::start(Manners { cut: None, ..cut.clone() });
    let user = User::new("fetch-part", &server.url, Some(&body()));
    std::fs::create_dir_all(user.0.join("cache")).unwrap();
    std::fs::write(user.0.join("cache/mine.csv.part"), &body()[..777]).unwrap();
    user.fetch(&[]).well();
    assert_eq!((user.file(), server.ranges().join(" ")), (body(), "bytes=777-".into()));
    // A server that cuts always: what came is kept and said.
    let server = Server::start(Manners { cut: Some((1_000, 100)), ..cut.clone() });
    let user = User::new("fetch-cuts", &server.url, Some(&body()));
    user.refused(&[], &["was cut after 4000 bytes", "goes on from there"]);
    assert_eq!(user.cached(), ["mine.csv.part"]);
    // Ranges that it does not have: from the start.
    let server = Server::start(Manners { ranges: false, cut: Some((100_000, 1)), ..cut });
    let user = User::new("fetch-ranges", &server.url, Some(&body()));
    user.fetch(&[]).well();
    assert_eq!((user.file(), server.ranges().len()), (body(), 2));
}

#[test]
fn another_file_is_refused_and_not_kept() {
    let mut wrong = body();
    wrong[5_000] ^= 1;
    let server = Server::start(Manners { body: wrong.clone(), ranges: true, ..Manners::default() });
    let user = User::new("fetch-wrong", &server.url, Some(&body()));
    user.refused(&[], &[&sha256(&wrong), &sha256(&body()), "nothing was kept"]);
    assert_eq!(user.cached(), [""; 0]);
    let server = Server::start(Manners { body: b"<html>sign in</html>".to_vec(), ..Manners::default() });
    let user = User::new("fetch-short", &server.url, Some(&body()));
    user.refused(&[], &["has 20 bytes, but the manifest says"]);
    assert_eq!(user.cached(), [""; 0]);
    let server = Server::start(Manners { status: Some("404 Not Found"), ..Manners::default() });
    User::new("fetch-404", &server.url, Some(&body())).refused(&[], &["is not there (404", "by hand"]);
    let server = Server::start(Manners { status: Some("503 Service Unavailable"), ..Manners::default() });
    User::new("fetch-503", &server.url, Some(&body())).refused(&[], &["answers 503"]);
}

#[test]
fn a_file_that_nobody_hashed_needs_trust_once() {
    let server = Server::start(Manners { body: body(), ranges: true, tag: Some("\"v1\""), ..Manners::default() });
    let user = User::new("fetch-trust", &server.url, None);
    let manifest = user.0.join("manifest.toml").display().to_string();
    let again = format!("if you trust it: baseload trace fetch mine --manifest {manifest} --trust");
    user.refused(&[], &[&sha256(&body()), &again]);
    let folder = user.0.join("my cache").display().to_string();
    let again = format!("baseload trace fetch mine --manifest {manifest} --cache '{folder}' --trust");
    user.refused(&["--cache", &folder], &[&again]);
    assert_eq!(user.cached(), ["mine.csv"], "fetched, and not on record");
    assert!(user.fetch(&["--trust"]).well().stdout.contains("is trusted from now on"));
    let record = std::fs::read_to_string(user.0.join("cache/mine.csv.toml")).unwrap();
    assert!(record.contains(&sha256(&body())), "{record}");
    user.fetch(&[]).well();
    assert_eq!(server.ranges(), ["", ""], "trust needs no second download");
    // Fetched again, another file is refused by what was trusted.
    std::fs::remove_file(user.0.join("cache/mine.csv")).unwrap();
    let record = record.replace(&sha256(&body()), &sha256(b"older"));
    std::fs::write(user.0.join("cache/mine.csv.toml"), record).unwrap();
    user.refused(&["--trust"], &["the one trusted before", "mine.csv.toml", "nothing was kept"]);
    // Without a hash and without a tag nobody knows whether a part is of the same file.
    std::fs::remove_file(user.0.join("cache/mine.csv.toml")).unwrap();
    std::fs::write(user.0.join("cache/mine.csv.part"), "of another file").unwrap();
    user.fetch(&["--trust"]).well();
    std::fs::remove_file(user.0.join("cache/mine.csv")).unwrap();
    std::fs::write(user.0.join("cache/mine.csv.part"), &body()[..50]).unwrap();
    std::fs::write(user.0.join("cache/mine.csv.part.etag"), "\"v1\"").unwrap();
    user.fetch(&[]).well();
    assert_eq!(server.ranges()[3..], ["", "bytes=50-"], "a tag lets a part go on");
    assert!(server.heads.lock().unwrap()[4].contains("if-range: \"v1\""));
    assert_eq!((user.file(), user.cached()), (body(), vec!["mine.csv".into(), "mine.csv.toml".into()]));
}

#[test]
fn without_a_network_the_message_says_what_to_do() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let user = User::new("fetch-nobody", &format!("http://{nobody}/trace"), Some(&body()));
    user.refused(&["--offline"], &["is not on this machine", "--offline"]);
    user.refused(
        &[],
        &["cannot be reached", "is there a network?", "by hand from https://example.org/mine", "mine.csv"],
    );
    let user = User::new("fetch-page", "", None);
    user.refused(&[], &["the address of `mine` is not known here", "by hand from https://example.org/mine"]);
}

#[test]
fn an_experiment_finds_what_was_fetched() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fetch-run");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("cache")).unwrap();
    let run = || {
        let mut command = command();
        command.env_remove("BASELOAD_DATA").env("BASELOAD_CACHE", folder.join("cache"));
        let text = std::fs::read_to_string(crate::program::root().join("experiments/quickstart.toml")).unwrap();
        let text = text.replace("generate = \"../traces/support-desk.toml\"", "source = \"azure-2023-code\"");
        assert!(text.contains("azure-2023-code"), "the quickstart's trace is replaced");
        std::fs::write(folder.join("e.toml"), text).unwrap();
        end_of(command.arg("run").arg(folder.join("e.toml")).arg("--quiet").arg("--out").arg(folder.join("out")))
    };
    let message = run().message();
    assert!(message.contains("get it with `baseload trace fetch azure-2023-code`"), "{message}");
    // By hand into the cache, as the message of `fetch` says.
    let rows =
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.68,374,44\n2023-11-16 18:15:50.99,396,109\n";
    std::fs::write(folder.join("cache/azure-2023-code.csv"), rows).unwrap();
    let message = run().message();
    for part in ["azure-2023-code.csv has not been checked", "`baseload trace fetch azure-2023-code` does"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let mut fetch = command();
    fetch.env_remove("BASELOAD_DATA").args(["trace", "fetch", "azure-2023-code", "--trust", "--cache"]);
    end_of(fetch.arg(folder.join("cache"))).well();
    run().well();
}

/// Both would add to one part.
#[test]
fn of_two_fetches_of_one_file_the_second_is_refused() {
    let server = Server::start(Manners { body: body(), ..Manners::default() });
    let user = User::new("fetch-two", &server.url, Some(&body()));
    std::fs::create_dir_all(user.0.join("cache")).unwrap();
    let lock = std::fs::File::create(user.0.join("cache/.mine.csv.lock")).unwrap();
    lock.lock().unwrap();
    user.refused(&[], &["mine.csv: another fetch is getting it", "wait until it has ended"]);
    drop(lock);
    user.fetch(&[]).well();
    assert_eq!((user.file(), user.cached()), (body(), vec!["mine.csv".into(), "mine.csv.toml".into()]));
}

#[test]
fn a_download_has_bounds_that_can_be_set() {
    let server = Server::start(Manners { body: body(), ..Manners::default() });
    let user = User::new("fetch-bounds", &server.url, None);
    user.fetch(&["--max-gib", "1", "--max-time", "1h", "--trust"]).well();
    for (option, value, says) in [
        ("--max-gib", "0", "invalid value '0'"),
        ("--max-time", "0s", "it must be longer than 0"),
        ("--max-time", "soon", "`soon` is not a duration"),
    ] {
        user.refused(&[option, value], &[option, says]);
    }
    let mut other = command();
    other.args(["trace", "fetch", "mien", "--manifest"]).arg(user.0.join("manifest.toml"));
    let says = end_of(&mut other).message();
    let all = format!("baseload trace fetch --list --manifest {}", user.0.join("manifest.toml").display());
    assert!(says.contains("did you mean `mine`?") && says.contains(&all), "{says}");
}
