//! One file over HTTP, into a `.part` beside its place, going on where an earlier try ended.
//!
//! Must hold: what is in the `.part` is a beginning of what the address has, as far as the server says so: a server that
//! ignores the range starts anew, and without a known hash only a tag (`ETag`) that still holds lets a part go on. Whatever a
//! server sends, a download ends: it has a largest size, a longest time and a least speed.
#[cfg(not(feature = "fetch"))]
use baseload_core::types::TraceFault;
#[cfg(not(feature = "fetch"))]
use baseload_core::types::wrong;
use std::path::Path;
use std::time::Duration;

/// Where a download is given up.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "fetch"), expect(dead_code, reason = "a build without downloads"))]
pub struct Bounds {
    /// Bytes at most, where the size is not known before.
    pub bytes: u64,
    /// Time at most, over all tries.
    pub time: Duration,
    /// Bytes that must come in each `stretch` at least.
    pub least: u64,
    /// Time over which the speed is measured; also the longest wait for a connection, an answer's head, or more of its body.
    pub stretch: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        // A kilobyte a second: a modem of 1990.
        Bounds { bytes: 8 << 30, time: Duration::from_secs(43_200), least: 60 << 10, stretch: Duration::from_secs(60) }
    }
}

/// Forgets a part.
pub fn forget(part: &Path) {
    let _ = std::fs::remove_file(part);
    let _ = std::fs::remove_file(tag_of(part));
}

/// File that keeps the server's tag of a partial download.
fn tag_of(part: &Path) -> std::path::PathBuf {
    let mut name = part.as_os_str().to_os_string();
    name.push(".etag");
    name.into()
}

/// A build without downloads.
#[cfg(not(feature = "fetch"))]
pub fn to(url: &str, _: &Path, _: (Option<u64>, bool), _: &Bounds) -> Result<(), TraceFault> {
    Err(wrong!("this build cannot download (its feature `fetch` is off)").hint(format!("{url} has it")))
}

#[cfg(feature = "fetch")]
pub use http::to;

#[cfg(feature = "fetch")]
mod http {
    use super::{Bounds, forget, tag_of};
    use crate::cli::perf::now;
    use baseload_core::types::{TraceFault, wrong};
    use indicatif::{ProgressBar, ProgressStyle};
    use std::fs::{File, OpenOptions};
    use std::io::{Read, Write};
    use std::path::Path;
    use std::time::Instant;
    use ureq::http::{Response, StatusCode, header};
    use ureq::{Agent, Body};

    /// Tries of one download; each goes on where the one before was cut.
    const TRIES: u32 = 4;
    /// Bytes of a server's tag at most; a longer one is not kept, and the part starts anew.
    const LONGEST_TAG: usize = 1 << 10;

