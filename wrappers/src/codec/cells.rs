//! Truth values, addresses, cells, bytes and texts.

use tycho_types::cell::{Cell, CellBuilder, CellFamily, CellSlice, Load, Store};
use tycho_types::models::StdAddr;

use super::{AbiError, Budget, Format, Problem, expect_end};
use crate::stack::{Builder, Slice, StackReader, StackValue};

/// One bit.
pub struct Bool;

/// A standard address without an anycast prefix.
pub struct Address;

/// A standard address, or `addr_none`.
pub struct OptAddress;

/// A cell, slice or builder, in a reference. `T` says what it is on the stack.
pub struct Ref<T>(std::marker::PhantomData<T>);

/// All that is left of the cell, as a cell.
pub struct Rest<T>(std::marker::PhantomData<T>);

/// `N` bytes.
pub struct Bytes<const N: usize>;

/// A text in a reference, 127 bytes per cell, each cell referring to the next.
pub struct Text;

/// Bytes of a text in one cell.
const TEXT_PER_CELL: usize = 127;

/// What a value of cell kind is on the stack.
pub trait CellKind {
    /// Name for errors.
    const KIND: &'static str;
    /// Puts it on the stack.
    fn wrap(cell: Cell) -> StackValue;
    /// Takes it off the stack.
    fn unwrap(value: StackValue) -> Result<Cell, StackValue>;
}

impl CellKind for Cell {
    const KIND: &'static str = "cell";
    fn wrap(cell: Cell) -> StackValue {
        StackValue::Cell(cell)
    }
    fn unwrap(value: StackValue) -> Result<Cell, StackValue> {
        if let StackValue::Cell(cell) = value { Ok(cell) } else { Err(value) }
    }
}

impl CellKind for Slice {
    const KIND: &'static str = "slice";
    fn wrap(cell: Cell) -> StackValue {
        StackValue::Slice(cell)
    }
    fn unwrap(value: StackValue) -> Result<Cell, StackValue> {
        if let StackValue::Slice(cell) = value { Ok(cell) } else { Err(value) }
    }
}

impl CellKind for Builder {
    const KIND: &'static str = "builder";
    fn wrap(cell: Cell) -> StackValue {
        StackValue::Builder(cell)
    }
    fn unwrap(value: StackValue) -> Result<Cell, StackValue> {
        if let StackValue::Builder(cell) = value { Ok(cell) } else { Err(value) }
    }
}

fn pop_cell<T: CellKind>(r: &mut StackReader) -> Result<Cell, Problem> {
    let value = r.next(T::KIND)?;
    T::unwrap(value).map_err(|other| Problem::StackKind { expected: T::KIND, found: other.kind() })
}

impl Format for Bool {
    type Value = bool;

    fn store(value: &bool, b: &mut CellBuilder) -> Result<(), AbiError> {
        Ok(b.store_bit(*value)?)
    }

    fn load(s: &mut CellSlice<'_>, _: &mut Budget) -> Result<bool, AbiError> {
        Ok(s.load_bit()?)
    }

    fn pop(r: &mut StackReader) -> Result<bool, AbiError> {
        // The TVM takes any number but zero for true; Tact returns −1.
        super::BigSigned::<257>::pop(r).map(|n| n.sign() != num_bigint::Sign::NoSign)
    }

    fn push(value: &bool, out: &mut Vec<StackValue>) -> Result<(), AbiError> {
        out.push(StackValue::bool(*value));
        Ok(())
    }

    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> bool {
        g.bool()
    }
}

impl Format for Address {
    type Value = StdAddr;

    fn store(value: &StdAddr, b: &mut CellBuilder) -> Result<(), AbiError> {
        if value.anycast.is_some() {
            return Err(Problem::Address.into());
        }
        Ok(value.store_into(b, Cell::empty_context())?)
    }

    fn load(s: &mut CellSlice<'_>, _: &mut Budget) -> Result<StdAddr, AbiError> {
        match StdAddr::load_from(s) {
            Ok(address) if address.anycast.is_none() => Ok(address),
            _ => Err(Problem::Address.into()),
        }
    }

    fn pop(r: &mut StackReader) -> Result<StdAddr, AbiError> {
        let cell = pop_cell::<Slice>(r)?;
        let mut s = cell.as_slice()?;
        let address = Self::load(&mut s, &mut Budget::new())?;
        expect_end(&s)?;
        Ok(address)
    }

    fn push(value: &StdAddr, out: &mut Vec<StackValue>) -> Result<(), AbiError> {
        let mut b = CellBuilder::new();
        Self::store(value, &mut b)?;
        out.push(StackValue::Slice(b.build()?));
        Ok(())
    }

    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> StdAddr {
        let workchain = if g.bool() { 0 } else { g.unsigned(8) as u8 as i8 };
        StdAddr::new(workchain, tycho_types::cell::HashBytes(g.bytes()))
    }
}

impl Format for OptAddress {
    type Value = Option<StdAddr>;

    fn store(value: &Option<StdAddr>, b: &mut CellBuilder) -> Result<(), AbiError> {
        match value {
            Some(address) => Address::store(address, b),
            None => Ok(b.store_zeros(2)?),
        }
    }

    fn load(s: &mut CellSlice<'_>, budget: &mut Budget) -> Result<Option<StdAddr>, AbiError> {
        if s.get_small_uint(0, 2)? == 0 {
            s.skip_first(2, 0)?;
            return Ok(None);
        }
        Address::load(s, budget).map(Some)
    }

