//! The TD HOB: how QEMU tells the firmware which memory there is. The firmware measures it into RTMR0.
//!
//! Source: UEFI Platform Initialization, volume 3 (hand-off blocks); QEMU, hw/i386/tdvf-hob.c.

use super::MeasureError;
use super::tdvf::{Section, TD_HOB, TEMPORARY_MEMORY};

/// Memory that the host has added already.
const SYSTEM_MEMORY: u32 = 0;
/// Memory that the guest must accept first.
const UNACCEPTED: u32 = 7;
/// Present, initialised, tested.
const ATTRIBUTES: u32 = 7;
const FOUR_GIB: u64 = 1 << 32;
/// With more memory than this, q35 keeps 2 GiB below 4 GiB and moves the rest above.
const SPLIT_FROM: u64 = 0xB000_0000;
const LOW_WHEN_SPLIT: u64 = 0x8000_0000;

pub(super) fn td_hob(sections: &[Section], memory: u64) -> Result<Vec<u8>, MeasureError> {
    let wrong = |why| MeasureError::Memory { bytes: memory, why };
    if !memory.is_multiple_of(0x1000) || memory > 1 << 46 {
        return Err(wrong("it is no multiple of 4096, or above 64 TiB"));
    }
    let hob = sections.iter().find(|s| s.kind == TD_HOB);
    let base = hob.ok_or(MeasureError::Firmware("it has no place for a TD HOB"))?.address;
    let (low, high) = if memory >= SPLIT_FROM { (LOW_WHEN_SPLIT, memory - LOW_WHEN_SPLIT) } else { (memory, 0) };

    let mut added: Vec<(u64, u64)> = sections
        .iter()
        .filter(|s| matches!(s.kind, TD_HOB | TEMPORARY_MEMORY))
        .map(|s| (s.address, s.address.saturating_add(s.size)))
        .collect();
    added.sort_unstable();
    let mut resources = Vec::new();
    let mut next = 0;
    for (start, end) in added {
        if start < next || end > low {
            return Err(wrong("the firmware's own memory overlaps or does not fit into it"));
        }
        if start > next {
            resources.push((UNACCEPTED, next, start - next));
        }
        resources.push((SYSTEM_MEMORY, start, end - start));
        next = end;
    }
    if next < low {
        resources.push((UNACCEPTED, next, low - next));
    }
    if high > 0 {
        resources.push((UNACCEPTED, FOUR_GIB, high));
    }

    // The first block: type 1, 56 bytes, version 9; the four bounds of free memory are zero.
    let end = base + 56 + 48 * resources.len() as u64 + 8;
    let mut list = block(1, 56);
    list.extend(9u32.to_le_bytes());
    list.extend([0; 36]);
    list.extend(end.to_le_bytes());
    for (kind, start, length) in resources {
        list.extend(block(3, 48));
        // No owner.
        list.extend([0; 16]);
        list.extend(kind.to_le_bytes());
        list.extend(ATTRIBUTES.to_le_bytes());
        list.extend(start.to_le_bytes());
        list.extend(length.to_le_bytes());
    }
    Ok(list)
}

/// Type, length, four reserved bytes.
fn block(kind: u16, length: u16) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &length.to_le_bytes(), &[0; 4]].concat()
}
