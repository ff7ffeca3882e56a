//! `cocoon up` and `cocoon devnet serve` as processes, steered by other processes as a person would.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A running network. It ends when this is dropped.
struct Network {
    process: Child,
    ready: Value,
    dir: PathBuf,
}

impl Drop for Network {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Network {
    fn start(dir: &Path, args: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_cocoon"))
            .args(args)
            .current_dir(dir)
            .env_remove("RUST_LOG")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{args:?} says {line:?}"));
        Self { process, ready, dir: dir.to_owned() }
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_cocoon"))
            .args(args)
            .arg("--json")
            .current_dir(&self.dir)
            .env("COCOON_NETWORK", self.ready["network"].as_str().unwrap())
            .env_remove("RUST_LOG")
            .output()
            .unwrap()
    }

    fn ok(&self, args: &[&str]) -> Value {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn text(&self, args: &[&str], field: &str) -> String {
        let value = self.ok(args);
        value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}")).to_owned()
    }

    /// Moves the network's time to a moment that a command has named.
    fn pass_until(&self, moment: &Value) {
        let now = self.ok(&["devnet", "status"])["time"]["unix"].as_u64().unwrap();
        let wait = moment["unix"].as_u64().unwrap().saturating_sub(now) + 1;
        self.ok(&["devnet", "advance", &format!("{wait}s")]);
    }

    /// Somebody with a wallet and money.
    fn person(&self, name: &str) -> String {
        let file = format!("{name}.wallet");
        let made = self.ok(&["wallet", "new", &file, "--on", "devnet"]);
        self.ok(&["devnet", "faucet", made["address"].as_str().unwrap(), "300000TON"]);
        file
    }

    /// Asks the model; returns the status and the body.
    fn chat(&self) -> (u16, Value) {
        let endpoint = self.ready["endpoint"].as_str().unwrap();
        let host = endpoint.strip_prefix("http://").unwrap().strip_suffix("/v1").unwrap();
        let question = json!({ "role": "user", "content": "What is Cocoon?" });
        let body = json!({ "model": self.ready["model"], "messages": [question], "max_tokens": 8 }).to_string();
        let mut stream = TcpStream::connect(host).unwrap();
        write!(
            stream,
            "POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split_whitespace().nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
    }
}

#[test]
fn a_dao_admits_an_image_and_its_council_stops_another_from_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let net = Network::start(dir.path(), &["up", "--data", "net", "--port", "0", "--json"]);
    let members: Vec<String> = ["anna", "ben", "carla"].iter().map(|name| net.person(name)).collect();
    for wallet in &members {
        net.ok(&["stake", "deposit", "200000TON", "--wallet", wallet, "--yes"]);
    }
    net.ok(&["devnet", "advance", "1d"]);

    // Two rebuilders found that the source gives this image.
    let image = "11".repeat(32);
    let rebuild = |number: u8| {
        let key = format!("net/keys/rebuilder-{number}.key");
        let args = ["registry", "sign-rebuild", &image, "--role", "worker", "--source-commit", COMMIT, "--key", &key];
        net.text(&args, "signature")
    };
    let (first, second) = (rebuild(1), rebuild(3));
    let what = ["image", &image, "--role", "worker", "--source-commit", COMMIT, "--reason", "first release"];
    let signed = ["--rebuild", &first, "--rebuild", &second, "--description", "A reason", "--wallet", &members[0]];
    let proposal = net.text(&[&["dao", "propose"], &what[..], &signed[..], &["--yes"]].concat(), "proposal");
    net.pass_until(&net.ok(&["dao", "show", &proposal])["voting_starts"]);
    for wallet in &members {
        net.ok(&["dao", "vote", &proposal, "yes", "--wallet", wallet, "--yes"]);
    }
    net.pass_until(&net.ok(&["dao", "show", &proposal])["executable_from"]);
    net.ok(&["dao", "execute", &proposal, "--wallet", &members[1], "--yes"]);
    let entry = net.ok(&["registry", "image", &image]);
    assert_eq!((&entry["status"], &entry["source_commit"]), (&"scheduled".into(), &COMMIT.into()));
    net.pass_until(&entry["active_from"]);
    assert_eq!(net.ok(&["registry", "image", &image])["usable"], true);

    // The services have lived through all that time. Then the council stops the image that the worker runs.
    let (status, answer) = net.chat();
    assert_eq!(status, 200, "{answer}");
    let running = net.ready["images"]["worker"].as_str().unwrap();
    let sign = |number: u8, until: &str| {
        let key = format!("net/keys/council-{number}.key");
        net.ok(&["registry", "sign-suspension", "image", running, "--valid-until", until, "--key", &key])
    };
    let first = sign(1, "+1h");
    let until = first["valid_until"].as_str().unwrap();
    let second = sign(2, until);
    let suspend = ["registry", "suspend", "image", running, "--valid-until", until, "--reason", "it leaks"];
    let signatures = [&first, &second].map(|signed| signed["signature"].as_str().unwrap());
    let signatures = ["--signature", signatures[0], "--signature", signatures[1]];
    net.ok(&[&suspend[..], &signatures[..], &["--wallet", &members[2], "--yes"]].concat());
    assert_eq!(net.ok(&["registry", "image", running])["status"], "suspended");
    let (status, answer) = net.chat();
    assert_eq!((status, &answer["error"]["code"]), (429, &"overloaded".into()), "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("no worker"), "{answer}");
}

#[test]
fn a_chain_by_itself_is_funded_copied_and_goes_on_from_the_copy() {
    let dir = tempfile::tempdir().unwrap();
    let rich = format!("0:{}", "ab".repeat(32));
    let prefund = format!("{rich}=1000TON");
    let serve = |folder: &str, more: &[&str]| {
        let base = ["devnet", "serve", "--data", folder, "--block-time", "0", "--ready-json"];
        Network::start(dir.path(), &[&base[..], more].concat())
    };
    let net = serve("one", &["--prefund", &prefund, "--global-id", "-7", "--config-out", "one.config.json"]);
    assert!(dir.path().join("one.config.json").is_file());
    assert!(net.ready["liteserver"].as_str().unwrap().starts_with("127.0.0.1:"));
    net.ok(&["devnet", "advance", "3d"]);
    let before = net.ok(&["devnet", "status"]);
    assert_eq!(before["network"], "-7");
    assert_eq!(net.ok(&["devnet", "fault", "stall"])["fault"], "stall");
    assert_eq!(net.ok(&["devnet", "fault", "none"])["fault"], "none");
    assert_eq!(net.run(&["devnet", "fault", "lie"]).status.code(), Some(2));
    // Only wallets can be used: there is no registry.
    let output = net.run(&["registry", "show"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no registry"), "{output:?}");

    net.ok(&["devnet", "snapshot", "copy"]);
    let restored = net.ok(&["devnet", "restore", "copy", "two"]);
    assert_eq!(restored["block"], before["block"]);
    assert!(!net.run(&["devnet", "restore", "copy", "two"]).status.success(), "nothing is replaced");
    assert!(!net.run(&["devnet", "restore", "nowhere", "three"]).status.success());
    let two = serve("two", &[]);
    let after = two.ok(&["devnet", "status"]);
    assert_eq!((&after["network"], &after["block"]), (&before["network"], &before["block"]));
    let given = two.ok(&["devnet", "faucet", &rich, "1TON"]);
    let balance: u64 = given["balance"]["nano"].as_str().unwrap().parse().unwrap();
    assert!((1_000_900_000_000..=1_001_000_000_000).contains(&balance), "less a little rent: {given}");
}