    /// One download.
    struct Job<'a> {
        url: &'a str,
        part: &'a Path,
        /// Size of the file, where known.
        bytes: Option<u64>,
        /// Whether its hash is, so that a wrong mix of two versions would be found.
        known: bool,
        bounds: &'a Bounds,
        /// When it is given up.
        until: Instant,
    }

    /// How a try ended.
    enum Ended {
        Whole,
        /// The connection was cut, and why.
        Cut(String),
    }

    /// Brings what `url` has to `part`. Of the file its size is known, or not, and whether its hash is.
    ///
    /// # Errors
    /// What went wrong, and that what came so far is kept where it is.
    pub fn to(url: &str, part: &Path, (bytes, known): (Option<u64>, bool), bounds: &Bounds) -> Result<(), TraceFault> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(bounds.time))
            .timeout_connect(Some(bounds.stretch))
            .timeout_recv_response(Some(bounds.stretch))
            .timeout_per_read(Some(bounds.stretch))
            .user_agent(concat!("baseload/", env!("CARGO_PKG_VERSION")))
            .build();
        let agent = Agent::new_with_config(config);
        let start = now();
        let until = start.checked_add(bounds.time).unwrap_or(start);
        let job = Job { url, part, bytes, known, bounds, until };
        let mut why = String::new();
        for _ in 0..TRIES {
            let before = size(part);
            match job.once(&agent)? {
                Ended::Whole => return Ok(()),
                Ended::Cut(reason) => why = reason,
            }
            // A server that sends nothing more is not asked again.
            if size(part) <= before || now() >= until {
                break;
            }
        }
        Err(match size(part) {
            0 => wrong!("{url} cannot be reached ({why})").hint("is there a network?"),
            n => wrong!("{url} was cut after {n} bytes ({why})").hint("the same command goes on from there"),
        })
    }

    fn size(part: &Path) -> u64 {
        std::fs::metadata(part).map_or(0, |m| m.len())
    }

    impl Job<'_> {
        fn once(&self, agent: &Agent) -> Result<Ended, TraceFault> {
            let Job { url, part, bytes, known, .. } = *self;
            let tag = std::fs::read_to_string(tag_of(part)).ok();
            let mut have = size(part);
            if have > 0 && (tag.is_none() && !known || bytes.is_some_and(|b| have > b)) {
                forget(part);
                have = 0;
            }
            if have > 0 && bytes == Some(have) {
                return Ok(Ended::Whole);
            }
            // A packed answer would be another file.
            let mut request = agent.get(url).header(header::ACCEPT_ENCODING, "identity");
            if have > 0 {
                request = request.header(header::RANGE, format!("bytes={have}-"));
                if let Some(tag) = &tag {
                    request = request.header(header::IF_RANGE, tag);
                }
            }
            let mut answer = match request.call() {
                Ok(answer) => answer,
                Err(e) => return Ok(Ended::Cut(e.to_string())),
            };
            let from = match answer.status() {
                StatusCode::OK => 0,
                StatusCode::PARTIAL_CONTENT if range_starts(&answer) == Some(have) => have,
                StatusCode::PARTIAL_CONTENT => {
                    let fault = wrong!("{url} answers another range than was asked");
                    return Err(fault.hint("its server cannot be used"));
                }
                StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => {
                    forget(part);
                    return self.once(agent);
                }
                StatusCode::NOT_FOUND | StatusCode::GONE => {
                    return Err(wrong!("{url} is not there ({})", answer.status()).hint("it may have moved"));
                }
                status => return Err(wrong!("{url} answers {status}")),
            };
            let length = header_of(&answer, header::CONTENT_LENGTH).and_then(|l| l.parse::<u64>().ok());
            let total = length.map(|l| from.saturating_add(l));
            if let (Some(total), Some(bytes)) = (total, bytes)
                && total != bytes
            {
                forget(part);
                return Err(wrong!("{url} has {total} bytes, but the manifest says {bytes}").hint("it is another file"));
            }
            if let Some(total) = total.filter(|total| *total > self.most()) {
                forget(part);
                return Err(self.too_large(format!("{url} has {total} bytes")));
            }
            let tag = header_of(&answer, header::ETAG).filter(|t| !t.starts_with("W/") && t.len() <= LONGEST_TAG);
            note_tag(part, tag)?;
            self.save(&mut answer, from, total.or(bytes))
        }

        /// Bytes that are taken at most.
        fn most(&self) -> u64 {
            self.bytes.unwrap_or(self.bounds.bytes)
        }

        fn too_large(&self, what: String) -> TraceFault {
            match self.bytes {
                Some(bytes) => wrong!("{what}, and the manifest says {bytes}").hint("it is another file"),
                None => wrong!("{what}, and --max-gib allows {}", self.bounds.bytes)
                    .hint("give more with --max-gib, or its size in the manifest (bytes = N)"),
            }
        }

        /// Appends the answer to the part, of which the first `from` bytes stay.
        fn save(&self, answer: &mut Response<Body>, from: u64, total: Option<u64>) -> Result<Ended, TraceFault> {
            let Job { url, part, bounds, .. } = *self;
            let fault = |e: std::io::Error| TraceFault::of(part.display(), e);
            let mut file = open(part, from).map_err(fault)?;
            let bar = bar(total);
            let (mut reader, mut at, mut buffer) = (answer.body_mut().as_reader(), from, vec![0; 1 << 16]);
            let (mut stretch_at, mut stretch_began) = (at, now());
            loop {
                bar.set_position(at);
                let time = now();
                if time >= self.until {
                    return Ok(Ended::Cut(format!("--max-time, {} s, is over", bounds.time.as_secs_f64())));
                }
                if time - stretch_began >= bounds.stretch {
                    if at - stretch_at < bounds.least {
                        let (came, s) = (at - stretch_at, bounds.stretch.as_secs_f64());
                        return Ok(Ended::Cut(format!("only {came} bytes came in {s} s")));
                    }
                    (stretch_at, stretch_began) = (at, time);
                }
                match reader.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(n) => {
                        file.write_all(&buffer[..n]).map_err(fault)?;
                        at += n as u64;
                    }
                    Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(e) => return Ok(Ended::Cut(e.to_string())),
                }
                if at > self.most() {
                    drop(file);
                    forget(part);
                    return Err(self.too_large(format!("{url} sends more than {} bytes", self.most())));
                }
            }
            bar.finish_and_clear();
            file.sync_all().map_err(fault)?;
            match total {
                Some(total) if at < total => Ok(Ended::Cut(format!("{at} of {total} bytes came"))),
                _ => Ok(Ended::Whole),
            }
        }
    }

    fn open(part: &Path, from: u64) -> std::io::Result<File> {
        if from > 0 { OpenOptions::new().append(true).open(part) } else { File::create(part) }
    }

    fn note_tag(part: &Path, tag: Option<String>) -> Result<(), TraceFault> {
        let at = tag_of(part);
        match tag {
            Some(tag) => std::fs::write(&at, tag).map_err(|e| TraceFault::of(at.display(), e)),
            None => {
                let _ = std::fs::remove_file(at);
                Ok(())
            }
        }
    }

    fn header_of(answer: &Response<Body>, name: header::HeaderName) -> Option<String> {
        answer.headers().get(name)?.to_str().ok().map(str::to_string)
    }

    /// `bytes 5-9/10` starts at 5.
    fn range_starts(answer: &Response<Body>) -> Option<u64> {
        header_of(answer, header::CONTENT_RANGE)?.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
    }

    /// Draws nothing where stderr is no terminal.
    fn bar(total: Option<u64>) -> ProgressBar {
        let (bar, form) = match total {
            Some(total) => (ProgressBar::new(total), "{bytes} of {total_bytes} {wide_bar} {bytes_per_sec}, {eta}"),
            None => (ProgressBar::no_length(), "{bytes} {bytes_per_sec}"),
        };
        bar.with_style(ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar()))
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::io::{BufRead, BufReader};
        use std::net::TcpListener;
        use std::time::Duration;

        /// A server that answers everybody with `head`, and then `body` again and again, `pause` apart.
        fn serve(head: &'static str, body: Vec<u8>, pause: Duration) -> String {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}/x", listener.local_addr().unwrap());
            std::thread::spawn(move || {
                for mut stream in listener.incoming().flatten() {
                    let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                    lines.take_while(|line| !line.is_empty()).for_each(drop);
                    let mut sent = stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").as_bytes());
                    while sent.is_ok() {
                        sent = stream.write_all(&body);
                        std::thread::sleep(pause);
                    }
                }
            });
            url
        }

        /// What is said of a download from such a server, and what is left of it.
        #[track_caller]
        fn refused(url: &str, bytes: Option<u64>, bounds: Bounds) -> (String, u64) {
            let dir = tempfile::tempdir().unwrap();
            let part = dir.path().join("x.part");
            let start = now();
            let says = to(url, &part, (bytes, false), &bounds).unwrap_err().to_string();
            assert!(start.elapsed() < Duration::from_secs(60), "{says}: {:?}", start.elapsed());
            (says, size(&part))
        }

        const AT_ONCE: Duration = Duration::ZERO;

        #[test]
        fn a_server_that_sends_without_end_is_cut_off() {
            let chunk = [b"100000\r\n".to_vec(), vec![0; 1 << 20], b"\r\n".to_vec()].concat();
            let url = serve("Transfer-Encoding: chunked", chunk.clone(), AT_ONCE);
            let (says, left) = refused(&url, None, Bounds { bytes: 3 << 20, ..Bounds::default() });
            assert!(says.contains("sends more than 3145728 bytes, and --max-gib allows 3145728; give more"), "{says}");
            assert_eq!(left, 0, "what is of no use is not kept");
            let (says, left) = refused(&url, Some(5_000), Bounds::default());
            assert!(says.contains("sends more than 5000 bytes, and the manifest says 5000") && left == 0, "{says}");
            for length in ["9000000000000", "18446744073709551615"] {
                let head: &'static str = Box::leak(format!("Content-Length: {length}").into_boxed_str());
                let (says, left) = refused(&serve(head, vec![0; 9], AT_ONCE), None, Bounds::default());
                assert!(says.contains(&format!("has {length} bytes")) && left == 0, "{says}");
            }
        }

        #[test]
        fn a_server_that_sends_too_slowly_is_not_waited_for() {
            let url = serve("Content-Length: 100000", vec![b'x'], Duration::from_millis(20));
            let stretch = Duration::from_millis(400);
            let (says, left) = refused(&url, None, Bounds { least: 1_000, stretch, ..Bounds::default() });
            assert!(says.contains("bytes came in 0.4 s") && says.contains("goes on from there") && left > 0, "{says}");
            let time = Duration::from_millis(500);
            let (says, left) = refused(&url, None, Bounds { least: 0, time, ..Bounds::default() });
            assert!(says.contains("was cut after") && left > 0, "{says}");
            let (says, _) = refused(
                &serve("X: y\r\nX", b"y".to_vec(), Duration::from_millis(20)),
                None,
                Bounds { stretch, ..Bounds::default() },
            );
            assert!(says.contains("cannot be reached") || says.contains("was cut"), "{says}");
        }
    }
}
