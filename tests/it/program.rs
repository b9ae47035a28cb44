//! Runs the program as people do: the same terminal width, no colours, from the repository's root.
use assert_cmd::Command;
use std::path::{Path, PathBuf};

/// How a run of the program ended.
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// The message on stderr as one line, without its frame and excerpt: `what; hint`, as a fault is shown everywhere else.
    pub fn message(&self) -> String {
        let words = self.stderr.split_whitespace().filter(|w| !["│", "×"].contains(w));
        let mut message = words.collect::<Vec<_>>().join(" ");
        while let Some(from) = message.find(" ╭─[")
            && let Some(length) = message[from..].find(" ╰────")
        {
            message.replace_range(from..from + length + " ╰────".len(), "");
        }
        message.replace(" help:", ";")
    }
    /// Itself, if the program ended well.
    #[track_caller]
    pub fn well(self) -> Ended {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program, ready for arguments.
pub fn command() -> Command {
    let mut command = Command::cargo_bin("baseload").expect("the binary is built before its tests");
    command.current_dir(root()).env("COLUMNS", "80").env("NO_COLOR", "1").env("LC_ALL", "C.UTF-8");
    command
}

/// Runs `command` to its end.
pub fn end_of(command: &mut Command) -> Ended {
    let output = command.output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program prints UTF-8");
    Ended { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Runs the program with `args`.
pub fn baseload(args: &[&str]) -> Ended {
    end_of(command().args(args))
}

/// The published traces' folder; without it the caller is skipped, and CI counts the line that says so.
pub fn data(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("BASELOAD_DATA").map(PathBuf::from).filter(|p| p.join("traces").is_dir());
    if folder.is_none() {
        println!("skipped: {test}: BASELOAD_DATA names no folder with traces/");
    }
    folder
}
