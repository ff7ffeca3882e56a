//! Claims what was earned, and defends closing channels.
//!
//! It follows the chain for a [`Node`]. A channel in which the node is paid is claimed when enough has been earned since the
//! last claim, and at once when its payer has begun to close it (the payee has until the end of the challenge period).

use std::sync::Arc;
use std::time::Duration;

use cocoon_chain::Trace;
use cocoon_node::books::PayeeChannel;
use cocoon_node::channels::ChannelState;
use cocoon_node::{ChannelError, Node, channels};
use cocoon_payments::OnChain;
use cocoon_protocol::{CloseAuth, Nano, Signature, SignedVoucher, StdAddr};

pub use cocoon_payments::ClaimPolicy;

/// What a claim costs: some 8,600 gas and the message with the money.
pub const CLAIM_FEE: Nano = Nano::new(5_000_000);

/// What evidence in a voucher costs more: the registry, and the node's record.
pub const EVIDENCE_FEE: Nano = Nano::new(20_000_000);

/// Claims when the fee is below two percent of what is claimed, and in time before a voucher expires.
pub const DEFAULT_POLICY: ClaimPolicy =
    ClaimPolicy { fee: CLAIM_FEE, evidence_fee: EVIDENCE_FEE, worth: 50, margin: 3_600 };

/// A claim that arrived on chain.
#[derive(Debug)]
pub struct Claimed {
    /// In which channel.
    pub channel: StdAddr,
    /// How much the payee got by it.
    pub amount: Nano,
    /// What it caused on chain.
    pub trace: Trace,
}

/// Follows the chain until the node stops, and claims.
pub async fn run(node: Arc<Node>, policy: ClaimPolicy) {
    let stop = node.stopping();
    let mut head = node.chain().subscribe();
    loop {
        tokio::select! {
            changed = head.changed() => if changed.is_err() { return },
            () = stop.cancelled() => return,
        }
        for channel in node.earning_channels() {
            match claim_if(&node, &channel, policy).await {
                Ok(Some(claimed)) => tracing::info!(channel = %claimed.channel, amount = %claimed.amount, "claimed"),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, channel = %channel.address(), "a claim failed; it will be tried again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

async fn claim_if(node: &Node, channel: &PayeeChannel, policy: ClaimPolicy) -> Result<Option<Claimed>, ChannelError> {
    let Some(state) = channels::read(&**node.chain(), channel.address()).await? else { return Ok(None) };
    let ChannelState { deposit, claimed, close_at, .. } = state;
    let chain = OnChain { deposit, claimed, close_at };
    let due = channel.with(|books| cocoon_payments::claim(books, &chain, &policy, node.now(), false));
    match due {
        Some(due) => {
            tracing::info!(channel = %channel.address(), amount = %due.amount, reason = ?due.reason, "claiming");
            Ok(Some(send(node, channel, due.amount, &due.voucher).await?))
        }
        None => Ok(None),
    }
}

/// Claims everything that is billed in a channel, even where that costs more than it brings; `None` when all of it was
/// claimed before.
pub async fn claim(node: &Node, channel: &PayeeChannel) -> Result<Option<Claimed>, ChannelError> {
    let Some(voucher) = channel.with(|b| b.claimable_at(node.now()).cloned()) else { return Ok(None) };
    let Some(state) = channels::read(&**node.chain(), channel.address()).await? else { return Ok(None) };
    let amount = voucher.voucher.cumulative.min(state.deposit).saturating_sub(state.claimed);
    if amount.is_zero() { Ok(None) } else { Ok(Some(send(node, channel, amount, &voucher).await?)) }
}

async fn send(
    node: &Node,
    channel: &PayeeChannel,
    amount: Nano,
    voucher: &SignedVoucher,
) -> Result<Claimed, ChannelError> {
    let trace = channels::claim(node.wallet(), &**node.chain(), voucher).await?;
    Ok(Claimed { channel: channel.address().clone(), amount, trace })
}

/// The payee's consent to close a channel at once. Gives up everything that is not claimed by then, so it is refused while
/// something is or may come to be: an answer is under way.
pub async fn consent(node: &Node, channel: &PayeeChannel) -> Result<Option<(CloseAuth, Signature)>, ChannelError> {
    let Some(state) = channels::read(&**node.chain(), channel.address()).await? else { return Ok(None) };
    if channel.with(|b| b.in_flight() > 0 || b.billed() > state.claimed) {
        return Ok(None);
    }
    let auth = CloseAuth {
        global_id: node.network(),
        channel: channel.address().clone(),
        claimed: state.claimed,
        epoch: state.epoch,
    };
    let signature = auth.sign(node.key())?;
    Ok(Some((auth, signature)))
}
