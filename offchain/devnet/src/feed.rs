//! The devnet's blocks for whoever must see everything.

use async_trait::async_trait;
use cocoon_chain::{BlockFeed, Chain, ChainError, NetworkBlock};

use crate::block::Workchain;
use crate::devnet::Devnet;

#[async_trait]
impl BlockFeed for Devnet {
    async fn network_block(&self, seqno: u32) -> Result<Option<NetworkBlock>, ChainError> {
        let unreachable = |e| ChainError::Unreachable { network: self.network(), why: format!("{e}") };
        let base = self.sealed(Workchain::Base, seqno).await.map_err(|e: crate::DevnetError| unreachable(e))?;
        Ok(base.map(|block| NetworkBlock { seqno, utime: block.utime, shards: vec![block.root] }))
    }
}
