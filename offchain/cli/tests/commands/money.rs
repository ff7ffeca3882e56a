//! Wallets, payments, dry runs and the question before money moves.

use cocoon_cli::run;

use crate::world::{TON, World, nano};

#[tokio::test]
async fn a_payment_costs_what_it_says() {
    let world = World::new().await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let to = bob.address.to_string();
    let before = i128::from(world.balance(&alice.address).await);
    let sent = world.pay(&alice, &["wallet", "send", &to, "5TON", "--comment", "thanks"]).await;
    assert_eq!(nano(&sent["attached"]), 5 * TON);
    let after = i128::from(world.balance(&alice.address).await);
    assert_eq!(after - before, nano(&sent["balance_change"]));
    // A nanoton or two go for storage.
    assert!((1_004_999_999_000..=1_005_000_000_000).contains(&world.balance(&bob.address).await));
}

#[tokio::test]
async fn a_dry_run_tells_what_then_happens_and_sends_nothing() {
    let world = World::new().await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let to = bob.address.to_string();
    let (balances, args) = (
        (world.balance(&alice.address).await, world.balance(&bob.address).await),
        ["wallet", "send", &to, "5TON", "--wallet", &alice.wallet],
    );
    let would = world.ok(&[&args[..], &["--dry-run"]].concat()).await;
    assert_eq!((world.balance(&alice.address).await, world.balance(&bob.address).await), balances);
    assert_eq!(would["succeeds"], true);
    assert!(would["not_known"].as_array().unwrap().len() > 2);
    let own = would["balances"].as_array().unwrap().iter().find(|b| b["account"] == alice.address.to_string()).unwrap();
    let did = world.ok(&[&args[..], &["--yes"]].concat()).await;
    // Storage is paid by the second, so the last few nanotons depend on the block.
    let difference = nano(&own["change"]) - nano(&did["balance_change"]);
    assert!(difference.abs() < 10_000, "{difference}");
}

#[tokio::test]
async fn nothing_moves_without_a_yes() {
    let world = World::new().await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let to = bob.address.to_string();
    let args = ["cocoon", "wallet", "send", &to, "5TON", "--wallet", &alice.wallet];
    let before = world.balance(&bob.address).await;
    let ended = run(args, &mut world.session(None)).await;
    assert_eq!(ended.code, 3);
    assert!(ended.stderr.contains("--yes") && ended.stderr.contains("5 TON"), "{}", ended.stderr);
    let mut session = world.session(Some(false));
    assert_eq!(run(args, &mut session).await.code, 3);
    assert!(session.asked()[0].contains("It pays 5 TON"), "{:?}", session.asked());
    assert_eq!(world.balance(&bob.address).await, before);
    assert_eq!(run(args, &mut world.session(Some(true))).await.code, 0);
    assert!(world.balance(&bob.address).await > before + 4_999_999_000);
}

#[tokio::test]
async fn what_would_fail_is_not_sent() {
    let world = World::new().await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let to = bob.address.to_string();
    let before = world.balance(&alice.address).await;
    let args = ["wallet", "send", &to, "100000TON", "--wallet", &alice.wallet, "--yes"];
    let said = world.fails(4, &args).await;
    assert!(said.contains("nothing was sent") && said.contains("balance"), "{said}");
    assert_eq!(world.balance(&alice.address).await, before, "not even a fee was paid");
    let ended = world.run(&[&args[..5], &[&alice.wallet, "--dry-run", "--json"]].concat()).await;
    assert_eq!(ended.code, 4, "a dry run that fails says so in its exit code, too");
    let value: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&value["ok"], &value["succeeds"]), (&false.into(), &false.into()));
}

#[tokio::test]
async fn money_for_a_new_account_stays_there() {
    let world = World::new().await;
    let alice = world.person("alice").await;
    let to = format!("0:{}", "ab".repeat(32));
    world.pay(&alice, &["wallet", "send", &to, "1TON"]).await;
    assert_eq!(world.balance(&to.parse().unwrap()).await, 1_000_000_000);
}

#[tokio::test]
async fn attack_88_words_are_shown_only_when_asked_for() {
    let world = World::new().await;
    let alice = world.person("alice").await;
    let words = std::fs::read_to_string(&alice.wallet).unwrap();
    for args in [&["wallet", "show", &alice.wallet][..], &["wallet", "show", &alice.wallet, "--json"]] {
        let shown = world.run(args).await;
        assert_eq!(shown.code, 0);
        assert!(!shown.stdout.contains(words.trim()) && shown.stdout.contains("1000"), "{}", shown.stdout);
    }
    let shown = world.ok(&["wallet", "show", &alice.wallet, "--words"]).await;
    assert_eq!(shown["words"], words.trim());
    let again = world.fails(1, &["wallet", "new", &alice.wallet]).await;
    assert!(again.contains("never replaced"), "{again}");
    assert_eq!(std::fs::read_to_string(&alice.wallet).unwrap(), words);
}

#[tokio::test]
async fn a_wallet_can_be_shown_for_a_network_that_is_not_at_hand() {
    let world = World::new().await;
    let file = world.file("cold");
    let devnet = world.ok(&["wallet", "new", &file]).await;
    let mainnet = world.ok(&["wallet", "show", &file, "--on", "mainnet"]).await;
    assert_ne!(devnet["address"], mainnet["address"], "attack 4: a V5R1 wallet is another one on every network");
    assert_eq!(mainnet["balance"], serde_json::Value::Null);
}
