//! What a payer and a payee sign about a payment channel.
//!
//! ```text
//! voucher#56434831 global_id:int32 channel:MsgAddressInt cumulative:Coins valid_until:uint32
//!     evidence:(Maybe ^Evidence) = Voucher;
//! evidence#45564432 registry:MsgAddressInt ok:uint64 failed:uint64 latency_ms:uint64 = Evidence;
//! close#434c5331 global_id:int32 channel:MsgAddressInt claimed:Coins epoch:uint32 = CloseAuth;
//! ```
//!
//! Both are signed with Ed25519 over the cell's representation hash: vouchers by the payer's key, close authorisations by
//! the payee's. The tags differ, so neither can stand for the other (attack 5); network and channel are inside (attacks 3, 4).

use serde::{Deserialize, Serialize};
use tycho_types::cell::{Cell, CellBuilder, CellFamily, CellSlice, Load, Store};
use tycho_types::error::Error;
use tycho_types::models::StdAddr;
use tycho_types::num::Tokens;

use crate::CellError;
use crate::hash::Hash256;
use crate::keys::{KeyError, NodeKey, NodePublicKey, Signature};
use crate::units::{GlobalId, Nano, UnixSeconds};

/// Constructor tag of a voucher: ASCII `VCH1`.
pub const VOUCHER_TAG: u32 = 0x5643_4831;
/// Constructor tag of evidence inside a voucher: ASCII `EVD2`.
pub const EVIDENCE_TAG: u32 = 0x4556_4432;
/// Constructor tag of a close authorisation: ASCII `CLS1`.
pub const CLOSE_TAG: u32 = 0x434c_5331;

/// How a node has served its payer since their channel was opened. Network, channel and node follow from the voucher around
/// it; the claim that pays the voucher hands it to the registry, which counts it for the node's reputation if the payer is a
/// bonded proxy. Counters only grow.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Evidence {
    /// The root contract that counts it.
    pub registry: StdAddr,
    /// Answers that ended well.
    pub ok: u64,
    /// Answers that failed by the node's fault.
    pub failed: u64,
    /// Sum over the answers that ended well, from request to first output, in milliseconds.
    pub latency_ms: u64,
}

impl Evidence {
    fn to_cell(&self) -> Result<Cell, Error> {
        let mut b = CellBuilder::new();
        b.store_u32(EVIDENCE_TAG)?;
        store_address(&self.registry, &mut b)?;
        for counter in [self.ok, self.failed, self.latency_ms] {
            b.store_u64(counter)?;
        }
        b.build()
    }

    fn read(mut s: CellSlice<'_>) -> Result<Self, Error> {
        expect_tag(&mut s, EVIDENCE_TAG)?;
        let registry = StdAddr::load_from(&mut s)?;
        let (ok, failed, latency_ms) = (s.load_u64()?, s.load_u64()?, s.load_u64()?);
        expect_end(&s)?;
        Ok(Self { registry, ok, failed, latency_ms })
    }
}

/// The payer's promise: the payee may have received `cumulative` nanoton in sum from this channel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Voucher {
    /// The network.
    pub global_id: GlobalId,
    /// The channel contract.
    pub channel: StdAddr,
    /// All that was ever paid through the channel, this voucher included.
    pub cumulative: Nano,
    /// Valid while block time is less than this; zero: for ever.
    pub valid_until: UnixSeconds,
    /// What the payer has seen of the payee's node, if it says so.
    #[serde(default)]
    pub evidence: Option<Evidence>,
}

impl Voucher {
    /// The cell that is signed and that the contract reads.
    pub fn to_cell(&self) -> Result<Cell, CellError> {
        let build = || {
            let mut b = CellBuilder::new();
            b.store_u32(VOUCHER_TAG)?;
            b.store_u32(self.global_id.0 as u32)?;
            store_address(&self.channel, &mut b)?;
            Tokens::from(self.cumulative).store_into(&mut b, Cell::empty_context())?;
            b.store_u32(self.valid_until.0)?;
            b.store_bit(self.evidence.is_some())?;
            if let Some(evidence) = &self.evidence {
                b.store_reference(evidence.to_cell()?)?;
            }
            b.build()
        };
        build().map_err(CellError::of("voucher"))
    }

