//! The light client against liteservers of which most are no good.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use cocoon_chain::light::{GlobalConfig, LightClient, LightError, LightSettings, ServerAddress};
use cocoon_chain::{AccountStatus, Chain, ChainError, OutMessage, Wallet, WalletVersion};
use cocoon_devnet::{Devnet, Fault, LiteServer};
use cocoon_lite::frame::Answered;
use cocoon_lite::{Answer, BlockIdExt, Connection, Frame, ServerKey, ZeroStateIdExt, answers};
use cocoon_protocol::{Nano, NodeKey, StdAddr, UnixSeconds};
use tycho_types::cell::HashBytes;

struct Network {
    devnet: Devnet,
    servers: Vec<LiteServer>,
}

impl Network {
    /// A network with this many liteservers.
    async fn new(count: usize) -> Self {
        let devnet = Devnet::ephemeral().await.unwrap();
        let mut servers = vec![];
        for _ in 0..count {
            servers.push(devnet.serve_lite("127.0.0.1:0".parse().unwrap()).await.unwrap());
        }
        Self { devnet, servers }
    }

    async fn config(&self) -> GlobalConfig {
        let mut all = vec![];
        for server in &self.servers {
            all.push(GlobalConfig::from_json(&self.devnet.global_config(server).await.unwrap().to_string()).unwrap());
        }
        let mut config = all[0].clone();
        config.servers = all.iter().flat_map(|one| one.servers.clone()).collect();
        config
    }

    async fn settings(&self) -> LightSettings {
        impatient(self.config().await)
    }

    async fn client(&self) -> LightClient {
        LightClient::connect(self.settings().await).await.unwrap()
    }

    fn all_but_one(&self, fault: Fault) {
        for server in &self.servers[1..] {
            server.set_fault(Some(fault));
        }
    }

    fn name(&self, index: usize) -> String {
        self.servers[index].address().to_string()
    }
}

fn impatient(config: GlobalConfig) -> LightSettings {
    LightSettings {
        timeout: Duration::from_millis(1000),
        patience: Duration::from_secs(20),
        poll: Duration::from_millis(20),
        ..LightSettings::new(config)
    }
}

fn wallet(seed: u8, chain: &dyn Chain) -> Wallet {
    Wallet::new(NodeKey::from_seed(&[seed; 32]), WalletVersion::V5R1, chain.network()).unwrap()
}

fn nobody() -> StdAddr {
    StdAddr::new(0, [0xab; 32].into())
}

/// Waits until the client is where the network is.
async fn caught_up(client: &LightClient, devnet: &Devnet) {
    let seqno = devnet.head().await.unwrap().seqno;
    let mut heads = client.subscribe();
    let there = heads.wait_for(|head| head.seqno >= seqno);
    tokio::time::timeout(Duration::from_secs(20), there).await.expect("the client follows").unwrap();
}

/// What the client says of an account and its history is what the network has.
async fn agree(client: &LightClient, devnet: &Devnet, address: &StdAddr) {
    caught_up(client, devnet).await;
    let seen = client.account(address).await.unwrap();
    let real = devnet.account(address).await.unwrap();
    assert_eq!(
        (seen.status, seen.balance, &seen.code, &seen.data),
        (real.status, real.balance, &real.code, &real.data)
    );
    assert_eq!((seen.last_trans_lt, seen.last_trans_hash), (real.last_trans_lt, real.last_trans_hash));
    let history = client.transactions(address, 0, usize::MAX).await.unwrap();
    assert_eq!(history, devnet.transactions(address, 0, usize::MAX).await.unwrap());
}

/// Everything that a service does: a payment from a new wallet, followed to its end.
async fn pays(client: &LightClient, devnet: &Devnet, seed: u8) {
    let payer = wallet(seed, client);
    devnet.faucet(payer.address(), Nano::from_ton(3)).await.unwrap();
    caught_up(client, devnet).await;
    let payment = OutMessage::new(devnet.giver().clone(), Nano::from_ton(1)).no_bounce();
    let trace = payer.send_and_confirm(client, &[payment]).await.unwrap();
    trace.ok().unwrap();
    assert_eq!(trace.transactions().len(), 2);
    agree(client, devnet, payer.address()).await;
}

