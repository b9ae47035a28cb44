//! Names and texts that mean harm or go on for ever: each is refused or shown with nothing hidden in it, in bounds of memory,
//! length and time. The inputs are those of shared/cases b03, b12, b13, b19 and b20.
#![cfg(feature = "frames")]
#![expect(clippy::disallowed_methods, reason = "measures how long the program takes to end")]
use crate::program::{Ended, command, end_of, root};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// The experiment of one pool and one endpoint, with one text in place of another, in a folder of its own.
fn edited(dir: &Path, from: &str, to: &str) {
    let data = root().join("tests/data/desk");
    let text = fs::read_to_string(data.join("experiment.toml")).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(dir.join("e.toml"), text.replace(from, to)).unwrap();
    fs::copy(data.join("gen.toml"), dir.join("gen.toml")).unwrap();
}

fn run(dir: &Path, more: &[&str]) -> Ended {
    end_of(command().current_dir(dir).args(["run", "e.toml", "--out", "in/here"]).args(more))
}

/// No byte of it moves a cursor or turns a text round.
#[track_caller]
fn nothing_hidden(what: &str, text: &str) {
    let hidden = text
        .chars()
        .find(|c| c.is_control() && *c != '\n' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'));
    assert_eq!(hidden, None, "{what}: {text:?}");
}

#[test]
fn a_name_is_no_path_and_has_an_end() {
    for (name, says) in [
        (r"/../../../escaped", "the name has a `/` or `\\`"),
        (r"..", "the name is `..`"),
        (r"a\u0000b", "the name has a character that cannot be seen, U+0000"),
        (r"\u001b]0;owned\u0007\u001b[31mred", "the name has a character that cannot be seen, U+001B"),
        (r"a\u009b31m", "the name has a character that cannot be seen, U+009B"),
        (r"a\u202eb", "the name has a character that cannot be seen, U+202E"),
        (&"x".repeat(249), "the name has 249 bytes"),
        ("", "the name is empty"),
    ] {
        for (table, line) in [("policy", 16), ("pool", 9), ("endpoint", 14)] {
            let dir = tempfile::tempdir().unwrap();
            let old = [("policy", "[policy.a]"), ("pool", "[pool.chat]"), ("endpoint", "[endpoint.haiku]")];
            let old = old.iter().find(|(of, _)| *of == table).unwrap().1;
            edited(dir.path(), old, &format!("[{table}.\"{name}\"]"));
            let ended = run(dir.path(), &["--quiet"]);
            assert_eq!(ended.code, 2, "{table} {name}");
            nothing_hidden(name, &ended.stderr);
            let message = ended.message();
            assert!(
                message.contains(&format!("e.toml:{line}: {table}.")) && message.contains(says),
                "{table}: {message}"
            );
            assert_eq!(dir.path().read_dir().unwrap().count(), 2, "{table} {name}: something was written");
        }
    }
    let dir = tempfile::tempdir().unwrap();
    edited(dir.path(), "name = \"small\"", &format!("name = \"{}\"", "x".repeat(121)));
    assert!(run(dir.path(), &[]).message().contains("e.toml:2: name: the name has 121 bytes"));
}

const QUESTION: &str = "\u{1b}]0;owned\u{7}<b>own</b> | *buy* [x](http://y) \u{9b}31m\u{202e}?";

#[test]
fn what_cannot_be_seen_is_written_out_on_terminals_pages_and_in_documents() {
    let dir = tempfile::tempdir().unwrap();
    let question = r#"question = "\u001b]0;owned\u0007<b>own</b> | *buy* [x](http://y) \u009b31m\u202e?""#;
    edited(dir.path(), "seed = 1", &format!("{question}\nseed = 1"));
    let markdown = run(dir.path(), &["--format", "markdown", "--no-records"]).well().stdout;
    nothing_hidden("Markdown", &markdown);
    let line = r"\\u001b]0;owned\\u0007\<b>own\</b> \| \*buy\* \[x](http://y) \\u009b31m\\u202e?";
    assert!(markdown.lines().any(|l| l == line), "{markdown}");
    let json = run(dir.path(), &["--format", "json", "--no-records"]).well().stdout;
    for (what, text) in
        [("stdout", json), ("summary.json", fs::read_to_string(dir.path().join("in/here/summary.json")).unwrap())]
    {
        nothing_hidden(what, &text);
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["question"], QUESTION, "{what}: it means what was asked");
    }
    let page = fs::read_to_string(dir.path().join("in/here/report.html")).unwrap();
    nothing_hidden("report.html", &page);
    assert!(
        page.contains(r"\u001b]0;owned\u0007&lt;b&gt;own&lt;/b&gt;"),
        "{}",
        &page[page.find("class=\"q\"").unwrap()..][..200]
    );
    // The resolved experiment is one again.
    let resolved = run(dir.path(), &["--dry-run"]).well().stdout;
    nothing_hidden("--dry-run", &resolved);
    assert_eq!(resolved.parse::<toml::Table>().unwrap()["question"].as_str(), Some(QUESTION));
}

