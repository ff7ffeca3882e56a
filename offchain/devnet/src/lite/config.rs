//! The configuration, libraries, and who made blocks.

use cocoon_lite::{BlockIdExt, answers, queries};
use tycho_types::boc::Boc;
use tycho_types::error::Error;
use tycho_types::models::BlockchainConfigParams;

use super::answer::{Failure, Responder};
use super::chain_proof::previous_key;
use super::proof;
use crate::block::Workchain;

/// The configuration is to come from a key block rather than from the state.
const FROM_KEY_BLOCK: u32 = 0x8000;

impl Responder<'_> {
    pub fn config(&self, mode: u32, id: &BlockIdExt, params: Option<&[u32]>) -> Result<answers::ConfigInfo, Failure> {
        let known = self.find_master(id)?;
        let visit = |config: &BlockchainConfigParams| -> Result<(), Error> {
            let Some(params) = params else {
                let root = config.as_dict().root().as_ref().ok_or(Error::InvalidData)?;
                proof::touch(root.as_ref());
                return Ok(());
            };
            for param in params {
                if let Some(cell) = config.as_dict().get(param)? {
                    proof::touch(cell.as_ref());
                }
            }
            Ok(())
        };
        let mode = mode & 0xffff;
        if mode & FROM_KEY_BLOCK != 0 {
            let key = if known.is_key { known } else { self.numbered(Workchain::Master, previous_key(&known)?)? };
            let config = proof::master_block(&key.root, |extra| {
                visit(&extra.config.as_ref().ok_or(Error::InvalidData)?.params)
            })?;
            let (id, config_proof) = (key.id.into(), Boc::encode(config));
            return Ok(answers::ConfigInfo { mode, id, state_proof: vec![], config_proof });
        }
        let config = proof::master_state(&self.state(&known)?, |extra| {
            // Clients check that these are there before they look at the configuration.
            if let Some(root) = extra.prev_blocks.dict().root() {
                let _ = root.data();
            }
            for shard in extra.shards.iter() {
                shard?;
            }
            visit(&extra.config.params)
        })?;
        let state_proof = if known.id.seqno == 0 { vec![] } else { Boc::encode(proof::header(&known.root)?) };
        Ok(answers::ConfigInfo { mode, id: id.clone(), state_proof, config_proof: Boc::encode(config) })
    }

    pub fn libraries(&self, _: &queries::GetLibraries) -> Result<answers::LibraryResult, Failure> {
        // Nobody can publish one here.
        Ok(answers::LibraryResult { result: vec![] })
    }

    pub fn libraries_with_proof(
        &self,
        query: &queries::GetLibrariesWithProof,
    ) -> Result<answers::LibraryResultWithProof, Failure> {
        let known = self.find_master(&query.id)?;
        let none = proof::state(&self.state(&known)?, |state| {
            for library in &query.library_list {
                state.libraries.get(library)?;
            }
            Ok(())
        })?;
        let state_proof = if known.id.seqno == 0 { vec![] } else { Boc::encode(proof::header(&known.root)?) };
        Ok(answers::LibraryResultWithProof {
            id: query.id.clone(),
            mode: query.mode,
            result: vec![],
            state_proof,
            data_proof: Boc::encode(none),
        })
    }

    pub fn validator_stats(&self, _: &queries::GetValidatorStats) -> Result<answers::ValidatorStats, Failure> {
        Err(Failure::NotReady("this network keeps no statistics of who made its blocks".to_owned()))
    }
}
