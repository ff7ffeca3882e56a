//! Code that a masterchain account publishes can be used by contracts anywhere, by its hash.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::net::SocketAddr;

use cocoon_chain::getter::from_vm;
use cocoon_chain::{
    AccountSnapshot, Cell, Chain, GetterError, OutMessage, StateInit, WalletVersion, call_getter, run_getter_on,
};
use cocoon_devnet::block::Workchain;
use cocoon_devnet::{Devnet, ManualClock, Settings};
use cocoon_lite::frame::Asked;
use cocoon_lite::queries::{GetLibraries, RunSmcMethod};
use cocoon_lite::{AccountId, Answer, Connection, Frame, Query, wrap_query};
use cocoon_protocol::{Nano, StdAddr};
use cocoon_wrappers::{GetterCall, StackValue};
use common::check::check_from;
use common::{START, funded};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tycho_types::boc::Boc;
use tycho_types::cell::{CellBuilder, HashBytes};
use tycho_types::models::ShardStateUnsplit;
use tycho_vm::Stack;

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
        let settings = Settings { folder: Some(folder.path().to_owned()), clock, tick: None, ..Settings::default() };
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

/// Whatever it is asked, it says 42.
fn answer_to_everything() -> Cell {
    let mut code = CellBuilder::new();
    // DROP; 42 PUSHINT.
    code.store_u8(0x30).unwrap();
    code.store_u16(0x802a).unwrap();
    code.build().unwrap()
}

async fn ask_the_server(devnet: &Devnet, address: &StdAddr, seqno: u32) -> (i32, Vec<StackValue>) {
    let server = devnet.serve_lite(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let mut connection = Connection::connect(server.address(), server.public_key()).await.unwrap();
    let id = devnet.sealed(Workchain::Master, seqno).await.unwrap().unwrap().id.into();
    let account = AccountId { workchain: address.workchain.into(), id: address.address };
    let query = RunSmcMethod { mode: 4, id, account, method_id: 70_000, params: vec![] };
    let query = wrap_query(&Query::from(query), None);
    connection.sender.send(&Frame::Asked(Asked { query_id: HashBytes::ZERO, query })).await.unwrap();
    let Frame::Answered(answered) = connection.receiver.receive().await.unwrap() else { panic!() };
    let Answer::RunMethodResult(found) = Answer::from_bytes(&answered.answer).unwrap() else { panic!() };
    let stack = Boc::decode(found.result.unwrap()).unwrap().parse::<Stack>().unwrap();
    (found.exit_code, stack.items.iter().map(|item| from_vm(item).unwrap()).collect())
}

async fn ask_over_http(devnet: &Devnet, address: &StdAddr) -> serde_json::Value {
    let face = devnet.serve_http("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let mut stream = tokio::net::TcpStream::connect(face.addr()).await.unwrap();
    let body = serde_json::json!({ "address": address.to_string(), "method": "anything", "stack": [] }).to_string();
    let head = "POST /api/v2/runGetMethod HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ";
    stream.write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    answer["result"].clone()
}

#[tokio::test]
async fn getters_find_public_libraries_as_of_the_block_that_they_are_asked_at() {
    let clock = Box::new(ManualClock::new(START));
    let settings = Settings { folder: None, clock, tick: None, ..Settings::default() };
    let devnet = Devnet::start(settings).await.unwrap();
    let alice = funded(&devnet, WalletVersion::V5R1, 1).await;
    let library = answer_to_everything();
    let (state, user) = user(&library);
    let deploy = |to: &StdAddr, state: StateInit| OutMessage::new(to.clone(), Nano::from_ton(1)).state_init(state);
    let (public, there) = publisher(&library, 2);
    alice.send_and_confirm(&devnet, &[deploy(&there, public)]).await.unwrap().ok().unwrap();
    alice.send_and_confirm(&devnet, &[deploy(&user, state)]).await.unwrap().ok().unwrap();
    let forty_two = vec![StackValue::Int(42.into())];

    let anything = GetterCall { name: "anything", args: vec![] };
    assert_eq!(call_getter(&devnet, &user, &anything).await.unwrap(), forty_two);
    let head = devnet.head().await.unwrap().seqno;
    assert_eq!(ask_the_server(&devnet, &user, head).await, (0, forty_two));
    let answered = ask_over_http(&devnet, &user).await;
    assert_eq!((&answered["exit_code"], &answered["stack"]), (&0.into(), &serde_json::json!([["num", "0x2a"]])));
    assert!(answered["gas_used"].as_u64().unwrap() > 0);

    // One that nobody publishes is missed, once, and the getter fails as on the chain.
    let (state, lost) = self::user(&CellBuilder::build_from(7u32).unwrap());
    let account = AccountSnapshot::hypothetical(lost, state, Nano::from_ton(1), devnet.head().await.unwrap());
    let failed = run_getter_on(&devnet, &account, &anything).await.unwrap_err();
    assert!(matches!(failed, GetterError::Exit { exit_code: 9, .. }), "{failed}");
}
