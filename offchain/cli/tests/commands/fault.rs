//! A fault proved from the command line: committed to, revealed, punished, rewarded.

use cocoon_chain::{Cell, Chain, StdAddr, cell_hash};
use cocoon_protocol::NodeKey;
use tycho_types::boc::Boc;
use tycho_types::cell::{CellBuilder, CellFamily, HashBytes, Store};

use crate::world::{TON, World, nano};

/// A receipt as a node signs it: the same number, another answer.
fn receipt(world: &World, channel: &StdAddr, response: u8) -> Cell {
    let hashes = |bytes: &[u8]| {
        let mut b = CellBuilder::new();
        bytes.iter().for_each(|byte| b.store_u256(&HashBytes([*byte; 32])).unwrap());
        b.build().unwrap()
    };
    let mut b = CellBuilder::new();
    b.store_u32(0x5243_5031).unwrap();
    b.store_u32(world.chain.network().0.cast_unsigned()).unwrap();
    channel.store_into(&mut b, Cell::empty_context()).unwrap();
    b.store_u64(7).unwrap();
    b.store_u32(1_700_000_000).unwrap();
    b.store_reference(hashes(&[1, response, 3])).unwrap();
    b.store_reference(hashes(&[4])).unwrap();
    b.build().unwrap()
}

fn signed(key: &NodeKey, body: Cell) -> Cell {
    let mut b = CellBuilder::new();
    b.store_raw(&key.sign(&cell_hash(&body)).0, 512).unwrap();
    b.store_reference(body).unwrap();
    b.build().unwrap()
}

#[tokio::test]
async fn attack_52_a_fault_is_committed_to_before_it_is_shown() {
    let world = World::new().await;
    let (owner, reporter) = (world.person("owner").await, world.person("reporter").await);
    world.pay(&owner, &["stake", "deposit", "200TON"]).await;
    let (file, public) = world.key("node").await;
    world.pay(&owner, &["stake", "node", "register", "--bond", "100TON", "--node-key", &file]).await;
    let stake = world.ok(&["stake", "show", &owner.address.to_string()]).await;
    let target = stake["stake_account"].as_str().unwrap().to_owned();

    let key =
        NodeKey::from_seed(&hex::decode(std::fs::read_to_string(&file).unwrap().trim()).unwrap().try_into().unwrap());
    assert_eq!(key.public().to_string(), public);
    let mut proof = CellBuilder::new();
    proof.store_u32(0x4650_3031).unwrap();
    proof.store_u256(&HashBytes(*key.public().as_bytes())).unwrap();
    for response in [1, 2] {
        proof.store_reference(signed(&key, receipt(&world, &owner.address, response))).unwrap();
    }
    let proof_file = world.file("proof.boc");
    std::fs::write(&proof_file, Boc::encode(proof.build().unwrap())).unwrap();
    let about = world.ok(&["fault", "show", &proof_file]).await;
    assert_eq!(about["about"], "two receipts with one number");

    let salt = world.file("salt");
    let args =
        |what: &'static str| ["fault", what, &proof_file, "--target", &target, "--salt", &salt].map(str::to_owned);
    let run = async |what: &'static str| {
        let args = args(what);
        world.pay(&reporter, &args.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    let fails = async |what: &'static str| {
        let args = args(what);
        let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
        args.extend(["--wallet", &reporter.wallet, "--yes"]);
        world.fails(4, &args).await
    };
    run("commit").await;
    assert!(fails("reveal").await.contains("it can be revealed in"));
    world.pass(60).await;
    let before = i128::from(world.balance(&reporter.address).await);
    run("reveal").await;
    let earned = i128::from(world.balance(&reporter.address).await) - before;
    assert!((49 * TON..=50 * TON).contains(&earned), "{earned}");
    let stake = world.ok(&["stake", "show", &owner.address.to_string()]).await;
    assert_eq!((nano(&stake["held"]), nano(&stake["bonded"])), (100 * TON, 0));
    let again = fails("reveal").await;
    assert!(again.contains("ERR_"), "the contract's own name: {again}");
}

#[tokio::test]
async fn what_is_no_proof_is_not_committed_to() {
    let world = World::new().await;
    let reporter = world.person("reporter").await;
    let (proof, salt) = (world.file("proof.boc"), world.file("salt"));
    std::fs::write(&proof, Boc::encode(CellBuilder::new().build().unwrap())).unwrap();
    let args = ["fault", "commit", &proof, "--salt", &salt, "--wallet", &reporter.wallet, "--yes"];
    assert!(world.fails(4, &args).await.contains("first word"));
    assert!(!world.path("salt").exists());
    let mut b = CellBuilder::new();
    b.store_u32(0x4650_3035).unwrap();
    std::fs::write(&proof, Boc::encode(b.build().unwrap())).unwrap();
    let own = reporter.address.to_string();
    let elsewhere = [&args[..], &["--target", &own]].concat();
    assert!(world.fails(4, &elsewhere).await.contains("judged by the registry"));
    std::fs::write(&proof, "junk").unwrap();
    assert!(world.fails(1, &args).await.contains("no bag of cells"));
}
