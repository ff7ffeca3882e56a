//! Hashes of the tree (RFC 9162, section 2.1.1). Leaves and inner nodes begin differently, so that neither can be shown as the
//! other.

use cocoon_protocol::Hash256;
use sha2::{Digest, Sha256};

/// Root of the tree without leaves: SHA-256 of nothing.
pub const EMPTY_ROOT: Hash256 = Hash256([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

/// Hash of a leaf with these bytes.
pub fn hash_leaf(data: &[u8]) -> Hash256 {
    Hash256(Sha256::new().chain_update([0]).chain_update(data).finalize().into())
}

/// Hash of the node over these two.
pub fn hash_node(left: &Hash256, right: &Hash256) -> Hash256 {
    Hash256(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}
