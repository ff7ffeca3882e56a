//! A bundle from a file, checked with nothing but the network's file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use cocoon_chain::GlobalConfig;
use cocoon_receipt::{Bundle, BundleError, Outcome, Subject, Trust, verify};
use serde_json::{Value, json};

const BUNDLE: &str = include_str!("fixtures/bundle.json");
const NETWORK: &str = include_str!("fixtures/network.json");

fn trust() -> Trust {
    let file: Value = serde_json::from_str(NETWORK).unwrap();
    let registry = file["registry"].as_str().unwrap().parse().unwrap();
    Trust { network: GlobalConfig::from_json(NETWORK).unwrap(), registry }
}

#[tokio::test]
async fn a_recorded_receipt_verifies_without_a_network_at_any_later_time() {
    let verdict = verify(&Bundle::from_json(BUNDLE.as_bytes()).unwrap(), &trust()).await;
    assert!(verdict.holds(), "{verdict:#?}");
    assert!(verdict.checks().iter().all(|check| check.outcome == Outcome::Passed), "{verdict:#?}");
}

#[test]
fn a_malformed_file_is_named_with_the_place() {
    let bundle = || serde_json::from_str::<Value>(BUNDLE).unwrap();
    let refused = |value: Value| Bundle::from_json(value.to_string().as_bytes()).unwrap_err();
    let set = |pointer: &str, value: Value| {
        let mut bundle = bundle();
        *bundle.pointer_mut(pointer).unwrap() = value;
        bundle
    };
    let cases = [
        ("/version", json!(2), "version 2"),
        ("/receipt/signature", json!("00"), "receipt.signature"),
        ("/receipt/receipt/time", json!(-1), "receipt.receipt.time"),
        ("/receipt/receipt/outcome", json!("perhaps"), "receipt.receipt.outcome"),
        ("/evidence/certificate", json!("???"), "evidence.certificate"),
        ("/chain/blocks/0", json!(5), "chain.blocks[0]"),
        ("/chain/accounts/1/address", json!("here"), "chain.accounts[1].address"),
        ("/content/chunks", json!({}), "content.chunks"),
        ("/acceptance", json!(null), "acceptance"),
    ];
    for (pointer, value, named) in cases {
        let error = refused(set(pointer, value)).to_string();
        assert!(error.contains(named), "{pointer}: {error}");
    }
    let mut upper = bundle();
    let model = upper["receipt"]["receipt"]["model"].as_str().unwrap().to_uppercase();
    upper["receipt"]["receipt"]["model"] = json!(model);
    assert!(matches!(refused(upper), BundleError::Form(at) if at == "receipt.receipt.model"));
    let mut more = bundle();
    more["note"] = json!("trust me");
    assert!(refused(more).to_string().contains("note"));
    assert!(matches!(Bundle::from_json(b"{"), Err(BundleError::Json(_))));
    assert!(matches!(refused(json!([])), BundleError::Field { .. }));
}

#[tokio::test]
async fn a_part_of_another_proof_is_named() {
    let whole = Bundle::from_json(BUNDLE.as_bytes()).unwrap();
    let failing = async |alter: fn(&mut Bundle)| {
        let mut bundle = whole.clone();
        alter(&mut bundle);
        let verdict = verify(&bundle, &trust()).await;
        assert!(!verdict.holds());
        verdict.failed().map(|check| check.subject).collect::<Vec<_>>()
    };
    assert_eq!(failing(|b| b.chain.accounts.swap_remove(0).state.0.clear()).await, [Subject::Registry]);
    assert_eq!(failing(|b| b.chain.accounts[0].state = b.chain.accounts[1].state.clone()).await, [Subject::Blocks]);
    assert_eq!(failing(|b| b.chain.config.0.truncate(100)).await, [Subject::Blocks]);
    assert_eq!(failing(|b| b.evidence.certificate.0.truncate(100)).await, [Subject::Evidence]);
    assert_eq!(failing(|b| b.evidence.collateral = json!({})).await, [Subject::Evidence]);
    assert_eq!(failing(|b| b.acceptance.as_mut().unwrap().acceptance.time.0 += 1).await, [Subject::Acceptance]);
}
