//! Laws of the registry: a row that a walk does not reach is a reader that nobody can name, or that nobody's trace finds.
use super::*;
use crate::{How, Opened, collect, open_with};
use baseload_core::types::Classes;
use std::io::Cursor;

/// A name under which a row's example is recognised.
fn name_of(row: &Format) -> &'static str {
    if row.drawn { "t.toml" } else { "t" }
}

fn read(text: &str, name: &str, how: &How<'_>) -> Result<Opened, TraceFault> {
    open_with(Box::new(Cursor::new(text.as_bytes().to_vec())), name, how)
}

#[test]
fn every_row_is_found_by_its_name_and_its_example_is_recognised_as_it_alone() {
    let readers = Readers::embedded();
    for row in readers.rows() {
        assert_eq!(readers.named(row.name), Ok(*row));
        assert!(!row.name.is_empty() && !row.looks_like.is_empty(), "{row:?}");
        assert!(!row.name.contains(char::is_whitespace) && !row.name.contains(','), "{row:?}: names stand in lists");
        if row.example.is_empty() {
            continue;
        }
        let head = Head::new(name_of(row), row.example.as_bytes());
        let by: Vec<&str> = readers.rows().iter().filter(|r| (r.recognises)(&head)).map(|r| r.name).collect();
        assert_eq!(by, [row.name], "its example is of one format");
        let how = How::by_content(Classes::any());
        let mut opened = read(row.example, name_of(row), &how).unwrap_or_else(|e| panic!("{row:?}: {e}"));
        assert_eq!(opened.format, *row);
        let all = collect(&mut *opened.entries).unwrap_or_else(|e| panic!("{row:?}: {e}"));
        assert!(all.iter().all(|e| e.prompt_tokens > 0) && !all.is_empty(), "{row:?}");
        let said = How { format: Some(*row), ..how };
        let mut again = read(row.example, "t", &said).unwrap_or_else(|e| panic!("{row:?}: {e}"));
        assert_eq!(collect(&mut *again.entries).unwrap(), all, "{row:?}: by name as by content");
    }
    let without: Vec<&str> = readers.rows().iter().filter(|r| r.example.is_empty()).map(|r| r.name).collect();
    assert_eq!(without, ["servegen", "baseload-parquet", "columns"], "these are no text, or need a map");
    let mut names: Vec<&str> = readers.rows().iter().map(|r| r.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), readers.rows().len(), "a name is one reader's");
}

#[test]
fn what_is_no_text_is_recognised_too() {
    let readers = Readers::embedded();
    let by = |head: Head<'_>| -> Vec<&str> {
        readers.rows().iter().filter(|r| (r.recognises)(&head)).map(|r| r.name).collect()
    };
    assert_eq!(by(Head::of_folder("t")), ["servegen"]);
    assert_eq!(by(Head::of_folder("t.toml")), ["servegen"]);
    assert_eq!(by(Head::new("t", b"PAR1\x00\xff")), ["baseload-parquet"]);
}

#[test]
fn heads_are_told_as_files_have_them() {
    let cases = [
        ("TIMESTAMP,ContextTokens,GeneratedTokens\r", "azure"),
        (r#"{"id":"a","block_size":64,"requests":[{"t":"#, "claude-sessions"),
        ("timestamp,model,request tokens,Response tokens", "burstgpt"),
        ("[\n {\"id\": 1, \"conversations\": [", "sharegpt"),
        ("{\n \"date\": 1, \"num_prompts\": 2, \"request_rate\": 1, \"burstiness\": 1", "vllm-bench-serve"),
        (r#"{"request_id":"a","startTime":"","prompt_tokens":1}"#, "litellm"),
        ("startTime,request_id,prompt_tokens", "litellm"),
        ("{\n\"resourceSpans\": [", "otlp"),
        ("output_tokens,prompt_tokens", "baseload-csv"),
        ("\u{feff}\n\narrival_s,prompt_tokens,output_tokens,class", "baseload-csv"),
    ];
    for (text, want) in cases {
        assert_eq!(Readers::embedded().recognise(&Head::new("t", text.as_bytes()), "t").unwrap().name, want, "{text}");
    }
}

#[test]
fn messages_name_every_row() {
    let readers = Readers::embedded();
    let unknown = readers.recognise(&Head::new("x.csv", b"a,b,c"), "x.csv").unwrap_err().to_string();
    assert!(unknown.starts_with("x.csv:1: this is no trace format"), "{unknown}");
    let misspelt = readers.named("azur").unwrap_err().to_string();
    for row in readers.rows() {
        assert!(unknown.contains(&format!("{} ({})", row.name, row.looks_like)), "{row:?}: {unknown}");
        assert!(misspelt.contains(row.name), "{row:?}: {misspelt}");
    }
    assert!(readers.recognise(&Head::new("x", b"\n"), "x").unwrap_err().to_string().contains("empty"));
}

#[test]
fn a_row_of_ones_own_is_asked_first_and_replaces_one_of_its_name() {
    let mine = Format { name: "mine", recognises: |head| head.has_columns(&["mine"]), ..crate::OWN_CSV };
    let readers = Readers::embedded().with(mine);
    let head = Head::new("t", b"prompt_tokens,output_tokens,mine\n1,1,1\n");
    assert_eq!(readers.recognise(&head, "t").unwrap().name, "mine");
    assert_eq!(readers.with(mine).rows().len(), Readers::embedded().rows().len() + 1);
}

/// A log that tears off or holds what nobody expects is some message or some requests, for every reader.
#[test]
fn no_reader_panics_at_a_cut_or_changed_example() {
    let odd = [b'"', b'{', b'[', b'}', b'-', b'9', b'e', b'\n', b',', 0xff];
    for row in Readers::embedded().rows().iter().filter(|row| !row.example.is_empty() && !row.drawn) {
        let tried = |bytes: &[u8]| {
            let how = How { format: Some(*row), ..How::by_content(Classes::any()) };
            let opened = open_with(Box::new(Cursor::new(bytes.to_vec())), "t", &how);
            _ = opened.and_then(|mut opened| collect(&mut *opened.entries)).map_err(|fault| fault.to_string());
        };
        let bytes = row.example.as_bytes();
        for at in 0..bytes.len() {
            tried(&bytes[..at]);
            for byte in odd {
                tried(&[&bytes[..at], &[byte], &bytes[at + 1..]].concat());
            }
        }
    }
}
