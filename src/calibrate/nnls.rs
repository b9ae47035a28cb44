//! Non-negative least squares: Lawson and Hanson's active set on the normal equations.
//!
//! Source: Lawson and Hanson, Solving Least Squares Problems (1974), algorithm NNLS 23.10. A fit has at most 12
//! columns, so the normal equations, with columns scaled to unit length, are kept as sums: no row is stored.
//! Must keep true: only `+ - * /` and `sqrt`, in a fixed order, so that a fit repeats on every platform.

use baseload_core::numeric;

/// Sums of a weighted least squares problem with `K` columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Normal<const K: usize> {
    gram: [[f64; K]; K],
    right: [f64; K],
    rows: u64,
}

impl<const K: usize> Default for Normal<K> {
    fn default() -> Self {
        Normal { gram: [[0.0; K]; K], right: [0.0; K], rows: 0 }
    }
}

impl<const K: usize> Normal<K> {
    /// Adds the row `columns . x = value` with a weight (of its square).
    pub fn add(&mut self, columns: &[f64; K], value: f64, weight: f64) {
        for (i, a) in columns.iter().enumerate() {
            for (j, b) in columns.iter().enumerate() {
                self.gram[i][j] += weight * a * b;
            }
            self.right[i] += weight * a * value;
        }
        self.rows += 1;
    }

    /// Rows added.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Lengths of the columns; 1 where a column is empty.
    fn scales(&self) -> [f64; K] {
        std::array::from_fn(|i| if self.gram[i][i] > 0.0 { self.gram[i][i].sqrt() } else { 1.0 })
    }

    /// The share of each column's square that no combination of the other columns of `wanted` explains: 0 for a
    /// column that is empty or a combination of the others.
    pub fn own_shares(&self, wanted: &[bool; K]) -> [f64; K] {
        let s = self.scales();
        std::array::from_fn(|j| {
            if !wanted[j] || self.gram[j][j] <= 0.0 {
                return 0.0;
            }
            let others: Vec<usize> = (0..K).filter(|&i| i != j && wanted[i] && self.gram[i][i] > 0.0).collect();
            // Of others that depend on one another, those that come first say all that the rest could.
            let mut kept: Vec<usize> = Vec::new();
            let mut explained = 0.0;
            for other in others {
                kept.push(other);
                let right: Vec<f64> = kept.iter().map(|&i| self.gram[i][j] / (s[i] * s[j])).collect();
                match self.solve(&kept, &right, &s) {
                    Some(x) => explained = x.iter().zip(&right).map(|(x, r)| x * r).sum(),
                    None => drop(kept.pop()),
                }
            }
            (1.0 - explained).max(0.0)
        })
    }

    /// Minimises the squares over `x >= 0`, with the columns that are not `wanted` at zero.
    pub fn solve_non_negative(&self, wanted: &[bool; K]) -> [f64; K] {
        let s = self.scales();
        let mut x = [0.0; K];
        let mut free = [false; K];
        let gradient = |x: &[f64; K], i: usize| {
            let fitted: f64 = (0..K).map(|j| self.gram[i][j] / s[j] * x[j]).sum();
            (self.right[i] - fitted) / s[i]
        };
        let size = (0..K).map(|i| (self.right[i] / s[i]).abs()).fold(0.0, f64::max);
        // Each round frees one column; a bound on rounds, because rounding could let two columns take turns.
        for _ in 0..10 * K {
            let best = (0..K)
                .filter(|&i| wanted[i] && !free[i] && self.gram[i][i] > 0.0)
                .map(|i| (gradient(&x, i), i))
                .filter(|(g, _)| *g > 1e-12 * size)
                .fold(None, |best: Option<(f64, usize)>, next| match best {
                    Some(b) if b.0 >= next.0 => Some(b),
                    _ => Some(next),
                });
            let Some((_, enter)) = best else { break };
            free[enter] = true;
            loop {
                let set: Vec<usize> = (0..K).filter(|&i| free[i]).collect();
                let right: Vec<f64> = set.iter().map(|&i| self.right[i] / s[i]).collect();
                let Some(z) = self.solve(&set, &right, &s) else {
                    free[enter] = false; // a combination of those that are free already
                    break;
                };
                if z.iter().all(|v| *v > 0.0) {
                    set.iter().zip(z).for_each(|(&i, v)| x[i] = v);
                    break;
                }
                let pairs = || set.iter().zip(&z).filter(|(_, v)| **v <= 0.0);
                let step = pairs().map(|(&i, v)| x[i] / (x[i] - v)).fold(1.0, f64::min);
                for (&i, v) in set.iter().zip(&z) {
                    x[i] += step * (v - x[i]);
                    if *v <= 0.0 && x[i] <= 1e-15 {
                        (x[i], free[i]) = (0.0, false);
                    }
                }
                if set.iter().all(|&i| free[i]) {
                    // Rounding kept the leaving one above zero: let it go all the same.
                    let least = pairs().map(|(&i, _)| i).fold(enter, |m, i| if x[i] < x[m] { i } else { m });
                    (x[least], free[least]) = (0.0, false);
                }
            }
        }
        std::array::from_fn(|i| x[i] / s[i])
    }

