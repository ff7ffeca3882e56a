//! Files with an Ed25519 secret key: 64 hexadecimal digits.

use std::path::Path;

use anyhow::{Result, ensure};
use cocoon_protocol::NodeKey;
use zeroize::Zeroizing;

use super::{create, read};

/// Makes a key and keeps it in a new file.
pub fn new(path: &Path) -> Result<NodeKey> {
    let key = NodeKey::generate(&mut rand::rngs::OsRng);
    keep(path, &key)?;
    Ok(key)
}

/// Keeps a key in a new file.
pub fn keep(path: &Path, key: &NodeKey) -> Result<()> {
    let mut text = Zeroizing::new(hex::encode(*key.seed()));
    text.push('\n');
    create(path, text.as_bytes())
}

/// Reads a key.
pub fn open(path: &Path) -> Result<NodeKey> {
    let text = read(path)?;
    let mut seed = Zeroizing::new([0; 32]);
    let decoded = hex::decode_to_slice(text.trim(), &mut *seed);
    ensure!(decoded.is_ok(), "{} is no key file: it holds 64 hexadecimal digits (cocoon key new FILE)", path.display());
    Ok(NodeKey::from_seed(&seed))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;

    #[test]
    fn a_key_survives_and_a_damaged_file_is_named_without_its_contents() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        assert_eq!(new(&path).unwrap().public(), open(&path).unwrap().public());
        let bad = dir.path().join("bad");
        create(&bad, b"deadbeef secret").unwrap();
        let error = open(&bad).unwrap_err().to_string();
        assert!(error.contains("bad") && !error.contains("deadbeef"), "{error}");
    }
}
