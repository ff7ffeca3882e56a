//! What is written to disk for a channel.

use cocoon_protocol::frame::ChannelTerms;
use cocoon_protocol::{Nano, SignedReceipt, SignedVoucher, StdAddr};
use serde::{Deserialize, Serialize};

/// Version written into every record. A reader refuses a higher one; within a version, fields may be added.
pub const RECORD_VERSION: u16 = 1;

/// The payer's record of a channel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PayerRecord {
    /// See [`RECORD_VERSION`].
    pub version: u16,
    /// The channel contract.
    pub channel: StdAddr,
    /// What fixes its address.
    pub terms: ChannelTerms,
    /// Sum of the agreed costs of all finished requests.
    pub billed: Nano,
    /// The highest cumulative amount ever signed: what a dishonest payee could claim (invariant I4).
    pub signed: Nano,
    /// What the payer has seen of the payee's node.
    #[serde(default)]
    pub service: Service,
    /// The highest cumulative amount ever signed together with evidence.
    #[serde(default)]
    pub evidenced: Nano,
    /// The record is known to be older than what was signed, so no evidence is signed in this channel any more.
    #[serde(default)]
    pub silent: bool,
}

/// How a payee's node has served since the channel was opened. Counters only grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Service {
    /// Answers that ended well.
    pub ok: u64,
    /// Answers that failed by the node's fault.
    pub failed: u64,
    /// Sum over the answers that ended well, from request to first output, in milliseconds.
    pub latency_ms: u64,
}

/// The payee's record of a channel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PayeeRecord {
    /// See [`RECORD_VERSION`].
    pub version: u16,
    /// The channel contract.
    pub channel: StdAddr,
    /// What fixes its address.
    pub terms: ChannelTerms,
    /// Sum of the costs of all finished requests.
    pub billed: Nano,
    /// Vouchers that may still be needed, by rising amount.
    pub vouchers: Vec<SignedVoucher>,
    /// The latest receipt that this payee issued in the channel, for payees that issue receipts.
    #[serde(default)]
    pub receipt: Option<SignedReceipt>,
}
