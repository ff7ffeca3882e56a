//! What the DAO decides: bundles of actions, proposals and votes.
//!
//! [`Intent`] is what somebody wants decided, [`bundle`] makes the cell that is voted on of it, and [`decode`] tells in words what
//! such a cell will do, whoever wrote it.

pub mod bundle;
pub mod decode;
pub mod intent;
pub mod proposals;

pub use bundle::{bundle, unbundle};
pub use decode::{DecodedAction, Roots, decode};
pub use intent::{Approval, Intent};
pub use proposals::{Found, Status, Support};
