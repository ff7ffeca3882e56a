//! What liteservers answer, with proofs.

use cocoon_chain::light::StateProof;
use cocoon_lite::{Answer, Query};

use super::receipt::fixture;
use super::told;

/// An answer; in place of a part of a proof that holds, if it is of a kind that is one: then nothing else is proven by it.
pub fn proofs(input: &[u8]) -> String {
    let Some((kind, bytes)) = input.split_first() else { return "nothing".to_owned() };
    if let Ok(query) = Query::from_bytes(bytes) {
        let again = Query::from_bytes(&query.to_bytes());
        assert_eq!(again.as_ref(), Ok(&query), "a question changes when it is written");
    }
    let read = Answer::from_bytes(bytes);
    let Ok(answer) = &read else { return told(read) };
    let again = Answer::from_bytes(&answer.to_bytes());
    assert_eq!(again.as_ref(), Ok(answer), "an answer changes when it is written");
    let fixture = fixture();
    let mut proof = StateProof::from(&fixture.bundle.chain);
    let part = match kind % 3 {
        0 => proof.blocks.first_mut(),
        1 => Some(&mut proof.config),
        _ => proof.accounts.first_mut().map(|(_, state)| state),
    };
    if let Some(part) = part {
        *part = bytes.to_vec();
    }
    let checked = proof.check(&fixture.trust.network);
    if let (Ok(found), Ok(whole)) = (&checked, &fixture.state) {
        let account = |state: &cocoon_chain::light::ProvenState| {
            state.proven(&fixture.trust.registry).map(|a| (a.code.clone(), a.data.clone(), a.last_trans_lt))
        };
        assert_eq!((&found.block.id, account(found)), (&whole.block.id, account(whole)), "something else is proven");
    }
    told(checked)
}

pub fn proof_samples() -> Vec<Vec<u8>> {
    let chain = &fixture().bundle.chain;
    let parts = [
        (0u8, chain.blocks.first().map(|bytes| &bytes.0)),
        (1, Some(&chain.config.0)),
        (2, chain.accounts.first().map(|account| &account.state.0)),
    ];
    parts.into_iter().filter_map(|(kind, bytes)| Some([&[kind], bytes?.as_slice()].concat())).collect()
}
