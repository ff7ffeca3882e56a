//! Messages: what a wallet is to send, and what transactions carried.

use cocoon_protocol::{Hash256, Nano, StdAddr};
use tycho_types::cell::{Cell, CellBuilder, Lazy};
use tycho_types::error::Error;
use tycho_types::models::{
    CurrencyCollection, IntAddr, MessageLayout, MsgInfo, OwnedMessage, OwnedRelaxedMessage, RelaxedIntMsgInfo,
    RelaxedMsgInfo, SendMsgFlags, StateInit,
};

use crate::chain::ChainError;
use crate::{cell_hash, nano};

/// An internal message for a wallet to send.
#[derive(Clone, Debug)]
pub struct OutMessage {
    /// To whom.
    pub to: StdAddr,
    /// How much arrives, unless `mode` says otherwise.
    pub value: Nano,
    /// Whether it comes back if the receiver fails.
    pub bounce: bool,
    /// What it says.
    pub body: Option<Cell>,
    /// Deploys the receiver, if it is not yet.
    pub state_init: Option<StateInit>,
    /// How it is sent. Every wallet here adds [`SendMsgFlags::IGNORE_ERROR`]: without it a V4R2 wallet would keep its
    /// seqno when a message cannot be sent, so that anybody could replay the same signed message and make the wallet pay
    /// for it until its money is gone; a V5R1 wallet refuses such modes.
    pub mode: SendMsgFlags,
}

/// Longest body that is put beside a message's head, in bits.
const INLINE_BODY_BITS: u16 = 200;

impl OutMessage {
    /// A bouncing transfer without a body, with the fees paid by the sender on top.
    pub const fn new(to: StdAddr, value: Nano) -> Self {
        Self { to, value, bounce: true, body: None, state_init: None, mode: SendMsgFlags::PAY_FEE_SEPARATELY }
    }

    /// With this body.
    #[must_use]
    pub fn body(self, body: Cell) -> Self {
        Self { body: Some(body), ..self }
    }

    /// Deploying this contract.
    #[must_use]
    pub fn state_init(self, state: StateInit) -> Self {
        Self { state_init: Some(state), ..self }
    }

    /// To stay where it is even if the receiver fails or does not exist yet.
    #[must_use]
    pub fn no_bounce(self) -> Self {
        Self { bounce: false, ..self }
    }

    /// Sent in this mode.
    #[must_use]
    pub fn mode(self, mode: SendMsgFlags) -> Self {
        Self { mode, ..self }
    }

    /// The message as the wallet hands it to the chain, which fills in sender, fees and times.
    pub fn to_cell(&self) -> Result<Cell, Error> {
        let body = self.body.clone().unwrap_or_default();
        // Beside the head (which grows when the chain fills it in) there is room for a short body only.
        let layout = MessageLayout {
            init_to_cell: false,
            body_to_cell: body.bit_len() > INLINE_BODY_BITS || body.reference_count() > 1,
        };
        CellBuilder::build_from(OwnedRelaxedMessage {
            info: RelaxedMsgInfo::Int(RelaxedIntMsgInfo {
                ihr_disabled: true,
                bounce: self.bounce,
                bounced: false,
                src: None,
                dst: self.to.clone().into(),
                value: CurrencyCollection::new(u128::from(self.value.get())),
                ..Default::default()
            }),
            init: self.state_init.clone(),
            body: body.into(),
            layout: Some(layout),
        })
    }
}

/// How a message travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageKind {
    /// From outside to an account.
    ExternalIn,
    /// From account to account.
    Internal,
    /// From an account to the outside: an event.
    ExternalOut,
}

/// A message that a transaction received or sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageRecord {
    /// Hash of its cell.
    pub hash: Hash256,
    /// How it travels.
    pub kind: MessageKind,
    /// Who sent it; absent if it came from outside.
    pub src: Option<StdAddr>,
    /// Who receives it; absent if it goes outside.
    pub dst: Option<StdAddr>,
    /// What it carries.
    pub value: Nano,
    /// What its sender paid for the rest of its way, besides what is in the fees of the sender's transaction.
    pub forward_fee: Nano,
    /// Whether it comes back if the receiver fails.
    pub bounce: bool,
    /// Whether it is such a return.
    pub bounced: bool,
    /// Whether it carries code and data to deploy.
    pub has_state_init: bool,
    /// Logical time of its creation; 0 if it came from outside.
    pub created_lt: u64,
    /// What it says.
    pub body: Cell,
}

impl MessageRecord {
    /// Reads a message.
    pub fn from_cell(cell: &Cell) -> Result<Self, ChainError> {
        const WHAT: &str = "message";
        let malformed = |e| ChainError::malformed(WHAT, e);
        let message: OwnedMessage = cell.parse().map_err(malformed)?;
        let body = if tycho_types::cell::CellSliceRange::full(message.body.1.as_ref()) == message.body.0 {
            message.body.1
        } else {
            let mut builder = CellBuilder::new();
            let slice = message.body.0.apply(&message.body.1).map_err(malformed)?;
            builder.store_slice(slice).and_then(|()| builder.build()).map_err(malformed)?
        };
        let blank = Self {
            hash: cell_hash(cell),
            kind: MessageKind::ExternalIn,
            src: None,
            dst: None,
            value: Nano::ZERO,
            forward_fee: Nano::ZERO,
            bounce: false,
            bounced: false,
            has_state_init: message.init.is_some(),
            created_lt: 0,
            body,
        };
        Ok(match message.info {
            MsgInfo::ExtIn(info) => Self { dst: Some(std(info.dst)?), ..blank },
            MsgInfo::ExtOut(info) => {
                Self { kind: MessageKind::ExternalOut, src: Some(std(info.src)?), created_lt: info.created_lt, ..blank }
            }
            MsgInfo::Int(info) => Self {
                kind: MessageKind::Internal,
                src: Some(std(info.src)?),
                dst: Some(std(info.dst)?),
                value: nano(WHAT, info.value.tokens)?,
                forward_fee: nano(WHAT, info.fwd_fee)?,
                bounce: info.bounce,
                bounced: info.bounced,
                created_lt: info.created_lt,
                ..blank
            },
        })
    }

    /// Reads a message behind a lazy reference.
    pub fn from_lazy(message: &Lazy<OwnedMessage>) -> Result<Self, ChainError> {
        Self::from_cell(message.inner())
    }

    /// The first 32 bits of the body: the operation, by convention. A bounced body has 32 set bits before it.
    pub fn op(&self) -> Option<u32> {
        let mut slice = self.body.as_slice().ok()?;
        if self.bounced && slice.load_u32().ok()? != u32::MAX {
            return None;
        }
        slice.load_u32().ok()
    }
}

fn std(address: IntAddr) -> Result<StdAddr, ChainError> {
    match address {
        IntAddr::Std(address) => Ok(address),
        IntAddr::Var(_) => Err(ChainError::malformed("message", "it has an address of variable length")),
    }
}
