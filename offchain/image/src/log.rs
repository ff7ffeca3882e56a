//! The event log of a measured boot, as TCG writes it (PC Client Platform Firmware Profile, "crypto agile" form) and as
//! Linux shows it: in `/sys/firmware/acpi/tables/data/CCEL` on TDX, in
//! `/sys/kernel/security/tpm0/binary_bios_measurements` where a TPM measures instead.
//!
//! The log is written by the guest's own firmware and nothing protects it: it explains registers and never stands in for
//! them. All numbers are little-endian; every length is checked before it is used, and memory stays within a small multiple of the
//! input.

use crate::bytes::{slice, u16_at, u32_at};
use crate::digest::{Digest384, Register};

/// Longest log that is read. Firmware sets aside 64 KiB.
pub const MAX_LOG: usize = 4 << 20;
/// Most events of a log.
pub const MAX_EVENTS: usize = 4096;
/// Most digest algorithms that a log may name.
pub const MAX_ALGORITHMS: usize = 8;
/// The event type that is logged and not measured.
pub const EV_NO_ACTION: u32 = 3;
/// The event type that closes what firmware measures before it starts the kernel.
pub const EV_SEPARATOR: u32 = 4;

const SIGNATURE: &[u8; 16] = b"Spec ID Event03\0";
const SHA384: u16 = 0x000C;
/// Register, type, a SHA-1 digest and a length: the oldest form, which only the first record has.
const FIRST_HEADER: usize = 32;

/// A log cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Longer than any real log.
    #[error("the event log has {found} bytes, at most {MAX_LOG} are read: give the CCEL table's data, nothing else")]
    TooLong {
        /// Bytes given.
        found: usize,
    },
    /// More events than any real log.
    #[error("the event log has more than {MAX_EVENTS} events")]
    TooManyEvents,
    /// It stops in the middle of a record.
    #[error("the event log ends inside {what} at byte {at}: it was cut off, or is no event log")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where that begins.
        at: usize,
    },
    /// The first record is not the header of a crypto-agile log.
    #[error("the event log does not begin with \"Spec ID Event03\": only crypto-agile logs are read")]
    NotCryptoAgile,
    /// The header names no SHA-384, too many algorithms, or one twice.
    #[error("the header of the event log is wrong: {0}")]
    Header(&'static str),
    /// A digest of an algorithm that the header did not announce.
    #[error("the event at byte {at} has a digest of algorithm {algorithm:#06x}, which the header does not announce")]
    UnknownAlgorithm {
        /// Where the event begins.
        at: usize,
        /// TCG's number of it.
        algorithm: u16,
    },
    /// An event that no SHA-384 register could have taken, or that gives two digests for one.
    #[error("the event at byte {at} has {found} SHA-384 digests and must have one")]
    DigestCount {
        /// Where the event begins.
        at: usize,
        /// How many there are.
        found: usize,
    },
    /// A register that TDX does not have.
    #[error(
        "the event at byte {at} names register {index}; TDX logs have 1 to 4 (RTMR0 to RTMR3). Read a TPM's log as one"
    )]
    UnknownRegister {
        /// Where the event begins.
        at: usize,
        /// What it names.
        index: u32,
    },
    /// A register that no firmware extends at boot.
    #[error("the event at byte {at} names PCR {index}; a boot extends PCR 0 to 15")]
    UnknownPcr {
        /// Where the event begins.
        at: usize,
        /// What it names.
        index: u32,
    },
}

/// One measured event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Where it begins in the log, in bytes.
    pub at: usize,
    /// Which register was extended.
    pub register: Register,
    /// TCG's event type, such as 0x80000001 for an EFI variable.
    pub kind: u32,
    /// What the register was extended with.
    pub digest: Digest384,
    /// What the firmware says this was. Not covered by the digest in general.
    pub data: Vec<u8>,
}

impl Event {
    /// TCG's name of the event type, where it is one that firmware writes at boot.
    pub const fn kind_name(&self) -> &'static str {
        match self.kind {
            EV_SEPARATOR => "EV_SEPARATOR",
            0x5 => "EV_ACTION",
            0x6 => "EV_EVENT_TAG",
            0xa => "EV_PLATFORM_CONFIG_FLAGS",
            0xd => "EV_IPL",
            0x8000_0001 => "EV_EFI_VARIABLE_DRIVER_CONFIG",
            0x8000_0002 => "EV_EFI_VARIABLE_BOOT",
            0x8000_0003 => "EV_EFI_BOOT_SERVICES_APPLICATION",
            0x8000_0006 => "EV_EFI_GPT_EVENT",
            0x8000_0007 => "EV_EFI_ACTION",
            0x8000_0008 => "EV_EFI_PLATFORM_FIRMWARE_BLOB",
            0x8000_0009 => "EV_EFI_HANDOFF_TABLES",
            0x8000_000a => "EV_EFI_PLATFORM_FIRMWARE_BLOB2",
            0x8000_000b => "EV_EFI_HANDOFF_TABLES2",
            0x8000_000c => "EV_EFI_VARIABLE_BOOT2",
            0x8000_00e0 => "EV_EFI_VARIABLE_AUTHORITY",
            _ => "an event of another type",
        }
    }
}

/// The measured events of a boot, in order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct EventLog {
    /// All but those that only inform ([`EV_NO_ACTION`]).
    pub events: Vec<Event>,
}

impl EventLog {
    /// Reads a log. What follows the last event must be filler: bytes 0x00 or 0xff.
    ///
    /// # Errors
    /// [`LogError`] says what is wrong and at which byte.
    pub fn parse(log: &[u8]) -> Result<Self, LogError> {
        let mut events = Vec::new();
        for Record { at, index, kind, digest, data } in records(log)? {
            let register = Register::from_log(index).ok_or(LogError::UnknownRegister { at, index })?;
            events.push(Event { at, register, kind, digest, data: data.to_vec() });
        }
        Ok(Self { events })
    }

