//! Event logs of measured boots: what a guest's host may have written.

use std::collections::BTreeMap;

use cocoon_image::log::{EV_NO_ACTION, EV_SEPARATOR};
use cocoon_image::replay::Expected;
use cocoon_image::{Digest384, EventLog, Register, first_misfit, replay};

/// What comes before the events: SHA-1 and SHA-384 are announced, in the crypto-agile form of the TCG.
fn header() -> Vec<u8> {
    let mut data = b"Spec ID Event03\0".to_vec();
    data.extend([0, 0, 0, 0, 0, 2, 0, 2, 2, 0, 0, 0, 0x04, 0, 20, 0, 0x0c, 0, 48, 0, 0]);
    let mut log = vec![1, 0, 0, 0, 3, 0, 0, 0];
    log.extend([0; 20]);
    log.extend((data.len() as u32).to_le_bytes());
    log.extend(data);
    log
}

fn push(log: &mut Vec<u8>, register: u32, kind: u32, digest: Digest384, data: &[u8]) {
    for number in [register, kind, 1] {
        log.extend(number.to_le_bytes());
    }
    log.extend([0x0c, 0]);
    log.extend(digest.0);
    log.extend((data.len() as u32).to_le_bytes());
    log.extend(data);
}

/// How logs number a register.
fn number(register: Register) -> u32 {
    Register::ALL.iter().zip(1..).find(|(r, _)| **r == register).map_or(0, |(_, number)| number)
}

/// A log replays to the chains of its events' digests, whatever else is in it; written anew it reads the same; it fits itself and
/// nothing that differs in one event.
pub fn logs(input: &[u8]) -> String {
    let log = match EventLog::parse(input) {
        Ok(log) => log,
        Err(error) => return error.to_string(),
    };
    let carried: usize = log.events.iter().map(|event| event.data.len() + 48).sum();
    assert!(carried <= input.len(), "a log has more in it than bytes");
    assert!(log.events.windows(2).all(|pair| matches!(pair, [a, b] if a.at < b.at)), "events overlap");

    let registers = replay(&log);
    let mut expected: BTreeMap<Register, Vec<Expected>> = BTreeMap::new();
    for register in Register::ALL {
        let digests: Vec<_> = log.events.iter().filter(|e| e.register == register).map(|e| e.digest).collect();
        assert_eq!(registers.get(&register), Some(&Digest384::chain(&digests)), "a log replays to something else");
        let named = |digest| Expected { name: "it".to_owned(), digest };
        expected.insert(register, digests.into_iter().map(named).collect());
    }
    assert_eq!(first_misfit(&log, &expected), None, "a log does not fit itself");

    let mut again = header();
    for event in &log.events {
        push(&mut again, number(event.register), event.kind, event.digest, &event.data);
    }
    let reread = EventLog::parse(&again).map(|log| replay(&log));
    assert_eq!(reread.as_ref(), Ok(&registers), "a log changes when it is written anew");

    let Some(last) = expected.values_mut().rev().find_map(|events| events.last_mut()) else {
        return "accepted, without events".to_owned();
    };
    last.digest = last.digest.extended(last.digest);
    match first_misfit(&log, &expected) {
        Some(misfit) => format!("accepted; {misfit}"),
        None => unreachable!("another event goes unnoticed"),
    }
}

pub fn log_samples() -> Vec<Vec<u8>> {
    let empty = header();
    let mut boot = header();
    push(&mut boot, 1, 0x8000_0001, Digest384::of(b"SecureBoot"), b"SecureBoot\0\0");
    push(&mut boot, 1, 4, Digest384::of(&[0; 4]), &[0; 4]);
    push(&mut boot, 1, EV_NO_ACTION, Digest384::ZERO, b"for information");
    push(&mut boot, 2, 0x8000_0003, Digest384::of(b"kernel"), b"path of the kernel");
    push(&mut boot, 3, 6, Digest384::of(b"command line"), b"console=ttyS0");
    push(&mut boot, 4, 6, Digest384::of(b"configuration"), b"");
    let filled = [&boot[..], &[0xff; 64]].concat();
    // An event with a digest of each algorithm.
    let mut both = header();
    for number in [1u32, 5, 2] {
        both.extend(number.to_le_bytes());
    }
    both.extend([0x04, 0]);
    both.extend([9; 20]);
    both.extend([0x0c, 0]);
    both.extend(Digest384::of(b"twice").0);
    both.extend([0; 4]);
    vec![empty, boot, filled, both]
}

/// A TPM's log has no more in it than its bytes, closes each of TDX's registers once at most, and replays to the chains of its events.
pub fn tpm_logs(input: &[u8]) -> String {
    let log = match EventLog::parse_tpm(input) {
        Ok(log) => log,
        Err(error) => return error.to_string(),
    };
    let carried: usize = log.events.iter().map(|event| event.data.len() + 48).sum();
    assert!(carried <= input.len(), "a log has more in it than bytes");
    assert!(log.events.windows(2).all(|pair| matches!(pair, [a, b] if a.at < b.at)), "events overlap");
    let registers = replay(&log);
    for register in Register::ALL {
        let of: Vec<_> = log.events.iter().filter(|e| e.register == register).collect();
        assert!(of.iter().filter(|e| e.kind == EV_SEPARATOR).count() <= 1, "a register is closed twice");
        let digests: Vec<_> = of.iter().map(|e| e.digest).collect();
        assert_eq!(registers.get(&register), Some(&Digest384::chain(&digests)), "a log replays to something else");
    }
    format!("accepted; {} events", log.events.len())
}

/// The log of a boot under emulation, and a short one.
pub fn tpm_log_samples() -> Vec<Vec<u8>> {
    let mut short = header();
    push(&mut short, 0, 8, Digest384::of(b"version"), b"version");
    push(&mut short, 7, 0x8000_0001, Digest384::of(b"SecureBoot"), b"SecureBoot\0\0");
    push(&mut short, 4, EV_SEPARATOR, Digest384::of(&[0; 4]), &[0; 4]);
    push(&mut short, 5, EV_SEPARATOR, Digest384::of(&[0; 4]), &[0; 4]);
    push(&mut short, 9, 6, Digest384::of(b"initrd"), b"initrd");
    vec![include_bytes!("../../../offchain/image/tests/data/emulated/log").to_vec(), short]
}
