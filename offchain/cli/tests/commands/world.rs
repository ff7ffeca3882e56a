//! A network with a fresh DAO, and people with wallets in files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cocoon_actions::carry_out;
use cocoon_actions::genesis::Genesis;
use cocoon_chain::{Chain, StdAddr, Wallet, WalletVersion};
use cocoon_cli::session::Session;
use cocoon_cli::{Ended, run};
use cocoon_devnet::Devnet;
use cocoon_protocol::{Hash256, Nano, NodeKey};
use cocoon_wrappers::generated::governor::GovernorParams;
use cocoon_wrappers::generated::registry::RegistryParams;
use serde_json::Value;

pub struct World {
    pub chain: Arc<Devnet>,
    pub registry: StdAddr,
    pub dir: tempfile::TempDir,
}

/// Somebody with a wallet.
pub struct Person {
    pub wallet: String,
    pub address: StdAddr,
}

const DAY: u32 = 86_400;

/// Three members of the council of whom two must sign, and two rebuilders who both must.
fn genesis() -> Genesis {
    let keys = |seeds: &[u8]| seeds.iter().map(|seed| NodeKey::from_seed(&[*seed; 32]).public()).collect();
    Genesis {
        salt: 0,
        epoch_length: DAY,
        rules: GovernorParams {
            proposal_threshold: Nano::from_ton(100).into(),
            proposal_bond: Nano::from_ton(10).into(),
            voting_delay: DAY,
            voting_period: 3 * DAY,
            late_extension: DAY,
            timelock: 2 * DAY,
            execution_window: 14 * DAY,
            unbonding_delay: 14 * DAY,
            quorum_bps: 2_000,
        },
        params: RegistryParams {
            min_worker_stake: Nano::from_ton(100).into(),
            min_proxy_bond: Nano::from_ton(50).into(),
            activation_delay: DAY,
            proxy_unbonding: 7 * DAY,
            min_challenge: 3_600,
            protocol_fee_bps: 100,
            suspension_period: 3 * DAY,
        },
        roots: vec![Hash256([5; 32])],
        min_evaluation: 1,
        council: keys(&COUNCIL),
        council_threshold: 2,
        rebuilders: keys(&REBUILDERS),
        rebuild_threshold: 2,
    }
}

/// Seeds of the council's keys.
pub const COUNCIL: [u8; 3] = [0xc1, 0xc2, 0xc3];
/// Seeds of the rebuilders' keys.
pub const REBUILDERS: [u8; 2] = [0xb1, 0xb2];

impl World {
    /// A key that is known from genesis, in a file.
    pub fn known_key(&self, seed: u8) -> String {
        let file = self.file(&format!("key-{seed:02x}"));
        if !self.path(&format!("key-{seed:02x}")).exists() {
            cocoon_cli::secrets::create(std::path::Path::new(&file), hex::encode([seed; 32]).as_bytes()).unwrap();
        }
        file
    }

    pub async fn new() -> Self {
        let chain = Arc::new(Devnet::ephemeral().await.unwrap());
        let founder = Wallet::new(NodeKey::from_seed(&[77; 32]), WalletVersion::V5R1, chain.network()).unwrap();
        chain.faucet(founder.address(), Nano::from_ton(100)).await.unwrap();
        let genesis = genesis();
        carry_out(chain.as_ref(), &founder, &genesis.deploy().unwrap()).await.unwrap();
        let registry = genesis.registry().unwrap().1;
        Self { chain, registry, dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub fn session(&self, answer: Option<bool>) -> Session {
        Session::on(self.chain.clone(), self.registry.clone(), answer)
    }

    /// Runs a command line; nobody sits at the terminal.
    pub async fn run(&self, args: &[&str]) -> Ended {
        run(["cocoon"].iter().chain(args), &mut self.session(None)).await
    }

    /// Runs a command line that must succeed, and reads its JSON.
    pub async fn ok(&self, args: &[&str]) -> Value {
        let ended = self.run(&[args, &["--json"]].concat()).await;
        assert_eq!(ended.code, 0, "{args:?}: {}{}", ended.stdout, ended.stderr);
        let value: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(value["ok"], true);
        assert_eq!(ended.stdout.lines().count(), 1, "one object in one line");
        value
    }

    /// Runs a command line of somebody's that pays.
    pub async fn pay(&self, who: &Person, args: &[&str]) -> Value {
        self.ok(&[args, &["--wallet", &who.wallet, "--yes"]].concat()).await
    }

    /// Runs a command line that must fail with this exit code, and returns what it says.
    pub async fn fails(&self, code: u8, args: &[&str]) -> String {
        let ended = self.run(args).await;
        assert_eq!(ended.code, code, "{args:?}: {}{}", ended.stdout, ended.stderr);
        assert!(!ended.stderr.is_empty(), "{args:?} says nothing");
        ended.stderr
    }

    /// Somebody new with 1000 TON.
    pub async fn person(&self, name: &str) -> Person {
        let wallet = self.file(name);
        let made = self.ok(&["wallet", "new", &wallet]).await;
        let address: StdAddr = made["address"].as_str().unwrap().parse().unwrap();
        self.chain.faucet(&address, Nano::from_ton(1_000)).await.unwrap();
        Person { wallet, address }
    }

    /// A key in a file; returns the file and the public key.
    pub async fn key(&self, name: &str) -> (String, String) {
        let file = self.file(name);
        let made = self.ok(&["key", "new", &file]).await;
        (file, made["public_key"].as_str().unwrap().to_owned())
    }

    pub async fn pass(&self, seconds: u64) {
        self.chain.advance(Duration::from_secs(seconds)).await.unwrap();
    }

    /// Moves the time on to a point that a command has told.
    pub async fn pass_until(&self, time: &Value) {
        let now = u64::from(self.chain.head().await.unwrap().utime.0);
        let then = time["unix"].as_u64().unwrap();
        if then > now {
            self.pass(then - now).await;
        }
    }

    pub async fn balance(&self, account: &StdAddr) -> u64 {
        self.chain.account(account).await.unwrap().balance.get()
    }
}

pub fn nano(value: &Value) -> i128 {
    value["nano"].as_str().unwrap().parse().unwrap()
}

pub const TON: i128 = 1_000_000_000;
