//! From an event log to the registers it explains, and to the first event that is not the expected one.

use std::collections::BTreeMap;

use crate::digest::{Digest384, Register};
use crate::log::EventLog;

/// The four registers after all events of a log. They explain a quote only when they equal the quote's.
pub fn replay(log: &EventLog) -> BTreeMap<Register, Digest384> {
    let mut registers = BTreeMap::from(Register::ALL.map(|register| (register, Digest384::ZERO)));
    for event in &log.events {
        registers.entry(event.register).and_modify(|value| *value = value.extended(event.digest));
    }
    registers
}

/// The first difference between a log and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Another digest than expected.
    #[error("{register}, event {position} ({kind} at byte {at} of the log) is {found}; expected {expected} ({name})")]
    Differs {
        /// Which register.
        register: Register,
        /// Which of its events, from 0.
        position: usize,
        /// What the log calls it.
        kind: &'static str,
        /// Where it stands in the log.
        at: usize,
        /// What the log has.
        found: Digest384,
        /// What it should be.
        expected: Digest384,
        /// What that is.
        name: String,
    },
    /// An event that nobody expected.
    #[error("{register} has an event too many: event {position} ({kind} at byte {at} of the log), {found}")]
    Unexpected {
        /// Which register.
        register: Register,
        /// Which of its events, from 0.
        position: usize,
        /// What the log calls it.
        kind: &'static str,
        /// Where it stands in the log.
        at: usize,
        /// What the log has.
        found: Digest384,
    },
    /// The log ends before this event.
    #[error("{register} ends too early: event {position} ({name}), {expected}, is missing")]
    Missing {
        /// Which register.
        register: Register,
        /// Which of its events, from 0.
        position: usize,
        /// What is missing.
        name: String,
        /// Its digest.
        expected: Digest384,
    },
}

/// An event that should be in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// What it is, for people.
    pub name: String,
    /// What the register is extended with.
    pub digest: Digest384,
}

/// The first event, in the order of the log, that differs from those expected; then the first one missing. Registers for which
/// nothing is given are not compared.
pub fn first_misfit(log: &EventLog, expected: &BTreeMap<Register, Vec<Expected>>) -> Option<Misfit> {
    let mut positions: BTreeMap<Register, usize> = BTreeMap::new();
    for event in &log.events {
        let Some(events) = expected.get(&event.register) else { continue };
        let next = positions.entry(event.register).or_default();
        let (position, register, at, found) = (*next, event.register, event.at, event.digest);
        *next += 1;
        match events.get(position) {
            Some(wanted) if wanted.digest == found => {}
            Some(wanted) => {
                let (kind, expected, name) = (event.kind_name(), wanted.digest, wanted.name.clone());
                return Some(Misfit::Differs { register, position, kind, at, found, expected, name });
            }
            None => return Some(Misfit::Unexpected { register, position, kind: event.kind_name(), at, found }),
        }
    }
    expected.iter().find_map(|(register, events)| {
        let position = positions.get(register).copied().unwrap_or_default();
        let missing = events.get(position)?;
        let (name, expected) = (missing.name.clone(), missing.digest);
        Some(Misfit::Missing { register: *register, position, name, expected })
    })
}
