//! A whole round of the DAO from the command line.

use serde_json::Value;

use crate::council::suspend;

use crate::world::{Person, REBUILDERS, TON, World, nano};

const IMAGE: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A rebuilder's signature that the source gives the image.
async fn rebuild(world: &World, seed: u8, role: &str) -> String {
    let key = world.known_key(seed);
    let args = ["registry", "sign-rebuild", IMAGE, "--role", role, "--source-commit", COMMIT, "--key", &key];
    world.ok(&args).await["signature"].as_str().unwrap().to_owned()
}

pub async fn members(world: &World) -> Vec<Person> {
    let mut members = vec![];
    for name in ["anna", "ben", "carla"] {
        let person = world.person(name).await;
        world.pay(&person, &["stake", "deposit", "300TON"]).await;
        members.push(person);
    }
    world.pass(86_400).await;
    members
}

/// Votes a proposal through: voting, waiting, executing.
pub async fn pass(world: &World, members: &[Person], proposal: &str) -> Value {
    let state = world.ok(&["dao", "show", proposal]).await;
    world.pass_until(&state["voting_starts"]).await;
    for member in members {
        world.pay(member, &["dao", "vote", proposal, "yes"]).await;
    }
    world.pass_until(&world.ok(&["dao", "show", proposal]).await["executable_from"]).await;
    assert_eq!(world.ok(&["dao", "show", proposal]).await["status"], "ready");
    let did = world.pay(&members[0], &["dao", "execute", proposal]).await;
    let lost = what_is_lost(&world.ok(&["dao", "show", proposal]).await);
    assert_eq!(did["refused_by_others"].as_array().unwrap().len(), lost, "{did}");
    let state = world.ok(&["dao", "show", proposal]).await;
    assert_eq!(state["status"], "executed");
    state
}

/// Payments to where there is no contract.
fn what_is_lost(state: &Value) -> usize {
    let actions = state["actions"].as_array().unwrap();
    actions.iter().filter(|a| a["to"].as_str().unwrap().starts_with("0:efef")).count()
}

