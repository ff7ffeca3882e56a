//! Bad input is refused before anything is sent, with words that help.

use crate::world::World;

#[tokio::test]
async fn bad_arguments_are_refused_with_advice() {
    let world = World::new().await;
    let alice = world.person("alice").await;
    let to = alice.address.to_string();
    let wallet = &alice.wallet;
    let hash = "11".repeat(32);
    let cases: [(&[&str], &str); 22] = [
        (&["wallet", "send", &to, "5", "--wallet", wallet], "5TON"),
        (&["wallet", "send", &to, "-5TON", "--wallet", wallet], "unexpected argument"),
        (&["wallet", "send", &to, "5USD", "--wallet", wallet], "no unit of Toncoin"),
        (&["wallet", "send", "0:12", "5TON", "--wallet", wallet], "64 hexadecimal"),
        (
            &["wallet", "send", "EQDrjaLahLkMB-hMCmkzOyBuHJ139ZUYmPHu6RRBKnbdLIYX", "5TON", "--wallet", wallet],
            "address",
        ),
        (&["wallet", "send", &to, "5TON"], "--wallet"),
        (&["wallet", "send", &to, "5TON", "--wallet", wallet, "--wallet-version", "v9"], "v5r1"),
        (&["stake", "deposit", "100", "--wallet", wallet], "100TON"),
        (&["stake", "unbond", "first", "--wallet", wallet], "first"),
        (&["stake", "node", "register", "--bond", "1TON", "--wallet", wallet], "--node-key"),
        (&["stake", "node", "retire", "12", "--wallet", wallet], "64 hexadecimal"),
        (&["stake", "node", "retire", &"00".repeat(32), "--wallet", wallet], "order"),
        (&["channel", "top-up", &to, "1.0000000001TON", "--wallet", wallet], "nine decimals"),
        (&["dao", "vote", &to, "maybe", "--wallet", wallet], "abstain"),
        (&["dao", "propose", "image", "12", "--role", "worker"], "64 hexadecimal"),
        (&["dao", "propose", "image", &hash, "--role", "boss"], "worker"),
        (&["dao", "propose", "image", &hash, "--role", "worker", "--source-commit", "abc"], "40 or 64"),
        (&["dao", "propose", "params", "--description", "x", "--wallet", wallet], "required"),
        (&["dao", "propose", "params", "--activation-delay", "3", "--description", "x"], "no unit"),
        (&["dao", "propose", "deprecate", "image", &hash, "--sunset", "soon", "--reason", "r"], "+3d"),
        (&["registry", "image", "zz"], "64 hexadecimal"),
        (&["devnet", "advance", "3"], "no unit"),
    ];
    for (args, word) in cases {
        let said = world.fails(2, args).await;
        assert!(said.contains(word), "{args:?}: {said}");
    }
}

#[tokio::test]
async fn bad_files_are_named() {
    let world = World::new().await;
    let alice = world.person("alice").await;
    let to = alice.address.to_string();
    let missing = world.file("missing");
    assert!(world.fails(1, &["wallet", "send", &to, "1TON", "--wallet", &missing, "--yes"]).await.contains("missing"));
    let junk = world.file("junk");
    std::fs::write(&junk, "not words").unwrap();
    let said = world.fails(1, &["wallet", "show", &junk]).await;
    assert!(said.contains("chmod 600"), "{said}");
    let network = world.file("network.json");
    std::fs::write(&network, "{").unwrap();
    let mut session = cocoon_cli::session::Session::terminal();
    let ended = cocoon_cli::run(["cocoon", "registry", "show", "--network", &network], &mut session).await;
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("network.json"), "{}", ended.stderr);
    let ended = cocoon_cli::run(["cocoon", "registry", "show"], &mut session).await;
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("COCOON_NETWORK"), "{}", ended.stderr);
}

#[tokio::test]
async fn errors_are_json_for_programs() {
    let world = World::new().await;
    let ended = world.run(&["registry", "image", &"11".repeat(32), "--json"]).await;
    assert_eq!(ended.code, 4);
    let value: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&value["ok"], &value["error"]["exit_code"]), (&false.into(), &4.into()));
    assert!(value["error"]["message"].as_str().unwrap().contains("does not know"));
}

#[tokio::test]
async fn every_command_explains_itself() {
    let world = World::new().await;
    let nouns = ["wallet", "key", "channel", "stake", "dao", "registry", "fault", "devnet"];
    let deeper = [&["stake", "node"][..], &["dao", "propose"], &["registry", "proxy"]];
    for args in nouns.iter().map(std::slice::from_ref).chain(deeper) {
        let help = world.run(&[args, &["--help"]].concat()).await;
        assert_eq!(help.code, 0);
        // Every line of the list of commands has words after the name.
        let commands = help.stdout.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
        for line in commands.lines().filter(|l| l.starts_with("  ") && !l.starts_with("   ")) {
            assert!(line.split_whitespace().count() > 2, "{args:?}: {line}");
        }
    }
}
