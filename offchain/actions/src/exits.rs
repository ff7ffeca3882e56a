//! Exit codes by the names in the contracts' documentation.

use cocoon_chain::trace::Failure;
use cocoon_chain::{AccountSnapshot, Chain, Trace, TraceNode, TransactionFailure};
use cocoon_wrappers::generated::CONTRACTS;

use crate::{ActionError, Refused};

/// Codes below this are the virtual machine's and the compiler's, the same in every contract.
const FIRST_OWN: i32 = 1_000;

/// An exit code in words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exit {
    /// The contract whose documentation has it; absent if the code is the virtual machine's.
    pub contract: Option<&'static str>,
    /// The documented name; absent for codes of the virtual machine.
    pub name: Option<&'static str>,
    /// What it means.
    pub meaning: &'static str,
}

/// The kind of a contract of ours, known by its code.
pub fn contract_of(account: &AccountSnapshot) -> Option<&'static str> {
    let hash = *account.code.as_ref()?.repr_hash();
    CONTRACTS.iter().find(|c| c.code_hash == hash).map(|c| c.name)
}

/// What an exit code of this contract means; `None` if nobody has written it down. Without a contract only the codes that
/// are the same everywhere are known.
pub fn explain(contract: Option<&str>, code: i32) -> Option<Exit> {
    if code == -14 {
        return Some(Exit { contract: None, name: None, meaning: "Out of gas" });
    }
    let own = CONTRACTS.iter().find(|c| Some(c.name) == contract);
    let tables = own.into_iter().chain(CONTRACTS.iter().filter(|_| code < FIRST_OWN));
    tables.flat_map(|c| c.errors.iter().map(|e| (c.name, e))).find(|(_, e)| e.0 == code).map(|(contract, e)| Exit {
        contract: (code >= FIRST_OWN).then_some(contract),
        name: (!e.1.is_empty()).then_some(e.1),
        meaning: e.2,
    })
}

/// A failed transaction in words. Asks the chain what the account is.
pub async fn explain_failure(chain: &dyn Chain, failure: TransactionFailure) -> Result<Refused, ActionError> {
    let account = chain.account(&failure.account).await?;
    Ok(describe(contract_of(&account), failure))
}

/// A failed transaction in words, on an account of a known kind.
pub fn describe(contract: Option<&'static str>, failure: TransactionFailure) -> Refused {
    let account = failure.account.clone();
    let exit = failure.exit_code().and_then(|code| Some((code, explain(contract, code)?)));
    let (name, meaning) = match (exit, &failure.failure) {
        (Some((code, exit)), _) => (exit.name, format!("{} (exit code {code})", exit.meaning)),
        (None, Failure::Exit { exit_code }) => {
            (None, format!("it ended with exit code {exit_code}, which this program does not know"))
        }
        (None, other) => (None, other.to_string()),
    };
    Refused { account, contract, name, meaning, failure }
}

/// Every failed transaction of a trace, in the order of the trace; [`Trace::ok`] tells only the earliest.
pub fn failures(trace: &Trace) -> Vec<TransactionFailure> {
    let mut found: Vec<TransactionFailure> = vec![];
    for transaction in trace.transactions() {
        let alone = Trace { root: TraceNode { transaction: transaction.clone(), children: vec![] } };
        // A contract may do without a message that it could not send; a wallet that was told to send it may not.
        let is_root = transaction.lt == trace.root.transaction.lt;
        match alone.ok() {
            Err(failure) if is_root || !matches!(failure.failure, Failure::NotSent { .. }) => found.push(failure),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;

    #[test]
    fn every_code_of_ours_has_a_name_and_a_meaning() {
        for contract in CONTRACTS {
            for (code, name, _) in contract.errors.iter().filter(|e| e.0 >= FIRST_OWN) {
                let exit = explain(Some(contract.name), *code).unwrap();
                assert_eq!((exit.contract, exit.name), (Some(contract.name), Some(*name)));
                assert!(name.starts_with("ERR_") && !exit.meaning.is_empty(), "{code}");
            }
        }
    }

    #[test]
    fn codes_of_the_machine_are_known_in_every_contract() {
        assert_eq!(explain(None, 9).unwrap().meaning, "Cell underflow");
        assert_eq!(explain(Some("Registry"), -14).unwrap().meaning, "Out of gas");
        assert_eq!(explain(Some("Registry"), 9).unwrap().contract, None);
    }

    #[test]
    fn a_code_of_one_contract_says_nothing_about_another() {
        assert!(explain(Some("PayChannel"), 1000).is_some());
        assert!(explain(Some("Governor"), 1000).is_none());
        assert!(explain(None, 1000).is_none(), "a stranger's contract may mean anything by it");
    }
}
