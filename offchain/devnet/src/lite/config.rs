//! The configuration, libraries, and who made blocks.

use std::collections::BTreeSet;

use cocoon_chain::getter::MAX_LIBRARIES;
use cocoon_lite::types::LibraryEntry;
use cocoon_lite::{BlockIdExt, answers, queries};
use tycho_types::boc::Boc;
use tycho_types::cell::{CellBuilder, HashBytes};
use tycho_types::error::Error;
use tycho_types::models::{BlockchainConfigParams, ShardStateUnsplit};

use super::answer::{Failure, Responder};
use super::chain_proof::previous_key;
use super::fault::Fault;
use super::proof;
use crate::block::Workchain;
use crate::libraries::Libraries;

/// The configuration is to come from a key block rather than from the state.
const FROM_KEY_BLOCK: u32 = 0x8000;

/// What else of the state a client wants, as bits of the mode.
const WITH_LIBRARIES: u32 = 2;
const WITH_ACCOUNTS: u32 = 64;

/// What else of the configuration: bit, and parameters.
const WITH_PARAMS: [(u32, &[u32]); 4] = [(16, &[28, 32, 33, 34, 35, 36, 37]), (32, &[31]), (256, &[12]), (512, &[8])];

/// A question may name so many parameters.
const MAX_PARAMS: usize = 16_384;

/// Who publishes a library is to be proven too, for the first of them; and the library itself is not needed.
const WITH_PUBLISHERS: u32 = 1;
const WITHOUT_DATA: u32 = 2;
const MAX_PUBLISHERS: usize = 16;

/// An answer has the counters of at most so many validators.
const MAX_VALIDATORS: usize = 1000;

/// Contracts can see so many of the last blocks, and of the last whose numbers are whole hundreds.
const VISIBLE_BLOCKS: u32 = 16;