    /// Reads a cell; refuses another tag, a missing field or anything after the last one (attack 26).
    pub fn from_cell(cell: &Cell) -> Result<Self, CellError> {
        let read = || {
            let mut s = cell.as_slice()?;
            expect_tag(&mut s, VOUCHER_TAG)?;
            let mut voucher = Self {
                global_id: GlobalId(s.load_u32()? as i32),
                channel: StdAddr::load_from(&mut s)?,
                cumulative: Tokens::load_from(&mut s)?.try_into()?,
                valid_until: UnixSeconds(s.load_u32()?),
                evidence: None,
            };
            if s.load_bit()? {
                voucher.evidence = Some(Evidence::read(s.load_reference_as_slice()?)?);
            }
            expect_end(&s)?;
            Ok(voucher)
        };
        let voucher: Self = read().map_err(CellError::of("voucher"))?;
        expect_same("voucher", cell, &voucher.to_cell()?)?;
        Ok(voucher)
    }

    /// The hash that is signed.
    pub fn hash(&self) -> Result<Hash256, CellError> {
        Ok(Hash256(self.to_cell()?.repr_hash().0))
    }

    /// Signs with the payer's key.
    pub fn sign(self, payer: &NodeKey) -> Result<SignedVoucher, CellError> {
        let signature = payer.sign(&self.hash()?);
        Ok(SignedVoucher { voucher: self, signature })
    }
}

/// A voucher with the payer's signature, not yet verified.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SignedVoucher {
    /// What is promised.
    pub voucher: Voucher,
    /// Ed25519 over the voucher cell's hash.
    pub signature: Signature,
}

/// A signed thing does not verify.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be put into a cell.
    #[error(transparent)]
    Cell(#[from] CellError),
    /// The signature is wrong.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl SignedVoucher {
    /// Checks the payer's signature with `verify_strict`.
    pub fn verify(&self, payer: &NodePublicKey) -> Result<(), VerifyError> {
        Ok(payer.verify(&self.voucher.hash()?, &self.signature)?)
    }
}

/// The payee's consent to close at once: nothing more will be claimed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CloseAuth {
    /// The network.
    pub global_id: GlobalId,
    /// The channel contract.
    pub channel: StdAddr,
    /// What the contract must have paid out so far; a later claim makes the consent stale (attack 13).
    pub claimed: Nano,
    /// The channel's epoch, which grows with each settlement.
    pub epoch: u32,
}

impl CloseAuth {
    /// The cell that is signed and that the contract reads.
    pub fn to_cell(&self) -> Result<Cell, CellError> {
        let build = || {
            let mut b = CellBuilder::new();
            b.store_u32(CLOSE_TAG)?;
            b.store_u32(self.global_id.0 as u32)?;
            store_address(&self.channel, &mut b)?;
            Tokens::from(self.claimed).store_into(&mut b, Cell::empty_context())?;
            b.store_u32(self.epoch)?;
            b.build()
        };
        build().map_err(CellError::of("close authorisation"))
    }

    /// Signs with the payee's key.
    pub fn sign(&self, payee: &NodeKey) -> Result<Signature, CellError> {
        Ok(payee.sign(&Hash256(self.to_cell()?.repr_hash().0)))
    }

    /// Checks the payee's signature with `verify_strict`.
    pub fn verify(&self, payee: &NodePublicKey, signature: &Signature) -> Result<(), VerifyError> {
        Ok(payee.verify(&Hash256(self.to_cell()?.repr_hash().0), signature)?)
    }
}

