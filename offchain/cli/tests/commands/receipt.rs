//! `cocoon receipt`: a file in, a verdict out, no network.

use std::path::{Path, PathBuf};

use cocoon_cli::session::Session;
use serde_json::{Value, json};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../receipt/tests/fixtures").join(name)
}

/// Runs the command on a bundle; gives its exit code and its answer.
async fn verify(folder: &Path, bundle: &Value) -> (u8, Value, String) {
    let global: Value = serde_json::from_slice(&std::fs::read(fixture("network.json")).unwrap()).unwrap();
    let network = json!({ "global_config": global, "registry": global["registry"] });
    let (file, network_file) = (folder.join("bundle.json"), folder.join("network.json"));
    std::fs::write(&file, bundle.to_string()).unwrap();
    std::fs::write(&network_file, network.to_string()).unwrap();
    let (file, network) = (file.to_str().unwrap(), network_file.to_str().unwrap());
    let args = ["cocoon", "receipt", "verify", file, "--network", network, "--json"];
    let ended = cocoon_cli::run(args, &mut Session::terminal()).await;
    (ended.code, serde_json::from_str(&ended.stdout).unwrap(), ended.stderr)
}

#[tokio::test]
async fn a_receipt_is_verified_and_an_altered_one_fails_with_the_check_that_found_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut bundle: Value = serde_json::from_slice(&std::fs::read(fixture("bundle.json")).unwrap()).unwrap();
    let (code, told, _) = verify(folder.path(), &bundle).await;
    assert_eq!((code, &told["ok"], &told["holds"]), (0, &json!(true), &json!(true)), "{told}");
    assert_eq!(told["checks"].as_array().unwrap().len(), 15);

    bundle["receipt"]["receipt"]["usage"]["completion"] = json!(1);
    let (code, told, _) = verify(folder.path(), &bundle).await;
    assert_eq!((code, &told["holds"]), (1, &json!(false)));
    let failed = told["checks"].as_array().unwrap().iter().filter(|check| check["outcome"] == "FAIL");
    let failed: Vec<_> = failed.map(|check| check["check"].as_str().unwrap()).collect();
    assert_eq!(failed, ["signature", "cost"], "{told}");

    bundle["receipt"]["signature"] = json!("short");
    let (code, _, said) = verify(folder.path(), &bundle).await;
    assert!(code == 1 && said.contains("receipt.signature"), "{said}");
}
