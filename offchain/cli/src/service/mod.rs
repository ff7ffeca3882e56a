//! `cocoon client|proxy|worker|watcher`: each service as a process of its own.
//!
//! A service reads one file ([`config`]), gets keys, chain and hardware from its [`place`], says on standard error what is missing
//! on chain and waits for it, prints one line when it is ready, and serves until it is asked to stop. `cocoon up` runs the same
//! services side by side in one process.

pub mod client;
pub mod config;
pub mod place;
pub mod platform;
pub mod proxy;
pub mod watcher;
pub mod worker;

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use cocoon_node::Node;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::up::asked_to_stop;

/// How long a service may take to bill what is under way.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Arguments of every service.
#[derive(clap::Args)]
pub struct Args {
    /// What the service is: a file in TOML. docs/operating.md describes each.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Print one JSON object on standard output when the service is ready.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A running service.
pub(crate) trait Service: Sized {
    /// What it says when it is ready.
    fn ready(&self) -> (String, Value);

    /// Ends what is under way, bills it, and stops.
    fn stop(self) -> impl Future<Output = ()>;
}

/// Runs a service until it is asked to stop.
pub(crate) async fn run<S: Service>(args: &Args, start: impl Future<Output = Result<S>>) -> Result<()> {
    no_core_dumps()?;
    let mut stop = pin!(asked_to_stop());
    let service = tokio::select! {
        started = start => started?,
        asked = &mut stop => return asked,
    };
    let (words, ready) = service.ready();
    if args.json {
        println!("{ready}");
    }
    eprintln!("{words} — Ctrl-C stops");
    stop.await?;
    eprintln!("stopping: what is under way is billed first");
    service.stop().await;
    Ok(())
}

/// The memory of a service holds keys, and a client's and a worker's holds prompts: no crash writes it to a disk (attack 88).
fn no_core_dumps() -> Result<()> {
    rlimit::setrlimit(rlimit::Resource::CORE, 0, 0).context("switching core dumps off")
}

/// Claims what a node earns, and gives its vouchers to the tower that its file names.
pub(crate) fn watch_over(node: &Arc<Node>, tower: Option<String>) {
    tokio::spawn(cocoon_watcher::run(node.clone(), cocoon_watcher::DEFAULT_POLICY));
    if let Some(tower) = tower {
        tokio::spawn(cocoon_watcher::deliver::deliver(node.clone(), reqwest::Client::new(), tower));
    }
}

/// Waits for a service to end, within reason.
pub(crate) async fn until_over(serving: JoinHandle<()>) {
    if tokio::time::timeout(STOP_PATIENCE, serving).await.is_err() {
        tracing::warn!("the service did not end in time; what it had acknowledged is on disk");
    }
}
