//! Exit codes, and errors for programs.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | it failed for a reason of its own: a file, a key, a bug |
//! | 2 | the command line is wrong |
//! | 3 | nobody confirmed it, so nothing was sent |
//! | 4 | a contract refuses it, or would |
//! | 5 | the network cannot be reached; the same command may succeed later |
//! | 6 | sent, and what became of it is not known: look before you send again |

use anyhow::Error;
use cocoon_actions::{ActionError, Refused};
use cocoon_chain::{ChainError, GetterError, LightError, WalletError};
use cocoon_simulate::SimulateError;
use serde_json::{Value, json};

/// The command line is wrong.
pub const USAGE: u8 = 2;
/// It failed for a reason of its own.
pub const FAILED: u8 = 1;
/// Nobody confirmed it.
pub const DECLINED: u8 = 3;
/// A contract refuses it.
pub const REFUSED: u8 = 4;
/// The network cannot be reached.
pub const UNREACHABLE: u8 = 5;
/// What became of it is not known.
pub const UNKNOWN: u8 = 6;

/// An argument that is well formed and yet cannot be meant.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Money was to move, and nobody said yes.
#[derive(Debug, thiserror::Error)]
pub enum Declined {
    /// The answer was no.
    #[error("nothing was sent")]
    No,
    /// There is nobody to ask.
    #[error("nothing was sent: this pays {total}, and there is no terminal to ask on; repeat with --yes")]
    NobodyToAsk {
        /// What would be paid.
        total: cocoon_protocol::Nano,
    },
}

/// What a dry run before sending has found.
#[derive(Debug, thiserror::Error)]
#[error("nothing was sent, because it would fail: {0}")]
pub struct WouldFail(pub Refused);

/// The exit code of an error.
pub fn code(error: &Error) -> u8 {
    error.chain().find_map(of).unwrap_or(FAILED)
}

fn of(error: &(dyn std::error::Error + 'static)) -> Option<u8> {
    if error.is::<Usage>() {
        return Some(USAGE);
    }
    if matches!(error.downcast_ref(), Some(LightError::NoHead { .. })) {
        return Some(UNREACHABLE);
    }
    if error.is::<Declined>() {
        return Some(DECLINED);
    }
    if error.is::<WouldFail>() {
        return Some(REFUSED);
    }
    if let Some(error) = error.downcast_ref::<ActionError>() {
        return of_action(error);
    }
    if let Some(error) = error.downcast_ref::<SimulateError>() {
        return match error {
            SimulateError::NotAccepted { .. } => Some(REFUSED),
            SimulateError::Chain(error) => of_chain(error),
            SimulateError::Wallet(error) => of_wallet(error),
            SimulateError::Action(error) => of_action(error),
            SimulateError::Unfit(_) | SimulateError::TooLong => None,
        };
    }
    if let Some(error) = error.downcast_ref::<WalletError>() {
        return of_wallet(error);
    }
    error.downcast_ref::<ChainError>().and_then(of_chain)
}

fn of_action(error: &ActionError) -> Option<u8> {
    match error {
        ActionError::Refused(_)
        | ActionError::Invalid { .. }
        | ActionError::Missing { .. }
        | ActionError::Foreign { .. } => Some(REFUSED),
        ActionError::Chain(error) | ActionError::Getter(GetterError::Chain(error)) => of_chain(error),
        ActionError::Wallet(error) => of_wallet(error),
        ActionError::Getter(_) | ActionError::Abi(_) | ActionError::Cell { .. } => None,
    }
}

fn of_wallet(error: &WalletError) -> Option<u8> {
    match error {
        WalletError::Unconfirmed { .. } | WalletError::Trace(_) => Some(UNKNOWN),
        WalletError::Chain(error) => of_chain(error),
        WalletError::Expired { .. } => Some(UNREACHABLE),
        _ => None,
    }
}

fn of_chain(error: &ChainError) -> Option<u8> {
    match error {
        ChainError::Unreachable { .. } => Some(UNREACHABLE),
        ChainError::Refused(_) => Some(REFUSED),
        _ => None,
    }
}

/// The documented name of a contract's refusal, if that is what an error is.
fn refusal(error: &Error) -> Option<&Refused> {
    error.chain().find_map(|e| match e.downcast_ref::<ActionError>() {
        Some(ActionError::Refused(refused)) => Some(refused.as_ref()),
        _ => e.downcast_ref::<WouldFail>().map(|w| &w.0),
    })
}

/// An error with its causes, each said once: some name their cause in their own words already.
pub fn words(error: &Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

/// An error as one line of JSON.
pub fn error_json(error: &Error) -> String {
    let mut object = json!({ "exit_code": code(error), "message": words(error) });
    if let (Some(refused), Some(object)) = (refusal(error), object.as_object_mut()) {
        object.insert("contract".to_owned(), refused.contract.map_or(Value::Null, Value::from));
        object.insert("name".to_owned(), refused.name.map_or(Value::Null, Value::from));
        object.insert("tvm_exit_code".to_owned(), refused.failure.exit_code().map_or(Value::Null, Value::from));
    }
    format!("{}\n", json!({ "ok": false, "error": object }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_said_once() {
        let cause = || std::io::Error::other("the disk is full");
        let plain = Error::new(cause()).context("writing the file");
        assert_eq!(words(&plain), "writing the file: the disk is full");
        let telling = Error::new(cause()).context("writing failed: the disk is full").context("saving");
        assert_eq!(words(&telling), "saving: writing failed: the disk is full");
    }
}
