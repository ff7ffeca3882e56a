//! A network with a fresh DAO, and people with wallets in files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cocoon_chain::{Chain, StdAddr, Wallet, WalletVersion};
use cocoon_cli::session::Session;
use cocoon_cli::{Ended, run};
use cocoon_devnet::Devnet;
use cocoon_localnet::Dao;
use cocoon_protocol::{Hash256, Nano, NodeKey};
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

impl World {
    pub async fn new() -> Self {
        let chain = Arc::new(Devnet::ephemeral().await.unwrap());
        let founder = Wallet::new(NodeKey::from_seed(&[77; 32]), WalletVersion::V5R1, chain.network()).unwrap();
        chain.faucet(founder.address(), Nano::from_ton(100)).await.unwrap();
        let mut dao = Dao::new(&chain, Hash256([5; 32])).unwrap();
        let registry = dao.registry().clone();
        dao.deploy(&founder).await.unwrap();
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
