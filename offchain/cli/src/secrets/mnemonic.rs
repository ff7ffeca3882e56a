//! Files with the 24 words of a wallet.

use std::path::Path;

use anyhow::{Context, Result};
use cocoon_chain::Mnemonic;
use cocoon_protocol::NodeKey;
use rand::Rng;
use rand::rngs::OsRng;
use zeroize::Zeroizing;

use super::{create, read};

/// The words of BIP-39, of which every TON wallet is made.
const WORDS: &str = include_str!("../../../chain/src/wallet/data/bip39-english.txt");
const COUNT: usize = 24;

/// Makes words and keeps them in a new file. One in 256 random texts has the right checksum, so it takes some hundred tries.
pub fn new(path: &Path) -> Result<NodeKey> {
    let list: Vec<&str> = WORDS.lines().collect();
    loop {
        let mut words = Zeroizing::new(String::with_capacity(COUNT * 9));
        for i in 0..COUNT {
            let word = list.get(OsRng.gen_range(0..list.len())).context("the word list is empty")?;
            if i > 0 {
                words.push(' ');
            }
            words.push_str(word);
        }
        if let Ok(key) = Mnemonic::new((*words).clone()).key() {
            write(path, &words)?;
            return Ok(key);
        }
    }
}

/// Keeps words that exist already in a new file, after checking them.
pub fn import(path: &Path, words: &Zeroizing<String>) -> Result<NodeKey> {
    let key = Mnemonic::new((**words).clone()).key()?;
    write(path, &Zeroizing::new(words.split_whitespace().collect::<Vec<_>>().join(" ")))?;
    Ok(key)
}

fn write(path: &Path, words: &Zeroizing<String>) -> Result<()> {
    let mut text = Zeroizing::new(String::with_capacity(words.len() + 1));
    text.push_str(words);
    text.push('\n');
    create(path, text.as_bytes())
}

/// Reads the key that a file's words are.
pub fn open(path: &Path) -> Result<NodeKey> {
    let words = read(path)?;
    Mnemonic::new((*words).clone()).key().with_context(|| format!("{} is no wallet file", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;

    #[test]
    fn new_words_are_a_wallet_that_other_wallets_would_take() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wallet");
        let made = new(&path).unwrap().public();
        assert_eq!(open(&path).unwrap().public(), made);
        let words = read(&path).unwrap();
        assert_eq!(words.split_whitespace().count(), 24);
        assert_eq!(import(&dir.path().join("copy"), &words).unwrap().public(), made);
    }

    #[test]
    fn attack_88_wrong_words_are_not_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wallet");
        create(&path, b"secretword abandon").unwrap();
        let error = format!("{:#}", open(&path).unwrap_err());
        assert!(error.contains("24 words") && !error.contains("secretword"), "{error}");
    }
}
