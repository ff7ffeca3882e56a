//! TDVF: which parts of a firmware file the host adds to a new guest, and MRTD, which measures that.
//!
//! Source: Intel TDX Virtual Firmware Design Guide, section 11 (metadata); TDX Module ABI, TDH.MEM.PAGE.ADD and TDH.MR.EXTEND.

use sha2::{Digest as _, Sha384};

use super::MeasureError;
use crate::bytes::{array, slice, u16_at, u32_at, u64_at};
use crate::digest::Digest384;

const PAGE: u64 = 0x1000;
/// How much TDH.MR.EXTEND measures at once.
const CHUNK: u64 = 0x100;
/// Most sections; real firmware has six.
const MAX_SECTIONS: u32 = 64;
/// Most guest memory that sections may cover: bounds the work on a forged file.
const MAX_PAGES: u64 = (256 << 20) / PAGE;

/// 96b582de-1fb2-45f7-baea-a366c55a082d as stored: closes the table of GUIDs at the end of OVMF.
const TABLE_FOOTER: [u8; 16] =
    [0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45, 0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d];
/// e47a6535-984a-4798-865e-4685a7bf8ec2 as stored: where the TDX metadata begin.
const METADATA_OFFSET: [u8; 16] =
    [0x35, 0x65, 0x7a, 0xe4, 0x4a, 0x98, 0x98, 0x47, 0x86, 0x5e, 0x46, 0x85, 0xa7, 0xbf, 0x8e, 0xc2];
/// From the end of the footer's GUID to the end of the file: the reset vector.
const AFTER_TABLE: usize = 32;
/// A GUID and a length, in this order from the end.
const ENTRY_HEADER: usize = 18;

pub(super) const CONFIGURATION: u32 = 1;
pub(super) const TD_HOB: u32 = 2;
pub(super) const TEMPORARY_MEMORY: u32 = 3;
const EXTEND: u32 = 1;
const AUGMENT: u32 = 2;

/// In which order the host adds and measures pages. It changes MRTD.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageOrder {
    /// Each page is added and measured before the next: Linux as released (6.16 and later).
    PageByPage,
    /// All pages of a section are added, then all are measured: the out-of-tree kernels before that.
    SectionBySection,
}

/// A part of the firmware, or memory it wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Section {
    /// Where its bytes begin in the file.
    pub data_offset: u32,
    /// How many there are.
    pub data_size: u32,
    /// Its first guest-physical address, a multiple of 4096.
    pub address: u64,
    /// Bytes of guest memory, a multiple of 4096.
    pub size: u64,
    /// 0 firmware, 1 configuration, 2 TD HOB, 3 temporary memory.
    pub kind: u32,
    /// Bit 0: measured. Bit 1: not added before the guest starts.
    pub attributes: u32,
}

/// A firmware file and its sections.
#[derive(Clone, Debug)]
pub struct Firmware<'a> {
    file: &'a [u8],
    sections: Vec<Section>,
}

impl<'a> Firmware<'a> {
    /// Reads the metadata of a firmware file.
    ///
    /// # Errors
    /// [`MeasureError::Firmware`] says what is missing or wrong.
    pub fn parse(file: &'a [u8]) -> Result<Self, MeasureError> {
        let wrong = MeasureError::Firmware;
        let back = metadata_offset(file)? as usize;
        let start = file.len().checked_sub(back).ok_or(wrong("its metadata lie outside the file"))?;
        if slice(file, start, 4) != Some(b"TDVF") {
            return Err(wrong("its metadata do not begin with \"TDVF\""));
        }
        if u32_at(file, start + 8) != Some(1) {
            return Err(wrong("its metadata have a version other than 1"));
        }
        let count = u32_at(file, start + 12).ok_or(wrong("its metadata are cut off"))?;
        if count > MAX_SECTIONS {
            return Err(wrong("it has more than 64 sections"));
        }
        let mut sections = Vec::new();
        let mut pages = 0u64;
        for i in 0..count as usize {
            let section = section(file, start + 16 + 32 * i).ok_or(wrong("a section's description is cut off"))?;
            check(file, &section).map_err(wrong)?;
            // Each at most MAX_PAGES by then, so this cannot overflow.
            pages += section.size / PAGE;
            if pages > MAX_PAGES {
                return Err(wrong("its sections cover more than 256 MiB"));
            }
            sections.push(section);
        }
        Ok(Self { file, sections })
    }

