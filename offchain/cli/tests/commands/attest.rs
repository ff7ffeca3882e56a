//! Evidence held against what the network's registry says.

use cocoon_cli::run;
use serde_json::Value;

use crate::world::World;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../attest/tests/data/intel/");

#[tokio::test]
async fn without_a_policy_file_the_registry_decides() {
    let world = World::new().await;
    let (quote, collateral) = (format!("{DATA}tdx_quote"), format!("{DATA}tdx_quote_collateral.json"));
    let verify = async |more: &[&str]| -> (Value, u8) {
        let base = ["cocoon", "attest", "verify", "--json", "--quote", &quote, "--collateral", &collateral];
        let ended = run(base.iter().chain(more), &mut world.session(None)).await;
        (serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {}", ended.stderr)), ended.code)
    };
    let failing = |answer: &Value| -> Vec<String> {
        let rules = answer["rules"].as_array().unwrap().iter().filter(|r| r["outcome"] == "fail");
        rules.map(|r| r["rule"].as_str().unwrap().to_owned()).collect()
    };
    let (answer, code) = verify(&["--at", "1751619600"]).await;
    assert_eq!(answer["policy"], format!("registry {}", world.registry));
    assert_eq!((code, failing(&answer)), (1, vec!["image".to_owned(), "root".to_owned()]), "it accepts another root");

    let (answer, _) = verify(&[]).await;
    let time = answer["judged_at"]["unix"].as_u64().unwrap();
    assert!(failing(&answer).contains(&"collateral".to_owned()), "judged by the network's time, {time}");

    let policy = world.file("policy.json");
    std::fs::write(&policy, r#"{ "network": -239 }"#).unwrap();
    let (answer, _) = verify(&["--at", "1751619600", "--policy", &policy]).await;
    assert_eq!(failing(&answer), ["image"], "a file comes before the registry");
}