#[tokio::test]
async fn a_service_sees_through_a_liteserver_what_the_network_has() {
    let network = Network::new(1).await;
    let client = network.client().await;
    assert_eq!(client.network(), network.devnet.network());
    assert_eq!(client.head().await.unwrap(), network.devnet.head().await.unwrap());
    let (seen, real) = (client.config().await.unwrap(), network.devnet.config().await.unwrap());
    assert_eq!(seen.params().as_dict().root(), real.params().as_dict().root());
    assert_eq!(client.account(&nobody()).await.unwrap().status, AccountStatus::NotExists);
    pays(&client, &network.devnet, 1).await;
    agree(&client, &network.devnet, network.devnet.giver()).await;
    // The masterchain has accounts too.
    let master = StdAddr::new(-1, [0x22; 32].into());
    network.devnet.faucet(&master, Nano::from_ton(2)).await.unwrap();
    agree(&client, &network.devnet, &master).await;
    for address in [[0x33; 32], [0x55; 32]] {
        let address = StdAddr::new(-1, address.into());
        let (seen, real) = (client.account(&address).await.unwrap(), network.devnet.account(&address).await.unwrap());
        assert_eq!((seen.status, seen.balance, seen.code), (real.status, real.balance, real.code));
    }
    // Where there is no workchain there is no account, and saying so is no lie.
    let nowhere = StdAddr::new(5, [0x44; 32].into());
    assert_eq!(client.account(&nowhere).await.unwrap().status, AccountStatus::NotExists);
    assert!(client.troubles().is_empty(), "{:?}", client.troubles());
    // A refusal comes back with the contract's own words.
    let empty = wallet(9, &client);
    let payment = OutMessage::new(nobody(), Nano::from_ton(1));
    let refused = empty.send_and_confirm(&client, &[payment]).await.unwrap_err();
    assert!(refused.to_string().contains("not accepted") || refused.to_string().contains("no contract"), "{refused}");
}

#[tokio::test]
async fn the_beginning_is_enough_to_start_from() {
    let network = Network::new(1).await;
    for _ in 0..3 {
        network.devnet.tick().await.unwrap();
    }
    let mut settings = network.settings().await;
    settings.network.init_block = None;
    let client = LightClient::connect(settings).await.unwrap();
    assert_eq!(client.head().await.unwrap(), network.devnet.head().await.unwrap());
    pays(&client, &network.devnet, 1).await;
}

#[tokio::test]
async fn history_is_gap_free_however_long_it_is() {
    let network = Network::new(2).await;
    let client = network.client().await;
    let payer = wallet(1, &client);
    for _ in 0..40 {
        network.devnet.faucet(payer.address(), Nano::from_ton(1)).await.unwrap();
    }
    agree(&client, &network.devnet, payer.address()).await;
    agree(&client, &network.devnet, network.devnet.giver()).await;
    // Page by page, from anywhere.
    let all = network.devnet.transactions(payer.address(), 0, usize::MAX).await.unwrap();
    assert!(all.len() >= 40);
    let (mut after, mut found) = (0, vec![]);
    loop {
        let page = client.transactions(payer.address(), after, 7).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.lt;
        found.extend(page);
    }
    assert_eq!(found, all);
}

#[tokio::test]
async fn key_blocks_bring_new_configurations() {
    let network = Network::new(2).await;
    let client = network.client().await;
    for round in 0..20u32 {
        let value = tycho_types::cell::CellBuilder::build_from(round).unwrap();
        network.devnet.set_config_param(u32::MAX - 7, Some(value)).await.unwrap();
    }
    caught_up(&client, &network.devnet).await;
    let (seen, real) = (client.config().await.unwrap(), network.devnet.config().await.unwrap());
    assert_eq!(seen.params().as_dict().root(), real.params().as_dict().root());
    // A newcomer goes through more key blocks than fit into one answer, from the beginning and from a block that is none.
    let mut settings = network.settings().await;
    settings.network.init_block = None;
    let late = LightClient::connect(settings).await.unwrap();
    assert_eq!(late.proven_block(), client.proven_block());
    let mut settings = network.settings().await;
    let ordinary = network.devnet.sealed(cocoon_devnet::block::Workchain::Master, 1).await.unwrap().unwrap();
    settings.network.init_block = Some(ordinary.id.into());
    let late = LightClient::connect(settings).await.unwrap();
    assert_eq!(late.proven_block(), client.proven_block());
}

