//! How TL writes values as bytes.

use tycho_types::cell::HashBytes;

/// Bytes that are not what they should be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TlError {
    /// There are fewer bytes than the value needs.
    #[error("the message ends {missing} bytes before its end")]
    Short {
        /// So many more are needed, at least.
        missing: usize,
    },
    /// There are more bytes than the value has.
    #[error("{0} bytes follow the end of the message")]
    Trailing(usize),
    /// The bytes begin with the number of something else.
    #[error("{what} cannot begin with {found:#010x}")]
    Constructor {
        /// What should be here.
        what: &'static str,
        /// The number.
        found: u32,
    },
    /// A list has more items than any real one.
    #[error("a list of {0} items is too long")]
    Long(u32),
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
}

/// No list is longer. The longest ones, of a block's transactions and of signatures, have some hundred items.
pub const MAX_ITEMS: u32 = 1 << 16;

/// A value as TL writes it, without the number of its constructor ("bare").
pub trait Tl: Sized {
    /// Appends the value.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads a value.
    fn read(reader: &mut Reader<'_>) -> Result<Self, TlError>;
}

/// A value with a constructor.
pub trait Constructor: Tl {
    /// Number of the constructor.
    const ID: u32;
}

/// Bytes that are being read.
#[derive(Clone, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads these bytes from their beginning.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What is left.
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Takes bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], TlError> {
        let (taken, rest) =
            self.0.split_at_checked(count).ok_or(TlError::Short { missing: count.saturating_sub(self.0.len()) })?;
        self.0 = rest;
        Ok(taken)
    }

    /// Takes a fixed number of bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], TlError> {
        let (taken, rest) =
            self.0.split_first_chunk().ok_or(TlError::Short { missing: N.saturating_sub(self.0.len()) })?;
        self.0 = rest;
        Ok(*taken)
    }

    /// Fails if anything is left.
    pub const fn end(&self) -> Result<(), TlError> {
        if self.0.is_empty() { Ok(()) } else { Err(TlError::Trailing(self.0.len())) }
    }
}

/// The number of a constructor: what its declaration says after `#`, or else the CRC-32 of the declaration without
/// parentheses.
pub const fn constructor_id(declaration: &str) -> u32 {
    let bytes = declaration.as_bytes();
    let mut crc = u32::MAX;
    let mut at = 0;
    let mut in_name = true;
    while let Some((byte, _)) = split_at(bytes, at) {
        at += 1;
        if byte == b' ' {
            in_name = false;
        }
        if byte == b'#' && in_name {
            return hex(bytes, at);
        }
        if byte != b'(' && byte != b')' {
            crc ^= byte as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
                bit += 1;
            }
        }
    }
    !crc
}

const fn split_at(bytes: &[u8], at: usize) -> Option<(u8, &[u8])> {
    match bytes.split_at_checked(at) {
        Some((_, [byte, rest @ ..])) => Some((*byte, rest)),
        _ => None,
    }
}

const fn hex(bytes: &[u8], mut at: usize) -> u32 {
    let mut value = 0;
    while let Some((byte, _)) = split_at(bytes, at) {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return value,
        };
        value = value << 4 | digit as u32;
        at += 1;
    }
    value
}

macro_rules! numbers {
    ($($ty:ty),*) => {$(
        impl Tl for $ty {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend(self.to_le_bytes());
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, TlError> {
                reader.array().map(Self::from_le_bytes)
            }
        }
    )*};
}

numbers!(u32, i32, u64, i64);

impl Tl for [u8; 32] {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, TlError> {
        reader.array()
    }
}

impl Tl for HashBytes {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.0);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, TlError> {
        reader.array().map(Self)
    }
}

const TRUE: u32 = constructor_id("boolTrue = Bool");
const FALSE: u32 = constructor_id("boolFalse = Bool");

impl Tl for bool {
    fn write(&self, out: &mut Vec<u8>) {
        if *self { TRUE } else { FALSE }.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, TlError> {
        match u32::read(reader)? {
            TRUE => Ok(true),
            FALSE => Ok(false),
            found => Err(TlError::Constructor { what: "a truth value", found }),
        }
    }
}

/// `bytes`: one byte of length, or 254 and three; the whole is padded to a multiple of four.
impl Tl for Vec<u8> {
    fn write(&self, out: &mut Vec<u8>) {
        let [a, b, c, ..] = (self.len() as u64).to_le_bytes();
        let header = if self.len() < 254 {
            out.push(a);
            1
        } else {
            out.extend([254, a, b, c]);
            4
        };
        out.extend(self);
        out.extend(std::iter::repeat_n(0, padding(header + self.len())));
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, TlError> {
        let [first] = reader.array()?;
        let (header, length) = if first < 254 {
            (1, usize::from(first))
        } else {
            let [a, b, c] = reader.array()?;
            (4, usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16)
        };
        let bytes = reader.take(length)?.to_vec();
        // Some peers leave out the padding at the very end.
        let padding = padding(header + length).min(reader.rest().len());
        reader.take(padding)?;
        Ok(bytes)
    }
}

const fn padding(length: usize) -> usize {
    length.next_multiple_of(4) - length
}

impl Tl for String {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_bytes().to_vec().write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, TlError> {
        Self::from_utf8(Vec::read(reader)?).map_err(|_| TlError::Text)
    }
}

impl<T: Tl> Tl for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        (self.len() as u32).write(out);
        for item in self {
            item.write(out);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, TlError> {
        let count = u32::read(reader)?;
        // Some items are many times larger in memory than in a message.
        if count > MAX_ITEMS {
            return Err(TlError::Long(count));
        }
        let mut items = vec![];
        for _ in 0..count {
            // Every item has at least four bytes, so that a false count ends soon.
            items.push(T::read(reader)?);
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bytes_of_every_length_are_padded() {
        for length in [0, 1, 2, 3, 4, 252, 253, 254, 255, 256, 70_000] {
            let value: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let mut out = vec![];
            value.write(&mut out);
            assert_eq!(out.len() % 4, 0);
            let mut reader = Reader::new(&out);
            assert_eq!(Vec::<u8>::read(&mut reader).unwrap(), value);
            reader.end().unwrap();
        }
    }

    #[test]
    fn lists_have_an_end() {
        let items: Vec<u32> = (0..MAX_ITEMS).collect();
        let mut out = vec![];
        items.write(&mut out);
        assert_eq!(Vec::<u32>::read(&mut Reader::new(&out)).unwrap(), items);
        let longer: Vec<u32> = (0..=MAX_ITEMS).collect();
        let mut out = vec![];
        longer.write(&mut out);
        assert_eq!(Vec::<u32>::read(&mut Reader::new(&out)), Err(TlError::Long(MAX_ITEMS + 1)));
    }

    #[test]
    fn numbers_of_constructors_follow_from_declarations() {
        assert_eq!(constructor_id("liteServer.error code:int message:string = liteServer.Error"), 0xbba9_e148);
        assert_eq!(constructor_id("liteServer.signatureSet.ordinary#f644a6e6 x:int = Y"), 0xf644_a6e6);
        assert_eq!((TRUE, FALSE), (0x9972_75b5, 0xbc79_9737));
    }
}
