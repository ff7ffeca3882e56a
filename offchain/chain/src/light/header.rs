//! What is read of a block of which only a part is there.
//!
//! The cell library's types read whole structures. Servers prune what was not asked for, and not all prune the same; here no
//! more is read than is needed.

use cocoon_lite::BlockIdExt;
use tycho_types::cell::{Cell, CellSlice, CellType, HashBytes, Load};
use tycho_types::dict::Dict;
use tycho_types::error::Error;
use tycho_types::models::{BlockchainConfigParams, ShardFees, ShardIdent};

use super::error::{ProofError, same};
use super::proof;

/// A block's header, proven.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub global_id: i32,
    pub is_key: bool,
    pub utime: u32,
    pub end_lt: u64,
    pub validators_hash: u32,
    pub catchain_seqno: u32,
    pub previous_key: u32,
    /// Hash of the state after the block.
    pub state: HashBytes,
    extra: Cell,
}

/// Reads the header of this block.
pub(super) fn header(what: &'static str, proof: &Cell, id: &BlockIdExt) -> Result<Header, ProofError> {
    let root = proof::open(what, proof, &id.root_hash)?;
    // Anything that cannot be read from here on has the hash of a real block, if the id is one's.
    let (header, version, shard, seqno) = read(&root).map_err(|e| match e {
        Error::InvalidTag => ProofError::unsupported(what, "a block of another format"),
        other => ProofError::unreadable(what, other),
    })?;
    if version != 0 {
        return Err(ProofError::unsupported(what, format_args!("a block of version {version}")));
    }
    let expected = ShardIdent::new(id.workchain, id.shard);
    same(what, expected, Some(shard), |shard| format!("a block of shard {shard:?}"))?;
    same(what, id.seqno, seqno, |seqno| format!("block {seqno}"))?;
    Ok(header)
}

pub(super) fn read(root: &Cell) -> Result<(Header, u32, ShardIdent, u32), Error> {
    let mut block = root.as_slice()?;
    let update_in_cell = match block.load_u32()? {
        0x11ef_55aa => false,
        0x11ef_55bb => true,
        _ => return Err(Error::InvalidTag),
    };
    let global_id = block.load_u32()?.cast_signed();
    let mut info = block.load_reference_as_slice()?;
    let _value_flow = block.load_reference()?;
    let update = block.load_reference()?;
    let update = if update_in_cell { update.as_slice()?.load_reference()? } else { update };
    let extra = block.load_reference_cloned()?;

    if info.load_u32()? != 0x9bc7_a987 {
        return Err(Error::InvalidTag);
    }
    let version = info.load_u32()?;
    let [bits, _flags] = info.load_u16()?.to_be_bytes();
    let (seqno, _vertical) = (info.load_u32()?, info.load_u32()?);
    let shard = ShardIdent::load_from(&mut info)?;
    let utime = info.load_u32()?;
    let (_start_lt, end_lt) = (info.load_u64()?, info.load_u64()?);
    let (validators_hash, catchain_seqno) = (info.load_u32()?, info.load_u32()?);
    let (_needed_master, previous_key) = (info.load_u32()?, info.load_u32()?);
    let state = new_state(update.as_slice_allow_exotic())?;
    let is_key = bits & 0b10 != 0;
    let header =
        Header { global_id, is_key, utime, end_lt, validators_hash, catchain_seqno, previous_key, state, extra };
    Ok((header, version, shard, seqno))
}

/// The second hash of an update: that of the state after the block. The update's own cell has it, whatever is pruned below.
fn new_state(mut update: CellSlice<'_>) -> Result<HashBytes, Error> {
    if update.load_u8()? != CellType::MerkleUpdate.to_byte() {
        return Err(Error::UnexpectedOrdinaryCell);
    }
    update.skip_first(256, 0)?;
    update.load_u256()
}

impl Header {
    /// The configuration, if it is a key block's header and the proof has it.
    pub fn config(&self) -> Result<BlockchainConfigParams, Error> {
        let mut extra = self.extra.as_slice()?;
        if extra.load_u32()? != 0x4a33_f6fd {
            return Err(Error::InvalidTag);
        }
        // Messages in and out, transactions; a seed, and who made the block.
        extra.skip_first(256 + 256, 3)?;
        if !extra.load_bit()? {
            return Err(Error::InvalidData);
        }
        let mut custom = extra.load_reference_as_slice()?;
        if custom.load_u16()? != 0xcca5 {
            return Err(Error::InvalidTag);
        }
        if !custom.load_bit()? {
            return Err(Error::InvalidData);
        }
        Dict::<i32, Cell>::load_from(&mut custom)?;
        ShardFees::load_from(&mut custom)?;
        let _signatures = custom.load_reference()?;
        config(&mut custom)
    }
}