    /// Reads a TPM's log as the log that TDX's registers would have had of the same boot.
    ///
    /// UEFI, section 38.4.1 (`MapPcrToMrIndex`), says which register stands in for which PCR. Of PCR 0 there is nothing:
    /// MRTD holds the firmware. Firmware closes each PCR with a separator and each of TDX's registers with one only, so
    /// the first of a register's separators stays.
    ///
    /// # Errors
    /// [`LogError`] says what is wrong and at which byte.
    pub fn parse_tpm(log: &[u8]) -> Result<Self, LogError> {
        let mut events: Vec<Event> = Vec::new();
        for Record { at, index, kind, digest, data } in records(log)? {
            let register = match index {
                0 => continue,
                1 | 7 => Register::Rtmr0,
                2..=6 => Register::Rtmr1,
                8..=15 => Register::Rtmr2,
                _ => return Err(LogError::UnknownPcr { at, index }),
            };
            let closed = || events.iter().any(|event| event.register == register && event.kind == EV_SEPARATOR);
            if kind != EV_SEPARATOR || !closed() {
                events.push(Event { at, register, kind, digest, data: data.to_vec() });
            }
        }
        Ok(Self { events })
    }
}

/// An event before anybody knows which kind of register its index stands for.
struct Record<'a> {
    at: usize,
    index: u32,
    kind: u32,
    digest: Digest384,
    data: &'a [u8],
}

fn records(log: &[u8]) -> Result<Vec<Record<'_>>, LogError> {
    if log.len() > MAX_LOG {
        return Err(LogError::TooLong { found: log.len() });
    }
    let (algorithms, mut at) = header(log)?;
    let mut records = Vec::new();
    let mut count = 0usize;
    while !is_filler(log.get(at..).unwrap_or_default()) {
        count += 1;
        if count > MAX_EVENTS {
            return Err(LogError::TooManyEvents);
        }
        let (found, next) = record(log, at, &algorithms)?;
        records.extend(found);
        at = next;
    }
    Ok(records)
}

/// The rest of the table. An event cannot look like this: it has a digest at least, so zeros to the end of the log hold none,
/// and no register is 0xffffffff.
fn is_filler(rest: &[u8]) -> bool {
    rest.iter().all(|b| *b == 0) || rest.iter().all(|b| *b == 0xff)
}

fn header(log: &[u8]) -> Result<(Vec<(u16, usize)>, usize), LogError> {
    let cut = |at| move || LogError::Truncated { what: "the header", at };
    let size = u32_at(log, FIRST_HEADER - 4).ok_or_else(cut(0))? as usize;
    let data = slice(log, FIRST_HEADER, size).ok_or_else(cut(FIRST_HEADER))?;
    if u32_at(log, 4) != Some(EV_NO_ACTION) || data.get(..16) != Some(SIGNATURE) {
        return Err(LogError::NotCryptoAgile);
    }
    let count = u32_at(data, 24).ok_or_else(cut(FIRST_HEADER))? as usize;
    if count > MAX_ALGORITHMS {
        return Err(LogError::Header("it names more than 8 digest algorithms"));
    }
    let mut algorithms: Vec<(u16, usize)> = Vec::with_capacity(count);
    for i in 0..count {
        let at = 28 + 4 * i;
        let id = u16_at(data, at).ok_or_else(cut(FIRST_HEADER))?;
        let length = u16_at(data, at + 2).ok_or_else(cut(FIRST_HEADER))?;
        if algorithms.iter().any(|(known, _)| *known == id) {
            return Err(LogError::Header("it names a digest algorithm twice"));
        }
        algorithms.push((id, usize::from(length)));
    }
    if !algorithms.contains(&(SHA384, 48)) {
        return Err(LogError::Header("it does not name SHA-384 with 48 bytes, which TDX measures with"));
    }
    Ok((algorithms, FIRST_HEADER + size))
}

/// One record and where the next begins; no event for one that only informs.
fn record<'a>(log: &'a [u8], at: usize, algorithms: &[(u16, usize)]) -> Result<(Option<Record<'a>>, usize), LogError> {
    let cut = || LogError::Truncated { what: "an event", at };
    let index = u32_at(log, at).ok_or_else(cut)?;
    let kind = u32_at(log, at + 4).ok_or_else(cut)?;
    let count = u32_at(log, at + 8).ok_or_else(cut)? as usize;
    if count > algorithms.len() {
        return Err(LogError::DigestCount { at, found: count });
    }
    let mut next = at + 12;
    let mut digests = Vec::new();
    for _ in 0..count {
        let algorithm = u16_at(log, next).ok_or_else(cut)?;
        let known = algorithms.iter().find(|(id, _)| *id == algorithm);
        let (_, length) = known.ok_or(LogError::UnknownAlgorithm { at, algorithm })?;
        let digest = slice(log, next + 2, *length).ok_or_else(cut)?;
        if algorithm == SHA384 {
            digests.extend(<[u8; 48]>::try_from(digest).ok().map(Digest384));
        }
        next += 2 + length;
    }
    let size = u32_at(log, next).ok_or_else(cut)? as usize;
    let data = slice(log, next + 4, size).ok_or_else(cut)?;
    next += 4 + size;
    if kind == EV_NO_ACTION {
        return Ok((None, next));
    }
    let [digest] = digests.as_slice() else { return Err(LogError::DigestCount { at, found: digests.len() }) };
    Ok((Some(Record { at, index, kind, digest: *digest, data }), next))
}
