//! Networks with many validators, who change: the light client follows, and only the right ones count.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::num::NonZeroU16;
use std::time::Duration;

use cocoon_chain::Chain;
use cocoon_chain::light::{GlobalConfig, LightClient, LightError, LightSettings};
use cocoon_devnet::{Devnet, Fault, LiteServer, ManualClock, Settings};
use cocoon_protocol::UnixSeconds;

fn count(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).unwrap()
}

async fn network(validators: u16) -> (Devnet, LiteServer, LightSettings) {
    let clock = Box::new(ManualClock::new(UnixSeconds(1_760_000_000)));
    let settings = Settings { clock, tick: None, validators: count(validators), ..Settings::default() };
    let devnet = Devnet::start(settings).await.unwrap();
    let server = devnet.serve_lite("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let config = devnet.global_config(&server).await.unwrap();
    let settings = LightSettings {
        poll: Duration::from_millis(20),
        timeout: Duration::from_secs(2),
        patience: Duration::from_secs(20),
        ..LightSettings::new(GlobalConfig::from_json(&config.to_string()).unwrap())
    };
    (devnet, server, settings)
}

async fn elect(devnet: &Devnet, validators: u16) {
    devnet.elect(count(validators)).await.unwrap();
    devnet.advance(Duration::from_secs(1)).await.unwrap();
    devnet.tick().await.unwrap();
}

async fn caught_up(client: &LightClient, devnet: &Devnet) {
    let seqno = devnet.head().await.unwrap().seqno;
    let mut heads = client.subscribe();
    let there = heads.wait_for(|head| head.seqno >= seqno);
    tokio::time::timeout(Duration::from_secs(20), there).await.expect("the client follows").unwrap();
}

#[tokio::test]
async fn the_light_client_crosses_every_change_of_validators() {
    let (devnet, _server, settings) = network(3).await;
    let client = LightClient::connect(settings.clone()).await.unwrap();
    for validators in [21, 1, 100, 4, 5, 6, 7, 8, 9, 10] {
        elect(&devnet, validators).await;
    }
    // Sessions of the same validators, one after the other.
    for _ in 0..5 {
        devnet.advance(Duration::from_secs(3000)).await.unwrap();
    }
    caught_up(&client, &devnet).await;
    // Newcomers from the beginning and from where the file begins now.
    let mut from_zerostate = settings.clone();
    from_zerostate.network.init_block = None;
    for settings in [from_zerostate, settings] {
        let late = LightClient::connect(settings).await.unwrap();
        assert_eq!(late.proven_block(), client.proven_block());
        let account = late.account(devnet.giver()).await.unwrap();
        assert_eq!(account.balance, devnet.account(devnet.giver()).await.unwrap().balance);
    }
}

#[tokio::test]
async fn attack_86_one_false_signature_among_many_is_enough_to_refuse() {
    let (devnet, server, mut settings) = network(7).await;
    elect(&devnet, 13).await;
    server.set_fault(Some(Fault::ForgeSignature));
    settings.network.init_block = None;
    settings.patience = Duration::from_secs(1);
    let refused = LightClient::connect(settings).await.err().unwrap();
    assert!(matches!(&refused, LightError::NoHead { why, .. } if why.contains("signatures of a block")), "{refused}");
}
