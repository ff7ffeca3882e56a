//! Steps from one masterchain block to another: from key block to key block by signatures, and back by what a state names.

use cocoon_lite::{answers, queries, types};
use tycho_types::boc::Boc;
use tycho_types::error::Error;
use tycho_types::models::{Block, ShardStateUnsplit};

use super::answer::{Failure, Responder};
use super::fault::Fault;
use super::proof;
use crate::block::Workchain;
use crate::blocks::validator::Validators;
use crate::view::Known;

/// An answer has at most so many steps; the client asks again from the last.
const MAX_STEPS: usize = 16;

impl Responder<'_> {
    pub fn block_proof(&self, query: &queries::GetBlockProof) -> Result<answers::PartialBlockProof, Failure> {
        let from = self.find_master(&query.known_block)?;
        let target = match &query.target_block {
            Some(id) => self.find_master(id)?,
            None => self.head()?,
        };
        let mut steps = vec![];
        let mut at = from.clone();
        if target.id.seqno < at.id.seqno {
            steps.push(self.back(&at, &target)?);
            at = target.clone();
        }
        if target.id.seqno > at.id.seqno && !at.is_key {
            // Only a key block knows who may sign.
            let key = self.numbered(Workchain::Master, previous_key(&at)?)?;
            steps.push(self.back(&at, &key)?);
            at = key;
        }
        for seqno in self.key_blocks(at.id.seqno, &target)? {
            if steps.len() == MAX_STEPS {
                break;
            }
            let next = self.numbered(Workchain::Master, seqno)?;
            steps.push(self.forward(&at, &next)?);
            at = next;
        }
        if at.id.seqno < target.id.seqno && steps.len() < MAX_STEPS {
            steps.push(self.forward(&at, &target)?);
            at = target.clone();
        }
        let complete = at.id == target.id;
        Ok(answers::PartialBlockProof { complete, from: from.id.into(), to: at.id.into(), steps })
    }

    /// The key blocks after a block, up to the target and perhaps including it, the oldest first.
    fn key_blocks(&self, after: u32, target: &Known) -> Result<Vec<u32>, Failure> {
        let mut found = vec![];
        let mut at = target.clone();
        while at.id.seqno > after {
            if at.is_key {
                found.push(at.id.seqno);
            }
            at = self.numbered(Workchain::Master, previous_key(&at)?)?;
        }
        found.reverse();
        Ok(found)
    }

    fn forward(&self, from: &Known, to: &Known) -> Result<types::BlockLink, Failure> {
        let whole = |params: &tycho_types::models::BlockchainConfigParams| {
            params.as_dict().root().as_ref().map(|root| proof::touch(root.as_ref())).ok_or(Error::InvalidData)
        };
        let config = if from.id.seqno == 0 {
            proof::master_state(&from.root, |extra| whole(&extra.config.params))?
        } else {
            proof::master_block(&from.root, |extra| whole(&extra.config.as_ref().ok_or(Error::InvalidData)?.params))?
        };
        let mut signatures = self.signatures(to)?;
        if self.fault == Some(Fault::ForgeSignature)
            && let Some(byte) = signatures.signatures.first_mut().and_then(|first| first.signature.first_mut())
        {
            *byte ^= 1;
        }
        Ok(types::BlockLink::Forward(types::BlockLinkForward {
            to_key_block: to.is_key,
            from: from.id.into(),
            to: to.id.into(),
            dest_proof: Boc::encode(proof::header(&to.root)?),
            config_proof: Boc::encode(config),
            signatures: types::SignatureSet::Ordinary(signatures),
        }))
    }

    /// The signatures under a masterchain block: of the session that its header names, by the set in the key block before it.
    pub fn signatures(&self, known: &Known) -> Result<types::SignatureSetOrdinary, Failure> {
        let info = known.root.parse::<Block>()?.load_info()?;
        let key = self.numbered(Workchain::Master, info.prev_key_block_seqno)?;
        let config = if key.id.seqno == 0 {
            key.root.parse::<ShardStateUnsplit>()?.load_custom()?.ok_or(Error::InvalidData)?.config
        } else {
            let custom = key.root.parse::<Block>()?.load_extra()?.load_custom()?;
            custom.and_then(|custom| custom.config).ok_or(Error::InvalidData)?
        };
        Ok(Validators::new(&config.params, info.gen_catchain_seqno)?.sign(&known.id)?)
    }

    fn back(&self, from: &Known, to: &Known) -> Result<types::BlockLink, Failure> {
        let named = proof::master_state(&self.state(from)?, |extra| {
            extra.prev_blocks.get(to.id.seqno)?.map(drop).ok_or(Error::InvalidData)
        })?;
        // The beginning is no block and has no header.
        let dest_proof = if to.id.seqno == 0 { vec![] } else { Boc::encode(proof::header(&to.root)?) };
        Ok(types::BlockLink::Back(types::BlockLinkBack {
            to_key_block: to.is_key,
            from: from.id.into(),
            to: to.id.into(),
            dest_proof,
            proof: Boc::encode(proof::header(&from.root)?),
            state_proof: Boc::encode(named),
        }))
    }
}

/// Number of the key block before a block, or of the zerostate.
pub(super) fn previous_key(known: &Known) -> Result<u32, Error> {
    Ok(known.root.parse::<Block>()?.load_info()?.prev_key_block_seqno)
}
