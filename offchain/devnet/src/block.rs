//! Blocks: what happened, and how the state changed. Their cells are made from this.

use std::collections::BTreeMap;

use cocoon_chain::Head;
use cocoon_protocol::{Nano, StdAddr};
use tycho_types::cell::{Cell, HashBytes};
use tycho_types::models::{ShardAccount, ShardIdent};

use crate::libraries::Libraries;

/// One of the two chains of the network.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Workchain {
    /// Where contracts live.
    Base,
    /// What commits to it.
    Master,
}

impl Workchain {
    /// Both, in the order in which their blocks are made.
    pub const ALL: [Self; 2] = [Self::Base, Self::Master];

    /// Where an account lives.
    pub const fn of(address: &StdAddr) -> Self {
        if address.workchain == -1 { Self::Master } else { Self::Base }
    }

    /// The only shard of the chain.
    pub const fn shard(self) -> ShardIdent {
        match self {
            Self::Base => ShardIdent::BASECHAIN,
            Self::Master => ShardIdent::MASTERCHAIN,
        }
    }
}

/// Place of a message in the queue: messages are delivered, in each chain, in the order of their logical times, then of
/// their hashes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct QueueKey {
    /// Where it goes.
    pub to: Workchain,
    /// Its logical time.
    pub lt: u64,
    /// Its hash.
    pub hash: HashBytes,
}

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

/// The share of one chain in a block.
#[derive(Clone, Debug)]
pub struct Part {
    /// Which chain.
    pub chain: Workchain,
    /// Logical time at which it begins.
    pub start_lt: u64,
    /// Logical time at which it ends: later than anything in it.
    pub end_lt: u64,
    /// Its random seed.
    pub seed: HashBytes,
    /// What happened, in order.
    pub transactions: Vec<BlockTransaction>,
    /// Messages that were waiting and could not be delivered at all; see [`crate::ledger`].
    pub dropped: Vec<Cell>,
    /// True if there was no room for all that was waiting.
    pub is_full: bool,
    /// What was destroyed.
    pub burned: Nano,
}

/// A block of both chains that is not part of them yet: making one changes nothing.
#[derive(Clone, Debug)]
pub struct Block {
    /// The chain's head once it has the block.
    pub head: Head,
    /// What happened in the basechain, and then in the masterchain.
    pub parts: Vec<Part>,
    /// Accounts as the block leaves them; absent if they no longer exist.
    pub accounts: BTreeMap<StdAddr, Option<ShardAccount>>,
    /// Messages that the block delivered from the queue.
    pub taken: Vec<QueueKey>,
    /// Messages that the block leaves to the next one.
    pub queued: BTreeMap<QueueKey, Cell>,
    /// Public libraries as the block leaves them.
    pub libraries: Libraries,
    /// What was paid to the network.
    pub fees: Nano,
    /// What was destroyed.
    pub burned: Nano,
    /// What was in messages that could not be delivered at all; see [`crate::ledger`].
    pub lost: Nano,
}

impl Block {
    /// All transactions, in order.
    pub fn transactions(&self) -> impl Iterator<Item = &BlockTransaction> {
        self.parts.iter().flat_map(|part| &part.transactions)
    }
}
