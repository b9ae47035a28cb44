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
    /// What long requests cost instead.
    pub long_context: Option<LongContext>,
}

/// Prices of a request whose input exceeds a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongContext {
    /// Input tokens above which these prices hold.
    pub threshold_tokens: u64,
    /// Uncached input.
    pub input: TokenPrice,
    /// Output.
    pub output: TokenPrice,
    /// Cached input; `None` = billed as input.
    pub cached_input: Option<TokenPrice>,
}

/// Tokens of one attempt that are billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Prompt tokens, all of them.
    pub prompt: u64,
    /// Of these, read from the provider's cache.
    pub cached: u64,
    /// Of these, written to it at a price of its own.
    pub written: u64,
    /// Output tokens.
    pub output: u64,
}

impl Price {
    /// The bill of an attempt.
    pub fn bill(&self, usage: &Usage) -> Usd {
        let Usage { prompt, cached, written: _, output } = *usage;
        assert!(cached <= prompt, "bill-exact: {cached} cached of {prompt} prompt tokens");
        let (input_price, output_price, cached_price) = match self.long_context {
            Some(l) if prompt > l.threshold_tokens => (l.input, l.output, l.cached_input),
            _ => (self.input, self.output, self.cached_input),
        };
        input_price.of(prompt - cached) + cached_price.unwrap_or(input_price).of(cached) + output_price.of(output)
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
            long_context: Some(LongContext {
                threshold_tokens: 1_000,
                input: TokenPrice::per_million(5.0).unwrap(),
                output: TokenPrice::per_million(15.0).unwrap(),
                cached_input: Some(TokenPrice::per_million(2.5).unwrap()),
            }),
        };
        let bill = |prompt, cached, output| price.bill(&Usage { prompt, cached, written: 0, output });
        assert_eq!(bill(1_000, 400, 100), Usd::parse("0.003").unwrap());
        assert_eq!(bill(1_001, 0, 1), Usd::parse("0.00502").unwrap());
        assert_eq!(bill(1_001, 1_000, 1), Usd::parse("0.00252").unwrap());
    }
}