#[test]
fn a_field_of_a_trace_and_a_list_of_traces_are_shown_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("t.csv"), "arrival_s,prompt_tokens,output_tokens\n0,\u{1b}[31m5,5\n").unwrap();
    let ended = end_of(command().current_dir(dir.path()).args(["trace", "info", "t.csv"]));
    nothing_hidden("trace info", &ended.stderr);
    assert!(
        ended.code == 2 && ended.message().contains(r"t.csv:2: ") && ended.message().contains(r"\u001b[31m5"),
        "{}",
        ended.stderr
    );
    let list = "[[trace]]\nname = \"x\"\nabout = \"\\u001b[2Ja\"\nformat = \"baseload-csv\"\nfile = \"x.csv\"\nurl = \"\"\n\
        page = \"\\u0007\"\nsha256 = \"unverified\"\nlicence = \"l\"\ncitation = \"c\"\n";
    fs::write(dir.path().join("m.toml"), list).unwrap();
    let all = end_of(command().current_dir(dir.path()).args(["trace", "fetch", "x", "--list", "--manifest", "m.toml"]));
    nothing_hidden("trace fetch --list", &all.well().stdout);
    fs::write(dir.path().join("m.toml"), list.replace("\"x\"", "\"\\u001bx\"")).unwrap();
    let all = end_of(command().current_dir(dir.path()).args(["trace", "fetch", "--list", "--manifest", "m.toml"]));
    assert!(all.code == 2 && all.message().contains("cannot be seen, U+001B"), "{}", all.stderr);
    let argument = end_of(command().args(["trace", "\u{1b}[2Jinfo"]));
    nothing_hidden("an argument", &argument.stderr);
    assert!(argument.code == 2 && argument.stderr.contains("unrecognized subcommand"), "{}", argument.stderr);
}

#[test]
fn a_message_ends_however_long_what_it_quotes_is() {
    let dir = tempfile::tempdir().unwrap();
    let long = "y".repeat(1_000_000);
    let cut = format!("{}…", "y".repeat(80));
    let says = |from: &str, to: &str, quoted: &str| {
        edited(dir.path(), from, to);
        let start = Instant::now();
        let ended = run(dir.path(), &["--quiet"]);
        assert!(start.elapsed() < Duration::from_secs(20), "{quoted}: {:?}", start.elapsed());
        assert!(ended.code == 2 && ended.stderr.len() < 4_000, "{quoted}: {} bytes", ended.stderr.len());
        assert!(ended.message().contains(quoted), "`{quoted}` is not in: {}", ended.stderr);
    };
    says("seed = 1", &format!("{long} = 1"), &format!("unknown key `{cut}`"));
    says("seed = 1", &format!("seed = \"{long}\""), &format!("seed: it is the text \"{cut}\""));
    says("haiku-4-5", &long, "endpoint.haiku.catalog: ");
    says("[policy.a]", &format!("[policy.{long}]"), "the name has 1000000 bytes");
    says("seed = 1", &format!("zzz = \"{}\"", "y".repeat(10_000_000)), "e.toml: it has more than 4 MiB");
    let many: String = (0..50_000).map(|i| format!("k{i} = {i}\n")).collect();
    edited(dir.path(), "seed = 1\n", &many);
    let ended = run(dir.path(), &["--quiet"]);
    let lines = ended.stderr.lines().filter(|line| line.contains("unknown key")).count();
    assert!(lines == 20 && ended.message().contains("and 80 more"), "{lines}: {}", ended.stderr);
    let set = run(dir.path(), &["--set", &format!("{}=1", "x".repeat(100_000))]);
    assert!(set.code == 2 && set.stderr.len() < 8_000, "{} bytes", set.stderr.len());
}

