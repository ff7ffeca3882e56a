//! Values on the TVM's stack, as getters take and return them.
//!
//! This type knows nothing of a virtual machine: whoever runs a getter converts it to its own kind.

use num_bigint::BigInt;
use tycho_types::cell::Cell;

/// A value on the stack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StackValue {
    /// Nothing: an absent optional, an empty map.
    Null,
    /// An integer of at most 257 bits. Truth is −1, falsehood is 0.
    Int(BigInt),
    /// A cell.
    Cell(Cell),
    /// A slice, as a cell that holds exactly the slice's bits and references.
    Slice(Cell),
    /// A builder, as a cell that holds what was stored so far.
    Builder(Cell),
    /// A tuple: a struct, or nested values.
    Tuple(Vec<Self>),
}

impl StackValue {
    /// What kind of value this is, for errors.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Int(_) => "integer",
            Self::Cell(_) => "cell",
            Self::Slice(_) => "slice",
            Self::Builder(_) => "builder",
            Self::Tuple(_) => "tuple",
        }
    }

    /// The TVM's truth value.
    pub fn bool(value: bool) -> Self {
        Self::Int(BigInt::from(if value { -1 } else { 0 }))
    }
}

/// A getter with its arguments, ready to be run on an account's state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GetterCall {
    /// Name of the method, from which the TVM's method id follows.
    pub name: &'static str,
    /// Arguments, the first one deepest.
    pub args: Vec<StackValue>,
}