    /// Its sections, in the order in which the host adds them.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    pub(super) fn configuration_volume(&self) -> Result<&'a [u8], MeasureError> {
        let found = self.sections.iter().find(|s| s.kind == CONFIGURATION);
        found
            .and_then(|s| slice(self.file, s.data_offset as usize, s.data_size as usize))
            .ok_or(MeasureError::Firmware("it has no configuration volume"))
    }

    /// MRTD of a guest that starts with this firmware.
    pub fn mrtd(&self, order: PageOrder) -> Digest384 {
        let mut hash = Sha384::new();
        for section in &self.sections {
            let pages = (0..section.size / PAGE).map(|page| page * PAGE);
            match order {
                PageOrder::PageByPage => pages.for_each(|offset| {
                    add(&mut hash, section, offset);
                    self.extend(&mut hash, section, offset);
                }),
                PageOrder::SectionBySection => {
                    pages.clone().for_each(|offset| add(&mut hash, section, offset));
                    pages.for_each(|offset| self.extend(&mut hash, section, offset));
                }
            }
        }
        Digest384(hash.finalize().into())
    }

    fn extend(&self, hash: &mut Sha384, section: &Section, page: u64) {
        if section.attributes & EXTEND == 0 {
            return;
        }
        let data = slice(self.file, section.data_offset as usize, section.data_size as usize).unwrap_or_default();
        for offset in (page..page + PAGE).step_by(CHUNK as usize) {
            hash.update(block(b"MR.EXTEND", section.address + offset));
            // Memory past the section's bytes is zero.
            let rest = data.get(offset as usize..).unwrap_or_default();
            let chunk = rest.get(..CHUNK as usize).unwrap_or(rest);
            hash.update(chunk);
            hash.update(vec![0; CHUNK as usize - chunk.len()]);
        }
    }
}

fn add(hash: &mut Sha384, section: &Section, offset: u64) {
    if section.attributes & AUGMENT == 0 {
        hash.update(block(b"MEM.PAGE.ADD", section.address + offset));
    }
}

/// 128 bytes: the operation's name, zeros to byte 16, the address, zeros.
fn block(name: &[u8], address: u64) -> Vec<u8> {
    let mut block = name.to_vec();
    block.resize(16, 0);
    block.extend(address.to_le_bytes());
    block.resize(128, 0);
    block
}

fn section(file: &[u8], at: usize) -> Option<Section> {
    Some(Section {
        data_offset: u32_at(file, at)?,
        data_size: u32_at(file, at + 4)?,
        address: u64_at(file, at + 8)?,
        size: u64_at(file, at + 16)?,
        kind: u32_at(file, at + 24)?,
        attributes: u32_at(file, at + 28)?,
    })
}

fn check(file: &[u8], section: &Section) -> Result<(), &'static str> {
    if !section.address.is_multiple_of(PAGE) || !section.size.is_multiple_of(PAGE) {
        return Err("a section does not begin and end at a page");
    }
    if section.size / PAGE > MAX_PAGES || section.address.checked_add(section.size).is_none() {
        return Err("a section is larger than any memory");
    }
    if section.size < u64::from(section.data_size) {
        return Err("a section has more bytes than memory");
    }
    if slice(file, section.data_offset as usize, section.data_size as usize).is_none() {
        return Err("a section's bytes lie outside the file");
    }
    Ok(())
}

/// Walks the table of GUIDs, which is read from its end: contents, length (with this header), GUID.
fn metadata_offset(file: &[u8]) -> Result<u32, MeasureError> {
    let wrong = MeasureError::Firmware;
    let footer = file.len().checked_sub(AFTER_TABLE + 16).ok_or(wrong("the file is too short"))?;
    if array(file, footer) != Some(TABLE_FOOTER) {
        return Err(wrong("it does not end with a table of GUIDs"));
    }
    let bad = wrong("its table of GUIDs is broken");
    let mut end = footer.checked_sub(2).ok_or(bad.clone())?;
    let length = usize::from(u16_at(file, end).ok_or(bad.clone())?);
    let start = length.checked_sub(ENTRY_HEADER).and_then(|l| end.checked_sub(l)).ok_or(bad.clone())?;
    while end >= start + ENTRY_HEADER {
        let length = usize::from(u16_at(file, end - ENTRY_HEADER).ok_or(bad.clone())?);
        let next = end.checked_sub(length).filter(|next| length >= ENTRY_HEADER && *next >= start);
        let next = next.ok_or(bad.clone())?;
        if array(file, end - 16) == Some(METADATA_OFFSET) {
            if length < ENTRY_HEADER + 4 {
                return Err(bad);
            }
            return u32_at(file, end - ENTRY_HEADER - 4).ok_or(bad);
        }
        end = next;
    }
    Err(wrong("its table of GUIDs has no TDX metadata"))
}
