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
