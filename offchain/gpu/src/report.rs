//! The SPDM measurement report: the request that the driver sent and the device's signed response (DMTF DSP0274 1.1, clauses
//! GET_MEASUREMENTS and MEASUREMENTS), as NVML hands them out in one piece.
//!
//! | bytes | request | | bytes | response |
//! |---|---|---|---|---|
//! | 1 | version, `0x11` | | 1 | version, `0x11` |
//! | 1 | code, `0xe0` | | 1 | code, `0x60` |
//! | 1 | `1`: a signature is demanded | | 2 | reserved, and the slot of the certificate chain: both 0 |
//! | 1 | `0xff`: all measurements | | 1 | number of blocks |
//! | 32 | nonce | | 3 | length of the blocks |
//! | 1 | slot of the certificate chain, 0 | | n | blocks |
//! | | | | 32 | the device's own nonce |
//! | | | | 2 + n | length and vendor's fields ([`crate::opaque`]) |
//! | | | | 96 | signature over all of the above, request included: ECDSA P-384 with SHA-384, r ‖ s |

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use bytes::Buf;
use cocoon_protocol::Hash256;

use crate::error::GpuError;
use crate::opaque::Fields;

/// Largest report that is read: what NVML's buffer holds (`NVML_CC_GPU_ATTESTATION_REPORT_SIZE`).
pub const MAX_REPORT: usize = 0x2000;
/// Bytes of a signature, r ‖ s.
const SIGNATURE: usize = 96;
const VERSION: u8 = 0x11;
/// The specification by which a block is written: DMTF's.
const DMTF: u8 = 1;

/// One measurement block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// Its number, from 1. What each number measures is in NVIDIA's reference manifests.
    pub index: u8,
    /// DMTF's value type: bit 7 for a raw value rather than a digest, the rest for what is measured (1: mutable firmware).
    pub kind: u8,
    /// The value; 48 bytes (SHA-384) on the devices known so far.
    pub value: Vec<u8>,
}

/// A report that has been read but whose signature has not been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The challenge in the request, chosen by whoever asked.
    pub nonce: Hash256,
    /// The device's own random number.
    pub device_nonce: Hash256,
    /// All measurements, ascending by index, none absent from 1 up.
    pub measurements: Vec<Measurement>,
    /// Versions and identities beside the measurements.
    pub fields: Fields,
    signed: Vec<u8>,
    signature: Vec<u8>,
}

/// Takes fields off the front of a message; each failure names the field.
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn take(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], GpuError> {
        let (head, tail) = self.0.split_at_checked(length).ok_or(GpuError::CutOff { field })?;
        self.0 = tail;
        Ok(head)
    }

    /// A little-endian number of up to 4 bytes.
    pub fn number(&mut self, length: usize, field: &'static str) -> Result<u32, GpuError> {
        let mut bytes = self.take(length, field)?;
        bytes.try_get_uint_le(length).ok().and_then(|n| u32::try_from(n).ok()).ok_or(GpuError::CutOff { field })
    }

    fn length(&mut self, length: usize, field: &'static str) -> Result<usize, GpuError> {
        usize::try_from(self.number(length, field)?).map_err(|_| GpuError::CutOff { field })
    }

    fn expect(&mut self, expected: u8, field: &'static str) -> Result<(), GpuError> {
        let got = self.number(1, field)?;
        if got == u32::from(expected) { Ok(()) } else { Err(wrong(field, got, expected)) }
    }

    fn nonce(&mut self, field: &'static str) -> Result<Hash256, GpuError> {
        let bytes: [u8; 32] = self.take(32, field)?.try_into().map_err(|_| GpuError::CutOff { field })?;
        Ok(Hash256(bytes))
    }

    fn end(&self, field: &'static str) -> Result<(), GpuError> {
        if self.0.is_empty() { Ok(()) } else { Err(wrong(field, format!("{} bytes longer", self.0.len()), "exact")) }
    }
}

pub(crate) fn wrong(field: &'static str, got: impl ToString, expected: impl ToString) -> GpuError {
    GpuError::Field { field, got: got.to_string(), expected: expected.to_string() }
}

impl Report {
    /// Reads a report. Work and memory are bounded by [`MAX_REPORT`]; nothing is verified.
    pub fn parse(bytes: &[u8]) -> Result<Self, GpuError> {
        if bytes.len() > MAX_REPORT {
            return Err(GpuError::TooLarge { part: "report", size: bytes.len(), limit: MAX_REPORT });
        }
        let body = bytes.len().checked_sub(SIGNATURE).ok_or(GpuError::CutOff { field: "signature" })?;
        let (signed, signature) = bytes.split_at_checked(body).ok_or(GpuError::CutOff { field: "signature" })?;
        let mut rest = Reader(signed);
        rest.expect(VERSION, "version of the request")?;
        rest.expect(0xe0, "code of the request")?;
        rest.expect(1, "demand for a signature")?;
        rest.expect(0xff, "choice of measurements")?;
        let nonce = rest.nonce("nonce of the request")?;
        rest.expect(0, "slot in the request")?;

        rest.expect(VERSION, "version of the response")?;
        rest.expect(0x60, "code of the response")?;
        rest.expect(0, "first parameter of the response")?;
        rest.expect(0, "slot in the response")?;
        let count = rest.number(1, "number of measurements")?;
        let length = rest.length(3, "length of the measurements")?;
        let measurements = measurements(rest.take(length, "measurements")?, count)?;
        let device_nonce = rest.nonce("nonce of the response")?;
        let length = rest.length(2, "length of the vendor's fields")?;
        let fields = Fields::parse(rest.take(length, "vendor's fields")?)?;
        rest.end("length of the report")?;
        Ok(Self { nonce, device_nonce, measurements, fields, signed: signed.to_vec(), signature: signature.to_vec() })
    }

    /// Checks the signature with a P-384 key, given as an uncompressed point.
    pub(crate) fn check_signature(&self, point: &[u8]) -> Result<(), GpuError> {
        UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point)
            .verify(&self.signed, &self.signature)
            .map_err(|_| GpuError::Signature)
    }

    /// The value of one measurement.
    pub fn measurement(&self, index: u8) -> Option<&[u8]> {
        self.measurements.iter().find(|m| m.index == index).map(|m| m.value.as_slice())
    }
}

fn measurements(bytes: &[u8], count: u32) -> Result<Vec<Measurement>, GpuError> {
    let mut rest = Reader(bytes);
    let mut all = Vec::new();
    for expected in 1..=count {
        let index = rest.number(1, "index of a measurement")?;
        if index != expected {
            return Err(wrong("index of a measurement", index, expected));
        }
        rest.expect(DMTF, "specification of a measurement")?;
        let size = rest.length(2, "size of a measurement")?;
        let mut block = Reader(rest.take(size, "measurement")?);
        let kind = block.number(1, "type of a measurement")?;
        let length = block.length(2, "length of a measurement")?;
        let value = block.take(length, "value of a measurement")?.to_vec();
        block.end("size of a measurement")?;
        let byte = |n: u32, field| u8::try_from(n).map_err(|_| wrong(field, n, "one byte"));
        all.push(Measurement {
            index: byte(index, "index of a measurement")?,
            kind: byte(kind, "type of a measurement")?,
            value,
        });
    }
    rest.end("length of the measurements")?;
    if all.is_empty() {
        return Err(wrong("number of measurements", 0, "at least 1"));
    }
    Ok(all)
}
