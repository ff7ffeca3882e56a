//! The state of a log as its account has it, and proofs for whoever knows that state.
//!
//! A contract keeps the *peaks* of its tree: the roots of its full subtrees. A proof that leads from a leaf to the peak above it
//! stays good while the log grows, until that peak becomes a part of a higher one, which happens each time about as many leaves
//! have followed as the peak has below it: a dozen times for thousands of leaves. And because a longer path begins with the shorter ones, one
//! proof serves everybody whose view of the log is somewhat older.

use cocoon_chain::AccountSnapshot;
use cocoon_protocol::{Hash256, LogProof, StdAddr};
use cocoon_wrappers::generated::transparency_log::{CODE_HASH, Data};
use tycho_types::cell::Cell;
use tycho_types::error::Error;

use crate::contract::{LogError, LogHead};
use crate::hash::{EMPTY_ROOT, hash_node};

/// What a log's account says: the number of leaves and the peaks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogState {
    size: u64,
    /// One for each bit that is set in the size, that of the smallest subtree first.
    peaks: Vec<Hash256>,
}

/// A proof does not lead to a peak.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PeakError {
    /// The state is older than the leaf.
    #[error("leaf {index} is beyond the {size} leaves that are known here: wait for the next block")]
    NotYet {
        /// Position, from zero.
        index: u64,
        /// Leaves of the state.
        size: u64,
    },
    /// The peak has become a part of a higher one since the proof was made.
    #[error(
        "the log has {size} leaves now, and the proof has {found} hashes where {needed} lead to a peak: it is too old"
    )]
    Grown {
        /// Leaves of the state.
        size: u64,
        /// Hashes of the proof.
        found: usize,
        /// Hashes from the leaf to its peak.
        needed: u32,
    },
    /// The hashes lead elsewhere.
    #[error(
        "the proof leads from leaf {index} to {computed}, and the log of {size} leaves has the peak {expected}: it is forged"
    )]
    OtherPeak {
        /// Position, from zero.
        index: u64,
        /// Leaves of the state.
        size: u64,
        /// The log's.
        expected: Hash256,
        /// Of the proof.
        computed: Hash256,
    },
}

impl LogState {
    /// Reads the account of this registry's log. The account must come from a chain that is trusted or verified.
    pub fn from_account(account: &AccountSnapshot, registry: &StdAddr) -> Result<Self, LogError> {
        let no_log = |found: String| LogError::NoLog { address: account.address.clone(), found };
        let (Some(code), Some(data)) = (&account.code, &account.data) else {
            return Err(no_log(account.status.to_string()));
        };
        if *code.repr_hash() != CODE_HASH {
            return Err(no_log(format!("a contract with code {}", code.repr_hash())));
        }
        let data = Data::from_cell(data)?;
        if data.registry != *registry {
            let (address, expected) = (account.address.clone(), registry.clone());
            return Err(LogError::OtherRegistry { address, expected, found: data.registry });
        }
        Self::from_data(&data)
    }

    /// Reads the contract's data. There is one peak for each bit that is set in the size.
    pub fn from_data(data: &Data) -> Result<Self, LogError> {
        let size = data.size;
        let malformed = |why: String| LogError::Peaks { size, why };
        let mut next = data.peaks.clone();
        let mut peaks = vec![];
        while let Some(cell) = next {
            if peaks.len() >= size.count_ones() as usize {
                return Err(malformed(format!("there are more than {}", size.count_ones())));
            }
            let (peak, rest) = read_peak(&cell).map_err(|why| malformed(why.to_string()))?;
            peaks.push(peak);
            next = rest;
        }
        if peaks.len() < size.count_ones() as usize {
            return Err(malformed(format!("there are {} instead of {}", peaks.len(), size.count_ones())));
        }
        Ok(Self { size, peaks })
    }

    /// Number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The head: the peaks folded into the root over all leaves.
    pub fn head(&self) -> LogHead {
        let root = self.peaks.iter().copied().reduce(|right, left| hash_node(&left, &right));
        LogHead { size: self.size, root: root.unwrap_or(EMPTY_ROOT) }
    }

    /// The peaks with their heights, the smallest first, each with the position of its first leaf.
    pub fn peaks(&self) -> impl Iterator<Item = Peak> {
        let heights = (0..u64::BITS).filter(|height| self.size >> height & 1 == 1);
        heights.zip(&self.peaks).map(|(height, hash)| {
            // All higher bits of the size are leaves to the left of this peak.
            let first = if height == u64::BITS - 1 { 0 } else { self.size >> (height + 1) << (height + 1) };
            Peak { height, first, hash: *hash }
        })
    }

    /// Checks that the leaf with this hash is in the log, at the place that the proof says. Work is bounded by 63 hashes, whatever
    /// a peer sends.
    pub fn require(&self, leaf: &Hash256, proof: &LogProof) -> Result<(), PeakError> {
        let (index, size) = (proof.index, self.size);
        // Peaks come from the right to the left: the first one that does not begin after the leaf is above it.
        let peak = self.peaks().find(|peak| index >= peak.first).filter(|_| index < size);
        let Some(peak) = peak else { return Err(PeakError::NotYet { index, size }) };
        let path = proof.path.get(..peak.height as usize).ok_or(PeakError::Grown {
            size,
            found: proof.path.len(),
            needed: peak.height,
        })?;
        let mut computed = *leaf;
        for (level, neighbour) in path.iter().enumerate() {
            let on_the_right = index >> level & 1 == 1;
            computed = if on_the_right { hash_node(neighbour, &computed) } else { hash_node(&computed, neighbour) };
        }
        if computed == peak.hash {
            Ok(())
        } else {
            Err(PeakError::OtherPeak { index, size, expected: peak.hash, computed })
        }
    }
}

/// A full subtree that is a part of no larger one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peak {
    /// It has 2^height leaves.
    pub height: u32,
    /// Position of its first leaf.
    pub first: u64,
    /// Its root.
    pub hash: Hash256,
}

fn read_peak(cell: &Cell) -> Result<(Hash256, Option<Cell>), Error> {
    let mut s = cell.as_slice()?;
    let hash = Hash256(s.load_u256()?.0);
    let next = if s.load_bit()? { Some(s.load_reference_cloned()?) } else { None };
    if s.is_data_empty() && s.is_refs_empty() { Ok((hash, next)) } else { Err(Error::CellOverflow) }
}