/// Stores an address; one with an anycast prefix has no place in a signed thing.
pub(crate) fn store_address(address: &StdAddr, b: &mut CellBuilder) -> Result<(), Error> {
    if address.anycast.is_some() {
        return Err(Error::InvalidData);
    }
    address.store_into(b, Cell::empty_context())
}

pub(crate) fn expect_tag(s: &mut CellSlice<'_>, tag: u32) -> Result<(), Error> {
    if s.load_u32()? == tag { Ok(()) } else { Err(Error::InvalidTag) }
}

/// Refuses a cell that says the same as ours in another form, such as coins with leading zeros: signatures are over ours.
pub(crate) fn expect_same(what: &'static str, found: &Cell, ours: &Cell) -> Result<(), CellError> {
    if found.repr_hash() == ours.repr_hash() { Ok(()) } else { Err(CellError::of(what)(Error::InvalidData)) }
}

pub(crate) fn expect_end(s: &CellSlice<'_>) -> Result<(), Error> {
    if s.is_data_empty() && s.is_refs_empty() { Ok(()) } else { Err(Error::InvalidData) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voucher() -> Voucher {
        Voucher {
            global_id: GlobalId::DEVNET,
            channel: StdAddr::new(0, tycho_types::cell::HashBytes([5; 32])),
            cumulative: Nano::new(123_456_789),
            valid_until: UnixSeconds(1_800_000_000),
            evidence: None,
        }
    }

    fn evidence() -> Evidence {
        let registry = StdAddr::new(0, tycho_types::cell::HashBytes([7; 32]));
        Evidence { registry, ok: 40, failed: 2, latency_ms: 12_345 }
    }

    #[test]
    fn a_voucher_survives_its_cell() {
        for evidence in [None, Some(evidence())] {
            let voucher = Voucher { evidence, ..voucher() };
            assert_eq!(Voucher::from_cell(&voucher.to_cell().unwrap()).unwrap(), voucher);
        }
    }

    #[test]
    fn attack_26_trailing_bits_and_references_are_refused() {
        for extra in [true, false] {
            let mut b = CellBuilder::new();
            b.store_slice(voucher().to_cell().unwrap().as_slice().unwrap()).unwrap();
            if extra {
                b.store_bit_one().unwrap()
            } else {
                b.store_reference(Cell::empty_cell()).unwrap()
            }
            assert!(Voucher::from_cell(&b.build().unwrap()).is_err());
        }
        assert!(Voucher::from_cell(&Cell::empty_cell()).is_err());
    }

    #[test]
    fn attacks_3_4_5_6_a_signature_fits_one_network_channel_operation_and_key() {
        let (payer, payee) = (NodeKey::from_seed(&[1; 32]), NodeKey::from_seed(&[2; 32]));
        let signed = voucher().sign(&payer).unwrap();
        signed.verify(&payer.public()).unwrap();
        assert!(signed.verify(&payee.public()).is_err());
        let altered = [
            Voucher { global_id: GlobalId::TESTNET, ..voucher() },
            Voucher { channel: StdAddr::new(0, tycho_types::cell::HashBytes([6; 32])), ..voucher() },
            Voucher { cumulative: Nano::new(123_456_790), ..voucher() },
            Voucher { valid_until: UnixSeconds(0), ..voucher() },
            Voucher { evidence: Some(evidence()), ..voucher() },
        ];
        for voucher in altered {
            assert!(SignedVoucher { voucher, signature: signed.signature }.verify(&payer.public()).is_err());
        }
        // The same fields as a close authorisation have another tag, so another hash.
        let v = voucher();
        let close =
            CloseAuth { global_id: v.global_id, channel: v.channel, claimed: v.cumulative, epoch: v.valid_until.0 };
        assert!(close.verify(&payer.public(), &signed.signature).is_err());
        close.verify(&payee.public(), &close.sign(&payee).unwrap()).unwrap();
    }
}
