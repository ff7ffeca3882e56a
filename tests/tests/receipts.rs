//! An answer, proven to somebody who was not there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::net::SocketAddr;
use std::time::Duration;

use cocoon_chain::{Chain, GlobalConfig};
use cocoon_client::Finished;
use cocoon_client::http::RECEIPT;
use cocoon_e2e::*;
use cocoon_localnet::{EntryKind, LocalNet};
use cocoon_protocol::{GlobalId, Hash256, ImageId, ModelHash, Nano, NodeKey, Role, Tokens};
use cocoon_receipt::{Bundle, Outcome, Subject, Trust, Verdict, verify};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

fn trust(net: &LocalNet) -> Trust {
    let network = GlobalConfig::from_json(&net.global_config.to_string()).unwrap();
    Trust { network, registry: net.registry.clone() }
}

async fn bundle(net: &LocalNet, finished: &Finished) -> Bundle {
    net.client().unwrap().client.bundle(finished).await.unwrap()
}

fn outcome(verdict: &Verdict, subject: Subject) -> (Outcome, &str) {
    let found = verdict.checks().iter().find(|check| check.subject == subject);
    found.map_or((Outcome::NotReached, ""), |check| (check.outcome, check.detail.as_str()))
}

/// What is wrong with a bundle, in words; none if it proves the answer.
async fn wrong(json: &Value, trust: &Trust) -> Option<String> {
    match Bundle::from_json(json.to_string().as_bytes()) {
        Err(error) => Some(error.to_string()),
        Ok(bundle) => {
            let verdict = verify(&bundle, trust).await;
            let told: Vec<_> = verdict.failed().map(|check| format!("{}: {}", check.subject, check.detail)).collect();
            (!verdict.holds()).then(|| told.join("; "))
        }
    }
}

/// Each value in a document, as a JSON pointer.
fn leaves(value: &Value, at: String, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| leaves(value, format!("{at}/{key}"), out)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, value)| leaves(value, format!("{at}/{i}"), out)),
        Value::Null => {}
        _ => out.push(at),
    }
}

