//! The nearest known name to a misspelt one: optimal string alignment (Levenshtein with adjacent swaps).
//!
//! Must keep true: ties go to the first name, so messages never vary.

/// Characters of a name beyond which nothing is near: what is longer than all names is no slip.
const LONGEST: usize = 200;

/// The name closest to `name`, if it is close enough to be a likely slip: at most a third of the longer one differs.
/// A name that contains what was asked for comes before any that does not. Case is ignored.
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if name.chars().nth(LONGEST).is_some() {
        return None;
    }
    let wanted: Vec<char> = name.to_lowercase().chars().collect();
    let mut best: Option<((bool, usize), &'a str)> = None;
    for candidate in known {
        let lower = candidate.to_lowercase();
        let chars: Vec<char> = lower.chars().collect();
        let d = distance(&wanted, &chars);
        let contains = wanted.len() >= 3 && lower.contains(&name.to_lowercase());
        let close = contains || d <= wanted.len().max(chars.len()).div_ceil(3);
        let rank = (!contains, d);
        if close && best.is_none_or(|(b, _)| rank < b) {
            best = Some((rank, candidate));
        }
    }
    best.map(|(_, n)| n)
}

/// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut d = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                d = d.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = d;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_name_and_nonsense_finds_none() {
        let known = ["h100-sxm", "h200-sxm", "l40s"];
        assert_eq!(nearest("h100-smx", &known), Some("h100-sxm"));
        assert_eq!(nearest("H200-SXM5", &known), Some("h200-sxm"));
        assert_eq!(nearest("h100", &known), Some("h100-sxm"));
        assert_eq!(nearest("h100", &["a10g", "h100-sxm"]), Some("h100-sxm"), "a part of a name is no misspelling");
        assert_eq!(nearest("potato", &known), None);
        assert_eq!(nearest("x", &[]), None);
        assert_eq!(nearest(&"h100-sxm".repeat(100_000), &known), None, "and at once");
    }
}
