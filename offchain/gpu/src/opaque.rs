//! The vendor's fields in a report: `type (2) ‖ size (2) ‖ data`, little-endian, one after the other. NVIDIA's verifier names them
//! `OPAQUE_FIELD_ID_*`.

use std::collections::BTreeMap;

use crate::error::GpuError;
use crate::report::{Reader, wrong};

const DRIVER_VERSION: u16 = 3;
const VBIOS_VERSION: u16 = 6;
const MEASUREMENT_COUNTS: u16 = 12;
const CHIP_SKU: u16 = 15;
const PROJECT: u16 = 17;
const PROJECT_SKU: u16 = 18;
const FIRMWARE_ID: u16 = 20;
const CHIP: u16 = 35;

/// The vendor's fields of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    all: BTreeMap<u16, Vec<u8>>,
    /// Version of the driver in the guest, such as `550.90.07`.
    pub driver_version: String,
    /// Version of the device's VBIOS, such as `96.00.9f.00.01`.
    pub vbios_version: String,
    /// How often each measurement was extended, from measurement 1 on; empty when the report does not say.
    pub measurement_counts: Vec<u32>,
    /// SHA-384 of the firmware that holds the report's key; devices that do not say it have no such check.
    pub firmware_id: Option<[u8; 48]>,
}

impl Fields {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, GpuError> {
        let mut rest = Reader(bytes);
        let mut all = BTreeMap::new();
        while !rest.0.is_empty() {
            let kind = rest.number(2, "type of a vendor's field")?;
            let size = rest.number(2, "size of a vendor's field")?;
            let (kind, size) = match (u16::try_from(kind), usize::try_from(size)) {
                (Ok(kind), Ok(size)) => (kind, size),
                _ => return Err(GpuError::CutOff { field: "vendor's field" }),
            };
            let data = rest.take(size, "vendor's field")?;
            if all.insert(kind, data.to_vec()).is_some() {
                return Err(wrong("type of a vendor's field", format!("{kind} twice"), "different each time"));
            }
        }
        let needed = |kind: u16, field| all.get(&kind).ok_or_else(|| wrong(field, "absent", "present"));
        let counts = all.get(&MEASUREMENT_COUNTS).map(Vec::as_slice).unwrap_or_default();
        let (counts, odd) = counts.as_chunks::<4>();
        if !odd.is_empty() {
            return Err(wrong("measurement counts", format!("{} bytes too long", odd.len()), "a multiple of 4 bytes"));
        }
        let firmware_id = all.get(&FIRMWARE_ID).map(|id| {
            let id: &[u8] = id;
            id.try_into().map_err(|_| wrong("firmware id", format!("{} bytes", id.len()), "48 bytes"))
        });
        Ok(Self {
            driver_version: text(needed(DRIVER_VERSION, "driver version")?, "driver version")?,
            vbios_version: vbios(needed(VBIOS_VERSION, "VBIOS version")?)?,
            measurement_counts: counts.iter().map(|n| u32::from_le_bytes(*n)).collect(),
            firmware_id: firmware_id.transpose()?,
            all,
        })
    }

    /// The raw content of a field by its number; for fields that have no place above.
    pub fn raw(&self, kind: u16) -> Option<&[u8]> {
        self.all.get(&kind).map(Vec::as_slice)
    }

    /// The name under which NVIDIA publishes reference measurements of this driver.
    pub fn driver_manifest(&self) -> String {
        match self.raw(CHIP).and_then(|chip| text(chip, "chip").ok()) {
            Some(chip) if !chip.is_empty() => format!("NV_GPU_CC_DRIVER_{chip}_{}", self.driver_version),
            _ => format!("NV_GPU_DRIVER_GH100_{}", self.driver_version),
        }
    }

    /// The name under which NVIDIA publishes reference measurements of this board's VBIOS; `None` if the report does not name
    /// the board.
    pub fn vbios_manifest(&self) -> Option<String> {
        let part = |kind| text(self.raw(kind)?, "board").ok().map(|t| t.trim().to_uppercase());
        let (project, sku, chip) = (part(PROJECT)?, part(PROJECT_SKU)?, part(CHIP_SKU)?);
        let version = self.vbios_version.replace('.', "").to_uppercase();
        Some(format!("NV_GPU_VBIOS_{project}_{sku}_{chip}_{version}"))
    }
}

/// A text as devices write it: printable ASCII, filled up with zeros.
fn text(bytes: &[u8], field: &'static str) -> Result<String, GpuError> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let (text, fill) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
    if fill.iter().any(|b| *b != 0) || !text.iter().all(|b| b.is_ascii_graphic() || *b == b' ') {
        return Err(wrong(field, hex::encode(bytes), "printable ASCII filled up with zeros"));
    }
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// Eight bytes, a little-endian number whose lower half is followed by the lowest byte of the upper one, as NVIDIA prints it.
fn vbios(bytes: &[u8]) -> Result<String, GpuError> {
    let [a, b, c, d, e, ..] = bytes else { return Err(short(bytes)) };
    if bytes.len() != 8 {
        return Err(short(bytes));
    }
    Ok(format!("{d:02x}.{c:02x}.{b:02x}.{a:02x}.{e:02x}"))
}

fn short(bytes: &[u8]) -> GpuError {
    wrong("VBIOS version", format!("{} bytes", bytes.len()), "8 bytes")
}
