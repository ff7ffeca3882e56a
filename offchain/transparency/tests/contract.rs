//! The contract on the Rust TVM against the tree: any sequence of what a log may be told gives the same head on both sides.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::LazyLock;

use cocoon_chain::Cell;
use cocoon_model::chain::{Chain, Compute, Message};
use cocoon_protocol::units::GlobalId;
use cocoon_protocol::{Hash256, NodeKey, StdAddr, UnixSeconds};
use cocoon_transparency::{
    Leaf, LogError, LogHead, NotLogged, Tree, evidence_message, log_address, require_evidence, require_logged,
};
use cocoon_wrappers::generated::transparency_log::{Data, LogEntry, state_init};
use proptest::prelude::*;
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

#[test]
fn attack_58_evidence_of_another_node_does_not_serve() {
    let mut log = Log::open();
    let (node, other) = (NodeKey::from_seed(&[1; 32]), NodeKey::from_seed(&[2; 32]));
    let (digest, stale) = (Hash256([3; 32]), Hash256([4; 32]));
    let mut tree = Tree::default();
    let mut leaves = vec![];
    for (key, digest) in [(&other, &digest), (&node, &stale), (&node, &digest)] {
        let body = evidence_message(key, digest, &log.address.clone(), NETWORK, 0).unwrap();
        assert!(log.say(&account(0x55), TON, body.clone(), None));
        let leaf = Leaf::from_message(&body, UnixSeconds(log.chain.now)).unwrap();
        tree.push(leaf.hash());
        leaves.push(leaf);
    }
    let head = log.head();
    let asked =
        |i: u64| require_evidence(&head, &node.public(), &digest, &leaves[i as usize], &tree.prove(i, 3).unwrap());
    let node_bytes = Hash256(*node.public().as_bytes());
    assert_eq!(asked(0), Err(NotLogged::OtherLeaf { node: node_bytes, digest }));
    assert_eq!(asked(1), Err(NotLogged::OtherLeaf { node: node_bytes, digest }));
    assert_eq!(asked(2), Ok(()));
    // A leaf that says the right thing and is not in the log.
    let invented = Leaf::Evidence { node: node_bytes, digest, at: UnixSeconds(1) };
    let lie = require_evidence(&head, &node.public(), &digest, &invented, &tree.prove(2, 3).unwrap());
    assert!(matches!(lie, Err(NotLogged::Proof(_))), "{lie:?}");
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
