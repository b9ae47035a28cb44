//! A row of numbers as a row of characters.
//!
//! May import: nothing. Must keep true: one character a value, of width one.

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A bar for each value, the highest being `high`; nothing at all is a space.
pub fn sparkline(values: &[f64], high: f64) -> String {
    let bar = |v: &f64| match *v {
        v if v <= 0.0 || high <= 0.0 => ' ',
        v => LEVELS[((v / high * 8.0).ceil() as usize).clamp(1, 8) - 1],
    };
    values.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_eighths_of_the_highest() {
        assert_eq!(sparkline(&[0.0, 0.1, 1.0, 4.0, 7.1, 8.0, 9.0], 8.0), " ▁▁▄███");
        assert_eq!(sparkline(&[0.0], 0.0), " ");
    }
}
