//! Code, data and message bodies of the wallet contracts, as tonlib has them.

use std::fmt;

use cocoon_protocol::{GlobalId, NodePublicKey, Signature, UnixSeconds};
use tonlib_core::cell::{ArcCell, BagOfCells};
use tonlib_core::tlb_types::tlb::TLB;
use tonlib_core::wallet::mnemonic::KeyPair;
use tonlib_core::wallet::version_helper::VersionHelper;
use tonlib_core::wallet::versioned::DEFAULT_WALLET_ID;
use tonlib_core::wallet::versioned::v4::WalletExtMsgBodyV4;
use tonlib_core::wallet::versioned::v5::WalletExtMsgBodyV5;
use tonlib_core::wallet::wallet_version::WalletVersion as TonlibVersion;
use tycho_types::boc::Boc;
use tycho_types::cell::{Cell, CellBuilder};
use tycho_types::models::{SendMsgFlags, StateInit};

use crate::message::OutMessage;

/// Kind of a wallet contract.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WalletVersion {
    /// The most common one: up to 4 messages at once.
    V4R2,
    /// The newest one: up to 255 messages at once, and bound to one network.
    V5R1,
}

impl fmt::Display for WalletVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4R2 => "V4R2",
            Self::V5R1 => "V5R1",
        })
    }
}

impl WalletVersion {
    /// The number of the first wallet of a key in the basechain.
    ///
    /// For V5R1 the contract's specification composes it: one bit that says so, workchain, version and subwallet, all
    /// three 0, with the network id mixed in by exclusive or.
    pub const fn default_wallet_id(self, network: GlobalId) -> i32 {
        match self {
            Self::V4R2 => DEFAULT_WALLET_ID,
            Self::V5R1 => network.0 ^ i32::MIN,
        }
    }

    /// How many messages it can send at once.
    pub const fn max_messages(self) -> usize {
        match self {
            Self::V4R2 => 4,
            Self::V5R1 => 255,
        }
    }

    const fn tonlib(self) -> TonlibVersion {
        match self {
            Self::V4R2 => TonlibVersion::V4R2,
            Self::V5R1 => TonlibVersion::V5R1,
        }
    }
}

/// Code and initial data.
pub(super) fn state_init(version: WalletVersion, key: &NodePublicKey, wallet_id: i32) -> Result<StateInit, String> {
    // tonlib wants a pair where the public half is enough; the secret one stays where it is.
    let pair = KeyPair { public_key: key.as_bytes().to_vec(), secret_key: vec![] };
    let data = VersionHelper::get_data(version.tonlib(), &pair, wallet_id).map_err(|e| e.to_string())?;
    let code = VersionHelper::get_code(version.tonlib()).map_err(|e| e.to_string())?;
    Ok(StateInit { code: Some(from_tonlib(code)?), data: Some(from_tonlib(&data.to_arc())?), ..Default::default() })
}

/// What is signed.
pub(super) fn unsigned_body(
    version: WalletVersion,
    wallet_id: i32,
    seqno: u32,
    valid_until: UnixSeconds,
    messages: &[OutMessage],
) -> Result<Cell, String> {
    let mut cells = vec![];
    let mut modes = vec![];
    for message in messages {
        cells.push(to_tonlib(&message.to_cell().map_err(|e| e.to_string())?)?);
        modes.push((message.mode | SendMsgFlags::IGNORE_ERROR).bits());
    }
    let body = match version {
        WalletVersion::V4R2 => WalletExtMsgBodyV4 {
            subwallet_id: wallet_id,
            valid_until: valid_until.0,
            msg_seqno: seqno,
            opcode: 0,
            msgs_modes: modes,
            msgs: cells,
        }
        .to_cell(),
        WalletVersion::V5R1 => {
            // tonlib makes the first one the outermost, which is sent last.
            cells.reverse();
            modes.reverse();
            WalletExtMsgBodyV5 {
                wallet_id,
                valid_until: valid_until.0,
                msg_seqno: seqno,
                msgs_modes: modes,
                msgs: cells,
            }
            .to_cell()
        }
    };
    from_tonlib(&body.map_err(|e| e.to_string())?.to_arc())
}

/// The signature goes before the rest in V4R2 and after it in V5R1.
pub(super) fn signed_body(
    version: WalletVersion,
    unsigned: &Cell,
    signature: &Signature,
) -> Result<Cell, tycho_types::error::Error> {
    let mut builder = CellBuilder::new();
    match version {
        WalletVersion::V4R2 => {
            builder.store_raw(&signature.0, 512)?;
            builder.store_slice(unsigned.as_slice()?)?;
        }
        WalletVersion::V5R1 => {
            builder.store_slice(unsigned.as_slice()?)?;
            builder.store_raw(&signature.0, 512)?;
        }
    }
    builder.build()
}

fn from_tonlib(cell: &ArcCell) -> Result<Cell, String> {
    let boc = BagOfCells::from_root(cell.as_ref().clone()).serialize(false).map_err(|e| e.to_string())?;
    Boc::decode(boc).map_err(|e| e.to_string())
}

fn to_tonlib(cell: &Cell) -> Result<ArcCell, String> {
    BagOfCells::parse(&Boc::encode(cell)).and_then(|boc| boc.single_root()).map_err(|e| e.to_string())
}
