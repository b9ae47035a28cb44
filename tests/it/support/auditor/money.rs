//! Money, exactly: pico-dollars from decimal text, and the one rounding, half to even.

/// Pico-dollars of decimal text.
pub fn pico(text: &str) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    assert!(fraction.len() <= 12, "{text}: finer than a pico-dollar");
    let digits = format!("{whole}{fraction:0<12}");
    digits.parse().unwrap_or_else(|_| panic!("`{text}` is no amount"))
}

/// Pico-dollars of a TOML number, through its shortest decimal form.
pub fn of(value: &toml::Value) -> i128 {
    match value {
        toml::Value::Integer(n) => i128::from(*n) * 1_000_000_000_000,
        toml::Value::Float(x) => pico(&format!("{x}")),
        other => panic!("{other} is no amount"),
    }
}

/// `amount * numerator / denominator`, half to even; for amounts from zero.
pub fn scaled(amount: i128, numerator: i128, denominator: i128) -> i128 {
    let product = amount * numerator;
    let (down, rest) = (product / denominator, product % denominator);
    match (rest * 2).cmp(&denominator) {
        std::cmp::Ordering::Less => down,
        std::cmp::Ordering::Greater => down + 1,
        std::cmp::Ordering::Equal => down + down % 2,
    }
}

/// Dollars as results show them.
pub fn usd(pico: i128) -> f64 {
    pico as f64 / 1e12
}

#[test]
fn money_is_exact_and_rounds_half_to_even() {
    assert_eq!(
        [pico("6.88"), pico("0.999999999999"), pico("7")],
        [6_880_000_000_000, 999_999_999_999, 7 * 10i128.pow(12)]
    );
    assert_eq!([scaled(5, 1, 2), scaled(7, 1, 2), scaled(8, 1, 3), scaled(7, 1, 3)], [2, 4, 3, 2]);
}
