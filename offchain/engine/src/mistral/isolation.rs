//! The self-check at start: are answers given together the same as answers given alone? (attack 89)
//!
//! mistral.rs 0.8.1 mixes sequences of a batch on CPU: one request's text appears in another's answer. Whether a kernel of
//! some GPU does the same, no documentation says. So concurrency is not configured but proved: the same prompts are answered
//! one by one and then all at once, at temperature 0, and a single difference takes all concurrency away.

use std::future::Future;

use futures::future::join_all;

use crate::api::EngineError;

/// Prompts of different and of equal length; batches are made of both.
pub(crate) const PROBES: [&str; 8] = [
    "Hi",
    "What is a blockchain?",
    "What is encryption?",
    "Tell me a story.",
    "Who are you?",
    "Count from one to ten.",
    "Explain in a few sentences what a smart contract is and what it is good for.",
    "What is a language model?",
];
/// Tokens per probe.
pub(crate) const PROBE_TOKENS: u64 = 32;
const ROUNDS: usize = 4;

/// What the check found.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Answers given together, this many at a time, equal those given alone.
    Isolated,
    /// They differ: only one sequence at a time is safe.
    Mixed {
        /// How many of the compared answers were different.
        different: usize,
        /// How many were compared.
        compared: usize,
    },
    /// Not even a prompt answered twice alone gives the same: nothing can be said.
    Unstable,
}

/// Compares answers alone with answers `together` at a time. `answer(i, alone)` answers probe `i` modulo their number.
pub(crate) async fn check<F, A>(together: usize, answer: F) -> Result<Verdict, EngineError>
where
    F: Fn(usize) -> A,
    A: Future<Output = Result<Vec<u32>, EngineError>>,
{
    let mut alone = Vec::with_capacity(PROBES.len());
    for probe in 0..PROBES.len() {
        alone.push(answer(probe).await?);
    }
    for (probe, first) in alone.iter().enumerate().take(2) {
        if answer(probe).await? != *first {
            return Ok(Verdict::Unstable);
        }
    }
    let (mut different, mut compared) = (0, 0);
    for round in 0..if together > 1 { ROUNDS } else { 0 } {
        // Every round starts with another probe and takes them in the other direction.
        let step = if round % 2 == 0 { 1 } else { PROBES.len() - 1 };
        let probes: Vec<usize> = (0..together.max(2)).map(|i| (round * 3 + i * step) % PROBES.len()).collect();
        let answers = join_all(probes.iter().map(|probe| answer(*probe))).await;
        for (probe, got) in probes.iter().zip(answers) {
            compared += 1;
            different += usize::from(alone.get(*probe) != Some(&got?));
        }
    }
    Ok(if different == 0 { Verdict::Isolated } else { Verdict::Mixed { different, compared } })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn attack_89_one_mixed_answer_is_enough_to_be_found() {
        let right = |i: usize| vec![i as u32; 3];
        assert_eq!(check(8, |i| async move { Ok(right(i)) }).await.unwrap(), Verdict::Isolated);

        // The 20th answer is somebody else's.
        let count = Cell::new(0);
        let verdict = check(8, |i| {
            count.set(count.get() + 1);
            let answer = if count.get() == 20 { right(i + 1) } else { right(i) };
            async move { Ok(answer) }
        });
        assert_eq!(verdict.await.unwrap(), Verdict::Mixed { different: 1, compared: 32 });
    }

    #[tokio::test]
    async fn a_model_that_does_not_repeat_itself_proves_nothing() {
        let count = Cell::new(0);
        let answer = |_| {
            count.set(count.get() + 1);
            let token = count.get();
            async move { Ok(vec![token]) }
        };
        assert_eq!(check(1, answer).await.unwrap(), Verdict::Unstable);
    }
}
