//! A runtime of its own for each service, so that one can be killed like a process: at once, in the middle of anything.

use std::future::Future;

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// Runs one service.
pub struct Host {
    name: &'static str,
    runtime: Option<Runtime>,
}

impl Host {
    /// A runtime with this name on its threads.
    pub fn new(name: &'static str) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name(name)
            .enable_all()
            .build()
            .with_context(|| format!("starting a runtime for the {name}"))?;
        Ok(Self { name, runtime: Some(runtime) })
    }

    /// Runs a future on this runtime and waits for it.
    pub async fn run<T, F>(&self, future: F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let runtime = self.runtime.as_ref().with_context(|| format!("the {} is not running", self.name))?;
        runtime.spawn(future).await.with_context(|| format!("the {} has died", self.name))?
    }

    /// Starts a future on this runtime; `None` when it has been killed.
    pub fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) -> Option<JoinHandle<()>> {
        self.runtime.as_ref().map(|runtime| runtime.spawn(future))
    }

    /// Ends everything on this runtime where it stands.
    pub fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
    }
}
