//! Prices and usage.

use serde::{Deserialize, Serialize};

use crate::units::{Nano, Tokens};

/// Prices are per this many tokens.
pub const PRICE_UNIT: u64 = 1_000_000;
/// 100 % in basis points.
pub const BPS: u64 = 10_000;

/// What a payee asks, in nanoton per million tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Price {
    /// For a million prompt tokens.
    pub prompt: Nano,
    /// For a million completion tokens.
    pub completion: Nano,
}

/// How many tokens a request took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt with the chat template applied.
    pub prompt: Tokens,
    /// Tokens sampled, over all choices.
    pub completion: Tokens,
}

impl Price {
    /// The cost of this usage, rounded up to the next nanoton once for the whole request; held at [`Nano::MAX`].
    pub fn cost(&self, usage: Usage) -> Nano {
        let part = |tokens: Tokens, price: Nano| u128::from(tokens.0) * u128::from(price.get());
        let total = part(usage.prompt, self.prompt).saturating_add(part(usage.completion, self.completion));
        Nano::new(u64::try_from(total.div_ceil(u128::from(PRICE_UNIT))).unwrap_or(u64::MAX))
    }

    /// This price plus a fee in basis points, each part rounded up.
    pub fn with_fee(&self, fee_bps: u16) -> Self {
        let add = |price: Nano| {
            let with = u128::from(price.get()) * u128::from(BPS + u64::from(fee_bps));
            Nano::new(u64::try_from(with.div_ceil(u128::from(BPS))).unwrap_or(u64::MAX))
        };
        Self { prompt: add(self.prompt), completion: add(self.completion) }
    }

    /// The largest number of completion tokens that `amount` pays for after `prompt` tokens; `None` when it does not
    /// even pay for the prompt.
    pub fn affordable(&self, prompt: Tokens, amount: Nano) -> Option<Tokens> {
        let budget = u128::from(amount.get()) * u128::from(PRICE_UNIT);
        let rest = budget.checked_sub(u128::from(prompt.0) * u128::from(self.prompt.get()))?;
        let tokens = rest.checked_div(u128::from(self.completion.get())).unwrap_or(u128::MAX);
        Some(Tokens(u64::try_from(tokens).unwrap_or(u64::MAX)))
    }

    /// True when neither part is above the other price's.
    pub fn within(&self, cap: &Self) -> bool {
        self.prompt <= cap.prompt && self.completion <= cap.completion
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(prompt: u64, completion: u64) -> Usage {
        Usage { prompt: Tokens(prompt), completion: Tokens(completion) }
    }

    #[test]
    fn cost_rounds_up_once_and_never_overflows() {
        let price = Price { prompt: Nano::new(1), completion: Nano::new(2) };
        assert_eq!(price.cost(usage(0, 0)), Nano::ZERO);
        assert_eq!(price.cost(usage(1, 1)), Nano::new(1));
        assert_eq!(price.cost(usage(PRICE_UNIT, PRICE_UNIT)), Nano::new(3));
        let dear = Price { prompt: Nano::MAX, completion: Nano::MAX };
        assert_eq!(dear.cost(usage(u64::MAX, u64::MAX)), Nano::MAX);
        assert_eq!(dear.with_fee(u16::MAX).prompt, Nano::MAX);
    }

    #[test]
    fn affordable_is_the_inverse_of_cost() {
        let price = Price { prompt: Nano::new(1_234_567), completion: Nano::new(7_654_321) };
        for amount in (0..5_000).map(Nano::new) {
            match price.affordable(Tokens(100), amount) {
                None => assert!(price.cost(usage(100, 0)) > amount),
                Some(Tokens(n)) => {
                    assert!(price.cost(usage(100, n)) <= amount);
                    assert!(price.cost(usage(100, n + 1)) > amount);
                }
            }
        }
        let free = Price::default();
        assert_eq!(free.affordable(Tokens(1), Nano::ZERO), Some(Tokens(u64::MAX)));
    }
}
