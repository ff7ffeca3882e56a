//! Lengths tell: the length of a chunk tells the length of a token, and from a sequence of those a text can be guessed. So
//! plaintexts are filled up to a multiple of a block.

/// `length:u32 (little endian) ‖ bytes ‖ zeros`, to a multiple of `block`; `None` when it is too long.
pub fn pad(bytes: &[u8], block: usize) -> Option<Vec<u8>> {
    let length = u32::try_from(bytes.len()).ok()?;
    let mut padded = Vec::with_capacity((bytes.len() + 4).next_multiple_of(block));
    padded.extend(length.to_le_bytes());
    padded.extend(bytes);
    padded.resize(padded.len().next_multiple_of(block), 0);
    Some(padded)
}

/// The reverse of [`pad`].
pub fn unpad(mut padded: Vec<u8>) -> Option<Vec<u8>> {
    let length = u32::from_le_bytes(padded.first_chunk().copied()?) as usize;
    if padded.len().checked_sub(4)? < length {
        return None;
    }
    padded.truncate(4 + length);
    padded.drain(..4);
    Some(padded)
}
