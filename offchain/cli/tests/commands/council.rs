//! The council from the command line: it can put an entry aside for a while, and nothing else.

use crate::dao::{members, pass, propose};
use crate::world::{COUNCIL, Person, World};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

async fn sign(world: &World, seed: u8, kind: &str, id: &str, until: &str) -> (String, String) {
    let key = world.known_key(seed);
    let args = ["registry", "sign-suspension", kind, id, "--valid-until", until, "--key", &key];
    let signed = world.ok(&args).await;
    let text = |name: &str| signed[name].as_str().unwrap().to_owned();
    (text("valid_until"), text("signature"))
}

/// Two members sign, and anybody sends it. Returns until when the signatures were good.
pub async fn suspend(world: &World, kind: &str, id: &str, sender: &Person) -> u64 {
    let (until, first) = sign(world, COUNCIL[0], kind, id, "+1h").await;
    let (_, second) = sign(world, COUNCIL[2], kind, id, &until).await;
    let args = ["registry", "suspend", kind, id, "--valid-until", &until, "--reason", "it leaks"];
    world.pay(sender, &[&args[..], &["--signature", &first, "--signature", &second]].concat()).await;
    until.trim_start_matches('@').parse().unwrap()
}

#[tokio::test]
async fn attack_41_a_suspension_happens_once_in_each_approval_and_ends() {
    let world = World::new().await;
    let members = members(&world).await;
    let model = "22".repeat(32);
    let what = ["model", &model, "--name", "tiny", "--source-commit", COMMIT, "--reason", "small"];
    let proposal = propose(&world, &members[0], &what).await;
    pass(&world, &members, &proposal).await;
    world.pass(86_400).await;
    let status = async || world.ok(&["registry", "model", &model]).await["status"].clone();
    assert_eq!(status().await, "active");

    let (until, first) = sign(&world, COUNCIL[0], "model", &model, "+1h").await;
    let (_, second) = sign(&world, COUNCIL[1], "model", &model, &until).await;
    let (_, late) = sign(&world, COUNCIL[1], "model", &model, "+2h").await;
    let (_, stranger) = sign(&world, 0x77, "model", &model, &until).await;
    let base = ["registry", "suspend", "model", &model, "--valid-until", &until, "--reason", "it leaks"];
    let pay = ["--wallet", &members[0].wallet, "--yes"];
    for (signatures, word) in [
        (vec![&first], "1 of 3 members have signed"),
        (vec![&first, &first], "1 of 3 members have signed"),
        (vec![&first, &late], "other than what was signed"),
        (vec![&first, &stranger], "no member"),
    ] {
        let signatures: Vec<&str> = signatures.iter().flat_map(|s| ["--signature", s.as_str()]).collect();
        let said = world.fails(4, &[&base[..], &signatures, &pay].concat()).await;
        assert!(said.contains(word), "{said}");
    }
    let good = [&base[..], &["--signature", &first, "--signature", &second], &pay].concat();
    let would = world.ok(&[&good[..], &["--dry-run"]].concat()).await;
    let field = format!("models.{model}.status");
    assert!(
        would["changes"].as_array().unwrap().iter().any(|c| c["field"] == field.as_str() && c["after"] == "suspended")
    );
    world.ok(&good).await;
    assert_eq!(status().await, "suspended");
    assert!(world.fails(4, &good).await.contains("suspended before"));

    let lift = propose(&world, &members[0], &["lift", "model", &model, "--reason", "it does not"]).await;
    world.pass(3 * 86_400).await;
    assert_eq!(status().await, "active", "it ends by itself");
    assert!(world.fails(4, &good).await.contains("suspended before"));
    let shown = world.ok(&["dao", "show", &lift]).await;
    assert_eq!(shown["actions"][0]["kind"], "lift-suspension");
}

#[tokio::test]
async fn council_rebuilders_codes_and_successor_are_decided_by_vote() {
    let world = World::new().await;
    let members = members(&world).await;
    let (_, newcomer) = world.key("newcomer").await;
    let artifact = |name: &str| format!("{}/../../wrappers/artifacts/{name}.code.boc", env!("CARGO_MANIFEST_DIR"));
    let (code, successor) = (artifact("StakeAccount"), members[0].address.to_string());
    let parts: [(&str, Vec<&str>); 6] = [
        ("council", vec!["council", "--member", &newcomer, "--threshold", "1"]),
        ("rebuilder", vec!["rebuilder", &newcomer]),
        ("threshold", vec!["rebuild-threshold", "3"]),
        ("codes", vec!["codes", "--channel", &code]),
        ("successor", vec!["successor", &successor]),
        ("registry", vec!["registry"]),
    ];
    for (name, what) in &parts {
        let file = world.file(name);
        world.ok(&[&["dao", "propose"], &what[..], &["--save", &file, "--wallet", &members[0].wallet]].concat()).await;
    }
    let files: Vec<String> = parts.iter().map(|(name, _)| world.file(name)).collect();
    let mut what = vec!["actions"];
    what.extend(files.iter().map(String::as_str));
    let before = world.ok(&["registry", "show"]).await;
    let proposal = propose(&world, &members[0], &what).await;
    let state = pass(&world, &members, &proposal).await;
    assert!(state["actions"].as_array().unwrap().iter().all(|a| a["understood"] == true), "{state}");

    let after = world.ok(&["registry", "show"]).await;
    assert_eq!((&after["council"][0]["key"], &after["council_threshold"]), (&newcomer.into(), &1.into()));
    assert_eq!((after["rebuilders"].as_array().unwrap().len(), &after["rebuild_threshold"]), (3, &3.into()));
    assert_eq!(after["former_channel_codes"][0]["code"], before["channel_code"]);
    assert_eq!(after["successor"], successor);
    for (members, threshold) in [(1, "2"), (0, "1"), (16, "1")] {
        let keys: Vec<String> =
            (0..members).map(|i| cocoon_protocol::NodeKey::from_seed(&[i + 1; 32]).public().to_string()).collect();
        let keys: Vec<&str> = keys.iter().flat_map(|key| ["--member", key.as_str()]).collect();
        let args = [&["dao", "propose", "council", "--threshold", threshold, "--description", "x"], &keys[..]].concat();
        let said = world.fails(4, &[&args[..], &["--wallet", &self::first(&world), "--yes"]].concat()).await;
        assert!(said.contains("council"), "{said}");
    }
}

fn first(world: &World) -> String {
    world.file("anna")
}
