//! What the kinds of one figure a row share: groups, rows set apart, and the trivial baseline beside.
use super::super::score::{Group, Scores};

/// A measured row and its prediction.
#[derive(Debug, Clone)]
pub struct Scored {
    /// Group that the row is scored in.
    pub group: String,
    /// Load (users or batch), prompt and output tokens: what makes two points near.
    pub at: [f64; 3],
    /// Seconds that reading its active weights once takes at the GPU's peak bandwidth.
    pub weights_s: f64,
    /// Metric, predicted, measured.
    pub values: Vec<(&'static str, f64, f64)>,
    /// Why it is printed and not judged, if so.
    pub apart: Option<&'static str>,
}

/// Groups the rows in order of first mention. The trivial baseline of a row is the nearest row (in the logarithms of
/// load and lengths) of another group, scaled by the time of reading the weights.
pub fn scores(kind: &'static str, rows: &[Scored], notes: Vec<String>) -> Scores {
    let mut scores = Scores { kind, notes, ..Scores::default() };
    for (i, row) in rows.iter().enumerate() {
        let group = match row.apart {
            None => group_of(&mut scores.groups, &row.group),
            Some(why) => {
                let at = scores.apart.iter().position(|(g, w)| g.name == row.group && *w == why).unwrap_or_else(|| {
                    scores.apart.push((Group { name: row.group.clone(), ..Group::default() }, why));
                    scores.apart.len() - 1
                });
                &mut scores.apart[at].0
            }
        };
        group.n += 1;
        row.values.iter().for_each(|(metric, p, m)| group.add(metric, *p, *m));
        if row.apart.is_some() {
            continue;
        }
        let others = rows.iter().enumerate().filter(|(j, o)| *j != i && o.apart.is_none() && o.group != row.group);
        if let Some((_, near)) = others.min_by(|a, b| distance(row, a.1).total_cmp(&distance(row, b.1))) {
            let group = group_of(&mut scores.trivial, &row.group);
            group.n += 1;
            for (metric, _, measured) in &row.values {
                if let Some((_, _, there)) = near.values.iter().find(|(m, _, _)| m == metric) {
                    group.add(metric, there * row.weights_s / near.weights_s, *measured);
                }
            }
        }
    }
    scores
}

fn group_of<'a>(groups: &'a mut Vec<Group>, name: &str) -> &'a mut Group {
    let at = groups.iter().position(|g| g.name == name).unwrap_or_else(|| {
        groups.push(Group { name: name.to_owned(), ..Group::default() });
        groups.len() - 1
    });
    &mut groups[at]
}

fn distance(a: &Scored, b: &Scored) -> f64 {
    let parts = a.at.iter().zip(&b.at).map(|(x, y)| libm::log(x / y).abs()).sum::<f64>();
    // Among points at one place the one whose model is most like it.
    parts + 1e-3 * libm::log(a.weights_s / b.weights_s).abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_baseline_scales_the_nearest_point_of_another_group() {
        let row = |group: &str, load: f64, weights_s: f64, measured: f64| Scored {
            group: group.into(),
            at: [load, 100.0, 10.0],
            weights_s,
            values: vec![("tpot_s", 1.0, measured)],
            apart: None,
        };
        let rows =
            [row("a", 8.0, 0.01, 2.0), row("a", 9.0, 0.01, 5.0), row("b", 8.0, 0.02, 3.0), row("b", 64.0, 0.02, 7.0)];
        let s = scores("inferencex", &rows, Vec::new());
        let predicted: Vec<f64> = s.trivial.iter().flat_map(|g| g.pairs.iter().map(|p| p.predicted)).collect();
        assert_eq!(predicted, [1.5, 1.5, 4.0, 10.0]);
        assert_eq!(s.groups.iter().map(|g| (g.name.as_str(), g.n)).collect::<Vec<_>>(), [("a", 2), ("b", 2)]);
        let mut apart = rows.to_vec();
        apart[3].apart = Some("KV-saturated");
        let s = scores("inferencex", &apart, Vec::new());
        assert_eq!((s.apart.len(), s.overall().0, s.groups[1].n), (1, 3, 1));
    }
}
