//! The Authenticode digest of an EFI application, such as a kernel with an EFI stub.
//!
//! Source: Microsoft, Windows Authenticode Portable Executable Signature Format, "Calculating the PE Image Hash".

use sha2::{Digest as _, Sha384};

use super::MeasureError;
use crate::bytes::{slice, u16_at, u32_at};
use crate::digest::Digest384;

/// Hashes everything but the checksum, the directory entry of the certificates, and the certificates.
///
/// # Errors
/// [`MeasureError::Kernel`] says what is missing.
pub fn authenticode(file: &[u8]) -> Result<Digest384, MeasureError> {
    let wrong = MeasureError::Kernel;
    let cut = || wrong("its headers are cut off");
    let pe = u32_at(file, 0x3c).ok_or_else(cut)? as usize;
    if slice(file, pe, 4) != Some(b"PE\0\0") {
        return Err(wrong("it has no PE header"));
    }
    let section_count = usize::from(u16_at(file, pe + 6).ok_or_else(cut)?);
    let optional_size = usize::from(u16_at(file, pe + 20).ok_or_else(cut)?);
    let optional = pe + 24;
    let directories = match u16_at(file, optional) {
        Some(0x10b) => optional + 96,
        Some(0x20b) => optional + 112,
        _ => return Err(wrong("it is neither PE32 nor PE32+")),
    };
    let headers = u32_at(file, optional + 60).ok_or_else(cut)? as usize;
    let checksum = optional + 64;
    let has_certificates = u32_at(file, directories - 4).is_some_and(|count| count > 4);

    let mut hash = Sha384::new();
    let mut part = |from: usize, to: usize, what| file.get(from..to).map(|bytes| hash.update(bytes)).ok_or(wrong(what));
    part(0, checksum, "its headers are cut off")?;
    let mut certificate_bytes = 0;
    if has_certificates {
        let entry = directories + 4 * 8;
        part(checksum + 4, entry, "its headers are cut off")?;
        part(entry + 8, headers, "its headers are cut off")?;
        certificate_bytes = u32_at(file, entry + 4).ok_or_else(cut)? as usize;
    } else {
        part(checksum + 4, headers, "its headers are cut off")?;
    }

    let table = optional + optional_size;
    let mut sections = Vec::new();
    for i in 0..section_count {
        let at = table + 40 * i;
        let size = u32_at(file, at + 16).ok_or_else(cut)? as usize;
        let start = u32_at(file, at + 20).ok_or_else(cut)? as usize;
        if size > 0 {
            sections.push((start, size));
        }
    }
    sections.sort_unstable();
    let mut hashed = headers;
    for (start, size) in sections {
        // Bounds the work: a forged table could name the same bytes 65535 times.
        if start < hashed {
            return Err(wrong("its sections overlap"));
        }
        part(start, start + size, "a section lies outside the file")?;
        hashed += size;
    }
    let end = file.len().checked_sub(certificate_bytes).ok_or(wrong("its certificates lie outside the file"))?;
    if end > hashed {
        part(hashed, end, "its last part is cut off")?;
    }
    Ok(Digest384(hash.finalize().into()))
}