#[tokio::test]
async fn what_is_proven_outlives_a_restart_and_the_network_may_not_go_back() {
    let network = Network::new(1).await;
    let folder = tempfile::tempdir().unwrap();
    let mut settings = network.settings().await;
    settings.network.init_block = None;
    settings.state_file = Some(folder.path().join("light.json"));
    let client = LightClient::connect(settings.clone()).await.unwrap();
    pays(&client, &network.devnet, 1).await;
    for round in 0..3u32 {
        let value = tycho_types::cell::CellBuilder::build_from(round).unwrap();
        network.devnet.set_config_param(u32::MAX - 7, Some(value)).await.unwrap();
        caught_up(&client, &network.devnet).await;
    }
    drop(client);
    let client = LightClient::connect(settings.clone()).await.unwrap();
    agree(&client, &network.devnet, wallet(1, &client).address()).await;
    drop(client);
    // A server that shows the network as it was before that is not believed.
    let seqno = network.devnet.head().await.unwrap().seqno;
    network.servers[0].set_fault(Some(Fault::Lag(seqno - 2)));
    settings.patience = Duration::from_secs(2);
    let refused = LightClient::connect(settings).await.err().unwrap();
    assert!(matches!(&refused, LightError::NoHead { why, .. } if why.contains("older than block")), "{refused}");
}

#[tokio::test]
async fn attack_85_one_honest_server_of_four_is_enough_when_the_others_lie() {
    for fault in [Fault::ForgeState, Fault::ForgeProof, Fault::ForgeSignature] {
        let network = Network::new(4).await;
        network.all_but_one(fault);
        let client = network.client().await;
        pays(&client, &network.devnet, 1).await;
        assert!(client.troubles().iter().all(|trouble| !trouble.starts_with(&network.name(0))));
    }
}

#[tokio::test]
async fn attack_85_one_honest_server_of_four_is_enough_when_the_others_stall() {
    let network = Network::new(4).await;
    network.all_but_one(Fault::Stall);
    let client = network.client().await;
    pays(&client, &network.devnet, 1).await;
    // And when they begin to in the middle of it, the last good one among them.
    network.servers[0].set_fault(Some(Fault::Stall));
    network.servers[3].set_fault(None);
    pays(&client, &network.devnet, 2).await;
}

#[tokio::test]
async fn attack_85_one_honest_server_of_four_is_enough_when_the_others_lag() {
    let network = Network::new(4).await;
    for _ in 0..8 {
        network.devnet.tick().await.unwrap();
    }
    network.all_but_one(Fault::Lag(6));
    let client = network.client().await;
    assert_eq!(client.head().await.unwrap(), network.devnet.head().await.unwrap());
    pays(&client, &network.devnet, 1).await;
    // Whoever is behind by more than a minute is named.
    network.devnet.advance(Duration::from_secs(3600)).await.unwrap();
    network.devnet.tick().await.unwrap();
    caught_up(&client, &network.devnet).await;
    for _ in 0..200 {
        if client.troubles().len() == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let troubles = client.troubles();
    assert_eq!(troubles.len(), 3, "{troubles:?}");
    for (index, trouble) in (1..).zip(&troubles) {
        assert!(trouble.starts_with(&network.name(index)) && trouble.contains("s behind"), "{troubles:?}");
    }
}

#[tokio::test]
async fn attack_85_servers_that_disappear_are_replaced_and_found_again() {
    let mut network = Network::new(4).await;
    let client = network.client().await;
    pays(&client, &network.devnet, 1).await;
    network.servers.truncate(1);
    pays(&client, &network.devnet, 2).await;
    // All gone: errors, and no old state for a new one.
    let address = network.servers[0].address();
    let key = *network.servers[0].public_key();
    network.servers.clear();
    network.devnet.tick().await.unwrap();
    let gone = client.account(&nobody()).await.unwrap_err();
    assert!(matches!(&gone, ChainError::Unreachable { why, .. } if why.contains(&address.to_string())), "{gone}");
    assert!(gone.is_transient());
    // One comes back under its old name, and the client with it.
    let back = network.devnet.serve_lite(address).await.unwrap();
    assert_eq!(*back.public_key(), key);
    pays(&client, &network.devnet, 3).await;
}

#[tokio::test]
async fn attack_85_a_server_with_another_key_or_of_another_network_is_not_talked_to() {
    let network = Network::new(1).await;
    let other = Network::new(1).await;
    let mut settings = network.settings().await;
    settings.patience = Duration::from_secs(1);
    let mut wrong_key = settings.clone();
    wrong_key.network.servers[0].key = *other.servers[0].public_key();
    let refused = LightClient::connect(wrong_key).await.err().unwrap();
    assert!(matches!(&refused, LightError::NoHead { why, .. } if why.contains(&network.name(0))), "{refused}");
    let mut wrong_network = settings;
    wrong_network.network.zero_state.root_hash.0[0] ^= 1;
    let refused = LightClient::connect(wrong_network).await.err().unwrap();
    assert!(matches!(&refused, LightError::NoHead { why, .. } if why.contains("zerostate")), "{refused}");
}

/// A server that says anything, for as long as anybody listens.
async fn babbler(zero: BlockIdExt) -> (ServerAddress, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let key = ServerKey::from_seed([5; 32]);
    let server = ServerAddress { address, key: key.public() };
    let task = tokio::spawn(async move {
        let mut number = 0usize;
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            let Ok(mut connection) = Connection::accept(stream, &key).await else { continue };
            while let Ok(frame) = connection.receiver.receive().await {
                let Frame::Asked(asked) = frame else { continue };
                number += 1;
                let init = ZeroStateIdExt { workchain: -1, root_hash: zero.root_hash, file_hash: zero.file_hash };
                let last = BlockIdExt { seqno: u32::MAX, root_hash: HashBytes([9; 32]), ..zero.clone() };
                let answer = match number % 6 {
                    0 => vec![],
                    1 => vec![0xff; 100_000],
                    2 => Answer::from(answers::CurrentTime { now: 0 }).to_bytes(),
                    3 => Answer::from(answers::Error { code: 0, message: "\u{1b}[31m".repeat(1000) }).to_bytes(),
                    // It has the newest block of all.
                    _ => Answer::from(answers::MasterchainInfoExt {
                        mode: 0,
                        version: 0,
                        capabilities: 0,
                        last,
                        last_utime: u32::MAX,
                        now: u32::MAX,
                        state_root_hash: HashBytes::ZERO,
                        init,
                    })
                    .to_bytes(),
                };
                let strange = Answered { query_id: HashBytes([1; 32]), answer: answer.clone() };
                let sent = connection.sender.send(&Frame::Answered(strange)).await;
                let query_id = asked.query_id;
                if sent.is_err()
                    || connection.sender.send(&Frame::Answered(Answered { query_id, answer })).await.is_err()
                {
                    break;
                }
                if number.is_multiple_of(7) {
                    break;
                }
            }
        }
    });
    (server, task)
}

