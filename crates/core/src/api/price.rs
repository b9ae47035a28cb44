//! What a provider bills for one attempt.
//!
//! May import: catalog. Must keep true: `bill-exact`, every token of an attempt is billed once, at one price; a price that
//! the list does not have is derived by a rule that is said ([`Priced::derived`]), never guessed silently.
use crate::catalog::{ApiPrice, Tier};
use crate::types::{Fault, TokenPrice, Usd};

/// List price of one model in one service tier. Long-context steps apply to the whole request once its input exceeds the
/// threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Price {
    /// Uncached input.
    pub input: TokenPrice,
    /// Price of output tokens.
    pub output: TokenPrice,
    /// Input read from the provider's prompt cache; `None` = billed as input.
    pub cached_input: Option<TokenPrice>,
    /// Input written to it, in place of the input price; `None` = billed as input.
    pub cache_write: Option<TokenPrice>,
    /// Output that the model thinks with and does not show; `None` = billed as output.
    pub reasoning: Option<TokenPrice>,
    /// What long requests cost instead.
    pub long_context: Option<LongContext>,
}

/// Prices of a request whose input exceeds a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LongContext {
    /// Input tokens above which these prices hold.
    pub threshold_tokens: u64,
    /// Uncached input.
    pub input: TokenPrice,
    /// Price of output tokens of a long prompt.
    pub output: TokenPrice,
    /// Cached input; `None` = billed as input.
    pub cached_input: Option<TokenPrice>,
    /// Input written to the cache; `None` = billed as input.
    pub cache_write: Option<TokenPrice>,
    /// Hidden output; `None` = billed as output.
    pub reasoning: Option<TokenPrice>,
}

/// Tokens of one attempt that are billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Prompt tokens, cached and written ones included.
    pub prompt: u64,
    /// Prompt tokens read from the provider's cache; part of `prompt`.
    pub cached: u64,
    /// Prompt tokens written to the provider's cache at a price of their own; part of `prompt`.
    pub written: u64,
    /// Output tokens, hidden ones included.
    pub output: u64,
    /// Hidden output tokens that the model thought with; part of `output`.
    pub reasoning: u64,
}

impl Price {
    /// The bill of an attempt.
    pub fn bill(&self, usage: &Usage) -> Usd {
        let Usage { prompt, cached, written, output, reasoning } = *usage;
        assert!(cached + written <= prompt, "bill-exact: {cached} read, {written} written of {prompt} prompt tokens");
        assert!(reasoning <= output, "bill-exact: {reasoning} hidden of {output} output tokens");
        let p = match self.long_context {
            Some(l) if prompt > l.threshold_tokens => l,
            _ => LongContext {
                threshold_tokens: 0,
                input: self.input,
                output: self.output,
                cached_input: self.cached_input,
                cache_write: self.cache_write,
                reasoning: self.reasoning,
            },
        };
        p.input.of(prompt - cached - written)
            + p.cached_input.unwrap_or(p.input).of(cached)
            + p.cache_write.unwrap_or(p.input).of(written)
            + p.output.of(output - reasoning)
            + p.reasoning.unwrap_or(p.output).of(reasoning)
    }
}

/// What writing to a prompt cache costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheWrite {
    /// The price of input.
    Free,
    /// The list's price of entries that live the provider's usual time; 1.25 times input where it has none.
    Usual,
    /// The list's price of entries that live an hour; twice input where it has none.
    Hour,
}

/// A price, and its parts that stand in no list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    /// The price.
    pub price: Price,
    /// The prices that were derived from others, in words; spec/apis.md 4.2 and 4.3 have the rules.
    pub derived: Vec<String>,
}

/// `price * numerator / denominator`, half to even in pico-dollars a token; unchanged where the denominator is free.
fn scaled(price: TokenPrice, numerator: TokenPrice, denominator: TokenPrice) -> TokenPrice {
    if denominator.0 == 0 {
        return price;
    }
    TokenPrice(Usd(price.0).scaled(numerator.0 as u128, denominator.0 as u128).0)
}

