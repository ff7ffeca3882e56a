//! Choosing the next token.
//!
//! All of it happens here and not in the engine, whose own sampler has no seed, gives wrong log probabilities and counts
//! penalties over the prompt. The engine is handed logits in which one token is certain.

use std::borrow::Cow;
use std::collections::HashMap;

use cocoon_protocol::openai::request::ChatCompletionRequest;

use crate::api::{EngineError, TokenChance};
use crate::vocabulary::Defaults;

const MAX_TOP_LOGPROBS: u8 = 20;

/// How to choose.
#[derive(Clone, Debug)]
pub(crate) struct Sampling {
    /// 0 chooses the likeliest.
    temperature: f32,
    top_p: f32,
    top_k: Option<usize>,
    presence: f32,
    frequency: f32,
    seed: u64,
    /// How many alternatives to report; `None` reports nothing.
    logprobs: Option<usize>,
}

/// A chosen token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pick {
    pub token: u32,
    /// Log probability of the token itself and then of the likeliest ones, as (token, natural log); empty unless asked for.
    pub logprobs: Vec<(u32, f32)>,
}

/// The engine's numbers are not usable.
#[derive(Debug, thiserror::Error)]
#[error("the model gave no finite logits")]
pub(crate) struct NotFinite;

impl Sampling {
    /// Always the likeliest token.
    pub fn greedy() -> Self {
        let (presence, frequency, seed) = (0.0, 0.0, 0);
        Self { temperature: 0.0, top_p: 1.0, top_k: None, presence, frequency, seed, logprobs: None }
    }

    /// Reads and checks the fields of a request. `fresh_seed` serves where the request names none.
    pub fn of(request: &ChatCompletionRequest, defaults: Defaults, fresh_seed: u64) -> Result<Self, EngineError> {
        let range = |name: &str, value: Option<f64>, low: f64, high: f64| match value {
            Some(v) if !(low..=high).contains(&v) => {
                Err(EngineError::bad(name, format!("must be a number from {low} to {high}")))
            }
            other => Ok(other),
        };
        let temperature = range("temperature", request.temperature, 0.0, 2.0)?;
        let top_p = range("top_p", request.top_p, 0.0, 1.0)?;
        if top_p == Some(0.0) {
            return Err(EngineError::bad("top_p", "must be above 0; use temperature 0 for the likeliest tokens"));
        }
        if request.top_k == Some(0) {
            return Err(EngineError::bad("top_k", "must be at least 1; leave it out to consider all tokens"));
        }
        let presence = range("presence_penalty", request.presence_penalty, -2.0, 2.0)?;
        let frequency = range("frequency_penalty", request.frequency_penalty, -2.0, 2.0)?;
        let logprobs = match (request.logprobs.unwrap_or(false), request.top_logprobs) {
            (_, Some(n)) if n > MAX_TOP_LOGPROBS => {
                return Err(EngineError::bad("top_logprobs", format!("must be from 0 to {MAX_TOP_LOGPROBS}")));
            }
            (false, Some(n)) if n > 0 => {
                return Err(EngineError::bad("top_logprobs", "needs `logprobs` to be true"));
            }
            (false, _) => None,
            (true, n) => Some(usize::from(n.unwrap_or(0))),
        };
        Ok(Self {
            temperature: temperature.or(defaults.temperature).unwrap_or(1.0) as f32,
            top_p: top_p.or(defaults.top_p).unwrap_or(1.0) as f32,
            top_k: request.top_k.or(defaults.top_k).and_then(|k| usize::try_from(k).ok()),
            presence: presence.unwrap_or(0.0) as f32,
            frequency: frequency.unwrap_or(0.0) as f32,
            seed: request.seed.map_or(fresh_seed, i64::cast_unsigned),
            logprobs,
        })
    }

    /// The same, with other random numbers for another choice of the same request.
    pub fn for_choice(&self, choice: u32) -> Self {
        Self { seed: mix(self.seed ^ u64::from(choice).rotate_left(32)), ..self.clone() }
    }

    /// Chooses the token that follows `generated`. The same seed, logits and history give the same token, whatever else
    /// the engine is doing.
    pub fn pick(&self, logits: &[f32], generated: &[u32]) -> Result<Pick, NotFinite> {
        let top = highest(logits.iter().copied().enumerate()).ok_or(NotFinite)?;
        if !top.1.is_finite() || logits.iter().any(|l| l.is_nan()) {
            return Err(NotFinite);
        }
        let adjusted = self.penalised(logits, generated);
        let token = if self.temperature < 1e-6 {
            highest(adjusted.iter().copied().enumerate()).ok_or(NotFinite)?.0
        } else {
            self.draw(&adjusted, generated.len()).ok_or(NotFinite)?
        };
        let logprobs = self.logprobs.map_or_else(Vec::new, |n| logprobs(logits, top.1, token, n));
        Ok(Pick { token: token as u32, logprobs })
    }

