//! Whole blocks, for those who must see everything: the explorer's index.

use async_trait::async_trait;
use cocoon_protocol::UnixSeconds;
use tycho_types::cell::Cell;

use crate::chain::ChainError;

/// What happened on the basechain between two blocks of the masterchain.
#[derive(Clone, Debug)]
pub struct NetworkBlock {
    /// Number of the masterchain's block.
    pub seqno: u32,
    /// Its time.
    pub utime: UnixSeconds,
    /// Roots of the basechain's blocks that it commits to and its predecessor did not, the oldest first.
    pub shards: Vec<Cell>,
}

/// A network whose blocks can be read one after the other.
#[async_trait]
pub trait BlockFeed: Send + Sync {
    /// The block with this number; `None` when there is none yet. What it returns is proven to belong to the chain.
    async fn network_block(&self, seqno: u32) -> Result<Option<NetworkBlock>, ChainError>;
}
