//! A service's place in the network: its chain, its keys, its hardware, its books.

use std::ops::Deref;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use cocoon_actions::System;
use cocoon_attest::{CollateralProvider, CollateralStore, Quoter};
use cocoon_chain::{Chain, LightClient, StdAddr, Wallet};
use cocoon_link::LinkConfig;
use cocoon_node::{Node, NodeConfig};
use cocoon_protocol::{Nano, NodeKey, Role};

use super::config::{NodeTable, PlatformTable};
use super::platform::Platform;
use crate::network::{NetworkFile, connect};
use crate::secrets::{mnemonic, seed};

/// What a service has of the network before it is a node.
pub struct Place {
    /// The chain, proven.
    pub chain: Arc<LightClient>,
    /// The root contract.
    pub registry: StdAddr,
    data: PathBuf,
    table: NodeTable,
    folder: PathBuf,
}

impl Place {
    /// Reaches the network and makes the data folder. Paths begin at `folder`.
    pub async fn open(table: &NodeTable, folder: &Path) -> Result<Self> {
        let data = folder.join(&table.data);
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&data).with_context(|| format!("making {}", data.display()))?;
        let mut file = NetworkFile::read(&folder.join(&table.network))?;
        file.trusted_state = Some(data.join("chain.json"));
        let registry = file.registry()?.clone();
        let chain = connect(&file).await.context("reaching the network")?;
        Ok(Self { chain, registry, data, table: table.clone(), folder: folder.to_owned() })
    }

    /// A file in the data folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    /// The contracts, for actions.
    pub fn system(&self) -> System {
        System::new(self.chain.clone(), self.registry.clone())
    }

    /// The node's key; made the first time, where it is used and nowhere else.
    pub fn key(&self) -> Result<NodeKey> {
        let path = self.file("node.key");
        if path.exists() { seed::open(&path) } else { seed::new(&path) }
    }

    /// The wallet that pays.
    pub fn wallet(&self) -> Result<Wallet> {
        let key = match &self.table.wallet {
            Some(path) => mnemonic::open(&self.folder.join(path))?,
            None => {
                let path = self.file("wallet");
                if path.exists() { mnemonic::open(&path)? } else { mnemonic::new(&path)? }
            }
        };
        Ok(Wallet::new(key, self.table.wallet_version.into(), self.chain.network())?)
    }

    /// A node on the hardware that a file describes.
    pub async fn node(&self, role: Role, table: &PlatformTable, report_from: Option<Nano>) -> Result<Seated> {
        let mut platform = Platform::open(table, &self.folder, role)?;
        let (quoter, collateral) = (platform.quoter.clone(), platform.collateral.clone());
        let node = self.start(role, Some(quoter), collateral, report_from).await?;
        platform.keep_collateral(&node).await?;
        Ok(Seated { node, _platform: Some(platform) })
    }

    /// A client, which runs on any machine: it shows its node key, and verifies others with the collateral that its proxy hands over.
    pub async fn client(&self) -> Result<Seated> {
        let node = self.start(Role::Client, None, Arc::new(CollateralStore::default()), None).await?;
        Ok(Seated { node, _platform: None })
    }

    async fn start(
        &self,
        role: Role,
        quoter: Option<Arc<dyn Quoter>>,
        collateral: Arc<dyn CollateralProvider>,
        report_from: Option<Nano>,
    ) -> Result<Arc<Node>> {
        let config = NodeConfig {
            chain: self.chain.clone(),
            registry: self.registry.clone(),
            role,
            key: self.key()?,
            wallet: Arc::new(self.wallet()?),
            quoter,
            collateral,
            link: LinkConfig::default(),
            store: self.file("vouchers.redb"),
            report_from,
        };
        Node::start(config).await.with_context(|| format!("starting the {role}"))
    }
}

/// A node, and what keeps its hardware's papers in order.
pub struct Seated {
    node: Arc<Node>,
    _platform: Option<Platform>,
}

impl Deref for Seated {
    type Target = Arc<Node>;

    fn deref(&self) -> &Arc<Node> {
        &self.node
    }
}