    /// As the OpenAI API defines the penalties: over the tokens of the answer.
    fn penalised<'a>(&self, logits: &'a [f32], generated: &[u32]) -> Cow<'a, [f32]> {
        let mut adjusted = Cow::Borrowed(logits);
        if (self.presence != 0.0 || self.frequency != 0.0) && !generated.is_empty() {
            let adjusted = adjusted.to_mut();
            let mut counts: HashMap<u32, u32> = HashMap::new();
            generated.iter().for_each(|token| *counts.entry(*token).or_default() += 1);
            for (token, count) in counts {
                if let Some(logit) = adjusted.get_mut(token as usize) {
                    *logit -= self.presence + self.frequency * count as f32;
                }
            }
        }
        adjusted
    }

    /// Draws by Gumbel noise: the highest of logit ÷ temperature + noise has the softmax's distribution. The noise depends
    /// on seed, position and token alone.
    fn draw(&self, logits: &[f32], position: usize) -> Option<usize> {
        let scaled = logits.iter().map(|l| l / self.temperature);
        let noise = |token: usize| gumbel(self.seed, position as u64, token as u64);
        if self.top_k.is_none() && self.top_p >= 1.0 {
            return highest(scaled.enumerate().map(|(t, l)| (t, l + noise(t)))).map(|(t, _)| t);
        }
        let kept = self.nucleus(scaled.collect());
        highest(kept.into_iter().map(|(t, l)| (t, l + noise(t)))).map(|(t, _)| t)
    }

    /// The `top_k` likeliest tokens, and of these the likeliest that together have the probability `top_p`.
    fn nucleus(&self, scaled: Vec<f32>) -> Vec<(usize, f32)> {
        let descending = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        let mut candidates: Vec<(usize, f32)> = scaled.into_iter().enumerate().collect();
        if let Some(k) = self.top_k.filter(|k| *k < candidates.len()) {
            candidates.select_nth_unstable_by(k, descending);
            candidates.truncate(k);
        }
        if self.top_p < 1.0 {
            candidates.sort_unstable_by(descending);
            let max = candidates.first().map_or(0.0, |c| c.1);
            let total: f32 = candidates.iter().map(|c| (c.1 - max).exp()).sum();
            let mut sum = 0.0;
            let enough = candidates.iter().position(|c| {
                sum += (c.1 - max).exp();
                sum >= self.top_p * total
            });
            candidates.truncate(enough.map_or(candidates.len(), |at| at + 1));
        }
        candidates
    }
}

/// The first of the highest.
fn highest(values: impl Iterator<Item = (usize, f32)>) -> Option<(usize, f32)> {
    values.fold(None, |best, item| match best {
        Some((_, value)) if item.1 <= value => best,
        _ => Some(item),
    })
}

/// Natural logarithms of the model's own probabilities: of `token`, then of the `n` likeliest.
fn logprobs(logits: &[f32], max: f32, token: usize, n: usize) -> Vec<(u32, f32)> {
    let total: f64 = logits.iter().map(|l| f64::from(l - max).exp()).sum();
    let log = |logit: f32| ((f64::from(logit - max) - total.ln()) as f32).max(TokenChance::FLOOR);
    let mut order: Vec<(usize, f32)> = logits.iter().copied().enumerate().collect();
    let descending = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if n < order.len() {
        order.select_nth_unstable_by(n, descending);
        order.truncate(n);
    }
    order.sort_unstable_by(descending);
    let own = logits.get(token).map(|l| (token, *l));
    own.into_iter().chain(order).map(|(t, l)| (t as u32, log(l))).collect()
}

