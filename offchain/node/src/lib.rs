//! What every service shares.
//!
//! * [`books`]: the books of payment channels, kept durable.

pub mod books;
