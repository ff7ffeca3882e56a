//! Errors that travel between the services and on to the application.

use serde::{Deserialize, Serialize};

/// Why a request has no answer. The set may grow: an unknown code from a newer peer reads as [`FaultCode::Internal`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultCode {
    /// The request itself is wrong; the message names the field.
    BadRequest,
    /// No approved model of that name is offered.
    ModelNotFound,
    /// Prompt and completion do not fit the model's context.
    ContextLengthExceeded,
    /// The channel cannot pay for the worst case of this request.
    InsufficientFunds,
    /// No voucher came in time for the next tokens.
    PaymentTimeout,
    /// A voucher or a channel is not acceptable.
    PaymentRejected,
    /// Everybody is busy; try again later.
    Overloaded,
    /// None of the workers that the question was sealed to is here any more: seal it to the present ones.
    OffersChanged,
    /// The worker went away or failed in mid-answer; nothing is billed.
    WorkerFailed,
    /// The proxy went away in mid-answer; nothing is billed.
    ProxyFailed,
    /// A peer is not attested as the chain demands.
    AttestationFailed,
    /// The answer's receipt does not agree with the answer.
    ReceiptInvalid,
    /// The peer does not speak the protocol.
    Protocol,
    /// A fault of the service's own.
    #[serde(other)]
    Internal,
}

impl FaultCode {
    /// The code as text, the same as on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::ModelNotFound => "model_not_found",
            Self::ContextLengthExceeded => "context_length_exceeded",
            Self::InsufficientFunds => "insufficient_funds",
            Self::PaymentTimeout => "payment_timeout",
            Self::PaymentRejected => "payment_rejected",
            Self::Overloaded => "overloaded",
            Self::OffersChanged => "offers_changed",
            Self::WorkerFailed => "worker_failed",
            Self::ProxyFailed => "proxy_failed",
            Self::AttestationFailed => "attestation_failed",
            Self::ReceiptInvalid => "receipt_invalid",
            Self::Protocol => "protocol",
            Self::Internal => "internal",
        }
    }
}

/// An error for the other side. The message says what, where and what to do, and never quotes a prompt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{message} ({})", code.as_str())]
pub struct Fault {
    /// The kind.
    pub code: FaultCode,
    /// For people.
    pub message: String,
    /// The field of the request that is wrong, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// Try again after this many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u32>,
}

impl Fault {
    /// A fault without a field and without advice when to retry.
    pub fn new(code: FaultCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), param: None, retry_after_ms: None }
    }

    /// Names the field of the request that is wrong.
    pub fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Says when to try again.
    pub fn retry_after_ms(mut self, ms: u32) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_the_future_reads_as_internal() {
        let fault: Fault = serde_json::from_str(r#"{"code":"moon_phase","message":"x","new_field":1}"#).unwrap();
        assert_eq!(fault.code, FaultCode::Internal);
    }
}