/// The same kind of value, another content.
fn altered(value: &Value) -> Value {
    match value {
        Value::Bool(flag) => json!(!flag),
        Value::Number(number) => json!(number.as_i64().unwrap() + 1),
        Value::String(text) => {
            let mut chars: Vec<char> = text.chars().collect();
            // Of a chain of certificates the first one; its root is trusted by the reader, and the copy in the chain is not.
            let middle = if text.starts_with("-----BEGIN") { 200 } else { chars.len() / 2 };
            chars[middle] = match chars[middle] {
                '0' => '1',
                _ => '0',
            };
            json!(chars.into_iter().collect::<String>())
        }
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_76_77_78_an_answer_is_proven_to_others_and_every_altered_field_is_noticed() {
    let mut config = config();
    config.client.keep_content = true;
    let mut net = start(config).await;
    let (_, finished) = ask(&net, "What is Toncoin?").await;
    let trust = trust(&net);
    let whole = bundle(&net, &finished).await;
    let verdict = verify(&whole, &trust).await;
    assert!(verdict.holds(), "{verdict:#?}");
    assert!(verdict.checks().iter().all(|check| check.outcome == Outcome::Passed), "{verdict:#?}");
    assert_eq!(verdict.checks().len(), 15);

    let json: Value = serde_json::from_slice(&whole.to_json().unwrap()).unwrap();
    assert_eq!(wrong(&json, &trust).await, None);
    let mut all = vec![];
    leaves(&json, String::new(), &mut all);
    // The quote verifier takes the issuer of that list from the platform's own chain, and does not read this one.
    let unused = "/evidence/collateral/pck_crl_issuer_chain";
    assert!(all.contains(&unused.to_owned()));
    for pointer in all.into_iter().filter(|pointer| pointer != unused) {
        let mut other = json.clone();
        let leaf = other.pointer_mut(&pointer).unwrap();
        *leaf = altered(leaf);
        assert!(wrong(&other, &trust).await.is_some_and(|why| !why.is_empty()), "{pointer} may be altered");
    }

    // What the worker signed, signed by somebody else or altered: each is named.
    let worker = net.node_key(Role::Worker);
    let subject = async |alter: &dyn Fn(&mut Bundle), subject: Subject| {
        let mut other = whole.clone();
        alter(&mut other);
        let verdict = verify(&other, &trust).await;
        let (outcome, detail) = outcome(&verdict, subject);
        assert!(outcome == Outcome::Failed && !verdict.holds(), "{subject}: {verdict:#?}");
        detail.to_owned()
    };
    let resign = |bundle: &mut Bundle, key: &NodeKey| {
        bundle.receipt = bundle.receipt.receipt.clone().sign(key).unwrap();
    };
    let stranger = NodeKey::from_seed(&[9; 32]);
    subject(&|b| resign(b, &stranger), Subject::Signature).await;
    subject(&|b| b.receipt.receipt.usage.completion = Tokens(1), Subject::Signature).await;
    let cases: [(fn(&mut cocoon_protocol::Receipt), Subject); 8] = [
        (|r| r.global_id = GlobalId::MAINNET, Subject::Network),
        (|r| r.request = Hash256([9; 32]), Subject::Request),
        (|r| r.response = Hash256([9; 32]), Subject::Response),
        (|r| r.model = ModelHash([9; 32]), Subject::Model),
        (|r| r.image = ImageId([9; 32]), Subject::Image),
        (|r| r.cost = Nano::new(r.cost.get() + 1), Subject::Cost),
        (|r| r.time.0 += 10_000, Subject::Time),
        (|r| r.time.0 -= 5_000, Subject::Time),
    ];
    for (alter, about) in cases {
        // Even with the worker's own signature.
        subject(
            &|b| {
                alter(&mut b.receipt.receipt);
                resign(b, &worker);
            },
            about,
        )
        .await;
    }
    let promised = subject(
        &|b| {
            let mut acceptance = b.acceptance.clone().unwrap().acceptance;
            acceptance.model = ModelHash([9; 32]);
            b.acceptance = Some(acceptance.sign(&worker).unwrap());
        },
        Subject::Acceptance,
    )
    .await;
    assert!(promised.contains("model"), "{promised}");
    // The leaf of another time, or at another place; and without any the receipt proves all the rest.
    let logged = subject(&|b| b.logged.as_mut().unwrap().at.0 += 1, Subject::Log).await;
    assert!(logged.contains("forged"), "{logged}");
    subject(&|b| b.logged.as_mut().unwrap().index -= 1, Subject::Log).await;
    let verdict = verify(&Bundle { logged: None, ..whole.clone() }, &trust).await;
    assert!(verdict.holds() && outcome(&verdict, Subject::Log).0 == Outcome::Absent, "{verdict:#?}");
    // A channel of somebody else is not the worker's, and a contract of another kind is no channel.
    let client_channel = net.client().unwrap().client.channel().address().clone();
    for (other, why) in [(client_channel, "key"), (net.registry.clone(), "not a payment channel")] {
        let mut late = finished.clone();
        late.receipt.receipt.channel = other.clone();
        late.receipt = late.receipt.receipt.sign(&worker).unwrap();
        late.acceptance.acceptance.channel = other;
        late.acceptance = late.acceptance.acceptance.sign(&worker).unwrap();
        let verdict = verify(&bundle(&net, &late).await, &trust).await;
        let (failed, told) = outcome(&verdict, Subject::Bond);
        assert!(failed == Outcome::Failed && told.contains(why) && !verdict.holds(), "{verdict:#?}");
    }
    subject(&|b| b.content.as_mut().unwrap().chunks.reverse(), Subject::Response).await;
    subject(&|b| drop(b.content.as_mut().unwrap().chunks.pop()), Subject::Response).await;
    subject(&|b| b.chain.blocks.clear(), Subject::Blocks).await;
    // The reader's trust, not the bundle's.
    let mut elsewhere = trust.clone();
    elsewhere.network.zero_state.root_hash.0[0] ^= 1;
    elsewhere.network.init_block = None;
    assert_eq!(outcome(&verify(&whole, &elsewhere).await, Subject::Blocks).0, Outcome::Failed);
    let mut elsewhere = trust.clone();
    elsewhere.registry = finished.receipt.receipt.channel.clone();
    assert_eq!(outcome(&verify(&whole, &elsewhere).await, Subject::Registry).0, Outcome::Failed);

    // Nothing rides along, and what is left out is told.
    let mut more = json.clone();
    more["receipt"]["receipt"]["bonus"] = json!(1);
    assert!(wrong(&more, &trust).await.unwrap().contains("bonus"));
    let mut less = whole.clone();
    (less.acceptance, less.content) = (None, None);
    less.chain.accounts.truncate(1);
    let verdict = verify(&less, &trust).await;
    assert_eq!(outcome(&verdict, Subject::Log).0, Outcome::Failed, "a place in a log that is not there: {verdict:#?}");
    less.logged = None;
    let verdict = verify(&less, &trust).await;
    assert!(verdict.holds(), "{verdict:#?}");
    for absent in [Subject::Acceptance, Subject::Request, Subject::Response, Subject::Bond, Subject::Log] {
        assert_eq!(outcome(&verdict, absent).0, Outcome::Absent);
    }
    less.chain.accounts.clear();
    assert_eq!(outcome(&verify(&less, &trust).await, Subject::Registry).0, Outcome::Failed);
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_60_a_worker_that_goes_on_with_a_suspended_image_gives_receipts_that_prove_nothing() {
    let mut net = start(config()).await;
    let (_, finished) = ask(&net, "What is Toncoin?").await;
    let trust = trust(&net);
    let before = bundle(&net, &finished).await;

    let member = net.wallet("member 1").unwrap();
    let council = net.council();
    let image = Hash256(net.image(Role::Worker).0);
    net.dao().unwrap().suspend(&member, &council[..2], EntryKind::Image, image).await.unwrap();
    let suspended = net.chain.head().await.unwrap().utime;
    let mut late = finished.clone();
    late.receipt.receipt.time = suspended;
    late.receipt = late.receipt.receipt.sign(&net.node_key(Role::Worker)).unwrap();
    let after = bundle(&net, &late).await;
    let verdict = verify(&after, &trust).await;
    let (failed, why) = outcome(&verdict, Subject::Image);
    assert!(failed == Outcome::Failed && why.contains("may be used from") && !verdict.holds(), "{verdict:#?}");

    // The registry of before does not help it: its block is not younger than the receipt.
    let mut mixed = after.clone();
    mixed.chain = before.chain.clone();
    mixed.receipt.receipt.time.0 += 3;
    mixed.receipt = mixed.receipt.receipt.sign(&net.node_key(Role::Worker)).unwrap();
    assert_eq!(outcome(&verify(&mixed, &trust).await, Subject::Time).0, Outcome::Failed);

    // What was proven stays proven.
    assert!(verify(&before, &trust).await.holds());
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_endpoint_says_where_a_receipt_is_and_gives_it() {
    let mut net = start(config()).await;
    let stop = CancellationToken::new();
    let address = net.serve_http(SocketAddr::from(([127, 0, 0, 1], 0)), stop.clone()).await.unwrap();
    let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
    for stream in [false, true] {
        let mut body = question("What is Toncoin?");
        body["stream"] = json!(stream);
        let answer = http.post(format!("http://{address}/v1/chat/completions")).body(body.to_string()).send();
        let answer = answer.await.unwrap();
        let path = answer.headers()[RECEIPT].to_str().unwrap().to_owned();
        answer.bytes().await.unwrap();
        let receipt = http.get(format!("http://{address}{path}")).send().await.unwrap();
        assert_eq!(receipt.status(), 200);
        let first = receipt.bytes().await.unwrap();
        let verdict = verify(&Bundle::from_json(&first).unwrap(), &trust(&net)).await;
        assert!(verdict.holds(), "{verdict:#?}");
        let again = http.get(format!("http://{address}{path}")).send().await.unwrap().bytes().await.unwrap();
        assert_eq!(first, again, "the proof is of the time of the answer");
    }
    let missing = http.get(format!("http://{address}/v1/receipts/none")).send().await.unwrap();
    assert_eq!(missing.status(), 404);
    stop.cancel();
    net.stop().await;
}

/// Writes the fixture of `offchain/receipt` and of the fuzz targets anew: run it by name with `--ignored`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes files"]
async fn write_fixture() {
    let mut config = config();
    config.client.keep_content = true;
    let mut net = start(config).await;
    let (_, finished) = ask(&net, "What is Toncoin?").await;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../offchain/receipt/tests/fixtures");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("bundle.json"), bundle(&net, &finished).await.to_json().unwrap()).unwrap();
    let mut network = net.global_config.clone();
    network["registry"] = json!(net.registry.to_string());
    std::fs::write(folder.join("network.json"), serde_json::to_vec_pretty(&network).unwrap()).unwrap();
    net.stop().await;
}
