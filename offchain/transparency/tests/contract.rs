//! The contract on the Rust TVM against the tree: any sequence of what a log may be told gives the same head on both sides.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod records;

use std::sync::LazyLock;

use cocoon_chain::Cell;
use cocoon_model::chain::{Chain, Compute, Message};
use cocoon_protocol::units::GlobalId;
use cocoon_protocol::{Hash256, LogProof, NodeKey, StdAddr, UnixSeconds};
use cocoon_transparency::{
    Leaf, LogError, LogHead, LogState, NotLogged, PeakError, Tail, Tree, evidence_message, log_address,
    require_evidence, require_logged,
};
use cocoon_wrappers::generated::transparency_log::{Data, LogEntry, state_init};
use proptest::prelude::*;
use records::took;
use tycho_types::cell::{CellBuilder, HashBytes};

const TON: u128 = 1_000_000_000;
const NETWORK: GlobalId = GlobalId(Chain::NETWORK);

/// Reading the network's configuration takes longer than a test.
static EMPTY: LazyLock<Chain> = LazyLock::new(|| Chain::new().expect("the devnet's configuration is sound"));

fn account(byte: u8) -> StdAddr {
    StdAddr::new(0, HashBytes([byte; 32]))
}

struct Log {
    chain: Chain,
    address: StdAddr,
    registry: StdAddr,
}

impl Log {
    fn open() -> Self {
        let registry = account(0x11);
        let data = Data { registry: registry.clone(), size: 0, peaks: None };
        let mut log = Self { chain: EMPTY.emptied(), address: log_address(&registry).unwrap(), registry };
        log.say(&account(0x22), TON, Cell::default(), Some(&data));
        log
    }

    /// Whether the message was taken.
    fn say(&mut self, src: &StdAddr, value: u128, body: Cell, init: Option<&Data>) -> bool {
        let message = Message {
            src: src.clone(),
            dst: self.address.clone(),
            value,
            bounce: true,
            bounced: false,
            init: init.map(|data| state_init(data).unwrap()),
            body,
        };
        let receipt = self.chain.deliver(&message).unwrap();
        matches!(receipt.compute, Compute::Ran { exit: 0, .. }) && receipt.action == Some(Ok(()))
    }

    fn data(&self) -> Data {
        Data::from_cell(&self.chain.account(&self.address).1.unwrap()).unwrap()
    }

    fn head(&self) -> LogHead {
        LogHead::from_data(&self.data()).unwrap()
    }

    fn state(&self) -> LogState {
        LogState::from_data(&self.data()).unwrap()
    }
}

/// What somebody tells the log.
#[derive(Clone, Debug)]
enum Word {
    Entry { from_registry: bool, event: u32, kind: u8, id: [u8; 32], moment: u32 },
    Evidence { seed: u8, digest: [u8; 32], signed_for_this_log: bool, value: u128, trailing: bool },
    Later(u16),
}

fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        3 => (prop::bool::weighted(0.9), any::<u32>(), any::<u8>(), any::<[u8; 32]>(), any::<u32>()).prop_map(
            |(from_registry, event, kind, id, moment)| Word::Entry { from_registry, event, kind, id, moment }
        ),
        3 => (any::<u8>(), any::<[u8; 32]>(), prop::bool::weighted(0.9), prop_oneof![Just(TON / 20), Just(TON / 20 - 1), Just(TON)], any::<bool>())
            .prop_map(|(seed, digest, signed_for_this_log, value, trailing)| {
                Word::Evidence { seed, digest, signed_for_this_log, value, trailing }
            }),
        1 => any::<u16>().prop_map(Word::Later),
    ]
}

fn with_something_after(body: &Cell) -> Cell {
    let mut builder = CellBuilder::new();
    builder.store_slice(body.as_slice().unwrap()).unwrap();
    builder.store_u16(0xbeef).unwrap();
    builder.store_reference(Cell::default()).unwrap();
    builder.build().unwrap()
}

