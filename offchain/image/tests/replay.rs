//! Reading event logs and replaying them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::collections::BTreeMap;

use cocoon_image::replay::Expected;
use cocoon_image::{Digest384, EventLog, LogError, Misfit, Register, first_misfit, replay};
use proptest::prelude::*;

fn header() -> Vec<u8> {
    let mut data = b"Spec ID Event03\0".to_vec();
    data.extend([0, 0, 0, 0, 0, 2, 0, 2, 1, 0, 0, 0, 0x0c, 0, 48, 0, 0]);
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

fn sample() -> Vec<u8> {
    let mut log = header();
    push(&mut log, 1, 4, Digest384::of(&[0; 4]), &[0; 4]);
    push(&mut log, 1, 3, Digest384::ZERO, b"for information");
    push(&mut log, 2, 0x8000_0003, Digest384::of(b"kernel"), b"path");
    push(&mut log, 1, 0x8000_0002, Digest384::of(b"boot"), b"Boot0000");
    log
}

fn expected(names: &[&[u8]]) -> Vec<Expected> {
    let event = |name: &&[u8]| Expected { name: String::from_utf8_lossy(name).into(), digest: Digest384::of(name) };
    names.iter().map(event).collect()
}

#[test]
fn a_log_replays_to_chained_hashes_and_informing_events_do_not_count() {
    for filler in [vec![], vec![0xff; 100], vec![0; 100]] {
        let log = EventLog::parse(&[sample(), filler].concat()).unwrap();
        assert_eq!(log.events.len(), 3);
        let registers = replay(&log);
        let first = Digest384::of(&[[0; 48], Digest384::of(&[0; 4]).0].concat());
        let second = Digest384::of(&[first.0, Digest384::of(b"boot").0].concat());
        assert_eq!(registers[&Register::Rtmr0], second);
        assert_eq!(registers[&Register::Rtmr2], Digest384::ZERO);
    }
}

#[test]
fn the_first_event_that_differs_is_named() {
    let log = EventLog::parse(&sample()).unwrap();
    let with = |zero: &[&[u8]], one: &[&[u8]]| {
        first_misfit(&log, &BTreeMap::from([(Register::Rtmr0, expected(zero)), (Register::Rtmr1, expected(one))]))
    };
    assert_eq!(with(&[&[0; 4], b"boot"], &[b"kernel"]), None);
    let misfit = with(&[&[0; 4], b"boot"], &[b"another"]).unwrap();
    let text = misfit.to_string();
    assert!(text.contains("RTMR1, event 0 (EV_EFI_BOOT_SERVICES_APPLICATION"), "{text}");
    assert!(matches!(with(&[&[0; 4]], &[b"kernel"]), Some(Misfit::Unexpected { position: 1, .. })));
    assert!(matches!(with(&[&[0; 4], b"boot", b"x"], &[b"kernel"]), Some(Misfit::Missing { position: 2, .. })));
}

#[test]
fn broken_logs_are_refused_by_name() {
    let error = |log: &[u8]| EventLog::parse(log).unwrap_err();
    assert!(matches!(error(&[]), LogError::Truncated { .. }));
    assert!(matches!(error(&sample()[..sample().len() - 1]), LogError::Truncated { .. }));
    let mut old = header();
    old[32] = b'X';
    assert_eq!(error(&old), LogError::NotCryptoAgile);
    let mut tpm = header();
    push(&mut tpm, 7, 4, Digest384::ZERO, &[]);
    assert!(matches!(error(&tpm), LogError::UnknownRegister { index: 7, .. }));
    let mut twice = header();
    push(&mut twice, 1, 4, Digest384::ZERO, &[]);
    let at = header().len();
    twice[at + 8] = 0;
    assert!(EventLog::parse(&twice).is_err());
    twice[at + 8] = 1;
    twice[at + 12] = 0x0b;
    assert!(matches!(error(&twice), LogError::UnknownAlgorithm { algorithm: 0x0b, .. }));
    // A length that only a liar would write.
    let mut long = sample();
    let end = long.len();
    long[end - 12..end - 8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(error(&long), LogError::Truncated { .. }));
    assert!(matches!(error(&vec![0; (4 << 20) + 1]), LogError::TooLong { .. }));
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic_or_swell(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..10),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut log = sample();
        for (at, byte) in changes {
            let at = at.index(log.len());
            log[at] = byte;
        }
        for log in [log.clone(), [log, noise.clone()].concat(), noise] {
            for parsed in [EventLog::parse(&log), EventLog::parse_tpm(&log)].into_iter().flatten() {
                prop_assert!(parsed.events.iter().map(|event| event.data.len()).sum::<usize>() <= log.len());
                replay(&parsed);
            }
        }
    }
}
