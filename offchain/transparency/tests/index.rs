//! The index: a log as its account's transactions tell it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod records;

use cocoon_chain::{ActionOutcome, Cell, ComputeOutcome, MessageKind, TransactionRecord};
use cocoon_protocol::units::GlobalId;
use cocoon_protocol::{Hash256, Nano, NodeKey, StdAddr, UnixSeconds};
use cocoon_transparency::{
    Index, IndexError, Leaf, LogHead, Tree, TreeError, evidence_message, hash_leaf, log_address, require_logged,
};
use cocoon_wrappers::generated::transparency_log::LogEntry;
use tycho_types::cell::{CellBuilder, HashBytes};

fn registry() -> StdAddr {
    StdAddr::new(0, HashBytes([0x11; 32]))
}

fn log() -> StdAddr {
    log_address(&registry()).unwrap()
}

fn node() -> NodeKey {
    NodeKey::from_seed(&[1; 32])
}

fn evidence(i: u8) -> Cell {
    evidence_message(&node(), &Hash256([i; 32]), &log(), GlobalId(-3), 0).unwrap()
}

fn entry(revision: u32) -> Cell {
    let (id, body) = (HashBytes([7; 32]), HashBytes([8; 32]));
    LogEntry { revision, event: 0x5247_0005, kind: 1, id, moment: 5, at: 5, body }.to_cell().unwrap()
}

/// A transaction of the log that took this message.
fn took(lt: u64, prev_lt: u64, body: Cell) -> TransactionRecord {
    records::took(&log(), lt, prev_lt, 1_000 + lt as u32, body)
}

#[test]
fn leaves_are_what_was_taken_and_proofs_of_evidence_hold() {
    let mut index = Index::new(log());
    index.read(&took(1, 0, Cell::default())).unwrap();
    index.read(&took(2, 1, entry(1))).unwrap();
    index.read(&took(3, 2, evidence(1))).unwrap();
    index.read(&took(4, 3, evidence(2))).unwrap();
    // The same evidence once more, and one that came later.
    index.read(&took(5, 4, evidence(1))).unwrap();
    assert_eq!(index.leaves().len(), 4, "a gift is no leaf");
    assert_eq!(index.last_lt(), 5);
    let head = index.head();
    index.check(&head).unwrap();
    let key = node().public();
    let (leaf, proof) = index.prove_evidence(&key, &Hash256([1; 32]), 4).unwrap().unwrap();
    assert_eq!(proof.index, 1, "the first one counts");
    let expected = Leaf::Evidence { node: Hash256(*key.as_bytes()), digest: Hash256([1; 32]), at: UnixSeconds(1003) };
    assert_eq!(leaf, expected);
    require_logged(&head, &leaf, &proof).unwrap();
    assert_eq!(index.prove_evidence(&key, &Hash256([3; 32]), 4), Ok(None));
    assert_eq!(index.prove_evidence(&key, &Hash256([2; 32]), 2), Ok(None), "not yet there");
    let beyond = index.prove_evidence(&key, &Hash256([1; 32]), 5);
    assert_eq!(beyond, Err(IndexError::Tree(TreeError::TooShort { asked: 5, size: 4 })));
}

#[test]
fn what_the_log_did_not_take_is_no_leaf() {
    let mut refused = took(1, 0, evidence(1));
    refused.compute =
        ComputeOutcome::Executed { success: false, exit_code: 1702, gas_used: 1, gas_fees: Nano::ZERO, steps: 1 };
    refused.action = None;
    let mut undone = took(2, 1, evidence(1));
    undone.action = Some(ActionOutcome { success: false, result_code: 37, total: 2, skipped: 0, messages: 0 });
    let mut bounced = took(3, 2, evidence(1));
    bounced.in_message.as_mut().unwrap().bounced = true;
    let mut outside = took(4, 3, evidence(1));
    outside.in_message.as_mut().unwrap().kind = MessageKind::ExternalIn;
    let mut index = Index::new(log());
    for transaction in [refused, undone, bounced, outside] {
        assert_eq!(index.read(&transaction), Ok(None));
    }
    assert_eq!(index.head(), LogHead { size: 0, root: cocoon_transparency::EMPTY_ROOT });
}

#[test]
fn a_transaction_left_out_read_twice_or_of_another_account_is_noticed_and_changes_nothing() {
    let mut index = Index::new(log());
    index.read(&took(1, 0, entry(1))).unwrap();
    let head = index.head();
    let gap = index.read(&took(3, 2, entry(3))).unwrap_err();
    assert_eq!(gap, IndexError::Gap { hash: Hash256([3; 32]), found: 2, expected: 1 });
    assert!(matches!(index.read(&took(1, 0, entry(1))), Err(IndexError::Gap { .. })));
    let mut other = took(2, 1, entry(2));
    other.account = registry();
    assert!(matches!(index.read(&other), Err(IndexError::OtherAccount { .. })));
    assert_eq!((index.head(), index.last_lt()), (head, 1));
}

#[test]
fn an_index_of_another_history_is_noticed() {
    let mut index = Index::new(log());
    index.read(&took(1, 0, entry(1))).unwrap();
    let mut other = Tree::default();
    other.push(hash_leaf(b"another"));
    let wrong = index.check(&LogHead { size: 1, root: other.root() });
    assert!(matches!(wrong, Err(IndexError::OtherRoot { size: 1, .. })), "{wrong:?}");
    let ahead = index.check(&LogHead { size: 2, root: other.root() });
    assert_eq!(ahead, Err(IndexError::Tree(TreeError::TooShort { asked: 2, size: 1 })));
}

#[test]
fn nobody_stops_an_index_with_something_to_spare() {
    // The contract reads its fields and ignores what follows: so does the index.
    let mut builder = CellBuilder::new();
    builder.store_slice(evidence(1).as_slice().unwrap()).unwrap();
    builder.store_u32(0xdead_beef).unwrap();
    builder.store_reference(Cell::default()).unwrap();
    let mut index = Index::new(log());
    index.read(&took(1, 0, builder.build().unwrap())).unwrap();
    let mut plain = Index::new(log());
    plain.read(&took(1, 0, evidence(1))).unwrap();
    assert_eq!(index.head(), plain.head());
}
