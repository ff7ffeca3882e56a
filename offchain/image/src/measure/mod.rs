//! Predicts MRTD and the runtime registers of a guest that QEMU boots directly from kernel, command line and initrd.
//!
//! MRTD needs the firmware alone. RTMR1 and RTMR2 need kernel, command line and initrd. RTMR0 also depends on how
//! much memory the machine has and on what QEMU tells the firmware about it (ACPI tables, boot options), which cannot be read from
//! the image: those are inputs. RTMR3 stays zero until the guest extends it.

mod hob;
mod pe;
mod tdvf;

use crate::digest::Digest384;
use crate::replay::Expected;

pub use pe::authenticode;
pub use tdvf::{Firmware, PageOrder, Section};

const GLOBAL_VARIABLE: [u8; 16] =
    [0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c];
const IMAGE_SECURITY_DATABASE: [u8; 16] =
    [0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f];

/// An image cannot be measured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MeasureError {
    /// Not firmware for TDX, or broken.
    #[error("the firmware is not a TDVF: {0}; give an OVMF file built for Intel TDX, code and variables in one")]
    Firmware(&'static str),
    /// Not a kernel that firmware can start.
    #[error("the kernel is no EFI application: {0}; give the bzImage (vmlinuz) as built")]
    Kernel(&'static str),
    /// Memory that no such machine has.
    #[error("a machine with {bytes} bytes of memory cannot be described: {why}")]
    Memory {
        /// What was asked for.
        bytes: u64,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// What RTMR0 covers besides the firmware and the size of memory: what QEMU hands to the firmware through `fw_cfg`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Acpi {
    /// `etc/table-loader`.
    pub loader: Vec<u8>,
    /// `etc/acpi/rsdp`.
    pub rsdp: Vec<u8>,
    /// `etc/tpm/log`, where the machine has a TPM: memory set aside for its log. A guest on TDX has none.
    pub tpm_log: Option<Vec<u8>>,
    /// `etc/acpi/tables`.
    pub tables: Vec<u8>,
}

fn event(name: &str, digest: Digest384) -> Expected {
    Expected { name: name.to_owned(), digest }
}

fn of(name: &str, data: &[u8]) -> Expected {
    event(name, Digest384::of(data))
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// A variable of Secure Boot that is absent or empty, as `UEFI_VARIABLE_DATA`: GUID, length of the name, length of the
/// data, name.
fn empty_variable(guid: [u8; 16], name: &str) -> Expected {
    let name_length = name.encode_utf16().count() as u64;
    let data = [&guid[..], &name_length.to_le_bytes(), &0u64.to_le_bytes(), &utf16(name)].concat();
    of(name, &data)
}

/// The events of RTMR0 for OVMF before edk2-stable202505 without Secure Boot, in order. `boot_options` are the digests of
/// `BootOrder` and `Boot####`; they depend on the firmware build and come from a reference boot.
///
/// # Errors
/// [`MeasureError`] when the firmware has no configuration volume or the memory cannot be described.
pub fn rtmr0(
    firmware: &Firmware<'_>,
    memory_bytes: u64,
    acpi: &Acpi,
    boot_options: &[Digest384],
) -> Result<Vec<Expected>, MeasureError> {
    let mut events = vec![
        of("TD HOB", &hob::td_hob(firmware.sections(), memory_bytes)?),
        of("configuration volume", firmware.configuration_volume()?),
    ];
    events.extend(rtmr0_without_tdx(acpi, boot_options));
    Ok(events)
}

/// The events of RTMR0 that the same firmware also has where there is no TDX: all but its first two, which only a trust domain
/// is handed.
pub fn rtmr0_without_tdx(acpi: &Acpi, boot_options: &[Digest384]) -> Vec<Expected> {
    let mut events = vec![
        empty_variable(GLOBAL_VARIABLE, "SecureBoot"),
        empty_variable(GLOBAL_VARIABLE, "PK"),
        empty_variable(GLOBAL_VARIABLE, "KEK"),
        empty_variable(IMAGE_SECURITY_DATABASE, "db"),
        empty_variable(IMAGE_SECURITY_DATABASE, "dbx"),
        of("separator", &[0; 4]),
        of("ACPI loader", &acpi.loader),
        of("ACPI RSDP", &acpi.rsdp),
    ];
    events.extend(acpi.tpm_log.as_deref().map(|log| of("the TPM's log area", log)));
    events.push(of("ACPI tables", &acpi.tables));
    events.extend(boot_options.iter().map(|digest| event("boot option", *digest)));
    events
}

/// The events of RTMR1 for a direct boot, in order. The kernel is hashed as the file is; see docs/image.md for the versions of QEMU
/// that change its header first.
///
/// # Errors
/// [`MeasureError::Kernel`] when it is no EFI application.
pub fn rtmr1(kernel: &[u8]) -> Result<Vec<Expected>, MeasureError> {
    let kernel = event("kernel", authenticode(kernel)?);
    Ok([kernel].into_iter().chain(rtmr1_after_kernel()).collect())
}

/// The events of RTMR1 after the kernel's digest, the same for any kernel.
pub fn rtmr1_after_kernel() -> [Expected; 4] {
    [
        of("start of the kernel", b"Calling EFI Application from Boot Option"),
        of("separator", &[0; 4]),
        of("exit of boot services", b"Exit Boot Services Invocation"),
        of("exited boot services", b"Exit Boot Services Returned with Success"),
    ]
}

/// The events of RTMR2, in order: the command line as the kernel's EFI stub sees it (UTF-16, with the closing zero), and
/// the initrd. The stub sees what QEMU appends too, such as `initrd=initrd`.
pub fn rtmr2(command_line: &str, initrd: &[u8]) -> Vec<Expected> {
    let mut line = utf16(command_line);
    line.extend([0, 0]);
    vec![of("command line", &line), of("initrd", initrd)]
}

/// The register after these events.
pub fn register(events: &[Expected]) -> Digest384 {
    Digest384::chain(events.iter().map(|event| &event.digest))
}
