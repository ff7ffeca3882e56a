//! When a payee claims on chain.

use cocoon_protocol::{Nano, SignedVoucher, UnixSeconds};

use crate::payee::PayeeBooks;

/// What the payee cares about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClaimPolicy {
    /// What a claim costs in all: gas, forwarding, the message to the channel.
    pub fee: Nano,
    /// What evidence in its voucher costs more.
    pub evidence_fee: Nano,
    /// A claim in the middle of a channel's life must bring this many times its fee.
    pub worth: u32,
    /// A voucher that expires within this many seconds is claimed while it can be.
    pub margin: u32,
}

/// What the chain says about the channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OnChain {
    /// All that was ever deposited, less what was refunded.
    pub deposit: Nano,
    /// All that was ever claimed.
    pub claimed: Nano,
    /// When the challenge period ends, if the payer is closing the channel.
    pub close_at: Option<UnixSeconds>,
}

/// Why a claim is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClaimReason {
    /// It brings enough for its fee.
    Worth,
    /// The payer is closing the channel: what is not claimed before the settlement is lost.
    Closing,
    /// The voucher is about to expire.
    Expiring,
    /// The payee asked for it, whatever it brings beyond its fee.
    Final,
}

/// A claim that is due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// To be shown to the contract.
    pub voucher: SignedVoucher,
    /// What the contract will pay: held at the deposit, the rest stays claimable after a top-up (attack 9).
    pub amount: Nano,
    /// Why now.
    pub reason: ClaimReason,
}

/// Decides whether to claim now, and with which voucher. Never claims at a loss, and never with a voucher above the
/// smallest one that covers what is billed. `last` asks for a final claim: the channel is being wound up.
pub fn claim(books: &PayeeBooks, chain: &OnChain, policy: &ClaimPolicy, now: UnixSeconds, last: bool) -> Option<Claim> {
    let voucher = books.claimable_at(now)?;
    let amount = voucher.voucher.cumulative.min(chain.deposit).saturating_sub(chain.claimed);
    let evidence = if voucher.voucher.evidence.is_some() { policy.evidence_fee } else { Nano::ZERO };
    let fee = policy.fee.saturating_add(evidence);
    if amount <= fee {
        return None;
    }
    let end = voucher.voucher.valid_until;
    let enough = u128::from(fee.get()) * u128::from(policy.worth);
    let reason = if chain.close_at.is_some() {
        ClaimReason::Closing
    } else if end != UnixSeconds(0) && end <= now.plus(policy.margin) {
        ClaimReason::Expiring
    } else if last {
        ClaimReason::Final
    } else if u128::from(amount.get()) >= enough {
        ClaimReason::Worth
    } else {
        return None;
    };
    Some(Claim { voucher: voucher.clone(), amount, reason })
}
