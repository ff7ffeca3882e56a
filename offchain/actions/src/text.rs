//! Texts in cells.

use cocoon_chain::Cell;
use tycho_types::cell::CellBuilder;
use tycho_types::error::Error;

use crate::ActionError;

/// Bytes of text in one cell.
const PER_CELL: usize = 127;
/// Longest text that a cell chain may hold here.
pub const MAX_TEXT: usize = 4_096;

/// A text of any reasonable length: 127 bytes in each cell, the rest behind a reference.
pub fn snake(text: &str) -> Result<Cell, ActionError> {
    if text.is_empty() || text.len() > MAX_TEXT {
        return Err(ActionError::invalid("text", format!("it has {} bytes; 1 to {MAX_TEXT} are possible", text.len())));
    }
    chain(text.as_bytes(), 0).map_err(ActionError::cell("text"))
}

/// The body of a transfer with a comment, as wallets show it: 32 zero bits and the text.
pub fn comment(text: &str) -> Result<Cell, ActionError> {
    if text.is_empty() || text.len() > MAX_TEXT {
        return Err(ActionError::invalid(
            "comment",
            format!("it has {} bytes; 1 to {MAX_TEXT} are possible", text.len()),
        ));
    }
    chain(text.as_bytes(), 4).map_err(ActionError::cell("comment"))
}

fn chain(bytes: &[u8], zeros: usize) -> Result<Cell, Error> {
    let (first, rest) = bytes.split_at(bytes.len().min(PER_CELL - zeros));
    let mut next = None;
    for part in rest.chunks(PER_CELL).rev() {
        next = Some(link(part, 0, next)?);
    }
    link(first, zeros, next)
}

fn link(part: &[u8], zeros: usize, next: Option<Cell>) -> Result<Cell, Error> {
    let bits = |bytes: usize| u16::try_from(bytes * 8).map_err(|_| Error::CellOverflow);
    let mut b = CellBuilder::new();
    b.store_zeros(bits(zeros)?)?;
    b.store_raw(part, bits(part.len())?)?;
    if let Some(next) = next {
        b.store_reference(next)?;
    }
    b.build()
}

/// The text in a cell chain; `None` if it is none, or is longer than [`MAX_TEXT`].
pub fn read_snake(cell: &Cell) -> Option<String> {
    read(cell, 0)
}

/// The comment in a body; `None` if it has none.
pub fn read_comment(cell: &Cell) -> Option<String> {
    let mut slice = cell.as_slice().ok()?;
    (slice.load_u32().ok()? == 0).then_some(())?;
    read(cell, 32)
}

fn read(cell: &Cell, skip: u16) -> Option<String> {
    let mut text = vec![];
    let (mut cell, mut skip) = (cell.clone(), skip);
    loop {
        let mut slice = cell.as_slice().ok()?;
        slice.skip_first(skip, 0).ok()?;
        skip = 0;
        let bits = slice.size_bits();
        if !bits.is_multiple_of(8) || slice.size_refs() > 1 {
            return None;
        }
        let mut part = vec![0; usize::from(bits / 8)];
        slice.load_raw(&mut part, bits).ok()?;
        text.extend_from_slice(&part);
        if text.len() > MAX_TEXT {
            return None;
        }
        match slice.get_reference_cloned(0) {
            // An empty link would let a chain go on for ever without any text.
            Ok(next) if !part.is_empty() => cell = next,
            Ok(_) => return None,
            Err(_) => break,
        }
    }
    String::from_utf8(text).ok()
}

/// A text that is safe on a terminal: whatever could move the cursor, change its colour or the direction of writing is shown as a
/// code. Texts of proposals and entries are anybody's.
pub fn printable(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().map(|c| if hidden(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;

    #[test]
    fn texts_of_every_length_survive() {
        for length in [1, 122, 123, 124, 127, 128, 254, 255, 1_000, MAX_TEXT] {
            let text: String = "größer ".chars().cycle().take(length).collect();
            let text: String = text
                .chars()
                .scan(0, |n, c| {
                    *n += c.len_utf8();
                    (*n <= length).then_some(c)
                })
                .collect();
            assert_eq!(read_snake(&snake(&text).unwrap()).unwrap(), text);
            assert_eq!(read_comment(&comment(&text).unwrap()).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_text_is_none() {
        assert!(snake("").is_err());
        assert!(snake(&"x".repeat(MAX_TEXT + 1)).is_err());
        let mut b = CellBuilder::new();
        b.store_u8(0xff).unwrap();
        assert_eq!(read_snake(&b.build().unwrap()), None, "not UTF-8");
        let mut b = CellBuilder::new();
        b.store_bit(true).unwrap();
        assert_eq!(read_snake(&b.build().unwrap()), None, "not whole bytes");
        assert_eq!(read_comment(&snake("text").unwrap()), None);
    }

    #[test]
    fn a_text_cannot_play_with_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(printable("abc\u{202e}fed"), "abc\\u{202e}fed");
        assert_eq!(printable("größe"), "größe");
    }
}
