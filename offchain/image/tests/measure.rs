//! Known answers, and files that nobody vouches for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use cocoon_image::Digest384;
use cocoon_image::measure::{Acpi, Firmware, MeasureError, PageOrder, authenticode, register, rtmr0, rtmr1, rtmr2};
use proptest::prelude::*;

/// The smallest TDVF: one measured page, a configuration volume, a place for the HOB.
fn firmware() -> Vec<u8> {
    let mut file: Vec<u8> = (0..0x2000u32).map(|i| (i / 7) as u8).collect();
    let metadata = file.len();
    file.extend(b"TDVF");
    file.extend([112u32, 1, 3].iter().flat_map(|n| n.to_le_bytes()));
    for (offset, bytes, address, size, kind, attributes) in [
        (0x1000u32, 0x1000u32, 0xffff_f000u64, 0x1000u64, 0u32, 1u32),
        (0, 0x1000, 0xffff_e000, 0x1000, 1, 0),
        (0, 0, 0x80_9000, 0x2000, 2, 0),
    ] {
        file.extend(offset.to_le_bytes());
        file.extend(bytes.to_le_bytes());
        file.extend(address.to_le_bytes());
        file.extend(size.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(attributes.to_le_bytes());
    }
    let back = file.len() + 22 + 18 + 32 - metadata;
    file.extend((back as u32).to_le_bytes());
    file.extend(22u16.to_le_bytes());
    file.extend(hex::decode("35657ae44a989847865e4685a7bf8ec2").unwrap());
    file.extend(40u16.to_le_bytes());
    file.extend(hex::decode("de82b596b21ff745baeaa366c55a082d").unwrap());
    file.extend([0; 32]);
    file
}

/// Digests as they stand in event logs of TDX guests that others have published.
#[test]
fn constant_events_have_their_published_digests() {
    let file = firmware();
    let events = rtmr0(&Firmware::parse(&file).unwrap(), 2 << 30, &Acpi::default(), &[]).unwrap();
    let digest = |name: &str| events.iter().find(|e| e.name == name).unwrap().digest.to_string();
    for (name, start) in [
        (
            "SecureBoot",
            "9dc3a1f80bcec915391dcda5ffbb15e7419f77eab462bbf72b42166fb70d50325e37b36f93537a863769bcf9bedae6fb",
        ),
        ("PK", "6f2e3cbc14f9def86980f5f66fd85e99d63e69a73014ed8a5633ce56eca5b64b692108c56110e22acadcef58c3250f1b"),
        ("KEK", "d607c0efb41c0d757d69bca0615c3a9ac0b1db06c557d992e906c6b7dee40e0e031640c7bfd7bcd35844ef9edeadc6f9"),
        ("db", "08a74f8963b337acb6c93682f934496373679dd26af1089cb4eaf0c30cf260a12e814856385ab8843e56a9acea19e127"),
        ("dbx", "18cc6e01f0c6ea99aa23f8a280423e94ad81d96d0aeb5180504fc0f7a40cb3619dd39bd6a95ec1680a86ed6ab0f9828d"),
        (
            "separator",
            "394341b7182cd227c5c6b07ef8000cdfd86136c4292b8e576573ad7ed9ae41019f5818b4b971c9effc60e1ad9f1289f0",
        ),
    ] {
        assert_eq!(digest(name), start, "{name}");
    }
}

#[test]
fn mrtd_is_the_hash_of_what_the_module_is_told() {
    let file = firmware();
    let firmware = Firmware::parse(&file).unwrap();
    let block = |name: &[u8], address: u64| {
        let mut block = [0u8; 128];
        block[..name.len()].copy_from_slice(name);
        block[16..24].copy_from_slice(&address.to_le_bytes());
        block
    };
    let mut expected = block(b"MEM.PAGE.ADD", 0xffff_f000).to_vec();
    for i in 0..16 {
        expected.extend(block(b"MR.EXTEND", 0xffff_f000 + 256 * i));
        expected.extend(&file[0x1000 + 256 * i as usize..][..256]);
    }
    for page in [0xffff_e000, 0x80_9000, 0x80_a000] {
        expected.extend(block(b"MEM.PAGE.ADD", page));
    }
    assert_eq!(firmware.mrtd(PageOrder::PageByPage), Digest384::of(&expected));
    // With one measured page, the order cannot matter.
    assert_eq!(firmware.mrtd(PageOrder::SectionBySection), Digest384::of(&expected));
    let mut other = file.clone();
    other[0x1fff] ^= 1;
    assert_ne!(Firmware::parse(&other).unwrap().mrtd(PageOrder::PageByPage), Digest384::of(&expected));
}

#[test]
fn rtmr0_depends_on_memory_and_needs_room_for_the_firmware() {
    let file = firmware();
    let firmware = Firmware::parse(&file).unwrap();
    let of = |memory| rtmr0(&firmware, memory, &Acpi::default(), &[]).map(|events| register(&events));
    assert_ne!(of(2 << 30).unwrap(), of(4 << 30).unwrap());
    assert!(matches!(of(1 << 20), Err(MeasureError::Memory { .. })));
    assert!(matches!(of(4097), Err(MeasureError::Memory { .. })));
}

#[test]
fn the_command_line_counts_as_utf16_with_its_zero() {
    let events = rtmr2("a b", b"initrd");
    assert_eq!(events[0].digest, Digest384::of(b"a\0 \0b\0\0\0"));
    assert_eq!(events[1].digest, Digest384::of(b"initrd"));
    assert_ne!(register(&events), register(&rtmr2("a c", b"initrd")));
}

/// A PE32+ file with one section and, if wanted, certificates at its end.
fn kernel(certificates: usize) -> Vec<u8> {
    let mut file = vec![0u8; 0x400];
    file[0x3c] = 0x40;
    file[0x40..0x44].copy_from_slice(b"PE\0\0");
    file[0x46] = 1;
    file[0x54] = 240;
    file[0x58..0x5a].copy_from_slice(&0x20bu16.to_le_bytes());
    file[0x58 + 60..][..4].copy_from_slice(&0x200u32.to_le_bytes());
    file[0x58 + 108] = 16;
    file[0x58 + 112 + 36..][..4].copy_from_slice(&(certificates as u32).to_le_bytes());
    file[0x58 + 240 + 16..][..4].copy_from_slice(&0x200u32.to_le_bytes());
    file[0x58 + 240 + 20..][..4].copy_from_slice(&0x200u32.to_le_bytes());
    file.resize(0x400 + certificates, 0xcc);
    file
}

#[test]
fn a_signature_does_not_change_the_kernel_and_a_byte_does() {
    let plain = authenticode(&kernel(0)).unwrap();
    let mut signed = kernel(64);
    assert_eq!(authenticode(&signed).unwrap(), plain);
    signed[0x58 + 64] = 9;
    assert_eq!(authenticode(&signed).unwrap(), plain, "the checksum does not count");
    signed[0x3ff] = 1;
    assert_ne!(authenticode(&signed).unwrap(), plain);
    assert_eq!(rtmr1(&kernel(0)).unwrap().len(), 5);
    assert!(matches!(authenticode(b"MZ"), Err(MeasureError::Kernel(_))));
}

proptest! {
    #[test]
    fn no_file_makes_the_measurer_panic(
        changes in prop::collection::vec((0usize..0x400, any::<u8>()), 0..12),
        cut in 0usize..0x420,
    ) {
        let mut file = firmware();
        let end = file.len();
        for (at, byte) in &changes {
            file[end - 1 - at % 300] = *byte;
        }
        if let Ok(firmware) = Firmware::parse(&file[cut..]) {
            firmware.mrtd(PageOrder::PageByPage);
            let _ = rtmr0(&firmware, 4 << 30, &Acpi::default(), &[]);
        }
        let mut file = kernel(32);
        for (at, byte) in changes {
            file[at] = byte;
        }
        let _ = authenticode(&file[..file.len() - cut.min(file.len())]);
    }
}
