//! What the HTTP face says of jettons and NFTs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use cocoon_chain::{Chain, OutMessage, StateInit, WalletVersion};
use cocoon_devnet::Devnet;
use cocoon_protocol::{Nano, StdAddr};
use common::face::Face;
use common::{funded, network};
use serde_json::json;
use sha2::{Digest, Sha256};
use tycho_types::cell::{Cell, CellBuilder, CellFamily, HashBytes};
use tycho_types::dict::Dict;
use tycho_types::models::IntAddr;

/// What a getter pushes.
enum Push {
    Number(i8),
    Slice(Cell),
    Cell(Cell),
}

fn instructions(values: Vec<Push>) -> CellBuilder {
    let mut code = CellBuilder::new();
    for value in values {
        match value {
            Push::Number(number) => code.store_u16(0x8000 | u16::from(number.cast_unsigned())).unwrap(),
            Push::Slice(cell) => {
                code.store_u8(0x89).unwrap();
                code.store_reference(cell).unwrap();
            }
            Push::Cell(cell) => {
                code.store_u8(0x88).unwrap();
                code.store_reference(cell).unwrap();
            }
        }
    }
    code
}

/// A contract of which every getter returns this.
fn contract(values: Vec<Push>) -> StateInit {
    let mut code = CellBuilder::new();
    // DROP the number of the method.
    code.store_u8(0x30).unwrap();
    code.store_builder(&instructions(values)).unwrap();
    with_code(code)
}

fn with_code(code: CellBuilder) -> StateInit {
    StateInit { code: Some(code.build().unwrap()), data: Some(Cell::default()), ..Default::default() }
}

fn address(state: &StateInit) -> StdAddr {
    StdAddr::new(0, *CellBuilder::build_from(state).unwrap().repr_hash())
}

fn slice(address: &StdAddr) -> Push {
    Push::Slice(CellBuilder::build_from(IntAddr::Std(address.clone())).unwrap())
}

fn nobody() -> Push {
    let mut none = CellBuilder::new();
    none.store_small_uint(0, 2).unwrap();
    Push::Slice(none.build().unwrap())
}

fn bytes(prefix: u8, text: &str) -> Cell {
    let mut cell = CellBuilder::new();
    cell.store_u8(prefix).unwrap();
    cell.store_raw(text.as_bytes(), u16::try_from(text.len() * 8).unwrap()).unwrap();
    cell.build().unwrap()
}

/// Content in the chain, one value in a cell of its own, and one without a name.
fn in_the_chain() -> Cell {
    let mut values = Dict::<HashBytes, Cell>::new();
    let key = |name: &str| HashBytes(Sha256::digest(name.as_bytes()).into());
    values.set(key("symbol"), bytes(0, "COCO")).unwrap();
    values.set(HashBytes([7; 32]), bytes(0, "?")).unwrap();
    let mut cell = CellBuilder::new();
    cell.store_u8(0).unwrap();
    tycho_types::cell::Store::store_into(&values, &mut cell, Cell::empty_context()).unwrap();
    cell.build().unwrap()
}

async fn deploy(devnet: &Devnet, seed: u8, state: StateInit) -> StdAddr {
    let payer = funded(devnet, WalletVersion::V5R1, seed).await;
    let to = address(&state);
    let message = OutMessage::new(to.clone(), Nano::from_ton(1)).no_bounce().state_init(state);
    payer.send_and_confirm(devnet, &[message]).await.unwrap();
    assert!(devnet.account(&to).await.unwrap().code.is_some());
    to
}

#[tokio::test]
async fn a_jetton_is_recognised_and_its_content_shown() {
    let (devnet, _clock) = network().await;
    let face = Face::of(&devnet).await;
    let owner = StdAddr::new(0, [1; 32].into());
    let content = Push::Cell(in_the_chain());
    let code = Push::Cell(bytes(9, "code"));
    let jetton = contract(vec![Push::Number(100), Push::Number(-1), slice(&owner), content, code]);
    let jetton = deploy(&devnet, 1, jetton).await;
    let shown = face.ask("getTokenData", json!({ "address": jetton.to_string() })).await;
    assert_eq!((&shown["contract_type"], &shown["total_supply"]), (&json!("jetton_master"), &json!("100")));
    assert_eq!((&shown["mintable"], &shown["jetton_content"]["type"]), (&json!(true), &json!("onchain")));
    let content = &shown["jetton_content"]["data"];
    assert_eq!((&content["symbol"], &content["07".repeat(32)]), (&json!("COCO"), &json!("?")));
}

#[tokio::test]
async fn a_wallet_that_its_master_knows_is_shown_and_one_that_it_does_not_know_is_none() {
    let (devnet, _clock) = network().await;
    let face = Face::of(&devnet).await;
    // A master that says that everybody's wallet is at everybody's own address: DROP leaves the argument.
    let mut echo = CellBuilder::new();
    echo.store_u8(0x30).unwrap();
    let master = deploy(&devnet, 1, with_code(echo)).await;
    // DROP, 5 PUSHINT and MYADDR: a wallet that owns itself.
    let mut code = CellBuilder::new();
    code.store_u8(0x30).unwrap();
    code.store_u16(0x8005).unwrap();
    code.store_u16(0xf828).unwrap();
    code.store_builder(&instructions(vec![slice(&master), Push::Cell(bytes(9, "code"))])).unwrap();
    let wallet = deploy(&devnet, 2, with_code(code)).await;
    let shown = face.ask("getTokenData", json!({ "address": wallet.to_string() })).await;
    assert_eq!((&shown["contract_type"], &shown["balance"]), (&json!("jetton_wallet"), &json!("5")));
    assert_eq!(shown["owner"], shown["address"]);
    assert_ne!(shown["jetton"], shown["owner"]);

    let owner = StdAddr::new(0, [1; 32].into());
    let code = Push::Cell(bytes(9, "code"));
    let claimed = contract(vec![Push::Number(5), slice(&owner), slice(&master), code]);
    let claimed = deploy(&devnet, 3, claimed).await;
    for none in [claimed, owner] {
        assert_eq!(face.refused("getTokenData", json!({ "address": none.to_string() })).await, 409);
    }
}

#[tokio::test]
async fn collections_and_items_are_recognised() {
    let (devnet, _clock) = network().await;
    let face = Face::of(&devnet).await;
    let owner = StdAddr::new(0, [1; 32].into());
    let away = Push::Cell(bytes(1, "https://example.org/collection.json"));
    let collection = deploy(&devnet, 1, contract(vec![Push::Number(7), away, slice(&owner)])).await;
    let shown = face.ask("getTokenData", json!({ "address": collection.to_string() })).await;
    assert_eq!((&shown["contract_type"], &shown["next_item_index"]), (&json!("nft_collection"), &json!("7")));
    let content = json!({ "type": "offchain", "data": "https://example.org/collection.json" });
    assert_eq!(shown["collection_content"], content);

    let single = vec![Push::Number(-1), Push::Number(4), nobody(), slice(&owner), Push::Cell(in_the_chain())];
    let item = deploy(&devnet, 2, contract(single)).await;
    let shown = face.ask("getTokenData", json!({ "address": item.to_string() })).await;
    assert_eq!((&shown["contract_type"], &shown["index"]), (&json!("nft_item"), &json!("4")));
    assert_eq!((&shown["collection_address"], &shown["content"]["data"]["symbol"]), (&json!(null), &json!("COCO")));
}
