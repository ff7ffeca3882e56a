//! A part of a network's state that can be carried in a file: what liteservers answered, checked again without any of them.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use cocoon_lite::answers::{AccountState, ConfigInfo, PartialBlockProof};
use cocoon_lite::{Answer, BlockIdExt};
use cocoon_protocol::{GlobalId, Hash256, StdAddr};
use tokio::sync::watch;
use tycho_types::cell::Cell;

use super::contents::{check_account, check_config};
use super::error::{Name, ProofError};
use super::links::{ProvenBlock, check_steps};
use super::settings::GlobalConfig;
use crate::account::AccountSnapshot;
use crate::chain::{Chain, ChainError, Head};
use crate::config::NetworkConfig;
use crate::transaction::TransactionRecord;

const STEPS: &str = "a chain of block proofs";

/// Accounts and the configuration at one block, with everything that proves them from a block that a network's file names.
///
/// Each part is a liteserver's answer, in TL. Nothing in it is believed before [`StateProof::check`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StateProof {
    /// `liteServer.partialBlockProof`: from the trusted block to the one that the rest is about, each where the last one ended.
    pub blocks: Vec<Vec<u8>>,
    /// `liteServer.configInfo` with all parameters.
    pub config: Vec<u8>,
    /// `liteServer.accountState` of each account.
    pub accounts: Vec<(StdAddr, Vec<u8>)>,
}

/// What a [`StateProof`] proves: a chain that stands still at one block and knows a few accounts.
#[derive(Clone, Debug)]
pub struct ProvenState {
    /// The block.
    pub block: ProvenBlock,
    /// The configuration that was in force.
    pub config: Arc<NetworkConfig>,
    accounts: HashMap<StdAddr, AccountSnapshot>,
}

fn read<T>(what: &'static str, bytes: &[u8], take: impl FnOnce(Answer) -> Option<T>) -> Result<T, ProofError> {
    let answer = Answer::from_bytes(bytes).map_err(|e| ProofError::unreadable(what, e))?;
    take(answer).ok_or_else(|| ProofError::unreadable(what, "it is an answer to another question"))
}

impl StateProof {
    /// Checks everything from the block where the network's file says to begin: its initial block, or its zerostate.
    ///
    /// # Errors
    /// Says which part does not prove what it must.
    pub fn check(&self, network: &GlobalConfig) -> Result<ProvenState, ProofError> {
        let info: ConfigInfo = read("the configuration", &self.config, |answer| match answer {
            Answer::ConfigInfo(info) => Some(info),
            _ => None,
        })?;
        let block = self.blocks_to(&info.id, network)?;
        let config = Arc::new(check_config(&block, &info)?);
        let mut accounts = HashMap::new();
        for (address, bytes) in &self.accounts {
            let state: AccountState = read("an account's state", bytes, |answer| match answer {
                Answer::AccountState(state) => Some(state),
                _ => None,
            })?;
            accounts.insert(address.clone(), check_account(&block, address, &state)?);
        }
        Ok(ProvenState { block, config, accounts })
    }

    /// Follows the steps to this block.
    fn blocks_to(&self, target: &BlockIdExt, network: &GlobalConfig) -> Result<ProvenBlock, ProofError> {
        let mut at: Option<BlockIdExt> = None;
        let mut end = None;
        for bytes in &self.blocks {
            let proof: PartialBlockProof = read(STEPS, bytes, |answer| match answer {
                Answer::PartialBlockProof(proof) => Some(proof),
                _ => None,
            })?;
            let from = at.unwrap_or_else(|| proof.from.clone());
            let first = end.is_none();
            if first && from != network.zero_state && Some(&from) != network.init_block.as_ref() {
                let trusted = network.init_block.as_ref().unwrap_or(&network.zero_state);
                return Err(ProofError::Differs {
                    what: "the block where the proof begins",
                    expected: Name(trusted).to_string(),
                    found: Name(&from).to_string(),
                });
            }
            let reached = check_steps(&from, target, &proof)?;
            at = Some(reached.id);
            end = Some(reached.end);
        }
        match (at, end.flatten()) {
            (Some(at), Some(end)) if at == *target => Ok(end),
            _ => Err(ProofError::wrong(STEPS, "it does not reach the block that the accounts are proven at")),
        }
    }
}

impl ProvenState {
    /// An account, if it is among those that are proven here.
    pub fn proven(&self, address: &StdAddr) -> Option<&AccountSnapshot> {
        self.accounts.get(address)
    }

    fn ended(&self) -> ChainError {
        ChainError::Unreachable { network: self.network(), why: "this is a proof of one moment, not a network".into() }
    }
}

#[async_trait]
impl Chain for ProvenState {
    fn network(&self) -> GlobalId {
        GlobalId(self.block.global_id)
    }

    async fn head(&self) -> Result<Head, ChainError> {
        Ok(self.block.head())
    }

    async fn account(&self, address: &StdAddr) -> Result<AccountSnapshot, ChainError> {
        let missing = || ChainError::malformed("the proof", format_args!("it does not cover account {address}"));
        self.proven(address).cloned().ok_or_else(missing)
    }

    async fn transactions(&self, _: &StdAddr, _: u64, _: usize) -> Result<Vec<TransactionRecord>, ChainError> {
        Err(self.ended())
    }

    async fn config(&self) -> Result<Arc<NetworkConfig>, ChainError> {
        Ok(self.config.clone())
    }

    async fn send(&self, _: Cell) -> Result<Hash256, ChainError> {
        Err(self.ended())
    }

    fn subscribe(&self) -> watch::Receiver<Head> {
        watch::Sender::new(self.block.head()).subscribe()
    }
}
