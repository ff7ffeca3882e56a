//! The watcher: what a service needs done on the chain while it does other things.
//!
//! * [`claims`]: claims what a node has earned, and defends its closing channels;
//! * [`index`]: the explorer's index of all the system's contracts;
//! * [`follow`]: keeps an index up to date and tells what happens;
//! * [`api`]: serves what the index knows, and events as they happen;
//! * [`deliver`]: hands a node's vouchers to a watchtower;
//! * [`tower`]: defends channels of payees that are not there to do it.

pub mod api;
pub mod claims;
pub mod deliver;
pub mod follow;
pub mod index;
pub mod tower;

pub use claims::{CLAIM_FEE, ClaimPolicy, Claimed, DEFAULT_POLICY, claim, consent, run};
pub use follow::Follower;
pub use index::{Event, Index, IndexError};
pub use tower::{Tower, TowerError};
