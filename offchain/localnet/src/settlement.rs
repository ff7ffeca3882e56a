//! The end of the channels: claimed, closed, settled on chain.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cocoon_chain::{Chain, Trace};
use cocoon_node::books::PayeeChannel;
use cocoon_node::channels;
use cocoon_protocol::Nano;

use crate::LocalNet;

/// What the channels came to, as the chain has it.
#[derive(Debug)]
pub struct Settlement {
    /// Deposited by the client.
    pub deposit: Nano,
    /// Paid to the proxy.
    pub claimed: Nano,
    /// Returned to the client.
    pub refunded: Nano,
    /// Paid by the proxy to the worker's owner.
    pub worker_claimed: Nano,
    /// Everything that was sent for it.
    pub traces: Vec<Trace>,
}

impl LocalNet {
    /// Claims both channels, closes the client's by the challenge period (whose hour passes by time travel) and the
    /// worker's with its consent, and reads from the chain what everybody got.
    pub async fn settle(&mut self) -> Result<Settlement> {
        let chain: &dyn Chain = &*self.chain;
        let (client, proxy, worker) = (self.client()?, self.proxy()?, self.worker()?);
        let mut traces = vec![];

        let clients_channel = client.client.channel().address().clone();
        let (earned, workers) = (proxy.node.earning_channels(), worker.node.earning_channels());
        for channel in earned.iter().chain(&workers) {
            until_exact(channel).await;
        }
        client.client.disconnect().await;
        for channel in &earned {
            let claimed =
                cocoon_watcher::claim(&proxy.node, channel).await.context("claiming from the client's channel")?;
            traces.extend(claimed.map(|c| c.trace));
        }
        for channel in &workers {
            let claimed =
                cocoon_watcher::claim(&worker.node, channel).await.context("claiming from the worker's channel")?;
            traces.extend(claimed.map(|c| c.trace));
        }

        let before = channels::read(chain, &clients_channel).await?.context("the client's channel is gone")?;
        let wallet = client.node.wallet();
        traces.push(channels::request_close(wallet, chain, &clients_channel).await.context("asking to close")?);
        let challenge = client.client.channel().terms().challenge;
        self.chain.advance(Duration::from_secs(u64::from(challenge) + 1)).await?;
        traces.push(channels::settle(wallet, chain, &clients_channel).await.context("settling the client's channel")?);
        let after = channels::read(chain, &clients_channel).await?.context("the client's channel is gone")?;
        ensure!(after.deposit == after.claimed, "the settled channel still owes {:?}", after.deposit);

        let mut worker_claimed = Nano::ZERO;
        for channel in &workers {
            let consent = cocoon_watcher::consent(&worker.node, channel).await?;
            let (auth, signature) = consent.context("the worker does not consent: something is unclaimed")?;
            let address = channel.address();
            let wallet = proxy.node.wallet();
            let closed = channels::close_with_consent(wallet, chain, address, auth.to_cell()?, signature).await;
            traces.push(closed.context("closing the worker's channel")?);
            let state = channels::read(chain, address).await?.context("the worker's channel is gone")?;
            worker_claimed = worker_claimed.saturating_add(state.claimed);
        }
        Ok(Settlement {
            deposit: before.deposit,
            claimed: after.claimed,
            refunded: before.deposit.saturating_sub(after.claimed),
            worker_claimed,
            traces,
        })
    }
}

/// Waits until the exact voucher of the last answer is there: it travels after the receipt. A payer that never sends it is
/// claimed from with the one that covers the bill.
async fn until_exact(channel: &PayeeChannel) {
    let mut changes = channel.changes();
    let exact = async {
        loop {
            let done = channel.with(|books| {
                let claimable = books.claimable().map_or(Nano::ZERO, |v| v.voucher.cumulative);
                books.in_flight() == 0 && claimable == books.billed()
            });
            if done || changes.changed().await.is_err() {
                return;
            }
        }
    };
    if tokio::time::timeout(Duration::from_secs(2), exact).await.is_err() {
        tracing::warn!(channel = %channel.address(), "no exact voucher came; claiming with the one that covers the bill");
    }
}
