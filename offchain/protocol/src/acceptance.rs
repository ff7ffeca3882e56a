//! Acceptances: the worker's signed word, before anybody pays, which model it will answer with.
//!
//! ```text
//! acceptance#41435031 global_id:int32 channel:MsgAddressInt time:uint32 request:bits256 model:bits256 = Acceptance;
//! ```
//!
//! Signed with the worker's attested node key over the cell's hash. Together with a receipt for the same request that names
//! another model it proves a fault on chain (attack 78), so an honest worker never signs both.

use serde::{Deserialize, Serialize};
use tycho_types::cell::{Cell, CellBuilder, HashBytes, Load};
use tycho_types::models::StdAddr;

use crate::CellError;
use crate::hash::{Hash256, ModelHash};
use crate::keys::{NodeKey, NodePublicKey, Signature};
use crate::units::{GlobalId, UnixSeconds};
use crate::voucher::{VerifyError, expect_end, expect_same, expect_tag, store_address};

/// Constructor tag of an acceptance: ASCII `ACP1`.
pub const ACCEPTANCE_TAG: u32 = 0x4143_5031;

/// What a worker promises to answer with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Acceptance {
    /// The network.
    pub global_id: GlobalId,
    /// The channel that pays the worker.
    pub channel: StdAddr,
    /// When it was accepted, by the newest block.
    pub time: UnixSeconds,
    /// Hash of the request's body.
    pub request: Hash256,
    /// The model that will answer.
    pub model: ModelHash,
}

impl Acceptance {
    /// The cell that is signed.
    pub fn to_cell(&self) -> Result<Cell, CellError> {
        let build = || {
            let mut b = CellBuilder::new();
            b.store_u32(ACCEPTANCE_TAG)?;
            b.store_u32(self.global_id.0 as u32)?;
            store_address(&self.channel, &mut b)?;
            b.store_u32(self.time.0)?;
            b.store_u256(&HashBytes(self.request.0))?;
            b.store_u256(&HashBytes(self.model.0))?;
            b.build()
        };
        build().map_err(CellError::of("acceptance"))
    }

    /// Reads a cell; refuses another tag, a missing field or anything after the last one.
    pub fn from_cell(cell: &Cell) -> Result<Self, CellError> {
        let read = || {
            let mut s = cell.as_slice()?;
            expect_tag(&mut s, ACCEPTANCE_TAG)?;
            let acceptance = Self {
                global_id: GlobalId(s.load_u32()? as i32),
                channel: StdAddr::load_from(&mut s)?,
                time: UnixSeconds(s.load_u32()?),
                request: Hash256(s.load_u256()?.0),
                model: ModelHash(s.load_u256()?.0),
            };
            expect_end(&s)?;
            Ok(acceptance)
        };
        let acceptance: Self = read().map_err(CellError::of("acceptance"))?;
        expect_same("acceptance", cell, &acceptance.to_cell()?)?;
        Ok(acceptance)
    }

    /// Signs with the worker's key.
    pub fn sign(self, worker: &NodeKey) -> Result<SignedAcceptance, CellError> {
        let signature = worker.sign(&Hash256(self.to_cell()?.repr_hash().0));
        Ok(SignedAcceptance { acceptance: self, signature })
    }
}

/// An acceptance with the worker's signature, not yet verified.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SignedAcceptance {
    /// What is promised.
    pub acceptance: Acceptance,
    /// Ed25519 over the cell's hash.
    pub signature: Signature,
}

/// An acceptance is not what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum AcceptanceError {
    /// The signature is wrong.
    #[error("the acceptance is not signed by the attested worker: {0}")]
    Signature(#[from] VerifyError),
    /// It is about something else.
    #[error("the acceptance's {0} is not the one that was asked for")]
    Field(&'static str),
}

impl SignedAcceptance {
    /// Checks signature, network, request and model. The channel is the one between proxy and worker: a client does not know it.
    pub fn verify(
        &self,
        worker: &NodePublicKey,
        network: GlobalId,
        request: &Hash256,
        model: &ModelHash,
    ) -> Result<(), AcceptanceError> {
        let a = &self.acceptance;
        let signed = Hash256(a.to_cell().map_err(VerifyError::from)?.repr_hash().0);
        worker.verify(&signed, &self.signature).map_err(VerifyError::from)?;
        for (field, same) in
            [("network", a.global_id == network), ("request", a.request == *request), ("model", a.model == *model)]
        {
            if !same {
                return Err(AcceptanceError::Field(field));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_78_an_acceptance_binds_worker_network_request_and_model() {
        let (key, other) = (NodeKey::from_seed(&[1; 32]), NodeKey::from_seed(&[2; 32]));
        let acceptance = Acceptance {
            global_id: GlobalId::DEVNET,
            channel: StdAddr::new(0, HashBytes([5; 32])),
            time: UnixSeconds(1_800_000_000),
            request: Hash256([1; 32]),
            model: ModelHash([3; 32]),
        };
        assert_eq!(Acceptance::from_cell(&acceptance.to_cell().unwrap()).unwrap(), acceptance);
        let signed = acceptance.sign(&key).unwrap();
        let (request, model) = (Hash256([1; 32]), ModelHash([3; 32]));
        signed.verify(&key.public(), GlobalId::DEVNET, &request, &model).unwrap();
        assert!(signed.verify(&other.public(), GlobalId::DEVNET, &request, &model).is_err());
        assert!(signed.verify(&key.public(), GlobalId::TESTNET, &request, &model).is_err());
        assert!(signed.verify(&key.public(), GlobalId::DEVNET, &Hash256([2; 32]), &model).is_err());
        assert!(signed.verify(&key.public(), GlobalId::DEVNET, &request, &ModelHash([4; 32])).is_err());
        let mut altered = signed;
        altered.acceptance.model = ModelHash([4; 32]);
        assert!(altered.verify(&key.public(), GlobalId::DEVNET, &request, &ModelHash([4; 32])).is_err());
    }
}
