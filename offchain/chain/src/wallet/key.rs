//! Secret keys from mnemonics, as wallet applications make them.
//!
//! The words are those of BIP-39; what is made of them is TON's own, and its definition is the `mnemonic` module of
//! [@ton/crypto](https://github.com/ton-org/ton-crypto): entropy is HMAC-SHA512 keyed with the words and fed with the
//! password, which is empty here; the key's seed is the first half of PBKDF2-HMAC-SHA512 of the entropy; and the first
//! byte of another such derivation is 0, which is the checksum of words without a password.

use cocoon_protocol::NodeKey;
use hmac::{Hmac, Mac};
use pbkdf2::pbkdf2_hmac;
use sha2::Sha512;
use zeroize::{Zeroize, Zeroizing};

const WORD_LIST: &str = include_str!("data/bip39-english.txt");
const WORD_COUNT: usize = 24;

/// Rounds of PBKDF2 for the seed.
const SEED_ROUNDS: u32 = 100_000;
/// Rounds for the checksum.
const CHECKSUM_ROUNDS: u32 = SEED_ROUNDS / 256;

/// A text is no mnemonic. The text is not repeated here, because it is a secret (attack 88).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MnemonicError {
    /// The number of words is wrong.
    #[error("a TON mnemonic has 24 words, and this one has {count}")]
    WordCount {
        /// How many there are.
        count: usize,
    },
    /// A word is none of the list.
    #[error("word {position} of the mnemonic is not one of the 2048 words of the list")]
    UnknownWord {
        /// Which one, counted from 1.
        position: usize,
    },
    /// The words do not fit together.
    #[error("the words are no TON mnemonic: one of them is wrong or in the wrong place, or it has a password")]
    Checksum,
}

/// Twenty-four words that are a key. Wiped when dropped, and never printed.
pub struct Mnemonic {
    words: Zeroizing<String>,
}

impl std::fmt::Debug for Mnemonic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mnemonic(…)")
    }
}

impl Mnemonic {
    /// Takes the words, separated by white space.
    pub fn new(words: String) -> Self {
        Self { words: Zeroizing::new(words) }
    }

    /// The key that they are.
    ///
    /// Everything made on the way is wiped, except what the hash functions keep on the stack.
    pub fn key(&self) -> Result<NodeKey, MnemonicError> {
        let phrase = self.phrase()?;
        // HMAC takes keys of every length; the type of `new_from_slice` has to allow for others.
        let mac = <Hmac<Sha512> as Mac>::new_from_slice(phrase.as_bytes()).map_err(|_| MnemonicError::Checksum)?;
        let mut bytes = mac.finalize().into_bytes();
        let entropy = Zeroizing::new(bytes.to_vec());
        bytes.zeroize();

        let [first, ..] = *derive(&entropy, "TON seed version", CHECKSUM_ROUNDS);
        if first != 0 {
            return Err(MnemonicError::Checksum);
        }
        Ok(NodeKey::from_seed(&derive(&entropy, "TON default seed", SEED_ROUNDS)))
    }

    /// The words in small letters with one space between them, after looking each of them up.
    fn phrase(&self) -> Result<Zeroizing<String>, MnemonicError> {
        let count = self.words.split_whitespace().count();
        if count != WORD_COUNT {
            return Err(MnemonicError::WordCount { count });
        }
        // Never longer than what was given, so that it does not move and leave a copy behind.
        let mut phrase = Zeroizing::new(String::with_capacity(self.words.len()));
        for (i, word) in self.words.split_whitespace().enumerate() {
            let known = WORD_LIST
                .lines()
                .find(|known| known.eq_ignore_ascii_case(word))
                .ok_or(MnemonicError::UnknownWord { position: i + 1 })?;
            if i > 0 {
                phrase.push(' ');
            }
            phrase.push_str(known);
        }
        Ok(phrase)
    }
}

/// The first 32 of the 64 bytes that PBKDF2 makes with SHA-512 as its one block: asking for fewer only cuts them off.
fn derive(entropy: &[u8], salt: &str, rounds: u32) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    pbkdf2_hmac::<Sha512>(entropy, salt.as_bytes(), rounds, out.as_mut_slice());
    out
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_word_list_is_that_of_bip_39() {
        let hash = "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda";
        assert_eq!(hex::encode(Sha256::digest(WORD_LIST)), hash);
    }
}
