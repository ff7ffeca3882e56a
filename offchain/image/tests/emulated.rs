//! A boot of a built image under emulation, with a TPM: its log, what QEMU told the firmware, and the prediction.
//! `scripts/test-image --record` wrote the files of data/emulated.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::collections::BTreeMap;

use cocoon_image::log::EV_SEPARATOR;
use cocoon_image::measure::{self, Acpi};
use cocoon_image::replay::Expected;
use cocoon_image::{Digest384, EventLog, LogError, Misfit, Register, first_misfit, replay};

const LOG: &[u8] = include_bytes!("data/emulated/log");
const COMMAND_LINE: &str = include_str!("data/emulated/cmdline");
/// `cocoon image measure` computed them from vmlinuz and initrd, whose hashes stand in data/emulated/manifest.json.
const KERNEL: &str = "b87b2bfd7eb3fcc0c5e3f28a8bd807420d85d8d2ccd0d2727a5b7025aa2d16a6c3369b80556175dad1e1749843ee8f93";
const INITRD: &str = "9634bd682d4fa1f1c682a6bd16a6f1a79a882ad7054ce9fa4c1274e6c73ead762790b10b0e7555c233ed2687b96c4a82";

fn digest(text: &str) -> Digest384 {
    Digest384(hex::decode(text).unwrap().try_into().unwrap())
}

/// The files are stored without the zeros at their ends.
fn padded(data: &[u8], length: usize) -> Vec<u8> {
    let mut data = data.to_vec();
    data.resize(length, 0);
    data
}

fn acpi() -> Acpi {
    Acpi {
        loader: padded(include_bytes!("data/emulated/table-loader"), 4096),
        rsdp: padded(include_bytes!("data/emulated/rsdp"), 20),
        tpm_log: Some(vec![0; 65536]),
        tables: padded(include_bytes!("data/emulated/tables"), 131_072),
    }
}

/// `BootOrder` is the option 0 alone. `Boot0000` is the firmware's own menu; its digest is that of a published guest on TDX, too.
fn boot_options() -> [Digest384; 2] {
    let menu = "23ada07f5261f12f34a0bd8e46760962d6b4d576a416f1fea1c64bc656b1d28eacf7047ae6e967c58fd2a98bfa74c298";
    [Digest384::of(&[0, 0]), digest(menu)]
}

fn predicted(command_line: &str) -> BTreeMap<Register, Vec<Expected>> {
    let kernel = Expected { name: "kernel".into(), digest: digest(KERNEL) };
    let initrd = Expected { name: "initrd".into(), digest: digest(INITRD) };
    let rtmr1 = [kernel].into_iter().chain(measure::rtmr1_after_kernel());
    let rtmr2 = measure::rtmr2(command_line, b"").into_iter().take(1).chain([initrd]);
    BTreeMap::from([
        (Register::Rtmr0, measure::rtmr0_without_tdx(&acpi(), &boot_options())),
        (Register::Rtmr1, rtmr1.collect()),
        (Register::Rtmr2, rtmr2.collect()),
    ])
}

#[test]
fn a_boot_under_emulation_has_the_predicted_events_in_the_predicted_order() {
    let log = EventLog::parse_tpm(LOG).unwrap();
    let expected = predicted(COMMAND_LINE);
    assert_eq!(first_misfit(&log, &expected), None);
    assert_eq!(log.events.len(), expected.values().map(Vec::len).sum::<usize>());
    let registers = replay(&log);
    for (register, events) in &expected {
        assert_eq!(registers[register], measure::register(events), "{register}");
    }
    assert_eq!(registers[&Register::Rtmr3], Digest384::ZERO);
}

#[test]
fn another_command_line_than_the_booted_one_is_the_first_misfit() {
    let log = EventLog::parse_tpm(LOG).unwrap();
    let misfit = first_misfit(&log, &predicted(&format!("{COMMAND_LINE} quiet"))).unwrap();
    let Misfit::Differs { register, position, name, .. } = misfit else { panic!("{misfit}") };
    assert_eq!((register, position, name.as_str()), (Register::Rtmr2, 0, "command line"));
}

#[test]
fn what_the_firmware_says_it_measured_is_what_it_measured() {
    let log = EventLog::parse_tpm(LOG).unwrap();
    let variables: Vec<_> = log.events.iter().filter(|event| event.kind_name() == "EV_EFI_VARIABLE_BOOT").collect();
    assert_eq!(variables.iter().map(|event| event.digest).collect::<Vec<_>>(), boot_options());
    for event in variables {
        // GUID, length of the name in characters, length of the value, name, value: the value is measured.
        let length = u64::from_le_bytes(event.data[16..24].try_into().unwrap());
        let value = &event.data[32 + 2 * usize::try_from(length).unwrap()..];
        assert_eq!(Digest384::of(value), event.digest);
    }
}

#[test]
fn only_the_first_separator_of_a_register_counts() {
    let log = EventLog::parse_tpm(LOG).unwrap();
    let separators: Vec<_> = log.events.iter().filter(|event| event.kind == EV_SEPARATOR).map(|e| e.register).collect();
    assert_eq!(separators, [Register::Rtmr0, Register::Rtmr1]);
}

#[test]
fn a_tpms_log_is_not_taken_for_tdx_and_strange_registers_are_refused() {
    assert_eq!(EventLog::parse(LOG), Err(LogError::UnknownRegister { at: 77, index: 0 }));
    let mut log = LOG.to_vec();
    log[77] = 16;
    assert_eq!(EventLog::parse_tpm(&log), Err(LogError::UnknownPcr { at: 77, index: 16 }));
}

#[test]
fn no_cut_of_a_tpms_log_is_read_as_the_whole() {
    let whole = EventLog::parse_tpm(LOG).unwrap();
    for length in 0..LOG.len() {
        // A cut between two events reads as a shorter log; the register tells.
        if let Ok(log) = EventLog::parse_tpm(&LOG[..length]) {
            assert_ne!(replay(&log)[&Register::Rtmr1], replay(&whole)[&Register::Rtmr1]);
        }
    }
}