    fn pop(r: &mut StackReader) -> Result<Option<StdAddr>, AbiError> {
        if r.skip_null() { Ok(None) } else { Address::pop(r).map(Some) }
    }

    fn push(value: &Option<StdAddr>, out: &mut Vec<StackValue>) -> Result<(), AbiError> {
        super::Opt::<Address>::push(value, out)
    }

    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> Option<StdAddr> {
        super::Opt::<Address>::sample(g)
    }
}

impl<T: CellKind> Format for Ref<T> {
    type Value = Cell;

    fn store(value: &Cell, b: &mut CellBuilder) -> Result<(), AbiError> {
        Ok(b.store_reference(value.clone())?)
    }

    fn load(s: &mut CellSlice<'_>, _: &mut Budget) -> Result<Cell, AbiError> {
        Ok(s.load_reference_cloned()?)
    }

    fn pop(r: &mut StackReader) -> Result<Cell, AbiError> {
        Ok(pop_cell::<T>(r)?)
    }

    fn push(value: &Cell, out: &mut Vec<StackValue>) -> Result<(), AbiError> {
        out.push(T::wrap(value.clone()));
        Ok(())
    }

    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> Cell {
        g.cell(3)
    }
}

impl<T: CellKind> Format for Rest<T> {
    type Value = Cell;

    fn store(value: &Cell, b: &mut CellBuilder) -> Result<(), AbiError> {
        Ok(b.store_slice(value.as_slice()?)?)
    }

    fn load(s: &mut CellSlice<'_>, _: &mut Budget) -> Result<Cell, AbiError> {
        let mut b = CellBuilder::new();
        b.store_slice(s.load_remaining())?;
        Ok(b.build()?)
    }

    fn pop(r: &mut StackReader) -> Result<Cell, AbiError> {
        Ok(pop_cell::<T>(r)?)
    }

    fn push(value: &Cell, out: &mut Vec<StackValue>) -> Result<(), AbiError> {
        out.push(T::wrap(value.clone()));
        Ok(())
    }

    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> Cell {
        // Small enough to follow other fields.
        g.small_cell()
    }
}

impl<const N: usize> Format for Bytes<N> {
    type Value = [u8; N];

    fn store(value: &[u8; N], b: &mut CellBuilder) -> Result<(), AbiError> {
        Ok(b.store_raw(value, N as u16 * 8)?)
    }

    fn load(s: &mut CellSlice<'_>, _: &mut Budget) -> Result<[u8; N], AbiError> {
        let mut bytes = [0; N];
        s.load_raw(&mut bytes, N as u16 * 8)?;
        Ok(bytes)
    }

    fn pop(r: &mut StackReader) -> Result<[u8; N], AbiError> {
        let cell = pop_cell::<Slice>(r)?;
        let mut s = cell.as_slice()?;
        let bytes = Self::load(&mut s, &mut Budget::new())?;
        expect_end(&s)?;
        Ok(bytes)
    }

    fn push(value: &[u8; N], out: &mut Vec<StackValue>) -> Result<(), AbiError> {
        let mut b = CellBuilder::new();
        Self::store(value, &mut b)?;
        out.push(StackValue::Slice(b.build()?));
        Ok(())
    }

    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> [u8; N] {
        g.bytes()
    }
}

fn text_to_cell(text: &str) -> Result<Cell, Problem> {
    let mut next: Option<Cell> = None;
    let chunks: Vec<&[u8]> = text.as_bytes().chunks(TEXT_PER_CELL).collect();
    for chunk in chunks.into_iter().rev() {
        let mut b = CellBuilder::new();
        b.store_raw(chunk, chunk.len() as u16 * 8)?;
        if let Some(next) = next {
            b.store_reference(next)?;
        }
        next = Some(b.build()?);
    }
    Ok(next.unwrap_or_default())
}

fn text_from_cell(cell: &Cell, budget: &mut Budget) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    let mut s = cell.as_slice()?;
    loop {
        budget.spend()?;
        let bits = s.size_bits();
        if bits % 8 != 0 || s.size_refs() > 1 {
            return Err(Problem::Text);
        }
        let mut part = vec![0; usize::from(bits / 8)];
        if bits > 0 {
            s.load_raw(&mut part, bits)?;
        }
        bytes.append(&mut part);
        if s.size_refs() == 0 {
            return String::from_utf8(bytes).map_err(|_| Problem::Text);
        }
        s = s.load_reference_as_slice()?;
    }
}

impl Format for Text {
    type Value = String;

    fn store(value: &String, b: &mut CellBuilder) -> Result<(), AbiError> {
        Ok(b.store_reference(text_to_cell(value)?)?)
    }

    fn load(s: &mut CellSlice<'_>, budget: &mut Budget) -> Result<String, AbiError> {
        Ok(text_from_cell(&s.load_reference_cloned()?, budget)?)
    }

    fn pop(r: &mut StackReader) -> Result<String, AbiError> {
        Ok(text_from_cell(&pop_cell::<Slice>(r)?, &mut Budget::new())?)
    }

    fn push(value: &String, out: &mut Vec<StackValue>) -> Result<(), AbiError> {
        out.push(StackValue::Slice(text_to_cell(value)?));
        Ok(())
    }

    #[cfg(test)]
    fn sample(g: &mut crate::testing::Gen) -> String {
        let length = g.below(300);
        (0..length).map(|_| if g.below(8) == 0 { 'ü' } else { char::from(b'a' + g.below(26) as u8) }).collect()
    }
}
