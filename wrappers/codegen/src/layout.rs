//! Which cell a field lands in: the same decision that the Tact compiler makes.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use crate::abi::{Form, TypeDef, TypeRef};

/// A type with all its formats resolved.
#[derive(Clone, PartialEq, Debug)]
pub enum Kind {
    /// Signed, of this many bits.
    Int(u16),
    /// Unsigned, of this many bits.
    Uint(u16),
    /// An amount.
    Coins,
    /// `varuint16`, `varuint32`, `varint16` or `varint32`.
    Var {
        /// Has a sign.
        signed: bool,
        /// 5 bits of length instead of 4.
        long: bool,
    },
    /// A truth value.
    Bool,
    /// An address.
    Address,
    /// A cell, slice or builder.
    Cell {
        /// Which of them it is on the stack.
        stack: CellKind,
        /// All that is left, instead of a reference.
        rest: bool,
    },
    /// Fixed bytes.
    Bytes(u16),
    /// A text.
    Text,
    /// A map.
    Map(Box<Self>, Box<Self>),
    /// A struct.
    Struct {
        /// Its name.
        name: String,
        /// In a cell of its own.
        reference: bool,
    },
    /// One of the others, or null.
    Opt(Box<Self>),
}

/// What a value of cell kind is on the stack.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum CellKind {
    /// A cell.
    Cell,
    /// A slice.
    Slice,
    /// A builder.
    Builder,
}

/// Bits and references.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub struct Size {
    bits: u16,
    refs: u16,
}

/// The cells of a struct: which fields each holds. Every cell after the first is the last reference of the one before.
#[derive(Debug)]
pub struct Layout {
    /// Numbers of fields, cell by cell.
    pub cells: Vec<usize>,
    /// What the first cell takes, the op included.
    pub size: Size,
}

/// All types of a contract.
pub struct Types<'a> {
    defs: BTreeMap<&'a str, &'a TypeDef>,
}

impl<'a> Types<'a> {
    /// Indexes them by name.
    pub fn new(types: &'a [TypeDef]) -> Self {
        Self { defs: types.iter().map(|t| (t.name.as_str(), t)).collect() }
    }

