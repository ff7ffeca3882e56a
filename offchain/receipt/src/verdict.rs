//! What came out of a verification, check by check.

use std::fmt;

use serde::Serialize;

/// What a check is about, in the order in which checks are told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A block is proven from the one that the reader trusts, with the accounts in it.
    Blocks,
    /// The registry is among the accounts, and reads as one.
    Registry,
    /// The receipt's network is that of the block.
    Network,
    /// The block is not from before the answer, nor from long after it.
    Time,
    /// The worker's quote is genuine, fit for its time, and for these claims.
    Evidence,
    /// The platform is certified by an accepted root, fresh enough and not banned.
    Platform,
    /// The image was approved at the time of the answer, and is the one in the receipt.
    Image,
    /// The model was approved at the time of the answer.
    Model,
    /// The receipt is signed by the key that the evidence certifies.
    Signature,
    /// The cost follows from usage and price.
    Cost,
    /// The worker had promised this model for this request.
    Acceptance,
    /// The request's body has the hash in the receipt.
    Request,
    /// The answer's chunks have the hash in the receipt.
    Response,
    /// A stake answers for the worker's key.
    Bond,
    /// The worker's certificate is in the transparency log.
    Log,
}

/// Without these, nothing is proven.
pub(crate) const REQUIRED: [Subject; 10] = [
    Subject::Blocks,
    Subject::Registry,
    Subject::Network,
    Subject::Time,
    Subject::Evidence,
    Subject::Platform,
    Subject::Image,
    Subject::Model,
    Subject::Signature,
    Subject::Cost,
];

impl Subject {
    /// Its name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::Registry => "registry",
            Self::Network => "network",
            Self::Time => "time",
            Self::Evidence => "evidence",
            Self::Platform => "platform",
            Self::Image => "image",
            Self::Model => "model",
            Self::Signature => "signature",
            Self::Cost => "cost",
            Self::Acceptance => "acceptance",
            Self::Request => "request",
            Self::Response => "response",
            Self::Bond => "bond",
            Self::Log => "log",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a check ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not hold.
    Failed,
    /// The bundle does not have what it takes.
    Absent,
    /// It hangs on another check that failed.
    NotReached,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "pass",
            Self::Failed => "FAIL",
            Self::Absent => "absent",
            Self::NotReached => "not reached",
        })
    }
}

/// One check.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Check {
    /// About what.
    pub subject: Subject,
    /// How it ended.
    pub outcome: Outcome,
    /// What was found, in words.
    pub detail: String,
}

/// All checks of a bundle.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verdict {
    checks: Vec<Check>,
}

impl Verdict {
    pub(crate) fn note(&mut self, subject: Subject, outcome: Outcome, detail: impl fmt::Display) {
        self.checks.push(Check { subject, outcome, detail: detail.to_string() });
    }

    /// Notes a result; gives what it is if it holds.
    pub(crate) fn result<T, E: fmt::Display>(
        &mut self,
        subject: Subject,
        result: Result<T, E>,
        told: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        match result {
            Ok(value) => {
                self.note(subject, Outcome::Passed, told(&value));
                Some(value)
            }
            Err(error) => {
                self.note(subject, Outcome::Failed, error);
                None
            }
        }
    }

    /// Puts the checks in order and adds the required ones that were not reached.
    pub(crate) fn closed(mut self) -> Self {
        for subject in REQUIRED {
            if !self.checks.iter().any(|check| check.subject == subject) {
                self.note(subject, Outcome::NotReached, "it hangs on a check that failed");
            }
        }
        self.checks.sort_by_key(|check| check.subject);
        self
    }

    /// The checks.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Whether the receipt proves what it says: every required check passed, and no other failed.
    pub fn holds(&self) -> bool {
        let passed =
            |subject| self.checks.iter().any(|check| check.subject == subject && check.outcome == Outcome::Passed);
        REQUIRED.into_iter().all(passed) && !self.checks.iter().any(|check| check.outcome == Outcome::Failed)
    }

    /// The checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.outcome == Outcome::Failed)
    }
}
