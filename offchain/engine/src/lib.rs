//! The inference engine behind one small trait; mistral.rs lives here and nowhere else.
//!
//! * [`Engine`] is what a worker sees: a request in, an [`Answer`] out;
//! * [`MistralEngine`] is mistral.rs behind it, made safe for several tenants;
//! * [`identity`] proves which model it is: the files are hashed while they are copied into sealed memory, and only that
//!   memory is loaded.

mod api;
pub mod identity;
mod mistral;
mod sampling;
mod text;
mod tools;
mod vocabulary;

pub use api::{
    Accepted, Answer, Engine, EngineError, EngineInfo, Event, FinishReason, Meter, TokenChance, TokenLogprob,
    logprobs_json,
};
pub use identity::SealedModel;
pub use mistral::{LoadError, MistralConfig, MistralEngine};
pub use vocabulary::VocabularyError;
