//! What the services say to each other inside an attested link.
//!
//! Both hops speak the same language: the **payer** asks (client to proxy, proxy to worker), the **payee** answers. One
//! link carries one *session* stream and any number of *inference* streams.
//!
//! Session stream, opened by the side that dialled: [`SessionOpen`], answered by [`SessionReady`]; later updates of
//! either kind replace the earlier one. Whichever side is the payer puts its channel there; whichever side is the payee
//! puts its offers and what it has billed so far, so that both books agree after a crash of either (attack 28).
//!
//! Inference stream, opened by the payer:
//!
//! ```text
//! payer                                   payee
//!   Request(body, price, channel)  ──▶
//!                                  ◀──   Accepted(prompt tokens, most completion tokens, worker's evidence)
//!   Pay(authorised, voucher)       ──▶                                    one window ahead of the tokens
//!                                  ◀──   Chunk(bytes, completion tokens)  released only while vouchers cover it
//!   Pay …                          ──▶
//!                                  ◀──   Finished(usage, receipt)
//!   Pay(exact voucher)             ──▶                                    the payee forgets higher ones
//! ```
//!
//! Instead of its next message the payee may send `Fault`: then nothing is billed. The payer may send `Stop`: the payee
//! ends the answer and bills the tokens up to there. A payer that just goes away (stream reset) is billed in the same way.
//!
//! Frames are CBOR maps with text keys: unknown keys are ignored, so that fields can be added.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tycho_types::models::StdAddr;

use crate::acceptance::SignedAcceptance;
use crate::fault::Fault;
use crate::hash::{Hash256, ModelHash};
use crate::keys::NodePublicKey;
use crate::price::{Price, Usage};
use crate::receipt::SignedReceipt;
use crate::sealed::{Candidate, SealedKey};
use crate::units::{Nano, Tokens};
use crate::voucher::SignedVoucher;

/// Largest frame that is read or written, in bytes. Below the link's own cap.
pub const MAX_FRAME: usize = 960 * 1024;
/// Largest request body, in bytes.
pub const MAX_BODY: usize = 768 * 1024;
/// Nesting allowed in a frame.
const MAX_DEPTH: usize = 16;

/// A frame cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// It is over the size limit.
    #[error("a frame of {size} bytes is over the limit of {MAX_FRAME} bytes")]
    TooLarge {
        /// Its size.
        size: usize,
    },
    /// It is not a frame of the expected kind.
    #[error("not a valid {kind} frame: {why}")]
    Malformed {
        /// What was expected.
        kind: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// A type that travels as one frame.
pub trait Frame: Serialize + DeserializeOwned {
    /// Name for errors.
    const KIND: &'static str;

    /// The CBOR bytes.
    fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let mut bytes = Vec::with_capacity(256);
        ciborium::into_writer(self, &mut bytes)
            .map_err(|e| FrameError::Malformed { kind: Self::KIND, why: e.to_string() })?;
        if bytes.len() > MAX_FRAME {
            return Err(FrameError::TooLarge { size: bytes.len() });
        }
        Ok(bytes)
    }

    /// Reads CBOR bytes; trailing bytes are refused.
    fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        if bytes.len() > MAX_FRAME {
            return Err(FrameError::TooLarge { size: bytes.len() });
        }
        let mut reader = bytes;
        let frame = ciborium::de::from_reader_with_recursion_limit(&mut reader, MAX_DEPTH)
            .map_err(|e| FrameError::Malformed { kind: Self::KIND, why: e.to_string() })?;
        if !reader.is_empty() {
            return Err(FrameError::Malformed { kind: Self::KIND, why: format!("{} trailing bytes", reader.len()) });
        }
        Ok(frame)
    }
}

/// What fixes a channel's address, apart from the contract's code.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChannelTerms {
    /// Who deposits and gets the refund.
    pub payer: StdAddr,
    /// Who is paid.
    pub payee: StdAddr,
    /// Signs vouchers.
    pub payer_key: NodePublicKey,
    /// Signs close authorisations.
    pub payee_key: NodePublicKey,
    /// Tells several channels of one pair apart.
    pub salt: u64,
    /// Seconds between a request to close and the settlement.
    pub challenge: u32,
    /// Part of every claim that burns, in hundredths of a percent.
    #[serde(default)]
    pub protocol_fee_bps: u16,
}

/// A model that a payee serves.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Offer {
    /// The approved model.
    pub model: ModelHash,
    /// Its name for applications.
    pub name: String,
    /// Prompt and completion together.
    pub context_length: Tokens,
    /// What the payee asks.
    pub price: Price,
    /// How many requests it takes at once.
    pub concurrency: u32,
    /// From a proxy to its clients: some of the workers that serve the model, to seal questions to (P7.2).
    #[serde(default)]
    pub candidates: Vec<Candidate>,
}

/// How far a payee's books have come for a channel.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Books {
    /// The sum of all costs billed so far.
    pub billed: Nano,
    /// The voucher that the payee would claim with, as proof for a payer that has lost its books.
    pub voucher: Option<SignedVoucher>,
    /// The latest receipt of the channel, if the payee issues them.
    pub receipt: Option<SignedReceipt>,
}

