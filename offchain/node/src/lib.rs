//! What every service shares.
//!
//! * [`books`]: the books of payment channels, kept durable.
//! * [`wire`]: typed frames on a link.

pub mod books;
pub mod wire;
