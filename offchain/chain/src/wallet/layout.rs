//! Code, data and message bodies of the wallet contracts.
//!
//! V4R2 is [wallet-contract](https://github.com/ton-blockchain/wallet-contract) (`func/wallet-v4-code.fc`); V5R1 is
//! [wallet-contract-v5](https://github.com/ton-blockchain/wallet-contract-v5) (`types.tlb`). `data/README.md` says
//! where their compiled code is from.

use std::fmt;

use cocoon_protocol::{GlobalId, NodePublicKey, Signature, UnixSeconds};
use tycho_types::boc::Boc;
use tycho_types::cell::{Cell, CellBuilder, CellFamily, Lazy, Store};
use tycho_types::error::Error;
use tycho_types::models::{OutAction, SendMsgFlags, StateInit};

use crate::message::OutMessage;

const V4R2_CODE: &[u8] = include_bytes!("data/v4r2.code.boc");
const V5R1_CODE: &[u8] = include_bytes!("data/v5r1.code.boc");

/// The first subwallet of V4R2: what every wallet application has taken over from the first one.
const FIRST_V4R2: i32 = 698_983_191;
/// Operation of V5R1: a request that an external message carries and a signature covers (`signed_external`).
const OP_SIGNED_EXTERNAL: u32 = 0x7369_676e;
/// Operation of V4R2: send messages.
const OP_SEND: u8 = 0;

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
            Self::V4R2 => FIRST_V4R2,
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
}

/// Code and initial data.
pub(super) fn state_init(version: WalletVersion, key: &NodePublicKey, wallet_id: i32) -> Result<StateInit, String> {
    let code = match version {
        WalletVersion::V4R2 => V4R2_CODE,
        WalletVersion::V5R1 => V5R1_CODE,
    };
    let code = Boc::decode(code).map_err(|e| format!("its code: {e}"))?;
    let data = data(version, key, wallet_id).map_err(|e| format!("its data: {e}"))?;
    Ok(StateInit { code: Some(code), data: Some(data), ..Default::default() })
}

fn data(version: WalletVersion, key: &NodePublicKey, wallet_id: i32) -> Result<Cell, Error> {
    let mut data = CellBuilder::new();
    if version == WalletVersion::V5R1 {
        data.store_bit_one()?; // Signatures are allowed.
    }
    data.store_u32(0)?; // The seqno.
    data.store_u32(wallet_id.cast_unsigned())?;
    data.store_raw(key.as_bytes(), 256)?;
    data.store_bit_zero()?; // No plugins, as V4R2 calls them, or extensions, as V5R1 does.
    data.build()
}

/// What is signed.
pub(super) fn unsigned_body(
    version: WalletVersion,
    wallet_id: i32,
    seqno: u32,
    valid_until: UnixSeconds,
    messages: &[OutMessage],
) -> Result<Cell, Error> {
    let mode = |message: &OutMessage| message.mode | SendMsgFlags::IGNORE_ERROR;
    let mut body = CellBuilder::new();
    if version == WalletVersion::V5R1 {
        body.store_u32(OP_SIGNED_EXTERNAL)?;
    }
    body.store_u32(wallet_id.cast_unsigned())?;
    body.store_u32(valid_until.0)?;
    body.store_u32(seqno)?;
    match version {
        WalletVersion::V4R2 => {
            body.store_u8(OP_SEND)?;
            for message in messages {
                body.store_u8(mode(message).bits())?;
                body.store_reference(message.to_cell()?)?;
            }
        }
        WalletVersion::V5R1 => {
            // The chain's own list of actions (`OutList`): each cell refers to what is done before it.
            let mut list = Cell::default();
            for message in messages {
                let mut actions = CellBuilder::new();
                actions.store_reference(list)?;
                let send = OutAction::SendMsg { mode: mode(message), out_msg: Lazy::from_raw(message.to_cell()?)? };
                send.store_into(&mut actions, Cell::empty_context())?;
                list = actions.build()?;
            }
            let list = (!messages.is_empty()).then_some(list);
            list.store_into(&mut body, Cell::empty_context())?;
            body.store_bit_zero()?; // Nothing else, such as extensions to add.
        }
    }
    body.build()
}

/// The signature goes before the rest in V4R2 and after it in V5R1.
pub(super) fn signed_body(version: WalletVersion, unsigned: &Cell, signature: &Signature) -> Result<Cell, Error> {
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
