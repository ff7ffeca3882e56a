//! Blocks: what happened, and how the state changed. Their cells and proofs are made from this.

use std::collections::BTreeMap;

use cocoon_chain::Head;
use cocoon_protocol::{Nano, StdAddr};
use tycho_types::cell::{Cell, HashBytes};
use tycho_types::models::ShardAccount;

/// Place of a message in the queue: messages are delivered in the order of their logical times, then of their hashes.
pub type QueueKey = (u64, HashBytes);

/// A transaction in a block.
#[derive(Clone, Debug)]
pub struct BlockTransaction {
    /// On which account.
    pub account: StdAddr,
    /// Its logical time.
    pub lt: u64,
    /// The transaction.
    pub cell: Cell,
}

/// A block that is not part of the chain yet: making one changes nothing.
#[derive(Clone, Debug)]
pub struct Block {
    /// The chain's head once it has the block.
    pub head: Head,
    /// Logical time at which the block begins.
    pub start_lt: u64,
    /// The block's random seed.
    pub seed: HashBytes,
    /// What happened, in order.
    pub transactions: Vec<BlockTransaction>,
    /// Accounts as the block leaves them; absent if they no longer exist.
    pub accounts: BTreeMap<StdAddr, Option<ShardAccount>>,
    /// Messages that the block delivered from the queue.
    pub taken: Vec<QueueKey>,
    /// Messages that the block leaves to the next one.
    pub queued: BTreeMap<QueueKey, Cell>,
    /// What was paid to the network.
    pub fees: Nano,
    /// What was destroyed.
    pub burned: Nano,
    /// What was in messages that could not be delivered at all; see [`crate::ledger`].
    pub lost: Nano,
}
