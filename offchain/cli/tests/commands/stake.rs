//! Stake from the command line.

use crate::world::{TON, World, nano};

#[tokio::test]
async fn a_lot_lives_from_deposit_to_withdrawal() {
    let world = World::new().await;
    let alice = world.person("alice").await;
    let owner = alice.address.to_string();
    assert_eq!(world.ok(&["stake", "show", &owner]).await["exists"], false);

    let would = world.ok(&["stake", "deposit", "300TON", "--wallet", &alice.wallet, "--dry-run"]).await;
    assert_eq!(would["succeeds"], true, "{would}");
    assert!(
        would["changes"].as_array().unwrap().iter().any(|c| c["field"] == "lots.0.amount" && c["after"] == "300 TON")
    );
    assert_eq!(world.ok(&["stake", "show", &owner]).await["exists"], false, "it was only tried");

    let did = world.pay(&alice, &["stake", "deposit", "300TON"]).await;
    assert!(
        did["changes"].as_array().unwrap().iter().any(|c| c["field"] == "lots.0.amount" && c["after"] == "300 TON")
    );
    let state = world.ok(&["stake", "show", &owner]).await;
    assert_eq!((nano(&state["held"]), nano(&state["weight_now"])), (300 * TON, 0), "it weighs from the next epoch on");
    world.pass(86_400).await;
    assert_eq!(nano(&world.ok(&["stake", "show", &owner]).await["weight_now"]), 300 * TON);

    let early = world.fails(4, &["stake", "withdraw", "0", "--wallet", &alice.wallet, "--yes"]).await;
    assert!(early.contains("unbond it first"), "{early}");
    world.pay(&alice, &["stake", "unbond", "0"]).await;
    let locked = world.fails(4, &["stake", "withdraw", "0", "--wallet", &alice.wallet, "--yes"]).await;
    assert!(locked.contains("locked"), "{locked}");
    let state = world.ok(&["stake", "show", &owner]).await;
    world.pass_until(&state["lots"][0]["release_at"]).await;
    let before = i128::from(world.balance(&alice.address).await);
    world.pay(&alice, &["stake", "withdraw", "0"]).await;
    let back = i128::from(world.balance(&alice.address).await) - before;
    assert!((299 * TON..300 * TON).contains(&back), "{back}");
    assert_eq!(world.ok(&["stake", "show", &owner]).await["lots"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_part_of_a_lot_can_leave() {
    let world = World::new().await;
    let alice = world.person("alice").await;
    let owner = alice.address.to_string();
    world.pay(&alice, &["stake", "deposit", "300TON"]).await;
    world.pass(86_400).await;
    for bad in ["0TON", "0.5TON", "299.5TON", "301TON"] {
        let args = ["stake", "unbond", "0", "--amount", bad, "--wallet", &alice.wallet, "--yes"];
        assert!(world.fails(4, &args).await.contains("amount"), "{bad}");
    }
    world.pay(&alice, &["stake", "unbond", "0", "--amount", "100TON"]).await;
    let state = world.ok(&["stake", "show", &owner]).await;
    assert_eq!((nano(&state["lots"][0]["amount"]), nano(&state["lots"][1]["amount"])), (200 * TON, 100 * TON));
    assert_eq!(nano(&state["staying"]), 200 * TON);
}

#[tokio::test]
async fn stake_answers_for_a_node_whose_key_has_signed() {
    let world = World::new().await;
    let alice = world.person("alice").await;
    let owner = alice.address.to_string();
    world.pay(&alice, &["stake", "deposit", "200TON"]).await;
    let (file, public) = world.key("node").await;
    world.pay(&alice, &["stake", "node", "register", "--bond", "100TON", "--node-key", &file]).await;
    let state = world.ok(&["stake", "show", &owner]).await;
    assert_eq!(state["nodes"][0]["key"], public);
    assert_eq!(nano(&state["bonded"]), 100 * TON);

    // A key that lives in a machine signs what it is shown.
    let machine = cocoon_protocol::NodeKey::from_seed(&[3; 32]);
    let key = machine.public().to_string();
    let proof = world.ok(&["stake", "node", "proof", &owner, &key]).await;
    let signature = hex::encode(machine.sign(&proof["to_sign"].as_str().unwrap().parse().unwrap()).0);
    world
        .pay(&alice, &["stake", "node", "register", "--bond", "50TON", "--node", &key, "--signature", &signature])
        .await;
    let forged = "00".repeat(64);
    let args = ["stake", "node", "register", "--bond", "60TON", "--node", &key, "--signature", &forged];
    let said = world.fails(4, &[&args[..], &["--wallet", &alice.wallet, "--yes"]].concat()).await;
    assert!(said.contains("signature"), "{said}");
    let args =
        ["stake", "node", "register", "--bond", "151TON", "--node-key", &file, "--wallet", &alice.wallet, "--yes"];
    assert!(world.fails(4, &args).await.contains("free"));

    world.pay(&alice, &["stake", "node", "retire", &public]).await;
    let early = world.fails(4, &["stake", "node", "forget", &public, "--wallet", &alice.wallet, "--yes"]).await;
    assert!(early.contains("ERR_STAKE_NODE_LOCKED"), "the contract's own name for it: {early}");
    world.pass(15 * 86_400).await;
    world.pay(&alice, &["stake", "node", "forget", &public]).await;
    assert_eq!(world.ok(&["stake", "show", &owner]).await["nodes"].as_array().unwrap().len(), 1);
}
