//! The log as whoever watches its account knows it: all leaves, their tree, and where each piece of evidence is.

use std::collections::HashMap;

use cocoon_chain::{ActionOutcome, ComputeOutcome, MessageKind, TransactionRecord};
use cocoon_protocol::{Hash256, NodePublicKey, StdAddr};
use cocoon_wrappers::generated::transparency_log::{LogEntry, LogEvidence};

use crate::contract::LogHead;
use crate::demand::LoggedProof;
use crate::leaf::{Leaf, LeafError};
use crate::tree::{Tree, TreeError};

/// An index cannot follow the log.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IndexError {
    /// The transaction is somebody else's.
    #[error("transaction {hash} is on account {found}, and the log is {log}")]
    OtherAccount {
        /// Of the transaction.
        hash: Hash256,
        /// Whose it is.
        found: StdAddr,
        /// The log's address.
        log: StdAddr,
    },
    /// A transaction is missing, or comes twice.
    #[error("transaction {hash} follows logical time {found}, and the last one read is {expected}: read from there")]
    Gap {
        /// Of the transaction.
        hash: Hash256,
        /// What it follows.
        found: u64,
        /// What it should follow.
        expected: u64,
    },
    /// The log took a message that cannot be a leaf: the contract is not the one that this index knows.
    #[error("transaction {hash}: {why}")]
    Leaf {
        /// Of the transaction.
        hash: Hash256,
        /// What is wrong.
        why: LeafError,
    },
    /// The tree is not the contract's.
    #[error(
        "{size} leaves read here have root {computed}, and the contract says {expected}: start anew from its first transaction"
    )]
    OtherRoot {
        /// Leaves in the tree.
        size: u64,
        /// The contract's.
        expected: Hash256,
        /// The index's.
        computed: Hash256,
    },
    /// A proof was asked for that the tree cannot give.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Everything that is in one log.
#[derive(Clone, Debug)]
pub struct Index {
    log: StdAddr,
    tree: Tree,
    leaves: Vec<Leaf>,
    /// Node and digest → position of the first leaf with both.
    evidence: HashMap<(Hash256, Hash256), u64>,
    last_lt: u64,
}

impl Index {
    /// An empty one, for the log at this address.
    pub fn new(log: StdAddr) -> Self {
        Self { log, tree: Tree::default(), leaves: vec![], evidence: HashMap::new(), last_lt: 0 }
    }

    /// The logical time after which to ask for transactions.
    pub const fn last_lt(&self) -> u64 {
        self.last_lt
    }

    /// All leaves, in the order of the log.
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// Their tree.
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The head of what was read.
    pub fn head(&self) -> LogHead {
        LogHead { size: self.tree.size(), root: self.tree.root() }
    }

    /// Takes in the account's next transaction. Each follows the one before: nothing can be left out unnoticed.
    pub fn read(&mut self, transaction: &TransactionRecord) -> Result<Option<&Leaf>, IndexError> {
        let leaf = take(&self.log, self.last_lt, transaction)?;
        self.last_lt = transaction.lt;
        let Some(leaf) = leaf else { return Ok(None) };
        if let Leaf::Evidence { node, digest, .. } = leaf {
            self.evidence.entry((node, digest)).or_insert(self.tree.size());
        }
        self.tree.push(leaf.hash());
        self.leaves.push(leaf);
        Ok(self.leaves.last())
    }

    /// Compares with what the contract says. It may be behind what was read here, but never ahead of it.
    pub fn check(&self, head: &LogHead) -> Result<(), IndexError> {
        let computed = self.tree.root_at(head.size)?;
        if computed == head.root {
            Ok(())
        } else {
            Err(IndexError::OtherRoot { size: head.size, expected: head.root, computed })
        }
    }

    /// The leaf with this evidence of this node and the proof of it, for somebody who knows a head of `size` leaves; none when
    /// it was not logged by then.
    pub fn prove_evidence(
        &self,
        node: &NodePublicKey,
        digest: &Hash256,
        size: u64,
    ) -> Result<Option<(Leaf, LoggedProof)>, IndexError> {
        let Some(&index) = self.evidence.get(&(Hash256(*node.as_bytes()), *digest)) else { return Ok(None) };
        if index >= size {
            return Ok(None);
        }
        let leaf = usize::try_from(index).ok().and_then(|i| self.leaves.get(i));
        let proof = self.tree.prove(index, size)?;
        Ok(leaf.map(|leaf| (*leaf, proof)))
    }
}

/// The leaf of the log's next transaction, which must follow the one at `last_lt`.
pub(crate) fn take(log: &StdAddr, last_lt: u64, transaction: &TransactionRecord) -> Result<Option<Leaf>, IndexError> {
    let hash = transaction.hash;
    if transaction.account != *log {
        return Err(IndexError::OtherAccount { hash, found: transaction.account.clone(), log: log.clone() });
    }
    if transaction.prev_lt != last_lt {
        return Err(IndexError::Gap { hash, found: transaction.prev_lt, expected: last_lt });
    }
    leaf_of(transaction).map_err(|why| IndexError::Leaf { hash, why })
}

/// The leaf that a transaction of the log added; none when it refused its message, or was told something else.
fn leaf_of(transaction: &TransactionRecord) -> Result<Option<Leaf>, LeafError> {
    let done = matches!(transaction.compute, ComputeOutcome::Executed { success: true, .. })
        && matches!(transaction.action, None | Some(ActionOutcome { success: true, .. }));
    let Some(message) = &transaction.in_message else { return Ok(None) };
    if !done || message.kind != MessageKind::Internal || message.bounced {
        return Ok(None);
    }
    match message.op() {
        Some(LogEntry::OP | LogEvidence::OP) => Leaf::from_message(&message.body, transaction.utime).map(Some),
        _ => Ok(None),
    }
}
