//! The demo's numbers, read from its own output as a stranger would.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::process::{Command, Output};

use serde_json::Value;

fn cocoon(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cocoon")).args(args).env_remove("RUST_LOG").output().unwrap()
}

fn nano(report: &Value, path: &str) -> u64 {
    let text = report.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("{path} in {report}"));
    text.parse().unwrap_or_else(|_| panic!("{path} is {text:?}"))
}

#[test]
fn the_demo_answers_and_its_money_adds_up_to_the_nano() {
    let output = cocoon(&["demo", "--json", "--prompt", "What is Toncoin?"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object and nothing else");

    assert_eq!(report["ok"], true);
    assert_eq!(report["governance"]["state"], "Executed");
    assert!(report["answer"]["text"].as_str().unwrap().contains("Toncoin"), "{report}");
    assert!(report["answer"]["chunks"].as_u64().unwrap() > 5, "it streams");
    assert!(report["answer"]["prompt_tokens"].as_u64().unwrap() > 0);
    assert_eq!(report["receipt"]["verified"], true);
    let checks = report["receipt"]["checks"].as_array().unwrap();
    assert!(checks.len() > 10 && checks.iter().all(|check| check["outcome"] != "FAIL"), "{report}");
    let logged = checks.iter().find(|check| check["check"] == "log").unwrap();
    assert_eq!(logged["outcome"], "pass", "the worker is in the transparency log: {logged}");
    // One percent of what each claim paid, rounded down.
    let claims = [nano(&report, "/channel/claimed_nano"), nano(&report, "/paid_nano/worker")];
    assert_eq!(nano(&report, "/burnt_nano"), claims.iter().map(|claim| claim / 100).sum::<u64>());
    assert!(report["transactions"].as_u64().unwrap() > 50);

    let claimed = nano(&report, "/channel/claimed_nano");
    assert!(claimed > 0);
    assert_eq!(nano(&report, "/channel/deposit_nano"), claimed + nano(&report, "/channel/refunded_nano"));
    assert_eq!(nano(&report, "/paid_nano/client"), claimed);
    assert_eq!(claimed, nano(&report, "/paid_nano/proxy") + nano(&report, "/paid_nano/worker"));
    assert!(nano(&report, "/fees_nano/network_total") > nano(&report, "/fees_nano/settlement"));
}

#[test]
fn without_json_people_get_a_table() {
    let output = cocoon(&["demo"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    for word in ["Cocoon is a network", "worker", "proxy", "client", "Executed", "logged at", "every nanoton"] {
        assert!(text.contains(word), "{word:?} in {text}");
    }
}

#[test]
fn a_failed_step_is_named_and_the_exit_code_says_so() {
    let empty = tempfile::tempdir().unwrap();
    let output = cocoon(&["demo", "--json", "--model", empty.path().to_str().unwrap()]);
    assert!(!output.status.success());
    assert!(output.stdout.is_empty(), "no half report");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("step \"") && stderr.contains(empty.path().to_str().unwrap()), "{stderr}");

    let output = cocoon(&["demo", "--model", "/nonexistent/model"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nonexistent/model"));
}

#[test]
fn attack_88_a_prompt_never_reaches_the_logs() {
    let output = Command::new(env!("CARGO_BIN_EXE_cocoon"))
        .args(["demo", "--json", "--prompt", "my secret is xyzzy-plugh"])
        .env("RUST_LOG", "debug")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("xyzzy"), "the prompt is in the log");
}