/// Standard Gumbel noise.
fn gumbel(seed: u64, position: u64, token: u64) -> f32 {
    let bits = mix(mix(seed.wrapping_add(position.wrapping_mul(0x9E37_79B9_7F4A_7C15))).wrapping_add(token));
    // Inside (0, 1): both ends would give an infinity.
    let uniform = ((bits >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -(-uniform.ln()).ln() as f32
}

/// SplitMix64's finaliser.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;

    const LOGITS: [f32; 5] = [1.0, 3.0, 2.0, 3.0, -1.0];

    fn sampling(temperature: f32, seed: u64) -> Sampling {
        Sampling { temperature, seed, ..Sampling::greedy() }
    }

    fn shares(sampling: &Sampling, draws: usize) -> Vec<f64> {
        let mut counts = vec![0usize; LOGITS.len()];
        for i in 0..draws {
            let one = Sampling { seed: mix(i as u64), ..sampling.clone() };
            counts[one.pick(&LOGITS, &[]).unwrap().token as usize] += 1;
        }
        counts.into_iter().map(|c| c as f64 / draws as f64).collect()
    }

    #[test]
    fn greedy_takes_the_first_of_the_highest() {
        assert_eq!(Sampling::greedy().pick(&LOGITS, &[]).unwrap().token, 1);
        let frequency = Sampling { frequency: 0.5, ..Sampling::greedy() };
        assert_eq!(frequency.pick(&LOGITS, &[1]).unwrap().token, 3);
        assert_eq!(frequency.pick(&LOGITS, &[1, 3]).unwrap().token, 1);
        assert_eq!(frequency.pick(&LOGITS, &[1, 1, 1, 3, 3, 3, 99]).unwrap().token, 2);
        let presence = Sampling { presence: 2.0, ..Sampling::greedy() };
        assert_eq!(presence.pick(&LOGITS, &[1, 1, 3]).unwrap().token, 2);
    }

    #[test]
    fn draws_follow_the_softmax() {
        let shares = shares(&sampling(1.0, 0), 20_000);
        let total: f64 = LOGITS.iter().map(|l| f64::from(*l).exp()).sum();
        for (share, logit) in shares.iter().zip(LOGITS) {
            let expected = f64::from(logit).exp() / total;
            assert!((share - expected).abs() < 0.015, "{share} against {expected}");
        }
    }

    #[test]
    fn top_k_and_top_p_leave_out_the_unlikely() {
        let k = shares(&Sampling { top_k: Some(2), ..sampling(1.5, 0) }, 2_000);
        assert!(k[0] == 0.0 && k[2] == 0.0 && k[4] == 0.0 && k[1] > 0.4 && k[3] > 0.4, "{k:?}");
        // The two likeliest have 0.397 each: 0.5 needs both, 0.39 only the first.
        let p = shares(&Sampling { top_p: 0.5, ..sampling(1.0, 0) }, 2_000);
        assert!(p[0] == 0.0 && p[2] == 0.0 && p[4] == 0.0 && p[1] > 0.4 && p[3] > 0.4, "{p:?}");
        let p = shares(&Sampling { top_p: 0.39, ..sampling(1.0, 0) }, 100);
        assert_eq!(p[1], 1.0);
        let p = shares(&Sampling { top_p: 1e-9, ..sampling(2.0, 0) }, 100);
        assert_eq!(p[1], 1.0);
    }

    #[test]
    fn a_seed_repeats_and_another_differs() {
        let flat = [0.0; 1000];
        let run = |s: &Sampling| (0..8).map(|i| s.pick(&flat, &vec![0; i]).unwrap().token).collect::<Vec<_>>();
        let one = sampling(1.0, 7);
        assert_eq!(run(&one), run(&one.clone()));
        assert_ne!(run(&one), run(&sampling(1.0, 8)));
        assert_ne!(run(&one.for_choice(0)), run(&one.for_choice(1)));
        assert!(run(&one).windows(2).any(|w| w[0] != w[1]), "positions differ too");
    }

    #[test]
    fn log_probabilities_are_natural_and_sum_to_one() {
        let s = Sampling { logprobs: Some(5), ..sampling(0.0, 0) };
        let picked = s.pick(&LOGITS, &[]).unwrap();
        assert_eq!(picked.logprobs.len(), 6);
        assert_eq!(picked.logprobs[0], picked.logprobs[1]);
        let sum: f32 = picked.logprobs[1..].iter().map(|l| l.1.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-5);
        assert!(picked.logprobs[1..].windows(2).all(|w| w[0].1 >= w[1].1));
        let s = Sampling { logprobs: Some(0), ..sampling(0.0, 0) };
        assert_eq!(s.pick(&LOGITS, &[]).unwrap().logprobs.len(), 1);
        let never = s.pick(&[0.0, f32::NEG_INFINITY], &[]).unwrap();
        assert_eq!(never.token, 0);
        let s = Sampling { logprobs: Some(2), ..s };
        assert_eq!(s.pick(&[0.0, f32::NEG_INFINITY], &[]).unwrap().logprobs[2].1, TokenChance::FLOOR);
    }

    #[test]
    fn broken_logits_are_an_error() {
        for logits in [&[][..], &[f32::NAN, 1.0], &[1.0, f32::NAN], &[f32::NEG_INFINITY; 3], &[f32::INFINITY, 0.0]] {
            for temperature in [0.0, 1.0] {
                assert!(sampling(temperature, 1).pick(logits, &[]).is_err(), "{logits:?}");
            }
        }
        let masked = [f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY];
        for seed in 0..100 {
            assert_eq!(sampling(2.0, seed).pick(&masked, &[]).unwrap().token, 1);
        }
    }
}
