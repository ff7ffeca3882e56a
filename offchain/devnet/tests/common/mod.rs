//! A network whose time stands still, and wallets on it.
#![allow(dead_code)]

pub mod check;
pub mod face;

use cocoon_chain::{Cell, Chain, OutMessage, StateInit, Wallet, WalletVersion};
use cocoon_devnet::{Devnet, ManualClock, Settings};
use cocoon_protocol::{GlobalId, Nano, NodeKey, StdAddr, UnixSeconds};
use tycho_types::cell::CellBuilder;
use tycho_types::models::{ExtInMsgInfo, MsgInfo, OwnedMessage};

/// When every test begins.
pub const START: UnixSeconds = UnixSeconds(1_760_000_000);

/// A network in memory that makes blocks only when something happens, and its clock.
pub async fn network() -> (Devnet, ManualClock) {
    let clock = ManualClock::new(START);
    let settings = Settings { folder: None, clock: Box::new(clock.clone()), tick: None, ..Settings::default() };
    (Devnet::start(settings).await.unwrap(), clock)
}

pub fn key(seed: u8) -> NodeKey {
    NodeKey::from_seed(&[seed; 32])
}

pub fn wallet(kind: WalletVersion, seed: u8) -> Wallet {
    Wallet::new(key(seed), kind, GlobalId::DEVNET).unwrap()
}

/// A wallet that holds 100 TON and is not deployed yet.
pub async fn funded(devnet: &Devnet, kind: WalletVersion, seed: u8) -> Wallet {
    let wallet = wallet(kind, seed);
    devnet.faucet(wallet.address(), Nano::from_ton(100)).await.unwrap().ok().unwrap();
    wallet
}

/// A comment, as wallet applications show it.
pub fn text(comment: &str) -> Cell {
    let mut builder = CellBuilder::new();
    builder.store_u32(0).unwrap();
    builder.store_raw(comment.as_bytes(), comment.len() as u16 * 8).unwrap();
    builder.build().unwrap()
}

/// The same signed body, sent to another account.
pub fn redirect(message: &Cell, to: &StdAddr) -> Cell {
    let message: OwnedMessage = message.parse().unwrap();
    CellBuilder::build_from(OwnedMessage {
        info: MsgInfo::ExtIn(ExtInMsgInfo { dst: to.clone().into(), ..Default::default() }),
        init: None,
        body: message.body,
        layout: None,
    })
    .unwrap()
}

/// Pays without looking at what comes of it.
pub fn pay(to: &StdAddr, amount: Nano) -> OutMessage {
    OutMessage::new(to.clone(), amount).no_bounce()
}

/// The balance of an account, in nanoton.
pub async fn balance(devnet: &Devnet, address: &StdAddr) -> Nano {
    devnet.account(address).await.unwrap().balance
}

/// A contract from its code, as assembled by hand.
pub fn contract(code: &str, data: u32) -> (StateInit, StdAddr) {
    let bytes = hex::decode(code).unwrap();
    let mut builder = CellBuilder::new();
    builder.store_raw(&bytes, bytes.len() as u16 * 8).unwrap();
    let data = CellBuilder::build_from(data).unwrap();
    let state = StateInit { code: Some(builder.build().unwrap()), data: Some(data), ..Default::default() };
    let address = StdAddr::new(0, *CellBuilder::build_from(&state).unwrap().repr_hash());
    (state, address)
}

/// Sends everything it receives to itself again, for ever.
pub fn perpetual() -> (StateInit, StdAddr) {
    // NEWC; 16 PUSHINT, SWAP, 6 STU: no bounce, no sender; MYADDR, STSLICER; 0 PUSHINT, STGRAMS;
    // 0 PUSHINT, SWAP, 107 STU: nothing else; ENDC; 64 PUSHINT: all that came; SENDRAWMSG
    contract("c8801001cb05f828cf1670fa027001cb6ac98040fb00", 0)
}

/// A bag of cells written by hand: each refers to the next one, and the last to none.
pub fn deep_bag(count: u32) -> Vec<u8> {
    let mut cells = vec![];
    for index in 0..count {
        if index + 1 < count {
            cells.extend([1, 0]);
            cells.extend(&(index + 1).to_be_bytes()[1..]);
        } else {
            cells.extend([0, 0]);
        }
    }
    // Sizes of numbers, then the number of cells, of roots and of absent ones, the size, and the root.
    let mut bytes = vec![0xb5, 0xee, 0x9c, 0x72, 3, 4];
    bytes.extend(&count.to_be_bytes()[1..]);
    bytes.extend([0, 0, 1, 0, 0, 0]);
    bytes.extend((cells.len() as u32).to_be_bytes());
    bytes.extend([0, 0, 0]);
    bytes.extend(cells);
    bytes
}