/// Says it; the leaf, if it should become one.
fn say(log: &mut Log, revision: u32, word: &Word) -> Option<Leaf> {
    let now = UnixSeconds(log.chain.now);
    let (body, taken) = match word {
        Word::Later(seconds) => {
            log.chain.now += u32::from(*seconds);
            return None;
        }
        Word::Entry { from_registry, event, kind, id, moment } => {
            let (id, body) = (HashBytes(*id), HashBytes([9; 32]));
            let at = now.0;
            let body =
                LogEntry { revision, event: *event, kind: *kind, id, moment: *moment, at, body }.to_cell().unwrap();
            let src = if *from_registry { log.registry.clone() } else { account(0x33) };
            let taken = log.say(&src, TON / 50, body.clone(), None);
            assert_eq!(taken, *from_registry);
            (body, taken)
        }
        Word::Evidence { seed, digest, signed_for_this_log, value, trailing } => {
            let node = NodeKey::from_seed(&[*seed; 32]);
            let to = if *signed_for_this_log { log.address.clone() } else { account(0x44) };
            let mut body = evidence_message(&node, &Hash256(*digest), &to, NETWORK, 7).unwrap();
            if *trailing {
                body = with_something_after(&body);
            }
            let taken = log.say(&account(0x55), *value, body.clone(), None);
            assert_eq!(taken, *signed_for_this_log && *value >= TON / 20);
            (body, taken)
        }
    };
    taken.then(|| Leaf::from_message(&body, now).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_contract_grows_the_same_tree(words in prop::collection::vec(word(), 0..60)) {
        let mut log = Log::open();
        let mut tree = Tree::default();
        let mut heads = vec![log.head()];
        let mut leaves = vec![];
        for (revision, word) in (0..).zip(&words) {
            if let Some(leaf) = say(&mut log, revision, word) {
                tree.push(leaf.hash());
                leaves.push(leaf);
            }
            let head = log.head();
            prop_assert_eq!(head, LogHead { size: tree.size(), root: tree.root() });
            heads.push(head);
        }
        // Every head that was ever seen is a beginning of the last one, and every leaf is in all that came after it.
        let last = log.head();
        for head in &heads {
            let path = tree.consistency(head.size, last.size).unwrap();
            cocoon_transparency::verify_consistency(head, &last, &path).unwrap();
        }
        for (index, leaf) in (0..).zip(&leaves) {
            require_logged(&last, leaf, &tree.prove(index, last.size).unwrap()).unwrap();
        }
    }
}

/// A log of these pieces of evidence, and a tail that has followed it from its `from`th leaf on.
fn log_of(evidence: &[(&NodeKey, Hash256)], from: usize) -> (Log, Tail, Vec<UnixSeconds>) {
    let mut log = Log::open();
    let mut tail = None;
    let mut times = vec![];
    for (i, (key, digest)) in (0..).zip(evidence) {
        if i == from as u64 {
            tail = Some(Tail::from_state(log.address.clone(), i, &log.state()));
        }
        log.chain.now += 1;
        let body = evidence_message(key, digest, &log.address.clone(), NETWORK, 0).unwrap();
        assert!(log.say(&account(0x55), TON, body.clone(), None));
        times.push(UnixSeconds(log.chain.now));
        if let Some(tail) = &mut tail {
            let took = took(&log.address, i + 1, i, log.chain.now, body);
            let (index, leaf) = tail.read(&took).unwrap().unwrap();
            assert_eq!((index, leaf.logs(&key.public(), digest)), (i, Some(UnixSeconds(log.chain.now))));
            tail.check(&log.state()).unwrap();
        }
    }
    let tail = tail.unwrap_or_else(|| Tail::from_state(log.address.clone(), evidence.len() as u64, &log.state()));
    (log, tail, times)
}

#[test]
fn attack_58_evidence_of_another_node_does_not_serve() {
    let (node, other) = (NodeKey::from_seed(&[1; 32]), NodeKey::from_seed(&[2; 32]));
    let (digest, stale) = (Hash256([3; 32]), Hash256([4; 32]));
    let (log, tail, times) = log_of(&[(&other, digest), (&node, stale), (&node, digest)], 0);
    let state = log.state();
    let proof = |i: usize| tail.prove(i as u64, times[i]).unwrap();
    let asked = |proof: &LogProof| require_evidence(&state, &node.public(), &digest, proof);
    assert!(matches!(asked(&proof(0)), Err(PeakError::OtherPeak { .. })), "another node's");
    assert!(matches!(asked(&proof(1)), Err(PeakError::OtherPeak { .. })), "other evidence of the same node");
    assert_eq!(asked(&proof(2)), Ok(()));
    // A leaf that says the right thing and is not in the log.
    let forged = LogProof { at: UnixSeconds(1), ..proof(2) };
    assert!(matches!(asked(&forged), Err(PeakError::OtherPeak { .. })));
    let moved = LogProof { index: 1, ..proof(2) };
    assert!(asked(&moved).is_err());
    let beyond = LogProof { index: 3, ..proof(2) };
    assert_eq!(asked(&beyond), Err(PeakError::NotYet { index: 3, size: 3 }));
}

#[test]
fn attack_58_a_proof_from_another_log_does_not_serve() {
    let node = NodeKey::from_seed(&[1; 32]);
    let digest = Hash256([3; 32]);
    let (ours, _, _) = log_of(&[(&node, Hash256([9; 32])), (&node, digest)], 0);
    let (_, theirs, times) = log_of(&[(&node, Hash256([8; 32])), (&node, digest)], 0);
    let proof = theirs.prove(1, times[1]).unwrap();
    let lie = require_evidence(&ours.state(), &node.public(), &digest, &proof);
    assert!(matches!(lie, Err(PeakError::OtherPeak { .. })), "{lie:?}");
}

#[test]
fn a_tail_that_begins_anywhere_proves_every_leaf_that_came_since() {
    let node = NodeKey::from_seed(&[1; 32]);
    let digests: Vec<Hash256> = (0..37).map(|i| Hash256([i; 32])).collect();
    let evidence: Vec<_> = digests.iter().map(|digest| (&node, *digest)).collect();
    for from in [0, 1, 5, 8, 12, 16, 31, 36] {
        let (log, tail, times) = log_of(&evidence, from);
        let state = log.state();
        assert_eq!(state.head(), log.head());
        for i in from..digests.len() {
            let proof = tail.prove(i as u64, times[i]).unwrap();
            assert_eq!(require_evidence(&state, &node.public(), &digests[i], &proof), Ok(()), "{from} {i}");
        }
        assert_eq!(tail.prove(37, UnixSeconds(0)), None);
        if from > 1 {
            assert_eq!(tail.prove(0, times[0]), None, "what came before the tail is not known leaf by leaf");
        }
    }
}

#[test]
fn a_proof_serves_older_states_too_and_newer_ones_until_its_peak_is_a_part_of_a_higher_one() {
    let node = NodeKey::from_seed(&[1; 32]);
    let digest = |i: u8| Hash256([i; 32]);
    let mut log = Log::open();
    let mut tail = Tail::from_state(log.address.clone(), 0, &log.state());
    let (mut states, mut proofs, mut at) = (vec![], vec![], UnixSeconds(0));
    for i in 0..40u8 {
        let body = evidence_message(&node, &digest(i), &log.address.clone(), NETWORK, 0).unwrap();
        assert!(log.say(&account(0x55), TON, body.clone(), None));
        tail.read(&took(&log.address, u64::from(i) + 1, i.into(), log.chain.now, body)).unwrap();
        if i == 4 {
            at = UnixSeconds(log.chain.now);
        }
        states.push(log.state());
        proofs.push(tail.prove(4, at));
    }
    // Leaf 4 is below peaks of 1, 2, 4, 8, 16, 32 leaves: from sizes 5, 6, 8, 16, 32 on.
    let renewed = proofs.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert_eq!(renewed, 5, "its first appearance and four merges");
    let asked = |size: usize, proof: usize| {
        require_evidence(&states[size - 1], &node.public(), &digest(4), proofs[proof - 1].as_ref().unwrap())
    };
    assert_eq!(asked(4, 40), Err(PeakError::NotYet { index: 4, size: 4 }), "the state is older than the leaf");
    for size in 5..=40 {
        assert_eq!(asked(size, 40), Ok(()), "the longest path begins with all shorter ones: {size}");
    }
    assert_eq!(asked(31, 16), Ok(()), "others' leaves do not disturb it");
    assert_eq!(asked(32, 31), Err(PeakError::Grown { size: 32, found: 4, needed: 5 }));
}

#[test]
fn an_older_proof_serves_with_an_extension_and_a_newer_one_asks_for_a_newer_head() {
    let mut log = Log::open();
    let node = NodeKey::from_seed(&[1; 32]);
    let mut tree = Tree::default();
    let mut leaves = vec![];
    let mut heads = vec![];
    for i in 0..13u8 {
        let body = evidence_message(&node, &Hash256([i; 32]), &log.address.clone(), NETWORK, 0).unwrap();
        assert!(log.say(&account(0x55), TON, body.clone(), None));
        leaves.push(Leaf::from_message(&body, UnixSeconds(log.chain.now)).unwrap());
        tree.push(leaves.last().unwrap().hash());
        heads.push(log.head());
    }
    let mut proof = tree.prove(2, 7).unwrap();
    require_logged(&heads[6], &leaves[2], &proof).unwrap();
    let behind = require_logged(&heads[5], &leaves[2], &proof);
    assert_eq!(behind, Err(NotLogged::HeadTooOld { proof: 7, known: 6 }));
    assert!(require_logged(&heads[12], &leaves[2], &proof).is_err(), "no extension");
    proof.extension = tree.consistency(7, 13).unwrap();
    require_logged(&heads[12], &leaves[2], &proof).unwrap();
}

#[test]
fn peaks_that_are_not_those_of_the_size_are_refused() {
    let mut log = Log::open();
    for i in 0..5u8 {
        let body = evidence_message(&NodeKey::from_seed(&[1; 32]), &Hash256([i; 32]), &log.address.clone(), NETWORK, 0);
        assert!(log.say(&account(0x55), TON, body.unwrap(), None));
    }
    let good = log.data();
    assert_eq!(LogHead::from_data(&good).unwrap().size, 5);
    for size in [0, 1, 4, 7, u64::MAX] {
        let forged = LogHead::from_data(&Data { size, ..good.clone() });
        assert!(matches!(forged, Err(LogError::Peaks { .. })), "{size}: {forged:?}");
    }
    let none = LogHead::from_data(&Data { peaks: None, ..good.clone() });
    assert!(matches!(none, Err(LogError::Peaks { .. })));
    let odd = LogHead::from_data(&Data { peaks: Some(Cell::default()), ..good });
    assert!(matches!(odd, Err(LogError::Peaks { .. })));
}

/// Peaks as the contract keeps them, the smallest first.
fn list(peaks: &[[u8; 32]]) -> Option<Cell> {
    peaks.iter().rev().fold(None, |next, hash| {
        let mut builder = CellBuilder::new();
        builder.store_u256(&HashBytes(*hash)).unwrap();
        builder.store_bit(next.is_some()).unwrap();
        if let Some(next) = next {
            builder.store_reference(next).unwrap();
        }
        Some(builder.build().unwrap())
    })
}

proptest! {
    #[test]
    fn any_proof_against_any_state_is_refused_in_bounded_time(
        size in prop_oneof![any::<u64>(), 0..70u64, Just(u64::MAX), Just(1 << 63)],
        index in prop_oneof![any::<u64>(), 0..70u64, Just(u64::MAX)],
        path in prop::collection::vec(any::<[u8; 32]>(), 0..70),
        leaf in any::<[u8; 32]>(),
    ) {
        let peaks: Vec<[u8; 32]> = (0..size.count_ones()).map(|i| [i as u8; 32]).collect();
        let data = Data { registry: account(0x11), size, peaks: list(&peaks) };
        let state = LogState::from_data(&data).unwrap();
        prop_assert_eq!(state.peaks().map(|peak| 1u128 << peak.height).sum::<u128>(), u128::from(size));
        let proof = LogProof { index, at: UnixSeconds(0), path: path.into_iter().map(Hash256).collect() };
        let refused = state.require(&Hash256(leaf), &proof);
        prop_assert_eq!(matches!(refused, Err(PeakError::NotYet { .. })), index >= size);
        prop_assert!(refused.is_err());
        let tail = Tail::from_state(account(0x12), 0, &state);
        tail.check(&state).unwrap();
        let _ = tail.prove(index, UnixSeconds(0));
    }
}
