//! `cocoon attest` on files and against nodes in this process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::path::Path;

use cocoon_cli::session::Session;
use cocoon_cli::{Ended, run};
use serde_json::{Value, json};

const QUOTE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../attest/tests/data/intel/tdx_quote");
const COLLATERAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../attest/tests/data/intel/tdx_quote_collateral.json");
const AT: &str = "1751619600";

async fn attest(args: &[&str]) -> Ended {
    run(["cocoon", "attest"].iter().chain(args), &mut Session::terminal()).await
}

/// The answer as JSON, and the exit code.
async fn asked(args: &[&str]) -> (Value, u8) {
    let ended = attest(&[args, &["--json"]].concat()).await;
    let value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {} {}", ended.stdout, ended.stderr));
    (value, ended.code)
}

/// The outcome of each rule, by its name.
fn outcome<'a>(answer: &'a Value, rule: &str) -> &'a str {
    let rules = answer["rules"].as_array().unwrap();
    rules.iter().find(|r| r["rule"] == rule).unwrap_or_else(|| panic!("{rule}: {answer}"))["outcome"].as_str().unwrap()
}

fn failing(answer: &Value) -> Vec<&str> {
    let rules = answer["rules"].as_array().unwrap().iter();
    rules.filter(|r| r["outcome"] == "fail").map(|r| r["rule"].as_str().unwrap()).collect()
}

