//! Structs, messages and optionals.

use std::marker::PhantomData;

use tycho_types::cell::{Cell, CellBuilder, CellSlice};

use super::{AbiError, At, Budget, Format, expect_end};
use crate::stack::{Shape, StackReader, StackValue};

/// A struct of a contract. Implemented by generated code.
pub trait AbiStruct: Sized + Clone + PartialEq + std::fmt::Debug {
    /// The name in the contract's source.
    const NAME: &'static str;
    /// Values on the stack when a nested struct is one tuple.
    const NESTED: usize;
    /// Values on the stack when nested structs are spread out.
    const FLAT: usize;

    /// Appends the op, if it is a message, and all fields.
    fn store(&self, b: &mut CellBuilder) -> Result<(), AbiError>;

    /// Takes the op, if it is a message, and all fields off the front.
    fn load(s: &mut CellSlice<'_>, budget: &mut Budget) -> Result<Self, AbiError>;

    /// Takes the fields off a getter's result.
    fn pop(r: &mut StackReader) -> Result<Self, AbiError>;

    /// Appends the fields to a getter's arguments.
    fn push(&self, out: &mut Vec<StackValue>) -> Result<(), AbiError>;

    /// Some value, for tests.
    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> Self;

    /// A cell of its own.
    fn to_cell(&self) -> Result<Cell, AbiError> {
        let mut b = CellBuilder::new();
        self.store(&mut b).and_then(|()| Ok(b.build()?)).at(Self::NAME)
    }

    /// Reads a cell that holds this and nothing else.
    fn from_cell(cell: &Cell) -> Result<Self, AbiError> {
        let read = || {
            let mut s = cell.as_slice()?;
            let value = Self::load(&mut s, &mut Budget::new())?;
            expect_end(&s)?;
            Ok(value)
        };
        read().map_err(|e: AbiError| e).at(Self::NAME)
    }
}

/// A struct whose fields stand where the field stands.
pub struct Inline<T>(PhantomData<T>);

impl<T: AbiStruct> Format for Inline<T> {
    type Value = T;

    fn store(value: &T, b: &mut CellBuilder) -> Result<(), AbiError> {
        value.store(b)
    }

    fn load(s: &mut CellSlice<'_>, budget: &mut Budget) -> Result<T, AbiError> {
        T::load(s, budget)
    }

    fn pop(r: &mut StackReader) -> Result<T, AbiError> {
        match r.shape() {
            Shape::Flat => T::pop(r),
            Shape::Nested => Self::pop_some(r),
        }
    }

    fn pop_some(r: &mut StackReader) -> Result<T, AbiError> {
        let size = match r.shape() {
            Shape::Flat => T::FLAT,
            Shape::Nested => T::NESTED,
        };
        let mut inner = r.tuple(size)?;
        let value = T::pop(&mut inner)?;
        inner.finish()?;
        Ok(value)
    }

    fn push(value: &T, out: &mut Vec<StackValue>) -> Result<(), AbiError> {
        let mut fields = Vec::with_capacity(T::NESTED);
        value.push(&mut fields)?;
        out.push(StackValue::Tuple(crate::stack::chain(fields)));
        Ok(())
    }

    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> T {
        T::sample(g)
    }
}

/// A struct in a cell of its own.
pub struct InRef<T>(PhantomData<T>);

impl<T: AbiStruct> Format for InRef<T> {
    type Value = T;

    fn store(value: &T, b: &mut CellBuilder) -> Result<(), AbiError> {
        let mut inner = CellBuilder::new();
        value.store(&mut inner)?;
        Ok(b.store_reference(inner.build()?)?)
    }

    fn load(s: &mut CellSlice<'_>, budget: &mut Budget) -> Result<T, AbiError> {
        budget.spend()?;
        let mut inner = s.load_reference_as_slice()?;
        let value = T::load(&mut inner, budget)?;
        expect_end(&inner)?;
        Ok(value)
    }

    fn pop(r: &mut StackReader) -> Result<T, AbiError> {
        Inline::<T>::pop(r)
    }

    fn pop_some(r: &mut StackReader) -> Result<T, AbiError> {
        Inline::<T>::pop_some(r)
    }

    fn push(value: &T, out: &mut Vec<StackValue>) -> Result<(), AbiError> {
        Inline::<T>::push(value, out)
    }

    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> T {
        T::sample(g)
    }
}

/// A value that may be absent: one bit before it. (Addresses have their own way: [`super::OptAddress`].)
pub struct Opt<F>(PhantomData<F>);

impl<F: Format> Format for Opt<F> {
    type Value = Option<F::Value>;

    fn store(value: &Option<F::Value>, b: &mut CellBuilder) -> Result<(), AbiError> {
        b.store_bit(value.is_some())?;
        value.as_ref().map_or(Ok(()), |value| F::store(value, b))
    }

    fn load(s: &mut CellSlice<'_>, budget: &mut Budget) -> Result<Option<F::Value>, AbiError> {
        if s.load_bit()? { F::load(s, budget).map(Some) } else { Ok(None) }
    }

    fn pop(r: &mut StackReader) -> Result<Option<F::Value>, AbiError> {
        if r.skip_null() { Ok(None) } else { F::pop_some(r).map(Some) }
    }

    fn push(value: &Option<F::Value>, out: &mut Vec<StackValue>) -> Result<(), AbiError> {
        match value {
            Some(value) => F::push(value, out),
            None => {
                out.push(StackValue::Null);
                Ok(())
            }
        }
    }

    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> Option<F::Value> {
        if g.bool() { Some(F::sample(g)) } else { None }
    }
}
