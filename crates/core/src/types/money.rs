//! Exact money: `i128` pico-dollars. A token price is a whole number of pico-dollars.
use super::Fault;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

/// Pico-dollars in a US dollar.
pub const PICO_PER_USD: i128 = 1_000_000_000_000;

/// What was computed: the bounds of prices, counts and times keep every bill far below what `i128` holds.
fn held(pico: Option<i128>) -> i128 {
    pico.expect("bill-exact: a sum of money stays below 10^26 dollars")
}

/// US dollars in whole pico-dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Usd(pub i128);

impl Usd {
    /// No money.
    pub const ZERO: Usd = Usd(0);

    /// Parses decimal text such as `6.88`; refuses what is finer than a pico-dollar.
    pub fn parse(text: &str) -> Result<Usd, Fault> {
        let (sign, digits) = match text.trim().strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.trim()),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 12 {
            return Err(Fault::new(format!("`{text}` is finer than a pico-dollar (12 decimals)")));
        }
        let all = format!("{}{:0<12}", if whole.is_empty() { "0" } else { whole }, fraction);
        if !all.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Fault::new(format!("`{text}` is not a decimal amount of US dollars")));
        }
        all.parse::<i128>().map(|v| Usd(sign * v)).map_err(|e| Fault::new(format!("`{text}`: {e}")))
    }

    /// Exact value of a TOML or JSON number through its shortest decimal form.
    pub fn from_number(value: f64) -> Result<Usd, Fault> {
        if !value.is_finite() {
            return Err(Fault::new(format!("{value} is not an amount of money")));
        }
        Usd::parse(&format!("{value}"))
    }

    /// `self * numerator / denominator`, rounded half to even: the one rounding of a time-based line.
    pub fn scaled(self, numerator: u128, denominator: u128) -> Usd {
        assert!(denominator > 0, "bill-exact: a time-based line needs a window longer than zero");
        let (n, d) = (numerator as i128, denominator as i128);
        // Whole parts and rest apart, so that a large sum times a month does not overflow.
        let rest = held(self.0.rem_euclid(d).checked_mul(n));
        let whole = held(self.0.div_euclid(d).checked_mul(n));
        let (q, r) = (held(whole.checked_add(rest.div_euclid(d))), rest.rem_euclid(d));
        // `r` is below `d`, so that this is r + r > d without a sum.
        let up = r > d - r || (r == d - r && q % 2 != 0);
        Usd(q + i128::from(up))
    }

    /// So many times the amount.
    pub fn times(self, count: u64) -> Usd {
        Usd(held(self.0.checked_mul(count.into())))
    }

    /// Dollars as a float, for reports only.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / PICO_PER_USD as f64
    }
}
impl Add for Usd {
    type Output = Usd;
    fn add(self, other: Usd) -> Usd {
        Usd(held(self.0.checked_add(other.0)))
    }
}
impl AddAssign for Usd {
    fn add_assign(&mut self, other: Usd) {
        *self = *self + other;
    }
}
impl Sum for Usd {
    fn sum<I: Iterator<Item = Usd>>(iter: I) -> Usd {
        iter.fold(Usd::ZERO, Add::add)
    }
}

/// Pico-dollars a token. US$ 1 a million tokens = 1,000,000 pico-dollars a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TokenPrice(pub i128);

impl TokenPrice {
    /// From US dollars a million tokens; refuses what is no whole number of pico-dollars a token.
    pub fn per_million(usd: f64) -> Result<TokenPrice, Fault> {
        if usd > 1e6 {
            return Err(Fault::new(format!(
                "{usd} US$ a million tokens is over a dollar a token; prices are US$ a million tokens"
            )));
        }
        let total = Usd::from_number(usd)?.0;
        if total < 0 || total % 1_000_000 != 0 {
            return Err(Fault::new(format!(
                "{usd} US$ a million tokens is negative or finer than a pico-dollar a token"
            )));
        }
        Ok(TokenPrice(total / 1_000_000))
    }
    /// The price of `tokens` tokens.
    pub fn of(self, tokens: u64) -> Usd {
        Usd(self.0).times(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_parses_exactly_and_rounds_half_to_even() {
        assert_eq!(Usd::parse("6.88").unwrap(), Usd(6_880_000_000_000));
        assert_eq!(Usd::parse("-0.5").unwrap(), Usd(-500_000_000_000));
        assert!(Usd::parse("0.0000000000001").is_err());
        assert!(Usd::parse("1e3").is_err());
        assert_eq!(TokenPrice::per_million(0.03).unwrap(), TokenPrice(30_000));
        assert!(TokenPrice::per_million(0.0000001).is_err());
        assert_eq!(Usd(5).scaled(1, 2), Usd(2));
        assert_eq!(Usd(7).scaled(1, 2), Usd(4));
        assert_eq!(Usd(-5).scaled(1, 2), Usd(-2));
        // A billion dollars in a minute, as a month: the product alone has more digits than i128.
        let (month, minute) = (2_628_000_000_000_000u128, 60_000_000_000u128);
        assert_eq!(Usd::parse("1000000000").unwrap().scaled(month, minute), Usd::parse("43800000000000").unwrap());
        assert!(TokenPrice::per_million(1e7).is_err());
    }
}