/// The configuration as blocks and states have it: an address, and the parameters.
pub(super) fn config(slice: &mut CellSlice<'_>) -> Result<BlockchainConfigParams, Error> {
    let _address = slice.load_u256()?;
    Ok(BlockchainConfigParams::from_raw(slice.load_reference_cloned()?))
}

#[cfg(test)]
mod tests {
    use tycho_types::cell::{CellBuilder, CellFamily};
    use tycho_types::merkle::MerkleProof;

    use super::*;

    /// A proof of a block with this tag, and a header with this tag and version.
    fn block(tag: u32, info_tag: u32, version: u32) -> (Cell, BlockIdExt) {
        block_with(tag, info_tag, version, CellType::MerkleUpdate)
    }

    fn block_with(tag: u32, info_tag: u32, version: u32, update: CellType) -> (Cell, BlockIdExt) {
        let build = |write: &dyn Fn(&mut CellBuilder) -> Result<(), Error>| {
            let mut builder = CellBuilder::new();
            write(&mut builder).unwrap();
            builder.build().unwrap()
        };
        let info = build(&|b| {
            b.store_u32(info_tag)?;
            b.store_u32(version)?;
            b.store_u16(0b10 << 8)?;
            b.store_u32(5)?;
            b.store_u32(0)?;
            tycho_types::cell::Store::store_into(&ShardIdent::MASTERCHAIN, b, Cell::empty_context())?;
            for number in [1_700_000_000u32, 0, 1, 0, 2, 3, 4, 5, 6] {
                b.store_u32(number)?;
            }
            b.store_reference(Cell::empty_cell())
        });
        let update = build(&|b| {
            if update == CellType::Ordinary {
                return b.store_zeros(8 + 256 + 256);
            }
            b.set_exotic(true);
            b.store_u8(CellType::MerkleUpdate.to_byte())?;
            b.store_u256(Cell::empty_cell().repr_hash())?;
            b.store_u256(Cell::empty_cell().repr_hash())?;
            b.store_u32(0)?;
            b.store_reference(Cell::empty_cell())?;
            b.store_reference(Cell::empty_cell())
        });
        let root = build(&|b| {
            b.store_u32(tag)?;
            b.store_u32(7)?;
            b.store_reference(info.clone())?;
            b.store_reference(Cell::empty_cell())?;
            b.store_reference(update.clone())?;
            b.store_reference(Cell::empty_cell())
        });
        let id = BlockIdExt {
            workchain: -1,
            shard: 1 << 63,
            seqno: 5,
            root_hash: *root.repr_hash(),
            file_hash: HashBytes::ZERO,
        };
        let proof = MerkleProof { hash: *root.repr_hash(), depth: root.repr_depth(), cell: root };
        (CellBuilder::build_from(proof).unwrap(), id)
    }

    #[test]
    fn attack_86_a_header_of_another_block_is_refused() {
        let (proof, id) = block(0x11ef_55aa, 0x9bc7_a987, 0);
        for other in [
            BlockIdExt { seqno: 6, ..id.clone() },
            BlockIdExt { workchain: 0, ..id.clone() },
            BlockIdExt { shard: 1 << 62, ..id.clone() },
            BlockIdExt { shard: 0, ..id },
        ] {
            let error = header("a block", &proof, &other).unwrap_err();
            assert!(matches!(error, ProofError::Differs { .. }), "{error}");
        }
        // It has something else where the state's hash should be.
        let (proof, id) = block_with(0x11ef_55aa, 0x9bc7_a987, 0, CellType::Ordinary);
        assert!(matches!(header("a block", &proof, &id).unwrap_err(), ProofError::Unreadable { .. }));
    }

    #[test]
    fn a_block_of_a_format_that_is_not_known_is_named() {
        let (proof, id) = block(0x11ef_55aa, 0x9bc7_a987, 0);
        let known = header("a block", &proof, &id).unwrap();
        assert_eq!((known.global_id, known.is_key, known.utime), (7, true, 1_700_000_000));
        assert_eq!((known.end_lt, known.validators_hash, known.catchain_seqno, known.previous_key), (2, 3, 4, 6));
        for (tag, info_tag, version, words) in [
            (0x11ef_55aa, 0x9bc7_a987, 1, "version 1"),
            (0x11ef_55aa, 0x9bc7_a989, 0, "another format"),
            (0x11ef_55ac, 0x9bc7_a987, 0, "another format"),
        ] {
            let (proof, id) = block(tag, info_tag, version);
            let error = header("a block", &proof, &id).unwrap_err();
            assert!(matches!(error, ProofError::Unsupported { .. }), "{error}");
            assert!(error.to_string().contains(words) && error.to_string().contains("upgrade"), "{error}");
            // But not if it is only somebody's word.
            let other = BlockIdExt { root_hash: HashBytes::ZERO, ..id };
            let error = header("a block", &proof, &other).unwrap_err();
            assert!(matches!(error, ProofError::Differs { .. }), "{error}");
        }
    }
}
