//! The clock and the faucet.

use std::net::SocketAddr;
use std::sync::Arc;

use cocoon_chain::Chain;
use cocoon_cli::network::Control as ControlFile;
use cocoon_cli::run;
use cocoon_localnet::control::Control;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::world::{World, nano};

#[tokio::test]
async fn time_and_money_come_from_the_command_line() {
    let world = World::new().await;
    let token_file = world.path("control.token");
    let lite = Arc::new(world.chain.serve_lite(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap());
    let stop = CancellationToken::new();
    let control = Control::serve(Arc::clone(&world.chain), lite, 0, &token_file, stop).await.unwrap();
    let file = ControlFile { url: control.url(), token_file };
    let ok = async |args: &[&str]| -> Value {
        let mut session = world.session(None).with_control(file.clone());
        let ended = run(["cocoon", "devnet"].iter().chain(args).chain(&["--json"]), &mut session).await;
        assert_eq!(ended.code, 0, "{args:?}: {}", ended.stderr);
        serde_json::from_str(&ended.stdout).unwrap()
    };
    let before = world.chain.head().await.unwrap().utime.0;
    let after = ok(&["advance", "3d"]).await;
    assert!(after["time"]["unix"].as_u64().unwrap() >= u64::from(before) + 3 * 86_400);
    assert!(ok(&["elect", "4"]).await["block"].as_u64() > after["block"].as_u64());
    let to = format!("0:{}", "cd".repeat(32));
    assert_eq!(nano(&ok(&["faucet", &to, "100TON"]).await["balance"]), 100_000_000_000);
    assert!(ok(&["status"]).await["block"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn a_network_without_controls_says_so() {
    let world = World::new().await;
    let said = world.fails(2, &["devnet", "status"]).await;
    assert!(said.contains("network"), "{said}");
    let file = world.path("network.json");
    let text = serde_json::json!({ "global_config": {}, "registry": world.registry.to_string() });
    std::fs::write(&file, text.to_string()).unwrap();
    let said = world.fails(2, &["devnet", "advance", "3d", "--network", file.to_str().unwrap()]).await;
    assert!(said.contains("cannot be steered"), "{said}");
}
