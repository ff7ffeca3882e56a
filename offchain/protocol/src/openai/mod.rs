//! The parts of the OpenAI chat-completions API that the network speaks.
//!
//! The application's body travels to the worker byte for byte; the worker reads all of it ([`request`]) and answers with
//! streaming chunks ([`chunk`]). The client reads of the request only what it must know to pay and to answer in the right
//! form ([`request::Envelope`]), and folds chunks into one object for callers that do not stream ([`fold`]).

pub mod chunk;
pub mod fold;
pub mod request;