    /// Solves the scaled normal equations of the columns in `set` by Cholesky; `None` where they are dependent.
    fn solve(&self, set: &[usize], right: &[f64], s: &[f64; K]) -> Option<Vec<f64>> {
        let row = |&i: &usize| -> Vec<f64> { set.iter().map(|&j| self.gram[i][j] / (s[i] * s[j])).collect() };
        let matrix: Vec<Vec<f64>> = set.iter().map(row).collect();
        numeric::solve(&matrix, right, 1e-11).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem<const K: usize>(rows: &[([f64; K], f64)]) -> Normal<K> {
        let mut n = Normal::default();
        rows.iter().for_each(|(columns, value)| n.add(columns, *value, 1.0));
        n
    }

    #[track_caller]
    fn near<const K: usize>(got: [f64; K], want: [f64; K]) {
        for (g, w) in got.iter().zip(&want) {
            assert!((g - w).abs() <= 1e-9 * w.abs().max(1.0), "{got:?}, known to be {want:?}");
        }
    }

    #[test]
    fn known_solutions() {
        // Exact, inside.
        let n = problem(&[([1.0, 0.0], 2.0), ([1.0, 1.0], 5.0), ([1.0, 2.0], 8.0)]);
        near(n.solve_non_negative(&[true; 2]), [2.0, 3.0]);
        // Unconstrained it is (3, -1): on the border the first is sum(ab) / sum(aa).
        let n = problem(&[([1.0, 0.0], 3.0), ([1.0, 1.0], 2.0), ([1.0, 2.0], 1.0)]);
        near(n.solve_non_negative(&[true; 2]), [2.0, 0.0]);
        // scipy.optimize.nnls of these 5 rows (SciPy 1.17).
        let rows = [
            ([3.0, 1.0, 2.0], 1.0),
            ([1.0, 4.0, 1.0], 2.0),
            ([2.0, 2.0, 5.0], 3.0),
            ([0.0, 1.0, 3.0], 4.0),
            ([1.0, 0.0, 1.0], 0.5),
        ];
        near(problem(&rows).solve_non_negative(&[true; 3]), [0.0, SCIPY[0], SCIPY[1]]);
        // All of them want to be negative.
        near(problem(&[([1.0, 2.0], -1.0), ([2.0, 1.0], -3.0)]).solve_non_negative(&[true; 2]), [0.0, 0.0]);
    }

    const SCIPY: [f64; 2] = [0.311_175_337_186_897_8, 0.639_691_714_836_223_4];

    #[test]
    fn scales_of_many_orders_do_not_matter() {
        let truth = [1.2e-2, 4.0e-4, 1.3e-6, 1.4e-13];
        let mut n = Normal::<4>::default();
        for i in 0..200u32 {
            let i = f64::from(i);
            let columns = [1.0, i % 17.0, (i * 37.0) % 4_000.0, (i * i * 91.0) % 3.0e7];
            n.add(&columns, columns.iter().zip(truth).map(|(a, b)| a * b).sum(), 1.0 + i % 3.0);
        }
        let got = n.solve_non_negative(&[true; 4]);
        for (g, w) in got.iter().zip(truth) {
            assert!((g / w - 1.0).abs() < 1e-6, "{got:?}");
        }
    }

    #[test]
    fn a_column_that_the_others_explain_has_no_share_of_its_own() {
        let n =
            problem(&[([1.0, 2.0, 3.0], 1.0), ([1.0, 5.0, 6.0], 1.0), ([1.0, 0.0, 1.0], 1.0), ([1.0, 3.0, 4.0], 1.0)]);
        assert!(n.own_shares(&[true; 3]).iter().all(|s| *s < 1e-9));
        // The first column stands apart from two equal ones.
        let n = problem(&[([1.0, 2.0, 2.0], 1.0), ([1.0, 5.0, 5.0], 1.0), ([1.0, 0.0, 0.0], 1.0)]);
        let shares = n.own_shares(&[true; 3]);
        assert!(shares[0] > 0.1 && shares[1] < 1e-9 && shares[2] < 1e-9, "{shares:?}");
        let n =
            problem(&[([1.0, 2.0, 3.0], 1.0), ([1.0, 5.0, 6.0], 1.0), ([1.0, 0.0, 1.0], 1.0), ([1.0, 3.0, 4.0], 1.0)]);
        let two = n.own_shares(&[true, true, false]);
        assert!(two[0] > 0.1 && two[1] > 0.1 && two[2] == 0.0, "{two:?}");
        let fitted = n.solve_non_negative(&[true; 3]);
        assert!(fitted.iter().all(|x| x.is_finite() && *x >= 0.0), "dependent columns are no danger: {fitted:?}");
    }
}
