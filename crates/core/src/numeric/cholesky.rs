//! Symmetric positive definite systems, as the normal equations of least squares are: Cholesky's factors.

/// The column that those before it explain, so that no single solution is the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependent(pub usize);

/// Solves `a x = b` for a symmetric positive definite `a`, of which the lower half is read.
///
/// # Errors
/// The first column whose pivot is under `least_pivot`. Pivots have the size of the matrix's diagonal: scale it to ones where
/// that is to say how much of a column the others leave.
pub fn solve<R: AsRef<[f64]>>(a: &[R], b: &[f64], least_pivot: f64) -> Result<Vec<f64>, Dependent> {
    let n = b.len();
    let mut l = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let sum: f64 = a[i].as_ref()[j] - (0..j).map(|k| l[i][k] * l[j][k]).sum::<f64>();
            if i != j {
                l[i][j] = sum / l[j][j];
            } else if sum >= least_pivot {
                l[i][i] = libm::sqrt(sum);
            } else {
                return Err(Dependent(i));
            }
        }
    }
    let mut x = b.to_vec();
    for i in 0..n {
        x[i] = (x[i] - (0..i).map(|k| l[i][k] * x[k]).sum::<f64>()) / l[i][i];
    }
    for i in (0..n).rev() {
        x[i] = (x[i] - (i + 1..n).map(|k| l[k][i] * x[k]).sum::<f64>()) / l[i][i];
    }
    Ok(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_known_system_and_one_with_a_column_too_many() {
        let x = solve(&[[4.0, 2.0], [2.0, 3.0]], &[10.0, 9.0], 1e-12).unwrap();
        assert!((x[0] - 1.5).abs() < 1e-12 && (x[1] - 2.0).abs() < 1e-12, "{x:?}");
        assert_eq!(solve(&[[1.0, 0.5, 1.0], [0.5, 1.0, 0.5], [1.0, 0.5, 1.0]], &[1.0; 3], 1e-12), Err(Dependent(2)));
        assert_eq!(solve(&[[f64::NAN]], &[1.0], 1e-12), Err(Dependent(0)), "no number is no pivot");
    }

    proptest! {
        #[test]
        fn what_it_finds_solves_the_system(rows in prop::collection::vec(prop::array::uniform4(-2.0..2.0f64), 4..9)) {
            // Normal equations of any rows, with a ridge that makes them definite.
            let mut a = [[0.0; 4]; 4];
            for row in &rows {
                for (i, line) in a.iter_mut().enumerate() {
                    line.iter_mut().enumerate().for_each(|(j, cell)| *cell += row[i] * row[j] + 0.1 * f64::from(i == j));
                }
            }
            let b = [1.0, -2.0, 3.0, 0.5];
            let x = solve(&a, &b, 1e-12).unwrap();
            for (line, want) in a.iter().zip(b) {
                let got: f64 = line.iter().zip(&x).map(|(a, x)| a * x).sum();
                prop_assert!((got - want).abs() < 1e-8, "{got} for {want}");
            }
        }
    }
}
