//! Paths of APIs that serve models: which of them generate text.

/// The path of an address, where its calls generate no text: what serves embeddings, images and so on.
pub(super) fn no_generation(address: &str) -> Option<&str> {
    const OTHERS: [&str; 10] = [
        "embeddings",
        "rerank",
        "moderations",
        "models",
        "files",
        "batches",
        "images/generations",
        "images/edits",
        "audio/speech",
        "audio/transcriptions",
    ];
    let behind = address.split_once("://").map_or(address, |(_, host)| host.find('/').map_or("", |at| &host[at..]));
    let path = behind.split(['?', '#']).next().unwrap_or(behind).trim_end_matches('/');
    let ends = |other: &str| path.strip_suffix(other).is_some_and(|before| before.is_empty() || before.ends_with('/'));
    OTHERS.iter().any(|other| ends(other)).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::no_generation;

    #[test]
    fn paths_tell_what_generates() {
        assert_eq!(no_generation("https://gw.example/v1/embeddings?x=1"), Some("/v1/embeddings"));
        assert_eq!(
            (no_generation("embeddings"), no_generation("/v1/rerank/")),
            (Some("embeddings"), Some("/v1/rerank"))
        );
        assert_eq!((no_generation("https://gw/v1/chat/completions"), no_generation("/my-embeddings")), (None, None));
    }
}
