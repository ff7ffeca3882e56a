//! The hardware of a service: a real trust domain, or a machine of a development network's simulated vendor.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use cocoon_attest::pccs::{Keeper, Pccs};
use cocoon_attest::sim::Simulator;
use cocoon_attest::{CollateralProvider, CollateralStore, Quoter, TsmQuoter};
use cocoon_node::Node;
use cocoon_protocol::Role;
use tokio_util::task::AbortOnDropHandle;

use super::config::PlatformTable;
use crate::secrets::seed;

/// How often somebody looks whether collateral is due. It lives for weeks.
const LOOK_AFTER: Duration = Duration::from_secs(60);

/// Where quotes and collateral come from.
pub struct Platform {
    /// Quotes.
    pub quoter: Arc<dyn Quoter>,
    /// Collateral of peers.
    pub collateral: Arc<dyn CollateralProvider>,
    /// Fetches collateral, until the node is there that it is for.
    keeper: Option<Keeper>,
    /// Keeps collateral fresh as long as this lives.
    keeping: Option<AbortOnDropHandle<()>>,
}

impl Platform {
    /// Opens the platform that a file describes, for a service of this role. Paths begin at `folder`.
    pub fn open(table: &PlatformTable, folder: &Path, role: Role) -> Result<Self> {
        match table {
            PlatformTable::Simulated { vendor, machine } => {
                let path = folder.join(vendor);
                let key = seed::open(&path).context("the seed of the simulated vendor")?;
                let vendor = Arc::new(Simulator::from_seed(&key.seed())?);
                let quoter = vendor.platform(*machine)?.quoter(cocoon_localnet::measurements(role));
                Ok(Self { quoter: Arc::new(quoter), collateral: vendor, keeper: None, keeping: None })
            }
            PlatformTable::Tdx { pccs } => {
                let quoter = TsmQuoter::default();
                // A machine that is no trust domain is told so before anything else is tried.
                quoter.quote(&[0; 64]).context("this machine gives no quote")?;
                let store = Arc::new(CollateralStore::default());
                let service = |base: &String| Keeper::new(Pccs::new(base, reqwest::Client::new()), store.clone());
                let keeper = pccs.as_ref().map(service);
                Ok(Self { quoter: Arc::new(quoter), collateral: store, keeper, keeping: None })
            }
        }
    }

    /// From now on the collateral of this machine is kept fresh, for peers that reach no service of their own.
    pub async fn keep_collateral(&mut self, node: &Node) -> Result<()> {
        let Some(keeper) = self.keeper.take() else { return Ok(()) };
        keeper.watch_platform_of(&node.evidence()).context("reading this machine's own certificate")?;
        let head = node.chain().subscribe();
        let now = head.borrow().utime;
        if let Some((model, error)) = keeper.refresh(now).await.into_iter().next() {
            return Err(error).with_context(|| format!("fetching the collateral of platform model {model}"));
        }
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_AFTER).await;
                // What fails is logged and tried again; collateral that still speaks goes on speaking.
                let now = head.borrow().utime;
                keeper.refresh(now).await;
            }
        });
        self.keeping = Some(AbortOnDropHandle::new(task));
        Ok(())
    }
}
