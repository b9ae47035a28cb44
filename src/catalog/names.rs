//! Wrong names are answered with the nearest right one.

/// Edit distance with transpositions (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut d = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in d.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in d[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let swap = usize::from(a[i - 1] != b[j - 1]);
            d[i][j] = (d[i - 1][j] + 1).min(d[i][j - 1] + 1).min(d[i - 1][j - 1] + swap);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                d[i][j] = d[i][j].min(d[i - 2][j - 2] + 1);
            }
        }
    }
    d[a.len()][b.len()]
}

/// The known name nearest to `name`, if one is near: at most half its letters differ.
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let best = known.iter().min_by_key(|k| distance(&name.to_lowercase(), &k.to_lowercase()))?;
    (distance(name, best) <= name.chars().count().max(best.chars().count()) / 2).then_some(*best)
}

/// `unknown KIND `x`; did you mean `y`? ...` with where to find all of them.
pub fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str>, listing: &str) -> String {
    let known: Vec<&str> = known.collect();
    match nearest(name, &known) {
        Some(near) => format!("unknown {kind} `{name}`; did you mean `{near}`? `{listing}` lists them"),
        None => format!("unknown {kind} `{name}`; `{listing}` lists the known ones"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_a_swap_as_one() {
        assert_eq!(distance("h100-smx", "h100-sxm"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(nearest("zzz", &["h100", "a100"]), None);
    }
}
