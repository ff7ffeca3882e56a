//! Random values and cells for tests, from a seed.

use num_bigint::BigInt;
use tycho_types::cell::{Cell, CellBuilder, CellFamily};

/// A source of random values (SplitMix64).
pub struct Gen(pub(crate) u64);

impl Gen {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn bool(&mut self) -> bool {
        self.next() & 1 == 1
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next() as u8)
    }

    /// Below 2^bits, with the edges more often than by chance.
    pub(crate) fn unsigned(&mut self, bits: u16) -> u128 {
        let max = u128::MAX >> (128 - bits);
        match self.below(4) {
            0 => 0,
            1 => max,
            2 => u128::from(self.next()) & 0xff & max,
            _ => (u128::from(self.next()) << 64 | u128::from(self.next())) & max,
        }
    }

    /// From −2^(bits−1) to 2^(bits−1) − 1, with the edges more often than by chance.
    pub(crate) fn signed(&mut self, bits: u16) -> BigInt {
        let half = BigInt::from(1) << (bits - 1);
        match self.below(5) {
            0 => -half,
            1 => half - 1,
            2 => BigInt::ZERO,
            3 => BigInt::from(-1),
            _ => (BigInt::from_signed_bytes_be(&self.bytes::<64>()) % &half) - i32::from(self.bool()) % 2,
        }
    }

    /// Up to 200 bits and one reference.
    pub(crate) fn small_cell(&mut self) -> Cell {
        let mut b = CellBuilder::new();
        let bits = self.below(201) as u16;
        b.store_raw(&self.bytes::<32>(), bits).unwrap();
        if self.bool() {
            b.store_reference(Cell::empty_cell()).unwrap();
        }
        b.build().unwrap()
    }

    /// Any tree of ordinary cells up to this depth.
    pub(crate) fn cell(&mut self, depth: u32) -> Cell {
        let mut b = CellBuilder::new();
        let bits = self.below(1024) as u16;
        b.store_raw(&self.bytes::<128>(), bits).unwrap();
        let refs = if depth == 0 { 0 } else { self.below(5) };
        for _ in 0..refs {
            b.store_reference(self.cell(depth - 1)).unwrap();
        }
        b.build().unwrap()
    }

    /// The same cell with one thing changed somewhere: a bit flipped, cut off or added, a reference dropped, doubled or
    /// replaced.
    pub(crate) fn mutate(&mut self, cell: &Cell) -> Cell {
        let refs = cell.reference_count();
        if refs > 0 && self.below(3) > 0 {
            let chosen = self.below(u64::from(refs)) as u8;
            let mut b = CellBuilder::new();
            b.store_slice_data(cell.as_slice().unwrap()).unwrap();
            for i in 0..refs {
                let child = cell.reference_cloned(i).unwrap();
                b.store_reference(if i == chosen { self.mutate(&child) } else { child }).unwrap();
            }
            return b.build().unwrap();
        }
        let bits = cell.bit_len();
        let mut raw = [0; 128];
        cell.as_slice().unwrap().load_raw(&mut raw, bits).unwrap();
        let mut length = bits;
        match self.below(4) {
            0 if bits > 0 => length = self.below(u64::from(bits)) as u16,
            1 if bits < 1023 => length = bits + 1,
            _ if bits > 0 => {
                let i = self.below(u64::from(bits)) as usize;
                raw[i / 8] ^= 0x80 >> (i % 8);
            }
            _ => {}
        }
        let mut children: Vec<Cell> = (0..refs).map(|i| cell.reference_cloned(i).unwrap()).collect();
        match self.below(6) {
            0 => drop(children.pop()),
            1 if children.len() < 4 => children.push(self.cell(1)),
            _ => {}
        }
        let mut b = CellBuilder::new();
        b.store_raw(&raw, length).unwrap();
        children.into_iter().for_each(|c| b.store_reference(c).unwrap());
        b.build().unwrap()
    }
}
