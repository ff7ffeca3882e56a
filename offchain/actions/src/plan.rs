//! What is to be sent, what it costs, and what for.

use std::fmt;

use cocoon_chain::{Chain, OutMessage, StdAddr, Trace, TransactionFailure, Wallet};
use cocoon_protocol::Nano;

use crate::exits::{explain_failure, failures};
use crate::{ActionError, Refused};

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
    /// Whose refusals mean that the plan has failed; `None`: everybody's. What a proposal tells others to do is done as far as the
    /// DAO is concerned, whether they do it or not.
    pub essential: Option<Vec<StdAddr>>,
}

impl Plan {
    /// One message whose value is the sum of these parts; parts of nothing are left out.
    pub(crate) fn single(what: String, message: OutMessage, parts: &[(Purpose, Nano)]) -> Self {
        let parts: Vec<Part> =
            parts.iter().filter(|p| !p.1.is_zero()).map(|&(purpose, amount)| Part { amount, purpose }).collect();
        let value = parts.iter().map(|p| p.amount).sum();
        let watch = vec![message.to.clone()];
        Self { what, messages: vec![OutMessage { value, ..message }], parts, watch, essential: None }
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

/// How a plan went, or would go.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verdict {
    /// Why it failed.
    pub failure: Option<TransactionFailure>,
    /// Refusals that do not matter for it, and that people want to know of all the same.
    pub side: Vec<TransactionFailure>,
}

impl Plan {
    /// Looks through everything that the plan's messages caused.
    pub fn judge(&self, trace: &Trace) -> Verdict {
        let wallet = &trace.root.transaction.account;
        let matters = |failure: &TransactionFailure| match &self.essential {
            None => true,
            Some(essential) => failure.account == *wallet || essential.contains(&failure.account),
        };
        let (mut fatal, side): (Vec<_>, Vec<_>) = failures(trace).into_iter().partition(matters);
        fatal.sort_by_key(|failure| failure.lt);
        Verdict { failure: fatal.into_iter().next(), side }
    }
}

/// A plan that was carried out.
#[derive(Clone, Debug)]
pub struct Done {
    /// Everything that it caused.
    pub trace: Trace,
    /// What others refused, although the plan itself went well.
    pub side: Vec<Refused>,
}

/// Sends a plan's messages, waits for everything that they cause, and fails with the contract's own name for it if one of them
/// was refused.
pub async fn carry_out(chain: &dyn Chain, wallet: &Wallet, plan: &Plan) -> Result<Done, ActionError> {
    let trace = wallet.send_and_confirm(chain, &plan.messages).await?;
    let verdict = plan.judge(&trace);
    if let Some(failure) = verdict.failure {
        return Err(Box::new(explain_failure(chain, failure).await?).into());
    }
    let mut side = vec![];
    for failure in verdict.side {
        side.push(explain_failure(chain, failure).await?);
    }
    Ok(Done { trace, side })
}
