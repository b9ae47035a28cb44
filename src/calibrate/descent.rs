//! Damped least squares: steps downhill (Levenberg and Marquardt) from a start to where residuals are least.
//!
//! Rows that are far off are weighted down (soft L1). Knows neither what the numbers are nor where residuals come from: a
//! [`Problem`] says both. Must keep true: the same problem gives the same numbers whatever the number of threads; no step is
//! taken that costs more, or that makes a residual no number.
use baseload_core::numeric::{Dependent, solve};

/// How daring the first step is, and how much less so after one that failed, more after one that did not.
const DAMPING: f64 = 1e-2;
const MORE: f64 = 8.0;
const LESS: f64 = 5.0;
/// Damping within which a step is looked for.
const LEAST_DAMPING: f64 = 1e-6;
const MOST_DAMPING: f64 = 1e6;
/// Mean square of the slopes under which a number is said to have no effect.
const NO_EFFECT: f64 = 1e-9;

/// What is to be made small.
pub(super) trait Problem {
    /// A residual for each row at these numbers; what cannot be had is NaN.
    fn residuals(&self, x: &[f64]) -> Vec<f64>;
    /// Derivatives of the residuals, which are `now` at `x`: for each number, by row, over the unit of a step.
    fn slopes(&self, x: &[f64], now: &[f64]) -> Vec<Vec<f64>>;
    /// The numbers after a step of `by` down, in units of steps.
    fn moved(&self, x: &[f64], by: &[f64]) -> Vec<f64>;
    /// How far from its start each number is, in units of steps; asked where [`Rules::prior`] is not 0.
    fn away(&self, x: &[f64]) -> Vec<f64>;
}

/// How a problem is solved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// From this residual on a row counts less.
    pub soft: f64,
    /// A number moves no further at once, in units of steps.
    pub most: f64,
    /// How much one unit away from the start counts, in residuals. Without it a number that has no effect is left where it
    /// is, for it would make the equations singular.
    pub prior: f64,
    /// A step that gains less than this share of the cost is the last.
    pub least_gain: f64,
    /// Steps at most.
    pub rounds: usize,
}

/// Where a descent ended.
#[derive(Debug, Clone)]
pub(super) struct Bottom {
    pub x: Vec<f64>,
    /// Numbers that had no effect at the start.
    pub open: Vec<usize>,
    residuals: Vec<f64>,
    frozen: Vec<bool>,
}

/// Goes down from `start` until no step gains more.
pub(super) fn descend(problem: &impl Problem, start: &[f64], rules: &Rules) -> Bottom {
    let x = start.to_vec();
    let residuals = problem.residuals(&x);
    let mut at = Bottom { x, open: Vec::new(), residuals, frozen: vec![false; start.len()] };
    let mut damping = DAMPING;
    for round in 0..rules.rounds {
        let mut equations = Equations::of(problem, &at, rules);
        let least = NO_EFFECT * at.residuals.len() as f64;
        let without: Vec<usize> = (0..start.len()).filter(|&i| equations.normal[i][i] <= least).collect();
        if rules.prior == 0.0 {
            // A fixed part may well be nil: its logarithm runs away, and stays where it has no effect any more.
            without.iter().for_each(|&i| at.frozen[i] = true);
            equations.freeze(&at.frozen);
        } else {
            equations.add_prior(rules.prior, &problem.away(&at.x));
        }
        if round == 0 {
            at.open = without;
        }
        let before = cost(problem, &at.x, &at.residuals, rules);
        let Some((x, residuals, after)) = step(problem, &at, &equations, before, &mut damping, rules) else { break };
        (at.x, at.residuals) = (x, residuals);
        if (before - after) / before < rules.least_gain {
            break;
        }
    }
    at
}

