//! The transparency log from the command line: what happened, that nothing was taken back, and what was logged.

use cocoon_chain::{Chain, Wallet, WalletVersion};
use cocoon_node::log::publish;
use cocoon_protocol::{Nano, NodeKey};
use cocoon_transparency::evidence_digest;

use crate::council::suspend;
use crate::dao::{members, pass, propose};
use crate::world::World;

const NODE: [u8; 32] = [0x4e; 32];

/// A node publishes the digest of this.
async fn log_evidence(world: &World, evidence: &[u8]) {
    let wallet = Wallet::new(NodeKey::from_seed(&[78; 32]), WalletVersion::V5R1, world.chain.network()).unwrap();
    world.chain.faucet(wallet.address(), Nano::from_ton(1)).await.unwrap();
    let node = NodeKey::from_seed(&NODE);
    publish(&wallet, world.chain.as_ref(), &world.registry, &node, &evidence_digest(evidence)).await.unwrap();
}

#[tokio::test]
async fn everything_that_the_registry_does_can_be_read_and_nothing_is_taken_back() {
    let world = World::new().await;
    let remembered = world.ok(&["log", "head"]).await["head"].as_str().unwrap().to_owned();
    let members = members(&world).await;
    let model = "22".repeat(32);
    let commit = "1".repeat(40);
    let what = ["model", &model, "--name", "tiny", "--source-commit", &commit, "--reason", "small"];
    let proposal = propose(&world, &members[0], &what).await;
    pass(&world, &members, &proposal).await;
    world.pass(86_400).await;
    suspend(&world, "model", &model, &members[0]).await;
    log_evidence(&world, b"a certificate").await;

    let audit = world.ok(&["log", "audit", "--since", &remembered]).await;
    assert_eq!(audit["continues_the_remembered_head"], true);
    let leaves = audit["newest"].as_array().unwrap();
    let said: Vec<_> = leaves.iter().map(|leaf| leaf["what"].as_str().unwrap()).collect();
    assert_eq!(said, ["the registry is set up", "a model is approved", "the council suspends an entry", "evidence"]);
    assert_eq!(leaves[2]["about"], format!("model {model}"));
    assert_eq!((&audit["leaves"], &audit["changes_of_the_registry"]), (&4.into(), &3.into()));
    assert_eq!(audit["head"], world.ok(&["log", "head"]).await["head"]);

    let key = NodeKey::from_seed(&NODE).public().to_string();
    let of_node = world.ok(&["log", "audit", "--node", &key]).await;
    assert_eq!((&of_node["found"], &of_node["newest"][0]["node"]), (&1.into(), &key.as_str().into()));
    let last = world.ok(&["log", "audit", "--last", "1"]).await;
    assert_eq!((&last["found"], last["newest"].as_array().unwrap().len()), (&4.into(), 1));
}

#[tokio::test]
async fn a_head_that_the_log_does_not_continue_is_told() {
    let world = World::new().await;
    log_evidence(&world, b"one").await;
    let (root, long) = ("5".repeat(64), format!("9:{}", "0".repeat(64)));
    let others =
        [(format!("1:{root}"), "first 1 leaves"), (format!("2:{root}"), "first 2 leaves"), (long, "taken back")];
    for (other, word) in others {
        let ended = world.run(&["log", "audit", "--json", "--since", &other]).await;
        assert_eq!(ended.code, 1, "{other}: {}", ended.stderr);
        let said: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!((&said["ok"], &said["continues_the_remembered_head"]), (&false.into(), &false.into()));
        assert!(said["why"].as_str().unwrap().contains(word), "{said}");
    }
    for wrong in ["", "7", "x:y", "1:22", &format!("-1:{root}")] {
        let said = world.fails(2, &["log", "audit", &format!("--since={wrong}")]).await;
        assert!(said.contains("SIZE:ROOT"), "{said}");
    }
}

#[tokio::test]
async fn a_certificate_is_in_the_log_or_it_is_not() {
    let world = World::new().await;
    log_evidence(&world, b"shown and logged").await;
    let file = |name: &str, bytes: &[u8]| {
        std::fs::write(world.path(name), bytes).unwrap();
        world.file(name)
    };
    let logged = world.ok(&["log", "evidence", &file("logged", b"shown and logged")]).await;
    assert_eq!((&logged["logged"], &logged["leaf"]), (&true.into(), &1.into()));
    assert_eq!(logged["node"], NodeKey::from_seed(&NODE).public().to_string());
    let secret = world.run(&["log", "evidence", &file("secret", b"shown, not logged"), "--json"]).await;
    assert_eq!(secret.code, 1);
    assert!(secret.stdout.contains(r#""logged":false"#), "{}", secret.stdout);
    let huge = world.fails(1, &["log", "evidence", &file("huge", &[0; 40_000])]).await;
    assert!(huge.contains("40000 bytes"), "{huge}");
    assert!(world.fails(1, &["log", "evidence", &world.file("missing")]).await.contains("missing"));
}
