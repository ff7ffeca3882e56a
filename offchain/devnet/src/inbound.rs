//! What an external message must be before any contract sees it.

use cocoon_chain::{Refusal, RefusalReason, cell_hash};
use cocoon_protocol::StdAddr;
use tycho_types::boc::Boc;
use tycho_types::cell::Cell;
use tycho_types::models::{IntAddr, Message, MsgInfo};

use crate::tvm::Rules;

/// An external message of acceptable form.
pub(crate) struct Inbound {
    /// Its receiver.
    pub dst: StdAddr,
    /// Whether it brings code and data.
    pub has_init: bool,
}

/// Checks the form; the same rules that the C++ node has for messages from outside.
pub(crate) fn check(rules: &Rules, message: &Cell) -> Result<Inbound, Box<Refusal>> {
    let refuse = |account: Option<StdAddr>, why: String| {
        Box::new(Refusal { message: cell_hash(message), account, reason: RefusalReason::Malformed(why) })
    };
    let limits = rules.limits();
    if message.is_exotic() || message.level() != 0 {
        return Err(refuse(None, "its root is not an ordinary cell of level 0".to_owned()));
    }
    if message.repr_depth() > limits.max_ext_msg_depth {
        let why = format!("it is {} cells deep, the limit is {}", message.repr_depth(), limits.max_ext_msg_depth);
        return Err(refuse(None, why));
    }
    let size = Boc::encode(message).len();
    if size > limits.max_ext_msg_size as usize {
        return Err(refuse(None, format!("it has {size} bytes, the limit is {}", limits.max_ext_msg_size)));
    }
    let parsed: Message<'_> = message.parse().map_err(|e| refuse(None, e.to_string()))?;
    let MsgInfo::ExtIn(info) = &parsed.info else {
        return Err(refuse(None, "it is not a message from outside".to_owned()));
    };
    match &info.dst {
        IntAddr::Std(dst) if dst.anycast.is_none() && rules.has_workchain(dst.workchain) => {
            Ok(Inbound { dst: dst.clone(), has_init: parsed.init.is_some() })
        }
        other => Err(refuse(None, format!("no account can have the address {other}"))),
    }
}
