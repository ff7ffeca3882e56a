//! Code that a masterchain account publishes can be used by contracts anywhere, by its hash.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::net::SocketAddr;

use cocoon_chain::{Cell, Chain, OutMessage, StateInit, WalletVersion};
use cocoon_devnet::block::Workchain;
use cocoon_devnet::{Devnet, ManualClock, Settings};
use cocoon_lite::frame::Asked;
use cocoon_lite::queries::GetLibraries;
use cocoon_lite::{Answer, Connection, Frame, Query, wrap_query};
use cocoon_protocol::{Nano, StdAddr};
use common::check::check_from;
use common::{START, funded};
use tycho_types::boc::Boc;
use tycho_types::cell::{CellBuilder, HashBytes};
use tycho_types::models::ShardStateUnsplit;

fn address(workchain: i8, state: &StateInit) -> StdAddr {
    StdAddr::new(workchain, *CellBuilder::build_from(state).unwrap().repr_hash())
}

/// A contract that keeps a library, for itself (1) or for everybody (2), and does nothing else. As on mainnet, nobody can be
/// deployed with one.
fn publisher(library: &Cell, mode: u8) -> (StateInit, StdAddr) {
    // PUSHREF; PUSHINT mode; SETLIBCODE.
    let mut code = CellBuilder::new();
    code.store_u8(0x88).unwrap();
    code.store_reference(library.clone()).unwrap();
    code.store_u8(0x70 | mode).unwrap();
    code.store_u16(0xfb06).unwrap();
    let state = StateInit { code: Some(code.build().unwrap()), data: Some(Cell::default()), ..Default::default() };
    let address = address(-1, &state);
    (state, address)
}

/// A contract in the basechain whose code is the library with this hash.
fn user(library: &Cell) -> (StateInit, StdAddr) {
    let mut code = CellBuilder::new();
    code.set_exotic(true);
    code.store_u8(2).unwrap();
    code.store_u256(library.repr_hash()).unwrap();
    let state = StateInit { code: Some(code.build().unwrap()), data: Some(Cell::default()), ..Default::default() };
    let address = address(0, &state);
    (state, address)
}

async fn served(devnet: &Devnet, hashes: Vec<HashBytes>) -> Vec<(HashBytes, Cell)> {
    let server = devnet.serve_lite(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let mut connection = Connection::connect(server.address(), server.public_key()).await.unwrap();
    let query = wrap_query(&Query::from(GetLibraries { library_list: hashes }), None);
    connection.sender.send(&Frame::Asked(Asked { query_id: HashBytes::ZERO, query })).await.unwrap();
    let Frame::Answered(answered) = connection.receiver.receive().await.unwrap() else { panic!() };
    let Answer::LibraryResult(found) = Answer::from_bytes(&answered.answer).unwrap() else { panic!() };
    found.result.into_iter().map(|entry| (entry.hash, Boc::decode(entry.data).unwrap())).collect()
}

#[tokio::test]
async fn a_published_library_is_code_for_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let open = || async {
        let clock = Box::new(ManualClock::new(START));
        let settings = Settings { folder: Some(folder.path().to_owned()), clock, tick: None, network: None };
        Devnet::start(settings).await.unwrap()
    };
    let devnet = open().await;
    let alice = funded(&devnet, WalletVersion::V5R1, 1).await;
    // ACCEPT, and the contract keeps what it gets.
    let mut code = CellBuilder::new();
    code.store_u16(0xf800).unwrap();
    let library = code.build().unwrap();
    let (state, user) = user(&library);
    let deploy = |to: &StdAddr, state: StateInit| OutMessage::new(to.clone(), Nano::from_ton(1)).state_init(state);

    // There is no such code yet: the money comes back.
    let trace = alice.send_and_confirm(&devnet, &[deploy(&user, state.clone())]).await.unwrap();
    trace.ok().unwrap_err();
    let (private, hidden) = publisher(&library, 1);
    alice.send_and_confirm(&devnet, &[deploy(&hidden, private)]).await.unwrap().ok().unwrap();
    assert!(served(&devnet, vec![*library.repr_hash()]).await.is_empty());

    let (public, there) = publisher(&library, 2);
    alice.send_and_confirm(&devnet, &[deploy(&there, public)]).await.unwrap().ok().unwrap();
    let known = devnet.sealed(Workchain::Master, devnet.head().await.unwrap().seqno).await.unwrap().unwrap();
    let libraries = known.state.unwrap().parse::<ShardStateUnsplit>().unwrap().libraries;
    let entry = libraries.get(library.repr_hash()).unwrap().unwrap();
    assert_eq!((&entry.lib, entry.publishers.contains_key(there.address).unwrap()), (&library, true));
    assert_eq!(
        served(&devnet, vec![HashBytes::ZERO, *library.repr_hash()]).await,
        [(*library.repr_hash(), library.clone())]
    );
    devnet.stop().await;

    let devnet = open().await;
    let trace = alice.send_and_confirm(&devnet, &[deploy(&user, state)]).await.unwrap();
    trace.ok().unwrap();
    assert_eq!(trace.transactions().len(), 2);
    devnet.tick().await.unwrap();
    check_from(&devnet, 1).await;
}
