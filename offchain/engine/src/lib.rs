//! The inference engine behind one small trait; mistral.rs lives here and nowhere else.
//!
//! * [`Engine`] is what a worker sees: a request in, an [`Answer`] out;
//! * [`identity`] proves which model it is: the files are hashed while they are copied into sealed memory, and only that
//!   memory is loaded.

mod api;
pub mod identity;

pub use api::{
    Accepted, Answer, Engine, EngineError, EngineInfo, Event, FinishReason, Meter, TokenChance, TokenLogprob,
    logprobs_json,
};
