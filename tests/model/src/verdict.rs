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

/// A message as the contract sees it.
#[derive(Debug)]
pub struct Call<'a> {
    /// Block time.
    pub now: u32,
    /// The contract's own address.
    pub me: &'a StdAddr,
    /// From.
    pub sender: &'a StdAddr,
    /// Value, as the contract sees it.
    pub value: u128,
    /// Balance with that value.
    pub balance: u128,
    /// Whether it is a message of the contract's own that came back.
    pub bounced: bool,
    /// What it says.
    pub body: &'a Cell,
}

impl<'a> Call<'a> {
    /// The message, with what the network made of its value.
    pub const fn new(now: u32, message: &'a Message, receipt: &Receipt) -> Self {
        Self {
            now,
            me: &message.dst,
            sender: &message.src,
            value: receipt.value,
            balance: receipt.start,
            bounced: message.bounced,
            body: &message.body,
        }
    }

    /// What was here before the message.
    pub const fn own(&self) -> u128 {
        self.balance - self.value
    }

    /// The first 32 bits of the body, behind the mark of a bounce.
    pub fn op(&self) -> Option<u32> {
        let mut body = self.body.as_slice_allow_exotic();
        if self.bounced {
            body.load_u32().ok()?;
        }
        body.load_u32().ok()
    }
}

impl Effects {
    /// What has to be there for them, without fees.
    fn spends(&self) -> u128 {
        let sends = self.sends.iter().map(|sent| match sent.amount {
            Amount::Exact(amount) | Amount::LessForwarding(amount) => amount,
            Amount::Rest => 0,
        });
        self.keeps.unwrap_or_default() + sends.sum::<u128>()
    }
}

/// Accepted: keeps this, to the nano, and sends these.
pub const fn done(keeps: u128, sends: Vec<Sent>) -> Verdict {
    Verdict::Done(Effects { keeps: Some(keeps), sends })
}

/// Accepted: keeps the value, less gas, and sends nothing.
pub const fn kept() -> Verdict {
    Verdict::Done(Effects { keeps: None, sends: vec![] })
}

/// Refused; the specification does not say with which code.
pub const fn malformed() -> Verdict {
    Verdict::Refused(vec![])
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
        // What must stay here and what must be sent is more than there is, or so nearly that fees decide.
        (Verdict::Done(effects), Ending::NoAction) if effects.spends() + least > receipt.start => Ok(ending),
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
