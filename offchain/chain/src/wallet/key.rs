//! Secret keys from mnemonics.

use cocoon_protocol::NodeKey;
use tonlib_core::wallet::error::MnemonicError as Tonlib;
use tonlib_core::wallet::mnemonic::Mnemonic as TonlibMnemonic;
use zeroize::{Zeroize, Zeroizing};

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
    /// tonlib copies the words while it derives the key and does not wipe its copies; the key itself is wiped.
    pub fn key(&self) -> Result<NodeKey, MnemonicError> {
        let words: Vec<&str> = self.words.split_whitespace().collect();
        let count = words.len();
        let position_of = |bad: &str| words.iter().position(|w| w.to_lowercase() == bad).map_or(0, |i| i + 1);
        let refuse = |e| match e {
            Tonlib::UnexpectedWordCount(_) => MnemonicError::WordCount { count },
            Tonlib::InvalidWord(bad) => MnemonicError::UnknownWord { position: position_of(&bad) },
            _ => MnemonicError::Checksum,
        };
        let mnemonic = TonlibMnemonic::new(words.clone(), &None).map_err(refuse)?;
        let mut pair = mnemonic.to_key_pair().map_err(refuse)?;
        // The secret half is the seed followed by the public key.
        let seed = pair.secret_key.first_chunk::<32>().map(|seed| Zeroizing::new(*seed));
        pair.secret_key.zeroize();
        seed.map(|seed| NodeKey::from_seed(&seed)).ok_or(MnemonicError::Checksum)
    }
}