/// A step downhill, with less and less daring, and what it costs there; `None` where there is none.
fn step(
    problem: &impl Problem,
    at: &Bottom,
    equations: &Equations,
    before: f64,
    damping: &mut f64,
    rules: &Rules,
) -> Option<(Vec<f64>, Vec<f64>, f64)> {
    while *damping < MOST_DAMPING {
        let mut damped = equations.normal.clone();
        damped.iter_mut().enumerate().for_each(|(i, row)| row[i] *= 1.0 + *damping);
        let mut by = solve(&damped, &equations.gradient, f64::MIN_POSITIVE).ok()?;
        by.iter_mut().for_each(|b| *b = b.clamp(-rules.most, rules.most));
        let x = problem.moved(&at.x, &by);
        let residuals = problem.residuals(&x);
        let after = cost(problem, &x, &residuals, rules);
        if residuals.len() == at.residuals.len() && after < before {
            *damping = (*damping / LESS).max(LEAST_DAMPING);
            return Some((x, residuals, after));
        }
        *damping *= MORE;
    }
    None
}

fn cost(problem: &impl Problem, x: &[f64], residuals: &[f64], rules: &Rules) -> f64 {
    let soft = rules.soft;
    let rows: f64 = residuals.iter().map(|r| libm::sqrt(1.0 + r / soft * (r / soft)) - 1.0).sum();
    if rules.prior == 0.0 {
        return rows;
    }
    let away = problem.away(x).into_iter().map(|d| rules.prior * d);
    rows + away.map(|d| d * d / (2.0 * soft * soft)).sum::<f64>()
}

impl Bottom {
    /// The first number that those before it can stand in for, so that the rows do not tell it: they leave less than
    /// `least_pivot` of its effect unexplained.
    pub(super) fn undecided(&self, problem: &impl Problem, rules: &Rules, least_pivot: f64) -> Option<usize> {
        let mut equations = Equations::of(problem, self, rules);
        equations.freeze(&self.frozen);
        let (n, normal) = (self.x.len(), &equations.normal);
        let scale: Vec<f64> = (0..n).map(|i| 1.0 / libm::sqrt(normal[i][i].max(1e-300))).collect();
        let correlation = |i: usize| -> Vec<f64> { (0..n).map(|j| normal[i][j] * scale[i] * scale[j]).collect() };
        let correlations: Vec<Vec<f64>> = (0..n).map(correlation).collect();
        solve(&correlations, &vec![0.0; n], least_pivot).err().map(|Dependent(i)| i)
    }
}

/// J'WJ and J'Wr.
struct Equations {
    normal: Vec<Vec<f64>>,
    gradient: Vec<f64>,
}

impl Equations {
    fn of(problem: &impl Problem, at: &Bottom, rules: &Rules) -> Equations {
        let n = at.x.len();
        let slopes = problem.slopes(&at.x, &at.residuals);
        let (mut normal, mut gradient) = (vec![vec![0.0; n]; n], vec![0.0; n]);
        for (row, r) in at.residuals.iter().enumerate() {
            let weight = 1.0 / libm::sqrt(1.0 + r / rules.soft * (r / rules.soft));
            for i in 0..n {
                gradient[i] += weight * slopes[i][row] * r;
                for j in 0..n {
                    normal[i][j] += weight * slopes[i][row] * slopes[j][row];
                }
            }
        }
        Equations { normal, gradient }
    }

    /// Takes numbers out of the equations.
    fn freeze(&mut self, frozen: &[bool]) {
        for (i, _) in frozen.iter().enumerate().filter(|(_, frozen)| **frozen) {
            self.normal.iter_mut().for_each(|row| row[i] = 0.0);
            self.normal[i].fill(0.0);
            self.normal[i][i] = 1.0;
            self.gradient[i] = 0.0;
        }
    }

