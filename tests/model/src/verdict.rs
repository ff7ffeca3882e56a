//! What a model says must happen, and whether it did.

use tycho_types::cell::Cell;
use tycho_types::models::StdAddr;

use crate::cells::ton;
use crate::chain::{Compute, Message, Receipt};
use crate::coverage::Ending;
use crate::run::Failure;

/// What a message carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Amount {
    /// This, to the nano.
    Exact(u128),
    /// This, less the forwarding fee of the message itself, which its receiver bears.
    LessForwarding(u128),
    /// Everything that is neither kept nor sent otherwise.
    Rest,
}

/// A message that the contract must send.
#[derive(Clone, Debug)]
pub struct Sent {
    /// To.
    pub to: StdAddr,
    /// What it carries.
    pub amount: Amount,
    /// Whether it comes back when refused.
    pub bounce: bool,
    /// Whether it carries code and data.
    pub deploys: bool,
    /// What it says.
    pub body: Cell,
}

impl Sent {
    /// A message that does not come back.
    pub const fn plain(to: StdAddr, amount: Amount, body: Cell) -> Self {
        Self { to, amount, bounce: false, deploys: false, body }
    }

    /// A message that comes back when refused.
    pub const fn bouncing(to: StdAddr, amount: Amount, body: Cell) -> Self {
        Self { to, amount, bounce: true, deploys: false, body }
    }
}

/// Everything that a message that is accepted does, beside the new state.
#[derive(Clone, Debug)]
pub struct Effects {
    /// What the account holds afterwards. `None`: as much as it did, less gas.
    pub keeps: Option<u128>,
    /// What it sends, in order.
    pub sends: Vec<Sent>,
}

/// What must happen.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The message is accepted.
    Done(Effects),
    /// The message is refused with one of these codes; with any code when there is none.
    Refused(Vec<i32>),
}

/// Collects the reasons for which the specification refuses a message. It does not say in which order they are looked at.
#[derive(Default)]
pub struct Reasons {
    codes: Vec<i32>,
    any: bool,
}

impl Reasons {
    /// Refused with `code` if the condition holds.
    pub fn when(&mut self, condition: bool, code: i32) {
        if condition {
            self.codes.push(code);
        }
    }

    /// Refused; the specification does not say with which code.
    pub fn malformed(&mut self) {
        self.any = true;
    }

    /// The verdict, if there is any reason.
    pub fn verdict(self) -> Option<Verdict> {
        match (self.any, self.codes.is_empty()) {
            (true, _) => Some(Verdict::Refused(vec![])),
            (false, false) => Some(Verdict::Refused(self.codes)),
            (false, true) => None,
        }
    }
}

/// Compares. `least` is the value, in nanotons, from which on a message must be able to pay for any refusal.
pub fn judge(receipt: &Receipt, verdict: &Verdict, message: &Message, least: u128) -> Result<Ending, Failure> {
    let ending = match receipt.compute {
        Compute::NoGas => Ending::NoGas,
        // Out of gas.
        Compute::Ran { exit: -14, .. } => Ending::NoGas,
        Compute::NoContract => Ending::NoContract,
        Compute::Ran { exit: 0 | 1, .. } => match receipt.action {
            Some(Ok(())) => Ending::Done,
            _ => Ending::NoAction,
        },
        Compute::Ran { exit, .. } => Ending::Refused(exit),
    };
    let complain = |why: String| Err(Failure::new(format!("{why}\n  expected {verdict:?}\n  happened {receipt:?}")));
    if ending != Ending::Done {
        refused_alike(receipt, message)?;
    }
    match (verdict, ending) {
        (_, Ending::NoGas) if receipt.value < least => Ok(ending),
        (Verdict::Done(effects), Ending::Done) => done_alike(receipt, effects).map(|()| ending),
        (Verdict::Refused(codes), Ending::Refused(code)) if codes.is_empty() || codes.contains(&code) => Ok(ending),
        (Verdict::Refused(codes), Ending::NoContract) if codes.is_empty() => Ok(ending),
        _ => complain(format!("ended with “{ending}”")),
    }
}

/// Whatever is refused changes nothing, and goes back if it asked to.
fn refused_alike(receipt: &Receipt, message: &Message) -> Result<(), Failure> {
    let complain = |why: &str| Err(Failure::new(format!("{why}\n  happened {receipt:?}")));
    let untouched = receipt.start - receipt.value;
    // A message that is refused still leaves the contract that it brought along, as it was brought.
    let brought = message.init.as_ref().is_some_and(|init| init.data == receipt.data);
    if receipt.changed && receipt.data.is_some() && !brought {
        return complain("a refused message changed the state");
    }
    if receipt.after < untouched {
        return complain("a refused message cost the contract money");
    }
    let expected = usize::from(receipt.sent_back);
    if receipt.out.len() != expected || receipt.out.iter().any(|m| !m.bounced || m.dst != message.src) {
        return complain("a refused message sent something");
    }
    if receipt.sent_back && receipt.after != untouched {
        return complain("a refused message left something behind");
    }
    Ok(())
}

fn done_alike(receipt: &Receipt, effects: &Effects) -> Result<(), Failure> {
    let complain = |why: String| Err(Failure::new(format!("{why}\n  expected {effects:?}\n  happened {receipt:?}")));
    match effects.keeps {
        Some(keeps) if keeps != receipt.after => {
            return complain(format!("keeps {} instead of {}", ton(receipt.after), ton(keeps)));
        }
        None if receipt.after > receipt.start || receipt.after < receipt.start - receipt.value => {
            return complain(format!("keeps {} of {}", ton(receipt.after), ton(receipt.start)));
        }
        _ => {}
    }
    if receipt.out.len() != effects.sends.len() {
        return complain(format!("sent {} messages instead of {}", receipt.out.len(), effects.sends.len()));
    }
    for (i, (sent, expected)) in receipt.out.iter().zip(&effects.sends).enumerate() {
        let right = match expected.amount {
            Amount::Exact(amount) => sent.value == amount,
            Amount::LessForwarding(amount) => sent.value <= amount && amount - sent.value <= amount / 2,
            Amount::Rest => true,
        };
        if sent.dst != expected.to {
            return complain(format!("message {i} went to {}", sent.dst));
        }
        if !right {
            return complain(format!("message {i} carries {}", ton(sent.value)));
        }
        if sent.body != expected.body {
            return complain(format!("message {i} says {}", hex::encode(boc(&sent.body))));
        }
        if sent.bounce != expected.bounce || sent.bounced || sent.init.is_some() != expected.deploys {
            return complain(format!("message {i} travels otherwise"));
        }
    }
    Ok(())
}

fn boc(cell: &Cell) -> Vec<u8> {
    tycho_types::boc::Boc::encode(cell)
}