fn file(dir: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = dir.join(name);
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn a_real_quote_verifies_at_its_time() {
    let (answer, code) = asked(&["verify", "--quote", QUOTE, "--collateral", COLLATERAL, "--at", AT]).await;
    assert_eq!((code, &answer["ok"]), (0, &json!(true)), "{answer}");
    assert_eq!(answer["status"], "UpToDate");
    assert_eq!(answer["platform_model"], "B0C06F000000");
    assert_eq!(answer["tcb_evaluation"], 17);
    assert_eq!(answer["platform"].as_str().unwrap().len(), 64);
    assert_eq!(answer["measurements"]["mr_td"].as_str().unwrap().len(), 96);
    assert_eq!(failing(&answer), [""; 0]);
    assert_eq!(outcome(&answer, "genuine"), "pass");
    assert_eq!((outcome(&answer, "image"), outcome(&answer, "report_data")), ("open", "open"));

    let text = attest(&["verify", "--quote", QUOTE, "--collateral", COLLATERAL, "--at", AT]).await;
    assert_eq!(text.code, 0);
    assert!(text.stdout.contains("holds: no rule fails") && text.stdout.contains("UpToDate"), "{}", text.stdout);

    let dir = tempfile::tempdir().unwrap();
    let digits = file(dir.path(), "quote.hex", hex::encode(std::fs::read(QUOTE).unwrap()) + "\n");
    let (again, _) = asked(&["verify", "--quote", &digits, "--collateral", COLLATERAL, "--at", AT]).await;
    assert_eq!(again, answer, "as hexadecimal digits");
}

#[tokio::test]
async fn newer_and_outdated_real_quotes_are_judged_at_their_times() {
    let verify = async |name: &str, at: &str| {
        let quote = QUOTE.replace("tdx_quote", name);
        let collateral = format!("{quote}_collateral.json");
        asked(&["verify", "--quote", &quote, "--collateral", &collateral, "--at", at]).await
    };
    let (answer, code) = verify("tdx_quote_td15ex", "1792713600").await;
    assert_eq!((code, &answer["status"], &answer["quote_version"]), (0, &json!("UpToDate"), &json!(5)), "{answer}");
    let (answer, code) = verify("tdx_quote_outdated", "1771500000").await;
    assert_eq!((code, failing(&answer)), (1, vec!["genuine"]), "attack 63: its firmware is below every level known");
    assert_eq!(outcome(&answer, "collateral"), "pass");
}

#[tokio::test]
async fn a_quote_is_refused_with_every_reason() {
    let late = ["verify", "--quote", QUOTE, "--collateral", COLLATERAL, "--at", "1760000000"];
    let (answer, code) = asked(&late).await;
    assert_eq!((code, &answer["ok"]), (1, &json!(false)), "attack 64");
    assert_eq!(failing(&answer), ["collateral", "genuine"]);

    let (answer, code) = asked(&["verify", "--quote", QUOTE, "--at", AT]).await;
    assert_eq!((code, failing(&answer)), (1, vec!["collateral"]), "without collateral it is not shown to be genuine");
    assert_eq!((answer["status"].clone(), answer["platform"].clone()), (Value::Null, Value::Null));

    let dir = tempfile::tempdir().unwrap();
    let (known, _) = asked(&["verify", "--quote", QUOTE, "--collateral", COLLATERAL, "--at", AT]).await;
    let harsh = json!({
        "network": 7,
        "images": [{ "role": "proxy", "image": known["image"], "sunset": 1_700_000_000 }],
        "min_tcb_evaluation": 18,
        "banned_platforms": [known["platform"]],
    });
    let harsh = file(dir.path(), "harsh.json", harsh.to_string());
    let base = ["verify", "--quote", QUOTE, "--collateral", COLLATERAL, "--at", AT];
    let data = "00".repeat(64);
    let (answer, code) = asked(&[&base[..], &["--policy", &harsh, "--report-data", &data]].concat()).await;
    assert_eq!(code, 1);
    assert_eq!(failing(&answer), ["report_data", "image", "root", "tcb_evaluation", "platform"], "all of them");
    let text = attest(&[&base[..], &["--policy", &harsh]].concat()).await;
    assert!(text.code == 1 && text.stdout.contains("4 rules fail"), "{}", text.stdout);

    let mild = json!({
        "network": -239,
        "images": [{ "role": "proxy", "image": known["image"] }],
        "min_tcb_evaluation": 17,
    });
    let mild = file(dir.path(), "mild.json", mild.to_string());
    let (answer, code) = asked(&[&base[..], &["--policy", &mild, "--role", "proxy"]].concat()).await;
    assert_eq!((code, outcome(&answer, "image")), (0, "pass"));
    let (answer, code) = asked(&[&base[..], &["--policy", &mild, "--role", "worker"]].concat()).await;
    assert_eq!((code, failing(&answer)), (1, vec!["image"]), "approved for another role");
}

#[tokio::test]
async fn what_is_no_quote_or_no_policy_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let junk = file(dir.path(), "junk", "not a quote");
    let ended = attest(&["verify", "--quote", &junk]).await;
    assert!(ended.code == 1 && ended.stderr.contains("junk"), "{}", ended.stderr);
    let large = file(dir.path(), "large", vec![0; 1 << 20]);
    assert!(attest(&["verify", "--quote", &large]).await.stderr.contains("at most"));
    let typo = file(dir.path(), "typo.json", r#"{"network":-239,"min_tcb":17}"#);
    let ended = attest(&["verify", "--quote", QUOTE, "--policy", &typo]).await;
    assert!(ended.stderr.contains("typo.json") && ended.stderr.contains("min_tcb"), "{}", ended.stderr);
    let ended = attest(&["verify", "--quote", QUOTE, "--collateral", &junk]).await;
    assert!(ended.stderr.contains("junk"), "{}", ended.stderr);
    let ended = attest(&["verify", "--quote", QUOTE, "--report-data", "00"]).await;
    assert!(ended.code == 2 && ended.stderr.contains("128"), "{}", ended.stderr);
}

mod gpu {
    use super::*;

    const REPORT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../gpu/tests/data/nvidia/hopper-report.bin");
    const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../gpu/tests/data/nvidia/hopper-certificates.pem");
    const NONCE: &str = "931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb";
    const BASE: [&str; 7] = ["gpu", "--report", REPORT, "--certificates", CERTIFICATES, "--nonce", NONCE];

    #[tokio::test]
    async fn a_real_gpu_verifies_and_what_is_open_is_said() {
        let (answer, code) = asked(&BASE).await;
        assert_eq!(code, 0, "{answer}");
        assert_eq!((&answer["driver"], &answer["vbios"]), (&json!("550.90.07"), &json!("96.00.9f.00.01")));
        assert_eq!(answer["measurements"].as_array().unwrap().len(), 64);
        assert_eq!((outcome(&answer, "chain"), outcome(&answer, "signature")), ("pass", "pass"));
        for rule in ["drivers", "vbioses", "reference_measurements", "revocation"] {
            assert_eq!(outcome(&answer, rule), "open", "{rule}");
        }
    }

    #[tokio::test]
    async fn policies_and_nonces_decide() {
        let dir = tempfile::tempdir().unwrap();
        let policy = json!({
            "reference_measurements": "not_checked",
            "revocation": { "serials": ["53c22ba15e5d68088282da074ed9fb37aa585771"] },
            "drivers": ["550.90.08"],
        });
        let policy = file(dir.path(), "gpu.json", policy.to_string());
        let (answer, code) = asked(&[&BASE[..], &["--policy", &policy]].concat()).await;
        assert_eq!((code, failing(&answer)), (1, vec!["drivers", "revocation"]));

        let other = "00".repeat(32);
        let mut args = BASE;
        args[6] = &other;
        let ended = attest(&args).await;
        assert!(ended.code == 1 && ended.stderr.contains("nonce"), "{}", ended.stderr);
    }
}

mod node {
    use std::sync::Arc;

    use cocoon_attest::sim::{Publication, Simulator};
    use cocoon_attest::*;
    use cocoon_link::{Endpoint, LinkConfig, Listener};
    use cocoon_protocol::{GlobalId, NodeKey, Role, UnixSeconds};

    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
    const SEED: [u8; 32] = [1; 32];

    /// A proxy that listens for clients, and files for those who look at it.
    struct World {
        _dir: tempfile::TempDir,
        listener: Arc<Listener>,
        key: NodeKey,
        policy: String,
        collateral: String,
    }

    impl World {
        async fn new() -> Self {
            let vendor = Arc::new(Simulator::from_seed(&SEED).unwrap());
            let images = [Role::Proxy].map(|r| (r, image_id(&cocoon_localnet::measurements(r))));
            let mut policy = Policy::new(GlobalId::DEVNET);
            policy.allow_root(vendor.root());
            for (role, image) in images {
                policy.allow_image(role, image, ImageWindow::ALWAYS);
            }
            let quoter = Arc::new(vendor.platform(3).unwrap().quoter(cocoon_localnet::measurements(Role::Proxy)));
            let key = NodeKey::from_seed(&[2; 32]);
            let request = IdentityRequest::new(Role::Proxy, GlobalId::DEVNET, NOW);
            let identity = issue_identity(quoter.as_ref(), &key, &request).unwrap();
            let verifier = Verifier::new(PolicyHandle::new(policy), vendor.clone(), Arc::new(|| NOW));
            let endpoint =
                Endpoint::new(IdentityHandle::new(identity), quoter, Arc::new(verifier), LinkConfig::default());
            let listener = endpoint.listen("127.0.0.1:0".parse().unwrap(), &[Role::Client]).await.unwrap();

            let dir = tempfile::tempdir().unwrap();
            let images: Vec<_> = images.iter().map(|(role, image)| json!({ "role": role, "image": image })).collect();
            let policy = json!({ "network": GlobalId::DEVNET, "roots": [vendor.root().to_string()], "images": images });
            let policy = file(dir.path(), "policy.json", policy.to_string());
            let collateral = vendor.publish(&Publication::on_day_of(NOW)).unwrap();
            let collateral = file(dir.path(), "collateral.json", collateral.to_json().unwrap());
            Self { _dir: dir, listener: Arc::new(listener), key, policy, collateral }
        }

        async fn show(&self, more: &[&str]) -> (Value, u8) {
            let listener = self.listener.clone();
            // Links are kept for as long as the other side wants them.
            let serving = tokio::spawn(async move {
                let mut links = vec![];
                loop {
                    links.push(listener.accept().await);
                }
            });
            let addr = self.listener.addr().to_string();
            let base =
                ["show", &addr, "--policy", &self.policy, "--collateral", &self.collateral, "--at", "1800000000"];
            let answer = asked(&[&base[..], more].concat()).await;
            serving.abort();
            answer
        }
    }

    #[tokio::test]
    async fn anybody_can_look_at_a_node() {
        let world = World::new().await;
        let (answer, code) = world.show(&["--role", "proxy"]).await;
        assert_eq!((code, failing(&answer)), (0, vec![]), "{answer}");
        assert_eq!(answer["claims"]["node_key"], json!(world.key.public().to_string()));
        assert_eq!(answer["status"], "UpToDate");
        for rule in ["key_bound", "report_data", "network", "role", "window", "image", "genuine", "platform", "tls_key"]
        {
            assert_eq!(outcome(&answer, rule), "pass", "{rule}");
        }
        assert_eq!(outcome(&answer, "fresh_quote"), "pass", "it proves itself to whoever asks, evidence or not");
        let (answer, code) = world.show(&["--role", "worker"]).await;
        assert_eq!((code, failing(&answer)), (1, vec!["role", "fresh_quote"]), "attack 70");
    }

    #[tokio::test]
    async fn who_is_no_node_is_no_node() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = silent.local_addr().unwrap().to_string();
        drop(silent);
        let ended = attest(&["show", &addr]).await;
        assert!(ended.code == 1 && ended.stderr.contains(&addr), "{}", ended.stderr);
    }
}