#[test]
fn a_line_has_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bomb.gz");
    let mut zip = flate2::write::GzEncoder::new(fs::File::create(&path).unwrap(), flate2::Compression::fast());
    zip.write_all(b"arrival_s,prompt_tokens,output_tokens\n0,5,5\n1,").unwrap();
    (0..200).for_each(|_| zip.write_all(&[b'1'; 1 << 20]).unwrap());
    zip.finish().unwrap();
    let says = |args: &[&str], words: &str| {
        let ended = end_of(command().current_dir(dir.path()).args(args));
        assert!(ended.code == 2 && ended.stderr.len() < 2_000, "{args:?}: {} bytes", ended.stderr.len());
        assert!(ended.message().contains(words), "{args:?}: {}", ended.stderr);
    };
    says(&["trace", "info", "bomb.gz"], "bomb.gz:3: the line has more than 64 MiB");
    fs::write(
        dir.path().join("field.csv"),
        format!("arrival_s,prompt_tokens,output_tokens\n0,{},5\n", "1".repeat(1 << 20)),
    )
    .unwrap();
    says(&["trace", "info", "field.csv"], "field.csv:2: ");
    #[cfg(unix)]
    {
        says(
            &["trace", "info", "/dev/zero", "--input-format", "baseload-csv"],
            "/dev/zero:1: the line has more than 64 MiB",
        );
        says(&["run", "/dev/zero"], "/dev/zero: it has more than 4 MiB");
    }
}

#[cfg(unix)]
mod waits {
    use super::*;
    use std::process::{Command, Stdio};

    fn pipe(dir: &Path) {
        assert!(Command::new("mkfifo").arg(dir.join("ff")).status().unwrap().success());
    }

    /// A run opens its files more than once, so that a pipe can never be right; it is not even opened.
    #[test]
    fn a_pipe_is_refused_where_it_would_be_read_twice() {
        let dir = tempfile::tempdir().unwrap();
        pipe(dir.path());
        let smallest = "name = \"t\"\n[trace]\npath = \"ff\"\n[endpoint.a]\ncatalog = \"openai/gpt-4o\"\n[policy.b]\napi_only = {}\n";
        for (text, says) in [
            (smallest.to_string(), "e.toml:3: trace.path: ff is a pipe"),
            (smallest.replace("\"ff\"", "\"/dev/zero\""), "e.toml:3: trace.path: /dev/zero is a device"),
            (smallest.replace("path", "generate"), "e.toml:3: trace.generate: ff is a pipe"),
            (
                format!("catalog.files = [\"ff\"]\n{}", smallest.replace("\"ff\"", "\"t.csv\"")),
                "e.toml:1: catalog.files[0]: ff is a pipe",
            ),
            ("extends = \"ff\"\n".into(), "e.toml:1: extends: ff: it is a pipe"),
        ] {
            fs::write(dir.path().join("e.toml"), &text).unwrap();
            let ended =
                end_of(command().current_dir(dir.path()).args(["run", "e.toml"]).timeout(Duration::from_secs(60)));
            assert!(ended.code == 2 && ended.message().contains(says), "{says}: {}", ended.stderr);
            let remedy = if text.starts_with("extends") { "is relative to this file" } else { "write it to a file" };
            assert!(ended.message().contains(remedy), "{}", ended.stderr);
        }
        assert!(!dir.path().join("results").exists());
        let folder = end_of(command().args(["run", "experiments"]));
        assert!(folder.message().contains("experiments: it is a folder"), "{}", folder.stderr);
    }

    /// Whatever it waits for: here for somebody to write into a pipe.
    #[test]
    fn ctrl_c_ends_what_waits_for_ever() {
        for signal in ["-INT", "-TERM"] {
            let dir = tempfile::tempdir().unwrap();
            pipe(dir.path());
            let mut program = Command::new(command().get_program());
            program.current_dir(dir.path()).args(["trace", "convert", "ff", "t.csv"]);
            let mut child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let begun = Instant::now();
            while dir.path().read_dir().unwrap().count() == 1 {
                assert!(begun.elapsed() < Duration::from_secs(60), "it does not start");
                std::thread::sleep(Duration::from_millis(10));
            }
            let sent = Instant::now();
            assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
            while child.try_wait().unwrap().is_none() {
                assert!(sent.elapsed() < Duration::from_secs(30), "{signal} is not heard");
                std::thread::sleep(Duration::from_millis(10));
            }
            // A second by itself; the machine may have others.
            assert!(sent.elapsed() < Duration::from_secs(5), "{signal}: {:?}", sent.elapsed());
            let output = child.wait_with_output().unwrap();
            let says = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.code() == Some(130) && says.contains("interrupted; nothing was written"), "{says}");
            assert_eq!(dir.path().read_dir().unwrap().count(), 1, "{signal}: something was left");
        }
    }
}