    fn add_prior(&mut self, prior: f64, from_start: &[f64]) {
        for (i, away) in from_start.iter().enumerate() {
            self.normal[i][i] += prior * prior;
            self.gradient[i] += prior * (prior * away);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows (t, y) of y = a exp(-b t) + c, by absolute residuals; a step of `c` has no effect where it is `mute`.
    struct Decay {
        rows: Vec<(f64, f64)>,
        mute: bool,
    }

    fn value(x: &[f64], t: f64, mute: bool) -> f64 {
        x[0] * libm::exp(-x[1] * t) + if mute { 0.0 } else { x[2] }
    }

    impl Problem for Decay {
        fn residuals(&self, x: &[f64]) -> Vec<f64> {
            self.rows.iter().map(|(t, y)| value(x, *t, self.mute) - y).collect()
        }
        fn slopes(&self, x: &[f64], _: &[f64]) -> Vec<Vec<f64>> {
            let by = |of: &dyn Fn(f64) -> f64| self.rows.iter().map(|(t, _)| of(*t)).collect();
            let flat = if self.mute { 0.0 } else { 1.0 };
            vec![by(&|t| libm::exp(-x[1] * t)), by(&|t| -x[0] * t * libm::exp(-x[1] * t)), by(&|_| flat)]
        }
        fn moved(&self, x: &[f64], by: &[f64]) -> Vec<f64> {
            x.iter().zip(by).map(|(x, by)| x - by).collect()
        }
        fn away(&self, x: &[f64]) -> Vec<f64> {
            x.iter().zip(START).map(|(x, s)| x - s).collect()
        }
    }

    const START: [f64; 3] = [1.0, 0.2, 0.5];
    const TRUTH: [f64; 3] = [3.0, 0.7, 0.25];
    const RULES: Rules = Rules { soft: 0.1, most: 1.0, prior: 0.0, least_gain: 1e-10, rounds: 60 };

    fn decay(mute: bool) -> Decay {
        let t = (0..40).map(|i| f64::from(i) / 5.0);
        Decay { rows: t.map(|t| (t, value(&TRUTH, t, mute))).collect(), mute }
    }

    #[track_caller]
    fn near(got: &[f64], want: &[f64], by: f64) {
        assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < by), "{got:?}, known to be {want:?}");
    }

    #[test]
    fn known_numbers_are_found_and_rows_far_off_hardly_count() {
        let mut problem = decay(false);
        let found = descend(&problem, &START, &RULES);
        near(&found.x, &TRUTH, 1e-4);
        assert_eq!((found.open.len(), found.undecided(&problem, &RULES, 1e-6)), (0, None));
        problem.rows[7].1 += 100.0;
        near(&descend(&problem, &START, &RULES).x, &TRUTH, 0.02);
    }

    #[test]
    fn a_number_without_effect_stays_and_is_named() {
        let problem = decay(true);
        for prior in [0.0, 1e-4] {
            let found = descend(&problem, &START, &Rules { prior, ..RULES });
            near(&found.x, &[TRUTH[0], TRUTH[1], START[2]], 1e-3);
            assert_eq!(found.open, [2], "prior {prior}");
        }
    }

    #[test]
    fn a_prior_holds_what_rows_leave_open_and_rules_end_a_descent() {
        let problem = decay(false);
        let held = descend(&problem, &START, &Rules { prior: 100.0, ..RULES });
        near(&held.x, &START, 0.05);
        let (one, most) = (descend(&problem, &START, &Rules { rounds: 1, most: 0.1, ..RULES }), 0.1 + 1e-12);
        assert!(one.x.iter().zip(START).all(|(x, s)| (x - s).abs() <= most), "{:?}", one.x);
        assert!(one.x != START);
    }

    #[test]
    fn numbers_that_stand_in_for_each_other_are_undecided() {
        /// Both numbers are added up.
        struct Sum;
        impl Problem for Sum {
            fn residuals(&self, x: &[f64]) -> Vec<f64> {
                [1.0, 2.0, 3.0].iter().map(|t| t * (x[0] + x[1] - 4.0)).collect()
            }
            fn slopes(&self, _: &[f64], _: &[f64]) -> Vec<Vec<f64>> {
                vec![vec![1.0, 2.0, 3.0]; 2]
            }
            fn moved(&self, x: &[f64], by: &[f64]) -> Vec<f64> {
                x.iter().zip(by).map(|(x, by)| x - by).collect()
            }
            fn away(&self, x: &[f64]) -> Vec<f64> {
                vec![0.0; x.len()]
            }
        }
        let found = descend(&Sum, &[1.0, 1.0], &RULES);
        near(&[found.x[0] + found.x[1]], &[4.0], 1e-4);
        assert_eq!(found.undecided(&Sum, &RULES, 1e-6), Some(1));
    }
}
