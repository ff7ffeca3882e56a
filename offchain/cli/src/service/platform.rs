//! The hardware of a service: a real trust domain, or a machine of a development network's simulated vendor.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cocoon_attest::pccs::{Keeper, Pccs, PckCa};
use cocoon_attest::sim::Simulator;
use cocoon_attest::{CollateralProvider, CollateralStore, Fmspc, Quoter, TsmQuoter};
use cocoon_chain::Chain;
use cocoon_protocol::Role;
use tokio_util::task::AbortOnDropHandle;

use super::config::PlatformTable;
use crate::secrets::seed;

/// How often collateral is looked after. It lives for weeks.
const LOOK_AFTER: Duration = Duration::from_secs(600);

/// Where quotes and collateral come from.
pub struct Platform {
    /// Quotes.
    pub quoter: Arc<dyn Quoter>,
    /// Collateral of peers.
    pub collateral: Arc<dyn CollateralProvider>,
    /// Keeps collateral fresh as long as this lives.
    _keeper: Option<AbortOnDropHandle<()>>,
}

impl Platform {
    /// Opens the platform that a file describes, for a service of this role. Paths begin at `folder`.
    pub async fn open(table: &PlatformTable, folder: &Path, role: Role, chain: &Arc<dyn Chain>) -> Result<Self> {
        match table {
            PlatformTable::Simulated { vendor, machine } => {
                let path = folder.join(vendor);
                let key = seed::open(&path).context("the seed of the simulated vendor")?;
                let vendor = Arc::new(Simulator::from_seed(&key.seed())?);
                let quoter = vendor.platform(*machine)?.quoter(cocoon_localnet::measurements(role));
                Ok(Self { quoter: Arc::new(quoter), collateral: vendor, _keeper: None })
            }
            PlatformTable::Tdx { pccs, fmspcs } => {
                let quoter = TsmQuoter::default();
                // A machine that is no trust domain is told so before anything is fetched.
                quoter.quote(&[0; 64]).context("this machine gives no quote")?;
                let store = Arc::new(CollateralStore::default());
                let keeper = Keeper::new(Pccs::new(pccs, reqwest::Client::new()), store.clone());
                for model in fmspcs {
                    keeper.watch(fmspc(model)?, PckCa::Platform);
                }
                let head = chain.subscribe();
                let failed = keeper.refresh(head.borrow().utime).await;
                if let Some((model, error)) = failed.into_iter().next() {
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
                Ok(Self { quoter: Arc::new(quoter), collateral: store, _keeper: Some(AbortOnDropHandle::new(task)) })
            }
        }
    }
}

fn fmspc(text: &str) -> Result<Fmspc> {
    let mut bytes = [0; 6];
    let decoded = hex::decode_to_slice(text, &mut bytes);
    ensure!(decoded.is_ok(), "{text:?} is no platform model: an FMSPC has 12 hexadecimal digits");
    Ok(Fmspc(bytes))
}
