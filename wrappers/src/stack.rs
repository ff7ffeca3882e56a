//! Values on the TVM's stack, as getters take and return them.
//!
//! This type knows nothing of a virtual machine: whoever runs a getter converts it to its own kind.

use num_bigint::BigInt;
use tycho_types::cell::Cell;

use crate::codec::Problem;

/// Entries of one tuple; Tact chains longer structs, the last entry being the tuple of the rest.
const MAX_TUPLE: usize = 15;

/// Marks a field that is a slice on the stack.
pub enum Slice {}

/// Marks a field that is a builder on the stack.
pub enum Builder {}

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

/// Where the fields of nested structs stand. Tact spreads a struct that a getter returns over the stack, and everything
/// inside it; but an optional struct comes as a tuple of tuples.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Side by side with the other fields.
    Flat,
    /// In a tuple.
    Nested,
}

/// Takes a getter's result apart, from the deepest value to the top.
pub struct StackReader {
    items: std::collections::VecDeque<StackValue>,
    shape: Shape,
}

impl StackReader {
    /// Reads these values.
    pub fn new(items: Vec<StackValue>, shape: Shape) -> Self {
        Self { items: items.into(), shape }
    }

    /// How nested structs are laid out here.
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// The next value; `expected` is for the error.
    pub fn next(&mut self, expected: &'static str) -> Result<StackValue, Problem> {
        self.items.pop_front().ok_or(Problem::StackUnderflow { expected })
    }

    /// Takes a null if it is next.
    pub fn skip_null(&mut self) -> bool {
        let null = matches!(self.items.front(), Some(StackValue::Null));
        if null {
            self.items.pop_front();
        }
        null
    }

    /// A reader of the next tuple, which stands for `size` values.
    pub fn tuple(&mut self, size: usize) -> Result<Self, Problem> {
        let mut items = std::collections::VecDeque::new();
        let mut part = self.next("tuple")?;
        let mut left = size;
        loop {
            let StackValue::Tuple(values) = part else {
                return Err(Problem::StackKind { expected: "tuple", found: part.kind() });
            };
            items.extend(values);
            // The first part is whole up to MAX_TUPLE; the parts of a chain hold one less, beside the rest.
            let whole = if left == size { MAX_TUPLE } else { MAX_TUPLE - 1 };
            if left <= whole {
                break;
            }
            left -= MAX_TUPLE - 1;
            part = items.pop_back().ok_or(Problem::StackUnderflow { expected: "tuple" })?;
        }
        Ok(Self { items, shape: self.shape })
    }

    /// Refuses anything after the last value.
    pub fn finish(self) -> Result<(), Problem> {
        match self.items.len() {
            0 => Ok(()),
            count => Err(Problem::StackTrailing { count }),
        }
    }
}

/// Splits the fields of a long struct into a chain of tuples.
pub(crate) fn chain(fields: Vec<StackValue>) -> Vec<StackValue> {
    fn parts(mut fields: Vec<StackValue>) -> Vec<StackValue> {
        if fields.len() < MAX_TUPLE {
            return fields;
        }
        let rest = fields.split_off(MAX_TUPLE - 1);
        fields.push(StackValue::Tuple(parts(rest)));
        fields
    }
    if fields.len() == MAX_TUPLE { fields } else { parts(fields) }
}
