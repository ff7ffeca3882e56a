//! Cells written and read as the specification's TL-B says, without the contracts' own bindings.

use tycho_types::cell::{Cell, CellBuilder, CellFamily, CellSlice, Load, Store};
use tycho_types::error::Error;
use tycho_types::models::{IntAddr, StdAddr};
use tycho_types::num::Tokens;

/// Largest amount that a cell can hold.
pub const MAX_COINS: u128 = (1 << 120) - 1;

/// Writes a cell.
#[derive(Clone, Default)]
pub struct Writer(CellBuilder);

impl Writer {
    /// Begins with an operation.
    pub fn op(op: u32) -> Self {
        Self::default().uint(u128::from(op), 32)
    }

    /// An unsigned number of this width.
    pub fn uint(mut self, value: u128, bits: u16) -> Self {
        let raw = (value << (128 - bits)).to_be_bytes();
        self.0.store_raw(&raw, bits).expect("the layout fits into a cell");
        self
    }

    /// A signed number of 32 bits.
    pub fn int32(self, value: i32) -> Self {
        self.uint(u128::from(u32::from_be_bytes(value.to_be_bytes())), 32)
    }

    /// 32 bytes.
    pub fn word(mut self, value: &[u8; 32]) -> Self {
        self.0.store_raw(value, 256).expect("the layout fits into a cell");
        self
    }

    /// 64 bytes.
    pub fn signature(mut self, value: &[u8; 64]) -> Self {
        self.0.store_raw(value, 512).expect("the layout fits into a cell");
        self
    }

    /// An amount.
    pub fn coins(mut self, value: u128) -> Self {
        Tokens::new(value).store_into(&mut self.0, Cell::empty_context()).expect("the layout fits into a cell");
        self
    }

    /// An address.
    pub fn address(mut self, value: &StdAddr) -> Self {
        IntAddr::Std(value.clone())
            .store_into(&mut self.0, Cell::empty_context())
            .expect("the layout fits into a cell");
        self
    }

    /// A reference.
    pub fn cell(mut self, value: Cell) -> Self {
        self.0.store_reference(value).expect("the layout fits into a cell");
        self
    }

    /// A bit, and a reference when there is one.
    pub fn maybe(self, value: Option<Cell>) -> Self {
        match value {
            Some(cell) => self.uint(1, 1).cell(cell),
            None => self.uint(0, 1),
        }
    }

    /// The contents of a cell, bits and references.
    pub fn append(mut self, cell: &Cell) -> Self {
        self.0.store_slice(cell.as_slice_allow_exotic()).expect("the layout fits into a cell");
        self
    }

    /// The cell.
    pub fn end(self) -> Cell {
        self.0.build().expect("the layout fits into a cell")
    }
}

/// Reads a cell. Every method fails where the cell ends too early.
pub struct Reader<'a>(CellSlice<'a>);

impl<'a> Reader<'a> {
    /// From the beginning.
    pub fn new(cell: &'a Cell) -> Self {
        Self(cell.as_slice_allow_exotic())
    }

    /// An unsigned number of up to 64 bits.
    pub fn uint(&mut self, bits: u16) -> Result<u64, Error> {
        self.0.load_uint(bits)
    }

    /// 32 bits as unsigned.
    pub fn u32(&mut self) -> Result<u32, Error> {
        self.0.load_u32()
    }

    /// A signed number of 32 bits.
    pub fn int32(&mut self) -> Result<i32, Error> {
        Ok(i32::from_be_bytes(self.0.load_u32()?.to_be_bytes()))
    }

    /// 32 bytes.
    pub fn word(&mut self) -> Result<[u8; 32], Error> {
        Ok(self.0.load_u256()?.0)
    }

    /// 64 bytes.
    pub fn signature(&mut self) -> Result<[u8; 64], Error> {
        let mut out = [0; 64];
        self.0.load_raw(&mut out, 512)?;
        Ok(out)
    }

    /// An amount.
    pub fn coins(&mut self) -> Result<u128, Error> {
        Ok(Tokens::load_from(&mut self.0)?.into_inner())
    }

    /// A plain address.
    pub fn address(&mut self) -> Result<StdAddr, Error> {
        match IntAddr::load_from(&mut self.0)? {
            IntAddr::Std(address) if address.anycast.is_none() => Ok(address),
            _ => Err(Error::InvalidData),
        }
    }

    /// A reference.
    pub fn cell(&mut self) -> Result<Cell, Error> {
        self.0.load_reference_cloned()
    }

    /// A bit, and a reference when it is set.
    pub fn maybe(&mut self) -> Result<Option<Cell>, Error> {
        Ok(if self.0.load_bit()? { Some(self.0.load_reference_cloned()?) } else { None })
    }

    /// Bits and references that are left.
    pub fn left(&self) -> (u16, u8) {
        (self.0.size_bits(), self.0.size_refs())
    }

    /// Fails if anything is left.
    pub fn end(&self) -> Result<(), Error> {
        if self.left() == (0, 0) { Ok(()) } else { Err(Error::InvalidData) }
    }
}

/// An amount as people read it.
pub fn ton(nano: u128) -> String {
    format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000)
}
