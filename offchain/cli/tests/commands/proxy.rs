//! Proxies from the command line.

use crate::world::{TON, World, nano};

#[tokio::test]
async fn a_proxy_is_registered_changed_and_withdrawn() {
    let world = World::new().await;
    let owner = world.person("operator").await;
    let address = owner.address.to_string();
    let (key, public) = world.key("proxy.key").await;
    let register = |bond: &'static str| {
        ["registry", "proxy", "register", "--endpoint", "proxy.example:443", "--bond", bond, "--node-key", &key]
    };
    let low = [&register("1TON")[..], &["--wallet", &owner.wallet, "--yes"]].concat();
    assert!(world.fails(4, &low).await.contains("50 TON"));
    world.pay(&owner, &register("50TON")).await;
    let shown = world.ok(&["registry", "proxy", "show", &address]).await;
    assert_eq!((&shown["node_key"], &shown["endpoint"]), (&public.into(), &"proxy.example:443".into()));
    assert_eq!(nano(&world.ok(&["registry", "show"]).await["proxies_bonded"]), 50 * TON);
    let again = [&register("50TON")[..], &["--wallet", &owner.wallet, "--yes"]].concat();
    assert!(world.fails(4, &again).await.contains("has a proxy already"));

    let update = ["registry", "proxy", "update", "--endpoint", "other.example:1", "--add-bond", "10TON"];
    world.pay(&owner, &update).await;
    let shown = world.ok(&["registry", "proxy", "show", &address]).await;
    assert_eq!((nano(&shown["bond"]), &shown["endpoint"]), (60 * TON, &"other.example:1".into()));

    let withdraw = ["registry", "proxy", "withdraw", "--wallet", &owner.wallet, "--yes"];
    assert!(world.fails(4, &withdraw).await.contains("unbond it first"));
    world.pay(&owner, &["registry", "proxy", "unbond"]).await;
    assert!(world.fails(4, &withdraw).await.contains("locked"));
    world.pass(7 * 86_400).await;
    let before = i128::from(world.balance(&owner.address).await);
    world.ok(&withdraw).await;
    let back = i128::from(world.balance(&owner.address).await) - before;
    assert!((59 * TON..=60 * TON).contains(&back), "{back}");
    assert!(world.fails(4, &["registry", "proxy", "show", &address]).await.contains("does not know"));
}
