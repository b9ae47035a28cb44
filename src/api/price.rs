//! What a provider bills for one attempt.
use crate::types::{TokenPrice, Usd};

/// List price of one model. Long-context steps apply to the whole request once its input exceeds the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// Uncached input.
    pub input: TokenPrice,
    /// Output.
    pub output: TokenPrice,
    /// Input read from the provider's prompt cache; `None` = billed as input.
    pub cached_input: Option<TokenPrice>,
    /// `(threshold tokens, input, output)` of the long-context step.
    pub long_context: Option<(u64, TokenPrice, TokenPrice)>,
}

impl Price {
    /// The bill of an attempt that read `prompt` tokens (`cached` of them from the cache) and emitted `output`.
    pub fn bill(&self, prompt: u64, cached: u64, output: u64) -> Usd {
        assert!(cached <= prompt, "bill-exact: {cached} cached of {prompt} prompt tokens");
        let (input_price, output_price) = match self.long_context {
            Some((threshold, input, output)) if prompt > threshold => (input, output),
            _ => (self.input, self.output),
        };
        let cached_price = self.cached_input.unwrap_or(input_price);
        input_price.of(prompt - cached) + cached_price.of(cached) + output_price.of(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bills_are_exact_and_step_up_for_the_whole_long_request() {
        let price = Price {
            input: TokenPrice::per_million(2.5).unwrap(),
            output: TokenPrice::per_million(10.0).unwrap(),
            cached_input: Some(TokenPrice::per_million(1.25).unwrap()),
            long_context: Some((1_000, TokenPrice::per_million(5.0).unwrap(), TokenPrice::per_million(15.0).unwrap())),
        };
        assert_eq!(price.bill(1_000, 400, 100), Usd::parse("0.003").unwrap());
        assert_eq!(price.bill(1_001, 0, 1), Usd::parse("0.00502").unwrap());
    }
}