impl Responder<'_> {
    pub fn config(&self, mode: u32, id: &BlockIdExt, params: Option<&[u32]>) -> Result<answers::ConfigInfo, Failure> {
        let known = self.find_master(id)?;
        bounded("parameters", params.map_or(0, <[u32]>::len), MAX_PARAMS)?;
        let visit = |config: &BlockchainConfigParams| -> Result<(), Error> {
            let Some(params) = params else {
                let root = config.as_dict().root().as_ref().ok_or(Error::InvalidData)?;
                proof::touch(root.as_ref());
                return Ok(());
            };
            let wanted = WITH_PARAMS.iter().filter(|(bit, _)| mode & bit != 0).flat_map(|(_, params)| *params);
            for param in params.iter().chain(wanted) {
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
        let config = proof::state(&self.state(&known)?, |state| {
            if mode & WITH_LIBRARIES != 0
                && let Some(root) = state.libraries.root()
            {
                let _ = root.data();
            }
            if mode & WITH_ACCOUNTS != 0 {
                state.load_accounts()?;
            }
            let extra = state.load_custom()?.ok_or(Error::InvalidData)?;
            for shard in extra.shards.iter() {
                shard?;
            }
            // A contract sees these, and so does a client that runs its getters.
            let newest = known.id.seqno;
            let recent = (0..VISIBLE_BLOCKS).filter_map(|back| newest.checked_sub(back + 1));
            let hundreds = (0..VISIBLE_BLOCKS).filter_map(|back| (newest / 100).checked_sub(back)).map(|n| n * 100);
            let key = extra.last_key_block.iter().map(|key| key.seqno);
            for seqno in recent.chain(hundreds).chain(key) {
                extra.prev_blocks.get(seqno)?;
            }
            visit(&extra.config.params)
        })?;
        let state_proof = if known.id.seqno == 0 { vec![] } else { Boc::encode(proof::header(&known.root)?) };
        Ok(answers::ConfigInfo { mode, id: id.clone(), state_proof, config_proof: Boc::encode(config) })
    }

    pub fn libraries(&self, query: &queries::GetLibraries) -> Result<answers::LibraryResult, Failure> {
        let state = self.state(&self.head()?)?.parse::<ShardStateUnsplit>()?;
        let mut result = found(&state.libraries, &wanted(&query.library_list))?;
        self.forge(&mut result)?;
        Ok(answers::LibraryResult { result })
    }

    pub fn libraries_with_proof(
        &self,
        query: &queries::GetLibrariesWithProof,
    ) -> Result<answers::LibraryResultWithProof, Failure> {
        let known = self.find_master(&query.id)?;
        let wanted = wanted(&query.library_list);
        let state = self.state(&known)?;
        let data_proof = proof::state(&state, |state| {
            for hash in &wanted {
                if let Some(library) = state.libraries.get(hash)?
                    && query.mode & WITH_PUBLISHERS != 0
                {
                    for publisher in library.publishers.iter().take(MAX_PUBLISHERS) {
                        publisher?;
                    }
                }
            }
            Ok(())
        })?;
        let mut result = found(&state.parse::<ShardStateUnsplit>()?.libraries, &wanted)?;
        self.forge(&mut result)?;
        if query.mode & WITHOUT_DATA != 0 {
            result.iter_mut().for_each(|entry| entry.data.clear());
        }
        let state_proof = if known.id.seqno == 0 { vec![] } else { Boc::encode(proof::header(&known.root)?) };
        Ok(answers::LibraryResultWithProof {
            id: query.id.clone(),
            mode: query.mode,
            result,
            state_proof,
            data_proof: Boc::encode(data_proof),
        })
    }

    /// Gives another cell for each library, if that is what is wrong with the server.
    fn forge(&self, result: &mut [LibraryEntry]) -> Result<(), Failure> {
        if matches!(self.fault, Some(Fault::ForgeState | Fault::ForgeProof)) {
            for entry in result {
                entry.data = Boc::encode(CellBuilder::build_from(entry.hash)?);
            }
        }
        Ok(())
    }

    pub fn validator_stats(&self, query: &queries::GetValidatorStats) -> Result<answers::ValidatorStats, Failure> {
        let known = self.a_block(&query.id)?;
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX).min(MAX_VALIDATORS);
        let (mut count, mut complete) = (0usize, true);
        let stats = proof::master_state(&self.state(&known)?, |extra| {
            let stats = extra.block_create_stats.as_ref().ok_or(Error::InvalidData)?;
            for entry in stats.iter() {
                let (key, entry) = entry?;
                let newest = entry.mc_blocks.updated_at.max(entry.shard_blocks.updated_at);
                if query.start_after.is_some_and(|after| key <= after)
                    || query.modified_after.is_some_and(|time| newest < time)
                {
                    continue;
                }
                if count == limit {
                    complete = false;
                    break;
                }
                count += 1;
            }
            Ok(())
        })?;
        Ok(answers::ValidatorStats {
            mode: query.mode & 0xff,
            id: query.id.clone(),
            count: u32::try_from(count).unwrap_or(u32::MAX),
            complete,
            state_proof: Boc::encode(proof::header(&known.root)?),
            data_proof: Boc::encode(stats),
        })
    }
}

/// The libraries that are looked for: as in the C++ server, of more than it gives at once only the first ones.
fn wanted(list: &[HashBytes]) -> BTreeSet<HashBytes> {
    list.iter().take(MAX_LIBRARIES).copied().collect()
}

/// Those of the libraries that there are.
fn found(libraries: &Libraries, wanted: &BTreeSet<HashBytes>) -> Result<Vec<LibraryEntry>, Error> {
    let mut result = vec![];
    for hash in wanted {
        if let Some(library) = libraries.get(hash)? {
            result.push(LibraryEntry { hash: *hash, data: Boc::encode(library.lib) });
        }
    }
    Ok(result)
}

/// Whoever asks for too much at once is told so.
fn bounded(what: &str, count: usize, limit: usize) -> Result<(), Failure> {
    if count > limit {
        return Err(Failure::Protocol(format!("{count} {what} are asked for at once, the limit is {limit}")));
    }
    Ok(())
}