#[tokio::test]
async fn attack_85_a_server_that_talks_nonsense_is_no_hindrance() {
    let network = Network::new(1).await;
    let mut settings = network.settings().await;
    let (babbler, task) = babbler(settings.network.zero_state.clone()).await;
    settings.network.servers.insert(0, babbler.clone());
    let client = LightClient::connect(settings).await.unwrap();
    for seed in 1..5 {
        pays(&client, &network.devnet, seed).await;
    }
    let troubles = client.troubles();
    assert!(troubles.iter().any(|trouble| trouble.starts_with(&babbler.address.to_string())), "{troubles:?}");
    assert!(troubles.iter().all(|trouble| trouble.len() < 1000 && !trouble.contains('\u{1b}')), "{troubles:?}");
    task.abort();
}

#[tokio::test]
async fn attack_85_a_network_that_stands_still_is_noticed_by_the_clock() {
    let network = Network::new(2).await;
    let utime = network.devnet.head().await.unwrap().utime;
    let mut settings = network.settings().await;
    settings.clock = Some(Arc::new(move || utime.plus(30)));
    assert!(LightClient::connect(settings.clone()).await.unwrap().head().await.is_ok());
    settings.clock = Some(Arc::new(move || UnixSeconds(utime.0 + 3600)));
    let client = LightClient::connect(settings).await.unwrap();
    let stale = client.head().await.unwrap_err();
    for index in 0..2 {
        assert!(stale.to_string().contains(&network.name(index)), "{stale}");
    }
    assert!(stale.to_string().contains("old"), "{stale}");
}

#[tokio::test]
async fn attack_86_a_forged_account_state_and_a_forged_signature_are_rejected() {
    for (fault, words) in
        [(Fault::ForgeState, "an account's state should be"), (Fault::ForgeProof, "an account's proof should be")]
    {
        let network = Network::new(1).await;
        let client = network.client().await;
        network.servers[0].set_fault(Some(fault));
        let refused = client.account(network.devnet.giver()).await.unwrap_err();
        assert!(refused.to_string().contains(words), "{refused}");
        network.servers[0].set_fault(None);
        agree(&client, &network.devnet, network.devnet.giver()).await;
    }
    let network = Network::new(1).await;
    network.devnet.tick().await.unwrap();
    network.servers[0].set_fault(Some(Fault::ForgeSignature));
    let mut settings = network.settings().await;
    settings.network.init_block = None;
    settings.patience = Duration::from_secs(1);
    let refused = LightClient::connect(settings).await.err().unwrap();
    assert!(matches!(&refused, LightError::NoHead { why, .. } if why.contains("signatures of a block")), "{refused}");
}
