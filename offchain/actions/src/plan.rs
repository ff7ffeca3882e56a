//! What is to be sent, what it costs, and what for.

use std::fmt;

use cocoon_chain::{Chain, OutMessage, StdAddr, Trace, Wallet};
use cocoon_protocol::Nano;

use crate::ActionError;
use crate::exits::explain_failure;

/// What a part of the money is for, and whether it comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// It belongs to the receiver.
    Transfer,
    /// It pays for services; what is left returns when the channel is settled.
    Deposit,
    /// It stays the owner's, and can be withdrawn after the unbonding delay.
    Stake,
    /// It stays the owner's, and returns in the end unless the rules say otherwise.
    Bond,
    /// It keeps the contract's storage paid.
    Storage,
    /// It is for gas; what is not used returns at once.
    Gas,
}

impl Purpose {
    /// What becomes of the money, in a few words.
    pub const fn fate(self) -> &'static str {
        match self {
            Self::Transfer => "gone",
            Self::Deposit => "the unspent part returns at settlement",
            Self::Stake => "yours, locked until unbonded",
            Self::Bond => "yours, locked while it stands",
            Self::Storage => "stays in the contract for its storage",
            Self::Gas => "for gas at most; the rest returns at once",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transfer => "transfer",
            Self::Deposit => "deposit",
            Self::Stake => "stake",
            Self::Bond => "bond",
            Self::Storage => "storage",
            Self::Gas => "gas",
        })
    }
}

/// A part of what the wallet pays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// How much.
    pub amount: Nano,
    /// What for.
    pub purpose: Purpose,
}

/// An operation, ready to be sent by a wallet.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it does, as the rest of a sentence that begins with "This will".
    pub what: String,
    /// The messages.
    pub messages: Vec<OutMessage>,
    /// What the money is for. The sum is the messages' value.
    pub parts: Vec<Part>,
    /// Contracts whose states show the effect.
    pub watch: Vec<StdAddr>,
}

impl Plan {
    /// One message whose value is the sum of these parts; parts of nothing are left out.
    pub(crate) fn single(what: String, message: OutMessage, parts: &[(Purpose, Nano)]) -> Self {
        let parts: Vec<Part> =
            parts.iter().filter(|p| !p.1.is_zero()).map(|&(purpose, amount)| Part { amount, purpose }).collect();
        let value = parts.iter().map(|p| p.amount).sum();
        let watch = vec![message.to.clone()];
        Self { what, messages: vec![OutMessage { value, ..message }], parts, watch }
    }

    /// A plain payment, with a comment that the receiver's wallet shows.
    pub fn transfer(to: StdAddr, amount: Nano, comment: Option<&str>, bounce: bool) -> Result<Self, ActionError> {
        if amount.is_zero() {
            return Err(ActionError::invalid("amount", "a transfer of nothing"));
        }
        let mut message = OutMessage::new(to.clone(), amount);
        if let Some(comment) = comment {
            message = message.body(crate::text::comment(comment)?);
        }
        if !bounce {
            message = message.no_bounce();
        }
        Ok(Self::single(format!("pay {amount} to {to}"), message, &[(Purpose::Transfer, amount)]))
    }

    /// All that leaves the wallet with the messages; forwarding fees of a fraction of a cent come on top.
    pub fn total(&self) -> Nano {
        self.parts.iter().map(|p| p.amount).sum()
    }
}

/// Sends a plan's messages, waits for everything that they cause, and fails with the contract's own name for it if one of them
/// was refused.
pub async fn carry_out(chain: &dyn Chain, wallet: &Wallet, plan: &Plan) -> Result<Trace, ActionError> {
    let trace = wallet.send_and_confirm(chain, &plan.messages).await?;
    match trace.ok() {
        Ok(()) => Ok(trace),
        Err(failure) => Err(Box::new(explain_failure(chain, failure).await?).into()),
    }
}