impl Price {
    /// The price of a row in a tier. Cached reads, writes, hidden output and long requests of another tier than the standard
    /// one cost what they cost there, times what the tier's input (output) is to the standard one, unless the row says.
    ///
    /// # Errors
    /// A tier that the row has no price in, with those that it has.
    pub fn of(row: &ApiPrice, tier: Tier, write: CacheWrite) -> Result<Priced, Fault> {
        let Some((input, output)) = row.in_tier(tier) else {
            let has: Vec<&str> = Tier::ALL.into_iter().filter(|t| row.in_tier(*t).is_some()).map(Tier::name).collect();
            let what = format!("{} has no price in tier {}", row.name(), tier.name());
            return Err(Fault::new(what).hint(format!("it has {}", has.join(", "))));
        };
        let mut derived = Vec::new();
        let as_input = |price: TokenPrice| scaled(price, input, row.input);
        let as_output = |price: TokenPrice| scaled(price, output, row.output);
        let standard = tier == Tier::Standard;
        let own_cached = row.cached_in_tier(tier);
        let cached_input = own_cached.or(row.cached_input.map(as_input));
        if !standard && own_cached.is_none() && cached_input.is_some() {
            derived.push("cached input");
        }
        let (listed, times) = match write {
            CacheWrite::Free => (None, None),
            CacheWrite::Usual => (row.cache_write_5m, Some((125, 100))),
            CacheWrite::Hour => (row.cache_write_1h, Some((2, 1))),
        };
        let premium = times.map(|(by, of)| scaled(row.input, TokenPrice(by), TokenPrice(of)));
        let standard_write = listed.or(premium);
        if standard_write.is_some() && (listed.is_none() || !standard) {
            derived.push("writing to the cache");
        }
        let long_context = row.long_context_threshold_tokens.map(|threshold_tokens| {
            let (long_input, long_output) =
                (row.long_input.unwrap_or(row.input), row.long_output.unwrap_or(row.output));
            let longer = |price: TokenPrice| scaled(price, long_input, row.input);
            LongContext {
                threshold_tokens,
                input: as_input(long_input),
                output: as_output(long_output),
                cached_input: row.long_cached_input.or(row.cached_input.map(longer)).map(as_input),
                cache_write: standard_write.map(|w| as_input(longer(w))),
                reasoning: row.reasoning_output.map(|r| as_output(scaled(r, long_output, row.output))),
            }
        });
        if !standard && long_context.is_some() {
            derived.push("long requests");
        }
        let price = Price {
            input,
            output,
            cached_input,
            cache_write: standard_write.map(as_input),
            reasoning: row.reasoning_output.map(as_output),
            long_context,
        };
        Ok(Priced { price, derived: derived.into_iter().map(String::from).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    fn usd(per_million: f64) -> TokenPrice {
        TokenPrice::per_million(per_million).unwrap()
    }

    #[test]
    fn bills_are_exact_and_step_up_for_the_whole_long_request() {
        let price = Price {
            input: usd(2.5),
            output: usd(10.0),
            cached_input: Some(usd(1.25)),
            long_context: Some(LongContext {
                threshold_tokens: 1_000,
                input: usd(5.0),
                output: usd(15.0),
                cached_input: Some(usd(2.5)),
                ..LongContext::default()
            }),
            ..Price::default()
        };
        let bill = |prompt, cached, output| price.bill(&Usage { prompt, cached, output, ..Usage::default() });
        assert_eq!(bill(1_000, 400, 100), Usd::parse("0.003").unwrap());
        assert_eq!(bill(1_001, 0, 1), Usd::parse("0.00502").unwrap());
        assert_eq!(bill(1_001, 1_000, 1), Usd::parse("0.00252").unwrap());
    }

    /// spec/apis.md 4.2: at base 1, a 5-minute write and one read cost 1.35 against 2.0; an hour's write 2.1 after one read
    /// and 2.2 after two, against 2.0 and 3.0.
    #[test]
    fn writes_replace_the_price_of_input_and_pay_off_as_published() {
        let row = Catalog::embedded().api("anthropic/claude-haiku-4-5").unwrap();
        let price = |write| Price::of(row, Tier::Standard, write).unwrap().price;
        let call = |price: &Price, cached, written| {
            price.bill(&Usage { prompt: 1_000_000, cached, written, ..Usage::default() }).as_f64()
        };
        let (five, hour) = (price(CacheWrite::Usual), price(CacheWrite::Hour));
        let all = 1_000_000;
        assert_eq!(call(&five, 0, all) + call(&five, all, 0), 1.35);
        assert_eq!(call(&hour, 0, all) + call(&hour, all, 0), 2.1);
        assert_eq!(call(&hour, 0, all) + 2.0 * call(&hour, all, 0), 2.2);
        assert_eq!(call(&price(CacheWrite::Free), 0, all), 1.0);
    }

    #[test]
    fn hidden_output_has_its_own_price_where_there_is_one() {
        let plain = Price { output: usd(10.0), ..Price::default() };
        let usage = Usage { output: 500, reasoning: 400, ..Usage::default() };
        assert_eq!(plain.bill(&usage), Usd::parse("0.005").unwrap());
        let own = Price { reasoning: Some(usd(5.0)), ..plain };
        assert_eq!(own.bill(&usage), Usd::parse("0.003").unwrap());
    }

    #[test]
    fn a_tier_scales_what_the_list_does_not_say() {
        let row = Catalog::embedded().api("openai/gpt-6-astra").unwrap();
        let batch = Price::of(row, Tier::Batch, CacheWrite::Usual).unwrap();
        let p = batch.price;
        assert_eq!(
            (p.input, p.output, p.cached_input, p.cache_write),
            (usd(5.0), usd(25.0), Some(usd(0.5)), Some(usd(6.25)))
        );
        let long = p.long_context.unwrap();
        assert_eq!((long.input, long.output, long.cached_input), (usd(10.0), usd(37.5), Some(usd(1.0))));
        assert_eq!(batch.derived, ["cached input", "writing to the cache", "long requests"]);
        let priority = Price::of(row, Tier::Priority, CacheWrite::Free).unwrap().price;
        assert_eq!((priority.input, priority.cached_input, priority.cache_write), (usd(20.0), Some(usd(2.0)), None));
        let standard = Price::of(row, Tier::Standard, CacheWrite::Usual).unwrap();
        assert_eq!((standard.price.cache_write, standard.derived), (Some(usd(12.5)), vec![]));
        let none = Catalog::embedded().api("openai/gpt-4o").unwrap();
        let says = Price::of(none, Tier::Flex, CacheWrite::Free).unwrap_err();
        assert_eq!(says.to_string(), "openai/gpt-4o has no price in tier flex; it has standard, batch, priority");
    }
}
