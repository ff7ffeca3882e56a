//! What an image measures to, and what a model is called.

use cocoon_cli::session::Session;
use cocoon_cli::{Ended, run};
use cocoon_engine::identity::Manifest;
use cocoon_image::measure::{register, rtmr2};
use cocoon_localnet::NetConfig;
use serde_json::Value;

async fn cocoon(args: &[&str]) -> Ended {
    run(["cocoon"].iter().chain(args), &mut Session::terminal()).await
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}{}", ended.stdout, ended.stderr))
}

/// An event log as firmware leaves it: its header, then events of RTMR2 with these digests.
fn log(digests: &[[u8; 48]]) -> Vec<u8> {
    let mut spec = b"Spec ID Event03\0".to_vec();
    spec.extend([0, 0, 0, 0, 0, 2, 0, 2]);
    spec.extend(1u32.to_le_bytes());
    spec.extend([0x0c, 0, 48, 0, 0]);
    let mut log = [0u32, 3].iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
    log.extend([0; 20]);
    log.extend(u32::try_from(spec.len()).unwrap().to_le_bytes());
    log.extend(spec);
    for digest in digests {
        log.extend([3u32, 6, 1].iter().flat_map(|n| n.to_le_bytes()));
        log.extend([0x0c, 0]);
        log.extend(digest);
        log.extend(0u32.to_le_bytes());
    }
    log
}

#[tokio::test]
async fn a_boot_that_went_as_predicted_fits_and_another_one_names_what_differs() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, contents: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let initrd = file("initrd", b"files");
    let events = rtmr2("console=ttyS0", b"files");
    let image = ["--initrd", &initrd, "--cmdline", "console=ttyS0", "--json"];
    let measured = json(&cocoon(&[&["image", "measure"], &image[..]].concat()).await);
    assert_eq!(measured["rtmr2"], register(&events).to_string());

    let digests: Vec<[u8; 48]> = events.iter().map(|event| event.digest.0).collect();
    let good = file("good", &log(&digests));
    let ended = cocoon(&[&["image", "replay", &good], &image[..]].concat()).await;
    assert_eq!((ended.code, &json(&ended)["rtmr2"]), (0, &measured["rtmr2"]), "{ended:?}");
    let swapped: Vec<[u8; 48]> = digests.iter().rev().copied().collect();
    let other = file("other", &log(&swapped));
    let ended = cocoon(&[&["image", "replay", &other], &image[..]].concat()).await;
    assert_eq!(ended.code, 1);
    assert!(json(&ended)["misfit"].as_str().unwrap().contains("command line"), "{ended:?}");

    let broken = file("broken", &log(&digests)[..90]);
    let ended = cocoon(&["image", "replay", &broken]).await;
    assert!(ended.code == 1 && ended.stderr.contains("broken"), "{ended:?}");
    for args in [
        &["image", "measure"][..],
        &["image", "measure", "--kernel", &initrd],
        &["image", "measure", "--ovmf", &initrd],
    ] {
        let ended = cocoon(args).await;
        assert!(ended.code == 1 && !ended.stderr.is_empty(), "{args:?}: {ended:?}");
    }
}

#[tokio::test]
async fn a_log_of_a_tpm_is_read_when_it_is_called_one_and_lists_its_events() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../image/tests/data/emulated");
    let log = format!("{data}/log");
    let ended = cocoon(&["image", "replay", &log, "--json"]).await;
    assert!(ended.code == 1 && ended.stderr.contains("TPM"), "{ended:?}");
    let replayed = json(&cocoon(&["image", "replay", &log, "--tpm", "--events", "--json"]).await);
    // RTMR0 would lack what only a trust domain is handed.
    assert!(replayed.get("rtmr0").is_none() && replayed.get("rtmr1").is_some(), "{replayed}");
    let events = replayed["log"].as_array().unwrap();
    assert_eq!(events.iter().filter(|event| event["kind"] == "EV_EFI_VARIABLE_BOOT").count(), 2);
    assert_eq!(replayed["events"], events.len());

    let dir = tempfile::tempdir().unwrap();
    let initrd = dir.path().join("initrd");
    std::fs::write(&initrd, "another").unwrap();
    let line = std::fs::read_to_string(format!("{data}/cmdline")).unwrap();
    let files = ["--initrd", initrd.to_str().unwrap(), "--cmdline", &line, "--json"];
    let ended = cocoon(&[&["image", "replay", &log, "--tpm"], &files[..]].concat()).await;
    assert!(ended.code == 1 && json(&ended)["misfit"].as_str().unwrap().contains("(initrd)"), "{ended:?}");

    let ended = cocoon(&["image", "measure", "--kernel", "absent", "--acpi", data]).await;
    assert!(ended.code == 1 && ended.stderr.contains("--memory"), "{ended:?}");
}

#[tokio::test]
async fn a_model_is_called_by_every_byte_of_it() {
    let shipped = NetConfig::shipped_model();
    let hash = async |dir: &str| json(&cocoon(&["model", "hash", dir, "--json"]).await)["model_hash"].clone();
    assert_eq!(hash(shipped.to_str().unwrap()).await, Manifest::of(&shipped).unwrap().root().to_string());
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(&shipped).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let path = copy.path().to_str().unwrap();
    assert_eq!(hash(path).await, hash(shipped.to_str().unwrap()).await);
    std::fs::write(copy.path().join("another"), "").unwrap();
    assert_ne!(hash(path).await, hash(shipped.to_str().unwrap()).await);
    std::os::unix::fs::symlink("/etc/hostname", copy.path().join("link")).unwrap();
    let ended = cocoon(&["model", "hash", path]).await;
    assert!(ended.code == 1 && ended.stderr.contains("link"), "{ended:?}");
}
