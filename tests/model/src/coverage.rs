//! What happened how often, so that a run that never reached something says so.

use std::collections::BTreeMap;
use std::fmt;

use cocoon_wrappers::generated::CONTRACTS;

/// How an operation ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Ending {
    /// As its sender wanted.
    Done,
    /// Refused by the contract with this exit code.
    Refused(i32),
    /// The message could not pay for looking at it.
    NoGas,
    /// There was no contract at the address, or it was frozen.
    NoContract,
    /// The actions could not be done.
    NoAction,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::NoGas => f.write_str("no gas"),
            Self::NoContract => f.write_str("no contract"),
            Self::NoAction => f.write_str("actions impossible"),
            Self::Refused(code) => match error_name(*code) {
                Some(name) => write!(f, "{code} {name}"),
                None => write!(f, "{code}"),
            },
        }
    }
}

fn error_name(code: i32) -> Option<&'static str> {
    let mut errors = CONTRACTS.iter().flat_map(|contract| contract.errors);
    errors.find(|(known, name, _)| *known == code && !name.is_empty()).map(|(_, name, _)| *name)
}

/// Operation and ending → how often.
#[derive(Clone, Default, Debug)]
pub struct Coverage {
    seen: BTreeMap<(&'static str, Ending), u64>,
    /// Operations carried out.
    pub steps: u64,
    /// Transactions executed, those of a step's further messages too.
    pub transactions: u64,
}

impl Coverage {
    /// One more.
    pub fn count(&mut self, operation: &'static str, ending: Ending) {
        *self.seen.entry((operation, ending)).or_default() += 1;
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        for (key, count) in &other.seen {
            *self.seen.entry(*key).or_default() += count;
        }
        self.steps += other.steps;
        self.transactions += other.transactions;
    }

    /// Everything seen.
    pub fn seen(&self) -> impl Iterator<Item = (&'static str, Ending, u64)> + '_ {
        self.seen.iter().map(|((operation, ending), count)| (*operation, *ending, *count))
    }

    /// Those of the expected pairs that never happened.
    pub fn missing(&self, expected: &[(&'static str, &[Ending])]) -> Vec<(&'static str, Ending)> {
        let pairs = expected.iter().flat_map(|(operation, endings)| endings.iter().map(|ending| (*operation, *ending)));
        pairs.filter(|pair| !self.seen.contains_key(pair)).collect()
    }
}