    /// The struct of this name.
    pub fn get(&self, name: &str) -> Result<&'a TypeDef> {
        self.defs.get(name).copied().with_context(|| format!("the ABI has no type {name}"))
    }

    /// Resolves a type.
    pub fn kind(&self, ty: &TypeRef) -> Result<Kind> {
        match ty {
            TypeRef::Simple { ty, optional, format } => {
                let kind = self.simple(ty, format.as_ref())?;
                Ok(if *optional { Kind::Opt(Box::new(kind)) } else { kind })
            }
            TypeRef::Dict { key, key_format, value, value_format } => {
                let key = self.simple(key, key_format.as_ref())?;
                if !matches!(key, Kind::Int(_) | Kind::Uint(_) | Kind::Address) {
                    bail!("{key:?} as the key of a map is not supported");
                }
                let value = match (value.as_str(), value_format.as_ref()) {
                    // In a map, a cell is always in a reference, and the ABI says so.
                    ("cell", Some(Form::Word(word))) if word == "ref" => self.simple("cell", None)?,
                    (value, format) => self.simple(value, format)?,
                };
                Ok(Kind::Map(Box::new(key), Box::new(value)))
            }
        }
    }

    fn simple(&self, ty: &str, format: Option<&Form>) -> Result<Kind> {
        let word = match format {
            Some(Form::Word(word)) => Some(word.as_str()),
            _ => None,
        };
        let cell = |stack| match (format, word) {
            (None, _) => Ok(Kind::Cell { stack, rest: false }),
            (_, Some("remainder")) => Ok(Kind::Cell { stack, rest: true }),
            _ => bail!("{ty} as {format:?} is not supported"),
        };
        Ok(match (ty, format, word) {
            ("int", None, _) => Kind::Int(257),
            ("int", Some(Form::Width(bits @ 1..=257)), _) => Kind::Int(*bits),
            ("uint", None, _) => Kind::Uint(256),
            ("uint", Some(Form::Width(bits @ 1..=256)), _) => Kind::Uint(*bits),
            ("uint", _, Some("coins")) => Kind::Coins,
            ("uint", _, Some("varuint16")) => Kind::Var { signed: false, long: false },
            ("uint", _, Some("varuint32")) => Kind::Var { signed: false, long: true },
            ("int", _, Some("varint16")) => Kind::Var { signed: true, long: false },
            ("int", _, Some("varint32")) => Kind::Var { signed: true, long: true },
            ("bool", None, _) => Kind::Bool,
            ("address", None, _) => Kind::Address,
            ("cell", ..) => cell(CellKind::Cell)?,
            ("slice", ..) => cell(CellKind::Slice)?,
            ("builder", ..) => cell(CellKind::Builder)?,
            ("fixed-bytes", Some(Form::Width(bytes @ (32 | 64))), _) => Kind::Bytes(*bytes),
            ("string", None, _) => Kind::Text,
            (name, None, _) if self.defs.contains_key(name) => Kind::Struct { name: name.to_owned(), reference: false },
            (name, _, Some("ref")) if self.defs.contains_key(name) => {
                Kind::Struct { name: name.to_owned(), reference: true }
            }
            _ => bail!("type {ty} as {format:?} is not supported"),
        })
    }

    /// What the compiler reckons a field to take.
    fn size(&self, kind: &Kind) -> Result<Size> {
        let size = |bits, refs| Ok(Size { bits, refs });
        match kind {
            Kind::Int(bits) | Kind::Uint(bits) => size(*bits, 0),
            Kind::Coins | Kind::Var { long: false, .. } => size(124, 0),
            Kind::Var { long: true, .. } => size(253, 0),
            Kind::Bool => size(1, 0),
            Kind::Address => size(267, 0),
            Kind::Cell { rest: true, .. } => size(0, 0),
            Kind::Cell { rest: false, .. } | Kind::Text | Kind::Struct { reference: true, .. } => size(0, 1),
            Kind::Bytes(bytes) => size(bytes * 8, 0),
            Kind::Map(..) => size(1, 1),
            Kind::Struct { name, reference: false } => Ok(self.layout(self.get(name)?)?.size),
            Kind::Opt(inner) => match **inner {
                Kind::Address => size(267, 0),
                Kind::Cell { rest: true, .. } => bail!("an optional rest of a cell is not supported"),
                _ => self.size(inner).map(|s| Size { bits: s.bits + 1, ..s }),
            },
        }
    }

    /// Allots the fields of a struct to cells. The compiler fills cells in order, keeps one bit and one reference of the
    /// first cell (and one more reference in a contract's data) in reserve, and one reference for the next cell if there
    /// is one.
    pub fn layout(&self, def: &TypeDef) -> Result<Layout> {
        let header = if def.header.is_some() { 32 } else { 0 };
        let contract = u16::from(def.name.ends_with("$Data"));
        let sizes = def
            .fields
            .iter()
            .map(|f| {
                self.kind(&f.ty).and_then(|k| self.size(&k)).with_context(|| format!("field {}.{}", def.name, f.name))
            })
            .collect::<Result<Vec<_>>>()?;

        let mut free = Size { bits: 1023 - header - 1, refs: 4 - contract - 1 };
        let mut first = Size { bits: header, refs: contract };
        let mut cells = Vec::new();
        let mut rest = sizes.as_slice();
        loop {
            let total = rest.iter().fold(Size::default(), |a, s| Size { bits: a.bits + s.bits, refs: a.refs + s.refs });
            if total.bits > free.bits || total.refs > free.refs {
                free.refs -= 1;
            }
            let mut count = 0;
            for size in rest {
                if size.bits > free.bits || size.refs > free.refs {
                    break;
                }
                free = Size { bits: free.bits - size.bits, refs: free.refs - size.refs };
                if cells.is_empty() {
                    first = Size { bits: first.bits + size.bits, refs: first.refs + size.refs };
                }
                count += 1;
            }
            let (_, after) = rest.split_at(count);
            if !after.is_empty() && cells.is_empty() {
                first.refs += 1;
            }
            if count == 0 && !after.is_empty() && !cells.is_empty() {
                bail!("a field of {} does not fit a whole cell", def.name);
            }
            cells.push(count);
            if after.is_empty() {
                return Ok(Layout { cells, size: first });
            }
            rest = after;
            free = Size { bits: 1023, refs: 4 };
        }
    }

    /// Values that a struct takes on the stack when nested structs are spread out.
    pub fn flat(&self, def: &TypeDef) -> Result<usize> {
        def.fields.iter().try_fold(0, |sum, f| {
            Ok(sum
                + match self.kind(&f.ty)? {
                    Kind::Struct { name, .. } => self.flat(self.get(&name)?)?,
                    _ => 1,
                })
        })
    }
}
