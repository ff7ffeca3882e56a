//! The transparency log off chain: what its contract cannot do because it forgets the leaves.
//!
//! A registry has one `TransparencyLog` contract, an append-only Merkle tree of every change of the registry and of the
//! evidence that nodes publish (docs/contracts/transparency-log.md). On chain stand the number of leaves and the peaks of the
//! tree. The leaves are in the messages that the contract took, so whoever reads them can serve proofs, and nobody has to be
//! believed:
//!
//! - [`Index`] rebuilds the tree from transactions and is checked against the contract's own [`LogHead`];
//! - [`Tree`] makes inclusion and consistency proofs as RFC 9162 defines them;
//! - [`verify_inclusion`] and [`verify_consistency`] check them;
//! - [`require_logged`] shows any leaf to whoever knows no more than a head;
//! - [`require_evidence`] is what a client asks of a node before it believes its evidence: it knows the [`LogState`] from the
//!   chain, and the node shows the way from its leaf to a peak, which a [`Tail`] finds without reading the log's past.
//!
//! Nothing here does I/O: transactions and account states come from a `cocoon_chain::Chain`.
//!
//! ```
//! use cocoon_transparency::{Leaf, LogHead, Tree, require_logged};
//! use cocoon_protocol::{Hash256, NodeKey, UnixSeconds};
//!
//! let node = *NodeKey::from_seed(&[7; 32]).public().as_bytes();
//! let leaf = Leaf::Evidence { node: Hash256(node), digest: Hash256([1; 32]), at: UnixSeconds(1_760_000_000) };
//! let mut tree = Tree::default();
//! tree.push(leaf.hash());
//! let head = LogHead { size: tree.size(), root: tree.root() };
//! let proof = tree.prove(0, head.size)?;
//! require_logged(&head, &leaf, &proof)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod contract;
mod demand;
mod hash;
mod index;
mod leaf;
mod peaks;
mod proof;
mod tail;
mod tree;

pub use contract::{LogError, LogHead, evidence_message, log_address};
pub use demand::{LoggedProof, NotLogged, evidence_digest, require_evidence, require_logged};
pub use hash::{EMPTY_ROOT, hash_leaf, hash_node};
pub use index::{Index, IndexError};
pub use leaf::{Entry, Leaf, LeafError};
pub use peaks::{LogState, Peak, PeakError};
pub use proof::{ProofError, inclusion_root, verify_consistency, verify_inclusion};
pub use tail::Tail;
pub use tree::{Tree, TreeError};
