//! The end of a log, for whoever proves a leaf of its own: from a proven state on, without what came before.

use std::collections::HashMap;

use cocoon_chain::{AccountSnapshot, TransactionRecord};
use cocoon_protocol::{Hash256, LogProof, StdAddr, UnixSeconds};

use crate::contract::LogError;
use crate::hash::hash_node;
use crate::index::{IndexError, take};
use crate::leaf::Leaf;
use crate::peaks::LogState;

/// A log from some state of its account on. What came before is known by its peaks alone, which is all that the proofs of later
/// leaves need of it: so it costs nothing that a log is long, only that it grows.
///
/// Some 100 bytes a leaf since the beginning of this tail.
#[derive(Clone, Debug)]
pub struct Tail {
    log: StdAddr,
    size: u64,
    last_lt: u64,
    /// Roots of full subtrees, by height and place in the row of that height.
    nodes: HashMap<(u32, u64), Hash256>,
}

impl Tail {
    /// Begins with this state of a registry's log. The account must come from a chain that is trusted or verified.
    pub fn from_account(account: &AccountSnapshot, registry: &StdAddr) -> Result<Self, LogError> {
        let state = LogState::from_account(account, registry)?;
        Ok(Self::from_state(account.address.clone(), account.last_trans_lt, &state))
    }

    /// Begins with the state after the transaction at this logical time.
    pub fn from_state(log: StdAddr, last_lt: u64, state: &LogState) -> Self {
        let nodes = state.peaks().map(|peak| ((peak.height, peak.first >> peak.height), peak.hash)).collect();
        Self { log, size: state.size(), last_lt, nodes }
    }

    /// Which log.
    pub const fn log(&self) -> &StdAddr {
        &self.log
    }

    /// The logical time after which to ask for transactions.
    pub const fn last_lt(&self) -> u64 {
        self.last_lt
    }

    /// Leaves of the log, those before the tail included.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Takes in the account's next transaction, and gives the leaf that it added with its position. Each follows the one before:
    /// nothing can be left out unnoticed.
    pub fn read(&mut self, transaction: &TransactionRecord) -> Result<Option<(u64, Leaf)>, IndexError> {
        let leaf = take(&self.log, self.last_lt, transaction)?;
        self.last_lt = transaction.lt;
        let Some(leaf) = leaf else { return Ok(None) };
        let index = self.size;
        self.push(leaf.hash());
        Ok(Some((index, leaf)))
    }

    /// Compares with what the contract says after the same transaction.
    pub fn check(&self, state: &LogState) -> Result<(), IndexError> {
        let size = state.size();
        let (expected, computed) = (state.head().root, self.state_root());
        if size == self.size && expected == computed {
            Ok(())
        } else {
            Err(IndexError::OtherRoot { size, expected, computed })
        }
    }

    /// The way from a leaf of the tail to its peak; none when the leaf came before the tail, or has not come yet.
    pub fn prove(&self, index: u64, at: UnixSeconds) -> Option<LogProof> {
        if index >= self.size {
            return None;
        }
        let mut path = vec![];
        for height in 0..u64::BITS {
            let place = index >> height;
            if !self.nodes.contains_key(&(height + 1, place >> 1)) {
                // Nothing full is above.
                return self.nodes.contains_key(&(height, place)).then_some(LogProof { index, at, path });
            }
            path.push(*self.nodes.get(&(height, place ^ 1))?);
        }
        None
    }

    fn push(&mut self, leaf: Hash256) {
        let (mut height, mut place, mut hash) = (0, self.size, leaf);
        self.size = self.size.saturating_add(1);
        loop {
            self.nodes.insert((height, place), hash);
            // A right child completes its parent; its left neighbour is a peak until now, and so it is known.
            let Some(left) = (place & 1 == 1).then(|| self.nodes.get(&(height, place - 1))).flatten() else { return };
            hash = hash_node(left, &hash);
            (height, place) = (height + 1, place >> 1);
        }
    }

    fn state_root(&self) -> Hash256 {
        let heights = (0..u64::BITS).filter(|height| self.size >> height & 1 == 1);
        let peaks = heights.filter_map(|height| self.nodes.get(&(height, (self.size >> height) - 1)).copied());
        peaks.reduce(|right, left| hash_node(&left, &right)).unwrap_or(crate::hash::EMPTY_ROOT)
    }
}
