//! What can be wrong with a request, and the code that the public service gives for it.

use cocoon_chain::ChainError;
use tycho_types::error::Error;

use crate::error::DevnetError;
use crate::lite::answer::Failure;

/// A request that has no answer. The code is also the HTTP status.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// There is no method with this name.
    #[error("there is no method {0}; see https://toncenter.com/api/v2 for those there are")]
    UnknownMethod(String),
    /// A method that changes something was asked for with GET.
    #[error("{0} is asked with POST")]
    PostOnly(&'static str),
    /// A parameter is not there.
    #[error("Validation error: the parameter {0} is missing")]
    Missing(&'static str),
    /// A parameter is not what it has to be.
    #[error("Validation error: the parameter {name} {why}")]
    Invalid {
        /// Which one.
        name: &'static str,
        /// What it has to be.
        why: String,
    },
    /// The whole request cannot be read.
    #[error("Validation error: {0}")]
    Request(String),
    /// It is no address.
    #[error("Incorrect address: {0}")]
    Address(String),
    /// The contract's getters are not those of a token.
    #[error("Smart contract {0} is not Jetton or NFT")]
    NoToken(String),
    /// The network does not have it, or not any more.
    #[error("LITE_SERVER_NOTREADY: {0}")]
    NotReady(String),
    /// The network does not take a message.
    #[error("LITE_SERVER_UNKNOWN: cannot apply external message to current state : {0}")]
    Refused(String),
    /// Something is wrong with the network.
    #[error("LITE_SERVER_UNKNOWN: {0}")]
    Broken(String),
    /// Too many requests are open.
    #[error("Ratelimit exceed: too many requests are open; ask again when one is answered")]
    Busy,
}

impl ApiError {
    /// The `code` of the answer.
    pub const fn code(&self) -> u16 {
        match self {
            Self::UnknownMethod(_) => 404,
            Self::PostOnly(_) => 405,
            Self::NoToken(_) => 409,
            Self::Address(_) => 416,
            Self::Missing(_) | Self::Invalid { .. } | Self::Request(_) => 422,
            Self::Busy => 429,
            Self::NotReady(_) | Self::Refused(_) | Self::Broken(_) => 500,
        }
    }

    /// A parameter that is not what it has to be.
    pub fn invalid(name: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Invalid { name, why: why.to_string() }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotReady(why) => Self::NotReady(why),
            Failure::Protocol(why) => Self::Request(why),
            Failure::Refused(why) => Self::Refused(why),
            Failure::Timeout(_) | Failure::Broken(_) => Self::Broken(failure.to_string()),
        }
    }
}

impl From<DevnetError> for ApiError {
    fn from(error: DevnetError) -> Self {
        Failure::from(error).into()
    }
}

impl From<ChainError> for ApiError {
    fn from(error: ChainError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Failure::from(error).into()
    }
}
