//! What people type: each kind of argument with its own reader, which says what is wrong and how to write it.

pub mod address;
pub mod amount;
pub mod duration;
pub mod entry;
pub mod hash;
pub mod moment;

pub use address::Address;
pub use amount::Ton;
pub use duration::Span;
pub use hash::{Commit, PublicKey, Sig, Signed};
pub use moment::Moment;
