//! The same commands over ADNL, as a process of their own sees a network: through a liteserver that is not trusted.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use cocoon_chain::Chain;
use cocoon_cli::network::{Control as ControlFile, NetworkFile};
use cocoon_cli::session::Session;
use cocoon_cli::{Ended, run};
use cocoon_localnet::control::Control;
use tokio_util::sync::CancellationToken;

use crate::world::{TON, World, nano};

async fn far(args: &[&str]) -> Ended {
    run(["cocoon"].iter().chain(args), &mut Session::terminal()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_is_used_through_its_liteserver() {
    let world = World::new().await;
    let alice = world.person("alice").await;
    let lite = Arc::new(world.chain.serve_lite(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap());
    let token_file = world.path("token");
    let stop = CancellationToken::new();
    let control = Control::serve(Arc::clone(&world.chain), Arc::clone(&lite), 0, &token_file, stop).await.unwrap();
    let network = world.file("network.json");
    NetworkFile {
        global_config: world.chain.global_config(&lite).await.unwrap(),
        registry: Some(world.registry.clone()),
        trusted_state: Some(world.path("trusted")),
        control: Some(ControlFile { url: control.url(), token_file }),
    }
    .write(std::path::Path::new(&network))
    .unwrap();

    let ok = async |args: &[&str]| -> serde_json::Value {
        let ended = far(&[args, &["--network", &network, "--json"]].concat()).await;
        assert_eq!(ended.code, 0, "{args:?}: {}{}", ended.stdout, ended.stderr);
        serde_json::from_str(&ended.stdout).unwrap()
    };
    assert_eq!(ok(&["registry", "show"]).await["registry"], world.registry.to_string());
    let owner = alice.address.to_string();
    let deposit = ["stake", "deposit", "300TON", "--wallet", &alice.wallet];
    let would = ok(&[&deposit[..], &["--dry-run"]].concat()).await;
    assert_eq!(would["succeeds"], true, "{would}");
    ok(&[&deposit[..], &["--yes"]].concat()).await;
    let before = world.chain.head().await.unwrap().utime.0;
    ok(&["devnet", "advance", "1d"]).await;
    assert!(world.chain.head().await.unwrap().utime.0 >= before + 86_400);
    assert_eq!(nano(&ok(&["stake", "show", &owner]).await["weight_now"]), 300 * TON);
    assert_eq!(ok(&["dao", "list"]).await["proposals"].as_array().unwrap().len(), 0);
    assert!(std::fs::metadata(world.path("trusted")).is_ok(), "the newest proven block is kept");
}
