//! One file over HTTP, into a `.part` beside its place, going on where an earlier try ended.
//!
//! Must hold: what is in the `.part` is a beginning of what the address has, as far as the server says so: a server that
//! ignores the range starts anew, and without a known hash only a tag (`ETag`) that still holds lets a part go on.
#[cfg(not(feature = "fetch"))]
use baseload_core::types::TraceFault;
#[cfg(not(feature = "fetch"))]
use baseload_core::types::wrong;
use std::path::Path;

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
pub fn to(url: &str, _part: &Path, _bytes: Option<u64>, _known: bool) -> Result<(), TraceFault> {
    Err(wrong!("this build cannot download (its feature `fetch` is off)").hint(format!("{url} has it")))
}

#[cfg(feature = "fetch")]
pub use http::to;

#[cfg(feature = "fetch")]
mod http {
    use super::{forget, tag_of};
    use baseload_core::types::{TraceFault, wrong};
    use indicatif::{ProgressBar, ProgressStyle};
    use std::fs::{File, OpenOptions};
    use std::io::{Read, Write};
    use std::path::Path;
    use std::time::Duration;
    use ureq::http::{Response, StatusCode, header};
    use ureq::{Agent, Body};

    /// Tries of one download; each goes on where the one before was cut.
    const TRIES: u32 = 4;
    /// Longest wait for a connection, an answer's head, or more of its body.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// How a try ended.
    enum Ended {
        Whole,
        /// The connection was cut, and why.
        Cut(String),
    }

    /// Brings what `url` has to `part`. `bytes` is its size, where known; `known` says that its hash is, so that a wrong
    /// mix of two versions would be found.
    ///
    /// # Errors
    /// What went wrong, and that what came so far is kept where it is.
    pub fn to(url: &str, part: &Path, bytes: Option<u64>, known: bool) -> Result<(), TraceFault> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .user_agent(concat!("baseload/", env!("CARGO_PKG_VERSION")))
            .build();
        let agent = Agent::new_with_config(config);
        let mut why = String::new();
        for _ in 0..TRIES {
            let before = size(part);
            match once(&agent, url, part, bytes, known)? {
                Ended::Whole => return Ok(()),
                Ended::Cut(reason) => why = reason,
            }
            // A server that sends nothing more is not asked again.
            if size(part) <= before {
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

    fn once(agent: &Agent, url: &str, part: &Path, bytes: Option<u64>, known: bool) -> Result<Ended, TraceFault> {
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
                return once(agent, url, part, bytes, known);
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                return Err(wrong!("{url} is not there ({})", answer.status()).hint("it may have moved"));
            }
            status => return Err(wrong!("{url} answers {status}")),
        };
        let length = header_of(&answer, header::CONTENT_LENGTH).and_then(|l| l.parse::<u64>().ok());
        let total = length.map(|l| from + l);
        if let (Some(total), Some(bytes)) = (total, bytes)
            && total != bytes
        {
            forget(part);
            return Err(wrong!("{url} has {total} bytes, but the manifest says {bytes}").hint("it is another file"));
        }
        note_tag(part, header_of(&answer, header::ETAG).filter(|t| !t.starts_with("W/")))?;
        save(&mut answer, part, from, total.or(bytes), bytes)
    }

    /// Appends the answer to the part, of which the first `from` bytes stay.
    fn save(
        answer: &mut Response<Body>,
        part: &Path,
        from: u64,
        total: Option<u64>,
        most: Option<u64>,
    ) -> Result<Ended, TraceFault> {
        let fault = |e: std::io::Error| TraceFault::of(part.display(), e);
        let mut file = open(part, from).map_err(fault)?;
        let bar = bar(total);
        let (mut reader, mut at, mut buffer) = (answer.body_mut().as_reader(), from, vec![0; 1 << 16]);
        loop {
            bar.set_position(at);
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    file.write_all(&buffer[..n]).map_err(fault)?;
                    at += n as u64;
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Ok(Ended::Cut(e.to_string())),
            }
            if most.is_some_and(|most| at > most) {
                drop(file);
                forget(part);
                return Err(wrong!("the server sends more than the {} bytes of the manifest", most.unwrap_or(0)));
            }
        }
        bar.finish_and_clear();
        file.sync_all().map_err(fault)?;
        match total {
            Some(total) if at < total => Ok(Ended::Cut(format!("{at} of {total} bytes came"))),
            _ => Ok(Ended::Whole),
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
}
