//! How the Tact compiler lays out values in cells and on the stack.
//!
//! The generated bindings are written in terms of the *formats* of this module: a format is a type that never has a value;
//! it says how the Rust value of a field is stored in a cell, and how getters take and return it.

mod cells;
mod error;
mod map;
mod numbers;
mod structs;

use tycho_types::cell::{Cell, CellBuilder, CellSlice, HashBytes};

pub use self::cells::{Address, Bool, Bytes, OptAddress, Ref, Rest, Text};
pub use self::error::{AbiError, At, Problem};
pub use self::map::{KeyFormat, Map};
pub use self::numbers::{BigSigned, BigUnsigned, Coins, Int, Uint, Uint256, VarInt16, VarInt32, VarUint16, VarUint32};
pub use self::structs::{AbiStruct, InRef, Inline, Opt};
pub use crate::stack::{Builder, Slice};
use crate::stack::{StackReader, StackValue};

/// How a field is stored. Errors say what is wrong; [`At::at`] adds where.
pub trait Format {
    /// The Rust value of the field.
    type Value: Clone + PartialEq + std::fmt::Debug;

    /// Appends the value.
    fn store(value: &Self::Value, b: &mut CellBuilder) -> Result<(), AbiError>;

    /// Takes the value off the front.
    fn load(s: &mut CellSlice<'_>, budget: &mut Budget) -> Result<Self::Value, AbiError>;

    /// Takes the value off a getter's result.
    fn pop(r: &mut StackReader) -> Result<Self::Value, AbiError>;

    /// Takes the value of an optional, known not to be null, off a getter's result.
    fn pop_some(r: &mut StackReader) -> Result<Self::Value, AbiError> {
        Self::pop(r)
    }

    /// Appends the value to a getter's arguments.
    fn push(value: &Self::Value, out: &mut Vec<StackValue>) -> Result<(), AbiError>;

    /// Some value, for tests.
    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> Self::Value;
}

/// How much a reader may still unfold. Cells are shared, so that a few of them can pretend to be a dictionary of 2²⁵⁶
/// entries: whoever reads a foreign account must not fall for that.
pub struct Budget(usize);

impl Budget {
    /// Cells and entries in one structure. The largest account that the network allows has 2¹⁶ cells.
    pub const LIMIT: usize = 1 << 17;

    /// A full budget.
    pub const fn new() -> Self {
        Self(Self::LIMIT)
    }

    /// Spends one part.
    pub fn spend(&mut self) -> Result<(), Problem> {
        self.0 = self.0.checked_sub(1).ok_or(Problem::TooLarge { limit: Self::LIMIT })?;
        Ok(())
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

/// Refuses anything after the last field (attack 26).
pub fn expect_end(s: &CellSlice<'_>) -> Result<(), Problem> {
    match (s.size_bits(), s.size_refs()) {
        (0, 0) => Ok(()),
        (bits, refs) => Err(Problem::Trailing { bits, refs }),
    }
}

/// A compiled contract's code. The generator has read the same bytes, so that they are known to be a valid bag of cells.
pub fn decode_code(boc: &[u8]) -> Cell {
    #[expect(clippy::expect_used, reason = "the bytes are part of the program, and the generator has decoded them")]
    tycho_types::boc::Boc::decode(boc).expect("a committed artefact is a valid bag of cells")
}

/// Takes the op off the front.
pub fn expect_op(s: &mut CellSlice<'_>, expected: u32) -> Result<(), Problem> {
    match s.load_u32()? {
        found if found == expected => Ok(()),
        found => Err(Problem::Op { expected, found }),
    }
}

/// A contract of this project, for those who look at accounts and exit codes without knowing which it is.
pub struct Contract {
    /// Name in the source.
    pub name: &'static str,
    /// The compiled code.
    pub code: fn() -> Cell,
    /// Its hash.
    pub code_hash: HashBytes,
    /// Exit codes: code, name (empty for those of the TVM and of Tact), meaning.
    pub errors: &'static [(i32, &'static str, &'static str)],
}
