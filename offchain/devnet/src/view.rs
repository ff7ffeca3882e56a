//! Looking at the chains: blocks by number, logical time or time, with the states of the newest ones.

use std::collections::VecDeque;
use std::sync::Arc;

use cocoon_chain::{Head, NetworkConfig};
use cocoon_protocol::UnixSeconds;
use tycho_types::cell::Cell;
use tycho_types::models::BlockId;

use crate::block::Workchain;
use crate::blocks::Pair;
use crate::error::DevnetError;
use crate::store::{BlockRecord, Store};

/// A block of one of the chains, or its zerostate.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its name.
    pub id: BlockId,
    /// Its root; of a zerostate, the state's.
    pub root: Cell,
    /// Its bytes.
    pub boc: Vec<u8>,
    /// The state after it, if that is still at hand: for at least the last [`crate::store::CHECKPOINT`] blocks.
    pub state: Option<Cell>,
    /// Its time.
    pub utime: UnixSeconds,
    /// Logical time at which it begins.
    pub start_lt: u64,
    /// Logical time at which it ends.
    pub end_lt: u64,
    /// True for a key block. The masterchain's zerostate counts as one.
    pub is_key: bool,
}

/// Everything that has happened, as it is at one moment.
pub(crate) struct View<'a> {
    pub store: &'a Store,
    pub recent: &'a VecDeque<Pair>,
    pub head: Head,
    pub config: Arc<NetworkConfig>,
}

impl View<'_> {
    /// A block by its number.
    pub fn block(&self, chain: Workchain, seqno: u32) -> Result<Option<Known>, DevnetError> {
        let Some(record) = self.record(seqno)? else { return Ok(None) };
        let id = record.id(chain);
        let (root, boc, state) = match self.at_hand(seqno) {
            Some(pair) => {
                let sealed = pair.of(chain);
                (sealed.root.clone(), sealed.boc.clone(), Some(sealed.state.clone()))
            }
            None => match self.store.cells(chain, seqno)? {
                Some((root, boc)) => {
                    // The beginning is its own state, and is never forgotten.
                    let state = (seqno == 0).then(|| root.clone());
                    (root, boc, state)
                }
                None => return Err(self.store.damaged(&format!("block {seqno}"), "it is not there")),
            },
        };
        let name = record.name(chain);
        let is_key = record.is_key && chain == Workchain::Master;
        let (utime, start_lt, end_lt) = (record.utime, name.start_lt, name.end_lt);
        Ok(Some(Known { id, root, boc, state, utime, start_lt, end_lt, is_key }))
    }

    /// What is recorded of a block.
    pub fn record(&self, seqno: u32) -> Result<Option<BlockRecord>, DevnetError> {
        if seqno > self.head.seqno { Ok(None) } else { self.store.record(seqno) }
    }

    /// The first block that satisfies a condition which, once true, stays true in all later ones.
    pub fn first(&self, holds: impl Fn(&BlockRecord) -> bool) -> Result<Option<u32>, DevnetError> {
        let (mut low, mut high) = (0, self.head.seqno.saturating_add(1));
        while low < high {
            let middle = low + (high - low) / 2;
            match self.record(middle)? {
                Some(record) if !holds(&record) => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok((low <= self.head.seqno).then_some(low))
    }

    fn at_hand(&self, seqno: u32) -> Option<&Pair> {
        let first = self.recent.front()?.master.id.seqno;
        self.recent.get(usize::try_from(seqno.checked_sub(first)?).ok()?)
    }
}