/// From the side that dialled, on a session stream: who it is, once, and what has changed since.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SessionOpen {
    /// A client introduces itself and the channel that it pays from.
    Client {
        /// The channel.
        channel: Box<ChannelTerms>,
    },
    /// A worker introduces itself and what it serves.
    Worker {
        /// Owner of the stake; the payee of the channel that the proxy opens.
        owner: StdAddr,
        /// Models with prices.
        offers: Vec<Offer>,
        /// Books of channels that this proxy opened before.
        books: Vec<(ChannelTerms, Books)>,
        /// What clients need in order to seal questions to it.
        candidate: Box<Candidate>,
    },
    /// Later, from a worker whose certificate was renewed: what clients need from now on.
    Renewed {
        /// The same key, certified anew.
        candidate: Box<Candidate>,
    },
}

/// Answer on a session stream.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SessionReady {
    /// A proxy answers a client.
    Client {
        /// Models with the proxy's prices, the fee included.
        offers: Vec<Offer>,
        /// The proxy's books of the client's channel.
        books: Books,
    },
    /// A proxy answers a worker.
    Worker {
        /// The channel that pays the worker; it is on chain already.
        channel: ChannelTerms,
    },
    /// The session is refused; the link is closed next.
    Refused(Fault),
}

/// A question.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Request {
    /// The model.
    pub model: ModelHash,
    /// The price that the payer accepts, from the payee's offer.
    pub price: Price,
    /// The channel that pays.
    pub channel: StdAddr,
    /// The application's JSON, byte for byte, sealed.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
    /// The key to the body, sealed to each worker that may answer; to a worker only its own.
    pub keys: Vec<SealedKey>,
}

/// From payer to payee on an inference stream.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ToPayee {
    /// Always the first frame.
    Request(Request),
    /// More money.
    Pay {
        /// What the payer allows for this request in sum.
        authorised: Nano,
        /// A voucher that covers it.
        voucher: SignedVoucher,
    },
    /// End the answer here; bill what was metered.
    Stop,
}

/// From payee to payer on an inference stream.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ToPayer {
    /// The request is understood; nothing has been spent yet.
    Accepted {
        /// Tokens of the prompt.
        prompt: Tokens,
        /// The worker will not sample more than this, over all choices.
        max_completion: Tokens,
        /// DER of the worker's evidence certificate, which certifies the key that signs the receipt.
        #[serde(with = "serde_bytes")]
        evidence: Vec<u8>,
        /// The worker's signed word on the model.
        acceptance: Box<SignedAcceptance>,
        /// Makes the keys of the answer unlike those of any other.
        #[serde(with = "serde_bytes")]
        salt: [u8; 32],
    },
    /// A piece of the answer.
    Chunk {
        /// Completion tokens so far, this chunk included.
        completion: Tokens,
        /// A JSON object of the OpenAI streaming format, sealed.
        #[serde(with = "serde_bytes")]
        data: Vec<u8>,
    },
    /// The end of the answer.
    Finished {
        /// Metered tokens.
        usage: Usage,
        /// The worker's statement.
        receipt: Box<SignedReceipt>,
    },
    /// There is no (further) answer, and nothing is billed.
    Fault(Fault),
}

impl Frame for SessionOpen {
    const KIND: &'static str = "session open";
}
impl Frame for SessionReady {
    const KIND: &'static str = "session ready";
}
impl Frame for ToPayee {
    const KIND: &'static str = "payer's";
}
impl Frame for ToPayer {
    const KIND: &'static str = "payee's";
}

/// Names a request in logs without telling anything about it.
pub fn request_label(hash: &Hash256) -> String {
    hex::encode(&hash.0[..4])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::FaultCode;

    #[test]
    fn frames_survive_the_wire_and_refuse_garbage() {
        let frame = ToPayer::Chunk { completion: Tokens(3), data: b"{}".to_vec() };
        let bytes = frame.encode().unwrap();
        assert_eq!(ToPayer::decode(&bytes).unwrap(), frame);
        for cut in 0..bytes.len() {
            assert!(ToPayer::decode(&bytes[..cut]).is_err());
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(matches!(ToPayer::decode(&longer), Err(FrameError::Malformed { .. })));
        assert!(ToPayer::decode(&[0x81; 4096]).is_err(), "deep nesting");
        assert!(ToPayee::decode(&bytes).is_err(), "another kind");
        assert!(matches!(ToPayer::decode(&vec![0; MAX_FRAME + 1]), Err(FrameError::TooLarge { .. })));
    }

    #[test]
    fn a_field_of_the_future_is_ignored() {
        let value = serde_json::json!({ "Fault": { "code": "overloaded", "message": "m", "colour": "red" } });
        let mut bytes = vec![];
        ciborium::into_writer(&value, &mut bytes).unwrap();
        assert_eq!(ToPayer::decode(&bytes).unwrap(), ToPayer::Fault(Fault::new(FaultCode::Overloaded, "m")));
    }
}
