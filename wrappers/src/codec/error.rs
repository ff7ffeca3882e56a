//! Why a value cannot be written or read.

use std::fmt;

use tycho_types::error::Error as CellLibraryError;

/// What is wrong with a value.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Problem {
    /// The number has no place in the field. Nothing is ever truncated.
    #[error("{value} does not fit {format}")]
    OutOfRange {
        /// The number.
        value: String,
        /// The field's format.
        format: String,
    },
    /// The cell ends too early, is full, is exotic, or is malformed.
    #[error("{0}")]
    Cell(#[from] CellLibraryError),
    /// Something follows the last field.
    #[error("{bits} bits and {refs} references follow the last field")]
    Trailing {
        /// Bits left over.
        bits: u16,
        /// References left over.
        refs: u8,
    },
    /// The first 32 bits name another message.
    #[error("op {found:#010x} instead of {expected:#010x}")]
    Op {
        /// The message's op.
        expected: u32,
        /// What the cell says.
        found: u32,
    },
    /// An address that is absent or has an anycast prefix.
    #[error("not a standard address without an anycast prefix")]
    Address,
    /// A text that is not UTF-8 or not whole bytes.
    #[error("not a UTF-8 text in a chain of cells")]
    Text,
    /// The structure unfolds into more parts than any contract of ours can hold.
    #[error("more than {limit} parts; the cells share branches to look small")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The stack ends too early.
    #[error("nothing is left on the stack where {expected} should be")]
    StackUnderflow {
        /// What should be there.
        expected: &'static str,
    },
    /// The stack holds more than the result.
    #[error("{count} values follow the result on the stack")]
    StackTrailing {
        /// Values left over.
        count: usize,
    },
    /// The stack holds a value of another kind.
    #[error("{found} on the stack instead of {expected}")]
    StackKind {
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
}

impl Problem {
    pub(crate) fn range(value: impl fmt::Display, format: impl fmt::Display) -> Self {
        Self::OutOfRange { value: value.to_string(), format: format.to_string() }
    }
}

/// A value of a contract cannot be written or read: where and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AbiError {
    /// From the outermost structure to the field, such as `["Claim", "queryId"]`.
    pub path: Vec<&'static str>,
    /// What is wrong there.
    pub problem: Problem,
}

impl fmt::Display for AbiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.join("."), self.problem)
    }
}

impl std::error::Error for AbiError {}

impl<T: Into<Problem>> From<T> for AbiError {
    fn from(problem: T) -> Self {
        Self { path: Vec::new(), problem: problem.into() }
    }
}

/// Adds the place to an error.
pub trait At<T> {
    /// Names the structure or field in which it happened.
    fn at(self, place: &'static str) -> Result<T, AbiError>;
}

impl<T, E: Into<AbiError>> At<T> for Result<T, E> {
    fn at(self, place: &'static str) -> Result<T, AbiError> {
        self.map_err(|e| {
            let mut error = e.into();
            error.path.insert(0, place);
            error
        })
    }
}