pub async fn propose(world: &World, who: &Person, what: &[&str]) -> String {
    let made = world.pay(who, &[&["dao", "propose"], what, &["--description", "Because it is good"]].concat()).await;
    made["proposal"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_image_goes_from_a_proposal_to_the_registry_and_out_again() {
    let world = World::new().await;
    let members = members(&world).await;
    let image = ["image", IMAGE, "--role", "worker", "--source-commit", COMMIT, "--reason", "first release"];
    let alone =
        [&["dao", "propose"], &image[..], &["--description", "x", "--wallet", &members[0].wallet, "--yes"]].concat();
    assert!(world.fails(4, &alone).await.contains("0 of 2 rebuilders have signed"));
    let (first, second) =
        (rebuild(&world, REBUILDERS[0], "worker").await, rebuild(&world, REBUILDERS[1], "worker").await);
    let other = rebuild(&world, REBUILDERS[1], "proxy").await;
    let wrong = [&alone[..], &["--rebuild", &first, "--rebuild", &other]].concat();
    assert!(world.fails(4, &wrong).await.contains("another role"));
    let image = [&image[..], &["--rebuild", &first, "--rebuild", &second]].concat();
    let proposal = propose(&world, &members[0], &image).await;

    let shown = world.ok(&["dao", "show", &proposal]).await;
    assert_eq!((&shown["status"], &shown["description"]), (&"pending".into(), &"Because it is good".into()));
    let action = &shown["actions"][0];
    assert_eq!((&action["kind"], &action["understood"]), (&"schedule-image".into(), &true.into()));
    assert_eq!(action["says"]["role"], "worker");
    assert!(action["says"]["source_commit"].as_str().unwrap().ends_with(COMMIT));
    assert_eq!(world.ok(&["dao", "list"]).await["proposals"][0]["proposal"], proposal);

    // Not yet, not twice, not by somebody without stake, not before the timelock.
    let vote = |who: &Person| ["dao", "vote", &proposal, "yes", "--wallet", &who.wallet, "--yes"].map(str::to_owned);
    let refs = |args: &[String]| args.iter().map(String::as_str).map(str::to_owned).collect::<Vec<_>>();
    let fails = async |args: Vec<String>| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        world.fails(4, &args).await
    };
    assert!(fails(refs(&vote(&members[0]))).await.contains("it is pending"));
    world.pass_until(&shown["voting_starts"]).await;
    let stranger = world.person("stranger").await;
    assert!(fails(refs(&vote(&stranger))).await.contains("deposit first"));
    let would = world.ok(&["dao", "vote", &proposal, "yes", "--wallet", &members[0].wallet, "--dry-run"]).await;
    assert!(
        would["changes"].as_array().unwrap().iter().any(|c| c["field"] == "yes" && c["after"] == "300 TON"),
        "{would}"
    );
    assert_eq!(nano(&world.ok(&["dao", "show", &proposal]).await["yes"]), 0, "it was only tried");
    for member in &members {
        world.pay(member, &["dao", "vote", &proposal, "yes"]).await;
    }
    assert!(fails(refs(&vote(&members[0]))).await.contains("voted on it already"));
    let state = world.ok(&["dao", "show", &proposal]).await;
    assert_eq!(nano(&state["yes"]), 900 * TON);
    let execute = ["dao", "execute", &proposal, "--wallet", &members[0].wallet, "--yes"];
    assert!(world.fails(4, &execute).await.contains("it is active"));
    world.pass_until(&state["executable_from"]).await;
    let would = world.ok(&["dao", "execute", &proposal, "--wallet", &members[0].wallet, "--dry-run"]).await;
    let field = format!("images.{IMAGE}.status");
    assert!(
        would["changes"].as_array().unwrap().iter().any(|c| c["field"] == field.as_str() && c["after"] == "scheduled")
    );
    world.ok(&execute).await;

    let entry = world.ok(&["registry", "image", IMAGE]).await;
    assert_eq!((&entry["status"], &entry["usable"]), (&"scheduled".into(), &false.into()));
    assert_eq!(entry["source_commit"], COMMIT);
    assert_eq!(entry["rebuilt_by"].as_array().unwrap().len(), 2);
    world.pass_until(&entry["active_from"]).await;
    assert_eq!(world.ok(&["registry", "image", IMAGE]).await["usable"], true);

    let until = suspend(&world, "image", IMAGE, &members[2]).await;
    let entry = world.ok(&["registry", "image", IMAGE]).await;
    assert_eq!((&entry["status"], &entry["usable"]), (&"suspended".into(), &false.into()));
    assert!(entry["suspended_until"]["unix"].as_u64().unwrap() > until);

    let proposal = propose(&world, &members[1], &["revoke", "image", IMAGE, "--reason", "it leaks"]).await;
    pass(&world, &members, &proposal).await;
    let entry = world.ok(&["registry", "image", IMAGE]).await;
    assert_eq!((&entry["status"], &entry["reason"]), (&"revoked".into(), &"it leaks".into()));
}

#[tokio::test]
async fn rules_money_and_models_are_decided_together() {
    let world = World::new().await;
    let members = members(&world).await;
    let saved = |name: &str| world.file(name);
    let friend = world.person("friend").await;
    world.pay(&friend, &["wallet", "send", &members[0].address.to_string(), "1TON"]).await;
    let friend = friend.address.to_string();
    // The governor's payments come back from where there is no contract; the rest of the proposal is done all the same.
    let nobody = format!("0:{}", "ef".repeat(32));
    let model = "22".repeat(32);
    let parts: [(&str, Vec<&str>); 5] = [
        ("rules", vec!["rules", "--quorum-bps", "3000", "--voting-period", "4d"]),
        ("params", vec!["params", "--min-worker-stake", "150TON"]),
        ("model", vec!["model", &model, "--name", "tiny", "--source-commit", COMMIT, "--reason", "small"]),
        ("transfer", vec!["transfer", &friend, "2TON", "--comment", "for the audit"]),
        ("lost", vec!["transfer", &nobody, "1TON"]),
    ];
    for (name, what) in &parts {
        let file = saved(name);
        let args = [&["dao", "propose"], &what[..], &["--save", &file, "--wallet", &members[0].wallet]].concat();
        world.ok(&args).await;
    }
    let hopeless =
        ["dao", "propose", "transfer", &nobody, "1TON", "--description", "x", "--wallet", &members[0].wallet, "--yes"];
    assert!(world.fails(4, &hopeless).await.contains("would come back"));
    let governor = world.ok(&["dao", "rules"]).await["governor"].as_str().unwrap().to_owned();
    world.pay(&members[0], &["wallet", "send", &governor, "10TON"]).await;
    let files: Vec<String> = parts.iter().map(|(name, _)| saved(name)).collect();
    let mut what = vec!["actions"];
    what.extend(files.iter().map(String::as_str));
    let proposal = propose(&world, &members[0], &what).await;
    let state = pass(&world, &members, &proposal).await;
    let kinds: Vec<_> = state["actions"].as_array().unwrap().iter().map(|a| a["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["set-rules", "set-params", "schedule-model", "transfer", "transfer"]);

    let rules = world.ok(&["dao", "rules"]).await;
    assert_eq!((&rules["quorum_bps"], &rules["voting_period"]), (&3000.into(), &(4 * 86_400).into()));
    assert_eq!(rules["timelock"], 2 * 86_400, "what was not named stays");
    assert_eq!(nano(&world.ok(&["registry", "show"]).await["min_worker_stake"]), 150 * TON);
    assert_eq!(world.ok(&["registry", "model", &model]).await["name"], "tiny");
    assert!(world.balance(&friend.parse().unwrap()).await > 1_000_900_000_000);
    assert_eq!(world.balance(&nobody.parse().unwrap()).await, 0);
}

#[tokio::test]
async fn what_nobody_understands_is_flagged_and_shown_raw() {
    let world = World::new().await;
    let members = members(&world).await;
    let file = world.file("raw.json");
    let registry = world.registry.to_string();
    // An operation that no contract of ours has: 0xdeadbeef.
    let mut body = tycho_types::cell::CellBuilder::new();
    body.store_u32(0xdead_beef).unwrap();
    let boc = tycho_types::boc::Boc::encode(body.build().unwrap());
    let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, boc);
    let text = serde_json::json!([{ "to": registry, "value": "0TON", "gas": "0.1TON", "body": body }]);
    std::fs::write(&file, text.to_string()).unwrap();
    let proposal = propose(&world, &members[0], &["actions", &file]).await;
    let shown = world.ok(&["dao", "show", &proposal]).await;
    let action = &shown["actions"][0];
    assert_eq!(
        (&action["kind"], &action["understood"], &action["body"]),
        (&"unknown".into(), &false.into(), &body.into())
    );
    assert!(action["warning"].as_str().unwrap().contains("before you vote"));
    assert!(action["title"].as_str().unwrap().contains("0xdeadbeef"));
}

#[tokio::test]
async fn a_defeated_proposal_is_closed_and_pays_for_it() {
    let world = World::new().await;
    let members = members(&world).await;
    let proposal = propose(&world, &members[0], &["min-tcb", "17"]).await;
    let close = ["dao", "close", &proposal, "--wallet", &members[0].wallet, "--yes"];
    assert!(world.fails(4, &close).await.contains("it is pending"));
    world.pass_until(&world.ok(&["dao", "show", &proposal]).await["voting_starts"]).await;
    world.pay(&members[1], &["dao", "vote", &proposal, "no"]).await;
    world.pay(&members[2], &["dao", "vote", &proposal, "abstain"]).await;
    world.pass_until(&world.ok(&["dao", "show", &proposal]).await["voting_ends"]).await;
    assert_eq!(world.ok(&["dao", "show", &proposal]).await["status"], "defeated");
    let execute = ["dao", "execute", &proposal, "--wallet", &members[0].wallet, "--yes"];
    assert!(world.fails(4, &execute).await.contains("it is defeated"));
    world.ok(&close).await;
    assert_eq!(nano(&world.ok(&["dao", "show", &proposal]).await["bond"]), 0);
}

#[tokio::test]
async fn attack_37_a_forged_proposal_is_not_shown() {
    let world = World::new().await;
    let members = members(&world).await;
    for address in [world.registry.to_string(), members[0].address.to_string(), format!("0:{}", "ab".repeat(32))] {
        let said = world.fails(4, &["dao", "show", &address]).await;
        assert!(said.contains("proposal"), "{said}");
    }
}

#[tokio::test]
async fn proposing_takes_stake_and_a_new_description() {
    let world = World::new().await;
    let members = members(&world).await;
    let poor = world.person("poor").await;
    let args = ["dao", "propose", "min-tcb", "17", "--description", "x", "--wallet", &poor.wallet, "--yes"];
    assert!(world.fails(4, &args).await.contains("deposit first"));
    world.pay(&poor, &["stake", "deposit", "5TON"]).await;
    world.pass(86_400).await;
    assert!(world.fails(4, &args).await.contains("proposing takes 100 TON"));
    propose(&world, &members[0], &["min-tcb", "17"]).await;
    let again = [
        "dao",
        "propose",
        "min-tcb",
        "17",
        "--description",
        "Because it is good",
        "--wallet",
        &members[1].wallet,
        "--yes",
    ];
    assert!(world.fails(4, &again).await.contains("change the description"));
}
