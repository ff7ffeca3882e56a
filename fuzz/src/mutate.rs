//! Small changes to a sample.

use rand::Rng;
use rand::rngs::StdRng;

/// Largest input; the formats have limits of their own, which are tested elsewhere.
pub const MAX_INPUT: usize = 64 * 1024;

/// Numbers at which parsers go wrong.
const NUMBERS: [u32; 12] = [0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x1_0000, 0x7fff_ffff, 0xffff_ffff];

/// Changes an input in one to four places; `other` is another sample to take pieces from.
pub fn mutate(bytes: &mut Vec<u8>, other: &[u8], rng: &mut StdRng) {
    for _ in 0..rng.gen_range(1..=4) {
        once(bytes, other, rng);
    }
    bytes.truncate(MAX_INPUT);
}

/// A piece of up to 64 bytes.
fn piece(bytes: &[u8], rng: &mut StdRng) -> std::ops::Range<usize> {
    let from = rng.gen_range(0..=bytes.len());
    from..(from + rng.gen_range(0..=64)).min(bytes.len())
}

fn once(bytes: &mut Vec<u8>, other: &[u8], rng: &mut StdRng) {
    if bytes.is_empty() {
        bytes.push(rng.r#gen());
        return;
    }
    let at = rng.gen_range(0..bytes.len());
    match rng.gen_range(0..10) {
        0 => set(bytes, at, |byte| byte ^ 1 << (at % 8)),
        1 => {
            let value = rng.r#gen();
            set(bytes, at, |_| value);
        }
        2 => {
            let step = rng.gen_range(1..=4);
            set(bytes, at, |byte| byte.wrapping_add(step));
        }
        3 => {
            let number = NUMBERS.get(rng.gen_range(0..NUMBERS.len())).copied().unwrap_or_default();
            let number = if rng.gen_bool(0.5) { number.to_le_bytes() } else { number.to_be_bytes() };
            let width = rng.gen_range(1..=4);
            for (i, byte) in number.iter().rev().take(width).rev().enumerate() {
                set(bytes, at + i, |_| *byte);
            }
        }
        4 => bytes.truncate(at),
        5 => drop(bytes.drain(piece(bytes, rng))),
        6 => {
            let copy = bytes.get(piece(bytes, rng)).unwrap_or_default().to_vec();
            drop(bytes.splice(at..at, copy));
        }
        7 => {
            let fresh: Vec<u8> = (0..rng.gen_range(1..=8)).map(|_| rng.r#gen()).collect();
            drop(bytes.splice(at..at, fresh));
        }
        8 => {
            let foreign = other.get(piece(other, rng)).unwrap_or_default().to_vec();
            let end = (at + foreign.len()).min(bytes.len());
            drop(bytes.splice(at..end, foreign));
        }
        _ => {
            let cut = rng.gen_range(0..=other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(other.get(cut..).unwrap_or_default());
        }
    }
}

fn set(bytes: &mut [u8], at: usize, change: impl FnOnce(u8) -> u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = change(*byte);
    }
}
