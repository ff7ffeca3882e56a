//! The services as processes of their own, on a network that they reach through a liteserver; and what an attacker who owns the
//! proxy's machine finds in its memory and on its disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use aho_corasick::AhoCorasick;
use base64::Engine;
use serde_json::{Value, json};

/// A process that ends with the test.
struct Process {
    child: Child,
    stderr: Option<BufReader<std::process::ChildStderr>>,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Process {
    fn start(dir: &Path, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cocoon"))
            .args(args)
            .current_dir(dir)
            .env_remove("RUST_LOG")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = Some(BufReader::new(child.stderr.take().unwrap()));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stderr, stdout }
    }

    /// Reads what it says until a line begins so.
    fn says(&mut self, begin: &str) -> String {
        let mut all = String::new();
        let stderr = self.stderr.as_mut().expect("it was read to the end before");
        loop {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended without saying {begin:?}: {all}");
            all.push_str(&line);
            if line.starts_with(begin) {
                return line;
            }
        }
    }

    /// What it prints when it is ready.
    fn ready(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        // It must never wait because nobody reads what it says.
        let mut stderr = self.stderr.take().unwrap();
        if line.is_empty() {
            let mut said = String::new();
            stderr.read_to_string(&mut said).unwrap();
            panic!("it ended: {said}");
        }
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        serde_json::from_str(&line).unwrap()
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop, as a service manager does, and waits.
    fn stop(mut self) -> Option<i32> {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

/// A development network with its own services, beside which others are started.
struct Network {
    _up: Process,
    ready: Value,
    dir: PathBuf,
}

impl Network {
    fn start(dir: &Path) -> Self {
        let mut up = Process::start(dir, &["up", "--data", "net", "--port", "0", "--json"]);
        let ready = up.ready();
        Self { _up: up, ready, dir: dir.to_owned() }
    }

    fn ok(&self, args: &[&str]) -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_cocoon"))
            .args(args)
            .arg("--json")
            .current_dir(&self.dir)
            .env("COCOON_NETWORK", self.ready["network"].as_str().unwrap())
            .env_remove("RUST_LOG")
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A wallet with money; returns its address.
    fn wallet(&self, name: &str) -> String {
        let made = self.ok(&["wallet", "new", &format!("{name}.wallet"), "--on", "devnet"]);
        let address = made["address"].as_str().unwrap().to_owned();
        self.ok(&["devnet", "faucet", &address, "100000TON"]);
        address
    }

    /// A service's file; a client has no machine of the vendor's.
    fn describe(&self, name: &str, machine: Option<u32>, rest: &str) -> String {
        let file = format!("{name}.toml");
        let platform = machine.map_or(String::new(), |machine| {
            let vendor = "net/keys/simulated-vendor.key";
            format!("[platform]\nkind = \"simulated\"\nvendor = \"{vendor}\"\nmachine = {machine}\n\n")
        });
        let text = format!(
            "[node]\nnetwork = \"net/network.json\"\ndata = \"{name}\"\nwallet = \"{name}.wallet\"\n\n{platform}{rest}"
        );
        std::fs::write(self.dir.join(&file), text).unwrap();
        file
    }

    fn service(&self, kind: &str, file: &str) -> Process {
        Process::start(&self.dir, &[kind, "--config", file, "--json"])
    }

    /// Does what a waiting service asks its owner to do.
    fn obey(&self, service: &mut Process, bond: &str, wallet: &str) {
        let line = service.says("cocoon ");
        let command = line.trim().strip_prefix("cocoon ").unwrap().replace("AMOUNT", bond);
        let args: Vec<&str> = command.split_whitespace().chain(["--wallet", wallet, "--yes"]).collect();
        self.ok(&args);
    }
}

/// Proxy, worker and client, each a process.
struct Services {
    proxy: Process,
    worker: Process,
    client: Process,
    endpoint: String,
    /// The client's channel to the proxy.
    channel: String,
}

fn services(net: &Network, tower: Option<&str>) -> Services {
    net.wallet("proxy");
    let file = net.describe("proxy", Some(11), "[proxy]\nlisten = \"127.0.0.1:0\"\n");
    if let Some(tower) = tower {
        let path = net.dir.join(&file);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text}tower = \"{tower}\"\n")).unwrap();
    }
    let mut proxy = net.service("proxy", &file);
    net.obey(&mut proxy, "5000TON", "proxy.wallet");
    let proxy_key = proxy.ready()["node"].as_str().unwrap().to_owned();

    let owner = net.wallet("owner");
    net.wallet("worker");
    net.ok(&["stake", "deposit", "2000TON", "--wallet", "owner.wallet", "--yes"]);
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/cocoon-tiny");
    let table = format!(
        "[worker]\nowner = \"{owner}\"\nmodel = \"{model}\"\nproxy = \"{proxy_key}\"\n\
         price = {{ prompt = \"20TON\", completion = \"2000TON\" }}\nlog_evidence = true\n"
    );
    let mut worker = net.service("worker", &net.describe("worker", Some(12), &table));
    net.obey(&mut worker, "1000TON", "owner.wallet");
    worker.ready();

    net.wallet("client");
    let table = format!(
        "[client]\nlisten = \"127.0.0.1:0\"\ndeposit = \"20TON\"\ndemand_logged = true\nproxy = \"{proxy_key}\"\n"
    );
    let mut client = net.service("client", &net.describe("client", None, &table));
    let ready = client.ready();
    let [endpoint, channel] = ["endpoint", "channel"].map(|field| ready[field].as_str().unwrap().to_owned());
    Services { proxy, worker, client, endpoint, channel }
}

/// Sends a request to an endpoint on this machine; returns the status and the body.
fn http(url: &str, method: &str, body: &str) -> (u16, String) {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split_whitespace().nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Asks the model; returns the pieces in which its words came. The question travels in the name of its user, too, many times over:
/// so large a text leaves traces wherever it was held.
fn ask(endpoint: &str, question: &str) -> Vec<String> {
    let body = json!({ "user": question.repeat(2_000), "model": "cocoon-tiny", "messages": [{ "role": "user", "content": question }], "max_tokens": 64,
        "temperature": 0, "stream": true });
    let (status, body) = http(&format!("{endpoint}/chat/completions"), "POST", &body.to_string());
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("[DONE]"), "{body}");
    let events = body.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    events.filter_map(|event| Some(event["choices"][0]["delta"]["content"].as_str()?.to_owned())).collect()
}

/// Everything that a process has in its memory and that can be read, one mapping at a time.
fn each_mapping(pid: u32, mut look: impl FnMut(&[u8])) {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut read = 0_u64;
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        // The kernel's own pages at the end of the list cannot be read.
        if !rest.starts_with('r') || rest.contains("[v") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let from = u64::from_str_radix(from, 16).unwrap();
        let length = u64::from_str_radix(to, 16).unwrap() - from;
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        memory.seek(SeekFrom::Start(from)).unwrap();
        // A mapping may have gone since the list was read.
        if memory.read_exact(&mut bytes).is_ok() {
            read += length;
            look(&bytes);
        }
    }
    assert!(read > 1 << 20, "only {read} bytes could be read: this would find nothing anywhere");
}

/// Every file below a folder.
fn each_file(folder: &Path, look: &mut impl FnMut(&[u8])) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each_file(&path, look);
        } else if path.is_file() {
            look(&std::fs::read(&path).unwrap());
        }
    }
}

/// A text in the forms in which a program may hold it: plain, as JSON escapes it, in base64 at each offset, in UTF-16.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let escaped = serde_json::to_string(text).unwrap();
    let mut forms = vec![text.into(), escaped.trim_matches('"').into()];
    for skip in 0..3 {
        let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(&text.as_bytes()[skip..]);
        // The last digits depend on what follows.
        forms.push(encoded.as_bytes()[..encoded.len() - 4].into());
    }
    forms.push(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    forms.push(hex::encode(text).into_bytes());
    forms
}

/// What is looked for of a text: each piece of so many bytes.
fn pieces(text: &str, length: usize) -> Vec<Vec<u8>> {
    let starts = text.char_indices().map(|(at, _)| at);
    starts.filter_map(|at| text.get(at..at + length)).flat_map(forms).collect()
}

/// Which of the needles were found so far.
struct Search {
    needles: AhoCorasick,
    found: BTreeSet<usize>,
}

impl Search {
    fn new(needles: &[Vec<u8>]) -> Self {
        Self { needles: AhoCorasick::new(needles).unwrap(), found: BTreeSet::new() }
    }

    fn look(&mut self, bytes: &[u8]) {
        self.found.extend(self.needles.find_overlapping_iter(bytes).map(|found| found.pattern().as_usize()));
    }
}

#[test]
fn attack_88_the_proxys_memory_and_disk_hold_neither_the_question_nor_the_answer() {
    let dir = tempfile::tempdir().unwrap();
    let net = Network::start(dir.path());
    let s = services(&net, None);
    // Words that are in no program.
    let question = "Zyxomma quipped: what is Toncoin, vexed jackdaw?";
    let asked = pieces(question, 16);
    let mut before = Search::new(&asked);
    each_mapping(s.proxy.pid(), |bytes| before.look(bytes));
    assert_eq!(before.found.len(), 0, "these words are in the proxy before they are said");
    let chunks = ask(&s.endpoint, question);
    let answer = chunks.concat();
    assert!(answer.len() > 24, "too short an answer to look for: {answer:?}");

    // The answer as a whole, and each chunk as it travels.
    let chunk = |text: &String| forms(&format!("\"content\":{}", json!(text)));
    let told: Vec<Vec<u8>> =
        pieces(&answer, 16).into_iter().chain(chunks.iter().filter(|text| text.len() > 1).flat_map(chunk)).collect();
    // The model has learnt words that stand in the program's own help.
    let mut program = Search::new(&told);
    program.look(&std::fs::read(env!("CARGO_BIN_EXE_cocoon")).unwrap());
    let told = told.into_iter().enumerate().filter(|(n, _)| !program.found.contains(n)).map(|(_, told)| told);
    let needles: Vec<Vec<u8>> = asked.iter().cloned().chain(told).collect();
    let in_memory = |process: &Process| {
        let mut search = Search::new(&needles);
        each_mapping(process.pid(), |bytes| search.look(bytes));
        search.found
    };
    let words = |found: &BTreeSet<usize>| -> Vec<String> {
        found.iter().map(|&n| String::from_utf8_lossy(&needles[n]).into_owned()).collect()
    };
    // The same search finds question and answer where they have to be, in the client or the worker: otherwise it could not fail.
    // Memory that was given back is soon written over, so it may take some questions.
    let mut told = [false; 2];
    for round in 1.. {
        assert_eq!(words(&in_memory(&s.proxy)), Vec::<String>::new(), "in the proxy's memory, round {round}");
        for process in [&s.client, &s.worker] {
            let found = in_memory(process);
            told[0] |= found.iter().any(|&n| n < asked.len());
            told[1] |= found.iter().any(|&n| n >= asked.len());
        }
        if told == [true; 2] && round >= 3 {
            break;
        }
        assert!(round < 40, "question and answer, in the client or the worker: {told:?}");
        assert_eq!(ask(&s.endpoint, question).concat(), answer);
    }
    let mut on_disk = Search::new(&needles);
    let mut files = 0;
    each_file(&dir.path().join("proxy"), &mut |bytes| {
        files += 1;
        on_disk.look(bytes);
    });
    assert!(files >= 3, "key, vouchers and chain, at least");
    assert_eq!(words(&on_disk.found), Vec::<String>::new(), "on the proxy's disk");

    // Each stops in order when it is asked to, and the client's money is where its books say.
    for process in [s.client, s.proxy, s.worker] {
        assert_eq!(process.stop(), Some(0));
    }
}

/// A watcher with a tower, and where its API is.
fn watcher(net: &Network) -> (Process, String) {
    net.wallet("watcher");
    let table = "[node]\nnetwork = \"net/network.json\"\ndata = \"watcher\"\nwallet = \"watcher.wallet\"\n\n\
                 [watcher]\nlisten = \"127.0.0.1:0\"\ntower = true\n";
    std::fs::write(net.dir.join("watcher.toml"), table).unwrap();
    let mut watcher = net.service("watcher", "watcher.toml");
    let api = watcher.ready()["api"].as_str().unwrap().to_owned();
    (watcher, api)
}

#[test]
fn a_proxy_that_has_died_is_paid_through_its_tower() {
    let dir = tempfile::tempdir().unwrap();
    let net = Network::start(dir.path());
    let (_watcher, api) = watcher(&net);
    let mut s = services(&net, Some(&api));
    ask(&s.endpoint, "What is Toncoin?");
    let earned = loop {
        let (status, kept) = http(&format!("{api}/vouchers/{}", s.channel), "GET", "");
        if status == 200 {
            break serde_json::from_str::<Value>(&kept).unwrap()["kept"].as_str().unwrap().to_owned();
        }
        std::thread::yield_now();
    };
    s.proxy.child.kill().unwrap();
    s.proxy.child.wait().unwrap();
    // The payer would have it all back.
    net.ok(&["channel", "close", &s.channel, "--wallet", "client.wallet", "--yes"]);
    while net.ok(&["channel", "show", &s.channel])["claimed"]["nano"] != *earned {
        std::thread::yield_now();
    }
}

#[test]
fn a_watcher_serves_its_index_and_keeps_vouchers_for_payees() {
    let dir = tempfile::tempdir().unwrap();
    let net = Network::start(dir.path());
    let (watcher, api) = watcher(&net);
    let get = |what: &str| {
        let (status, body) = http(&format!("{api}/{what}"), "GET", "");
        assert_eq!(status, 200, "{what}: {body}");
        serde_json::from_str::<Value>(&body).unwrap()
    };
    // It catches up with a chain on which a DAO has voted already.
    while get("entries").as_array().unwrap().len() < 3 {
        std::thread::yield_now();
    }
    assert_eq!(get("status")["registry"], net.ready["registry"]);

    // A voucher's file, as it is.
    let payee_key = net.ok(&["key", "new", "payee.key"])["public_key"].as_str().unwrap().to_owned();
    net.ok(&["key", "new", "payer.key"]);
    let payee = net.wallet("payee");
    net.wallet("payer");
    let parties = ["--payee", &payee, "--payee-key", &payee_key, "--voucher-key", "payer.key"];
    let paid = ["--deposit", "10TON", "--challenge", "2h", "--wallet", "payer.wallet", "--yes"];
    let opened = net.ok(&[&["channel", "open"], &parties[..], &paid].concat());
    let channel = opened["channel"].as_str().unwrap().to_owned();
    let sign = |amount: &str| -> Value {
        let out = format!("{amount}.voucher");
        net.ok(&["channel", "sign-voucher", &channel, amount, "--key", "payer.key", "--out", &out]);
        serde_json::from_str(&std::fs::read_to_string(dir.path().join(out)).unwrap()).unwrap()
    };
    let hand_in = |voucher: &Value| http(&format!("{api}/vouchers"), "POST", &voucher.to_string());
    while get("channels").as_array().unwrap().iter().all(|c| c["address"] != *channel) {
        std::thread::yield_now();
    }
    let (status, said) = hand_in(&sign("3TON"));
    assert_eq!((status, said.contains("3000000000")), (200, true), "{said}");
    let (status, said) = hand_in(&sign("2TON"));
    assert_eq!((status, said.contains("not above")), (409, true), "{said}");
    // More than the payer has signed for.
    let mut forged = sign("4TON");
    forged["signature"] = sign("3TON")["signature"].clone();
    let (status, said) = hand_in(&forged);
    assert_eq!((status, said.contains("not signed by the payer")), (422, true), "{said}");

    // The payee is away when the payer closes: the tower claims for it.
    let before = net.ok(&["wallet", "show", "payee.wallet"]);
    net.ok(&["channel", "close", &channel, "--wallet", "payer.wallet", "--yes"]);
    while net.ok(&["channel", "show", &channel])["claimed"]["nano"] != "3000000000" {
        std::thread::yield_now();
    }
    let after = net.ok(&["wallet", "show", "payee.wallet"]);
    assert_ne!(before, after, "the payee has it");

    for (body, expected) in [("", 400), ("{}", 422), ("[]", 422), (&"x".repeat(9_000), 413)] {
        let (status, said) = http(&format!("{api}/vouchers"), "POST", body);
        assert_eq!(status, expected, "{said}");
    }
    assert_eq!(watcher.stop(), Some(0));
}

#[test]
fn mistakes_in_a_services_file_are_named_with_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let node = "[node]\nnetwork = \"nowhere.json\"\ndata = \"d\"\n";
    let simulated = "[platform]\nkind = \"simulated\"\nvendor = \"v\"\nmachine = 1\n";
    let client = |rest: &str| format!("{node}[client]\nlisten = \"127.0.0.1:0\"\n{rest}");
    for (text, word) in [
        (String::new(), "missing field `node`"),
        ("[node\n".to_owned(), "line 1"),
        (client(""), "missing field `deposit`"),
        (client("deposit = \"20\"\n"), "20"),
        (client("deposit = 20\n"), "line 6"),
        (client("deposit = \"20TON\"\ndepositt = \"1TON\"\n"), "depositt"),
        (client("deposit = \"20TON\"\nwindow = 3\n"), "at least 16"),
        (client("deposit = \"20TON\"\nproxy = \"12\"\n"), "64"),
        (client("deposit = \"20TON\"\n").replace("127.0.0.1", "0.0.0.0"), "only addresses of this machine"),
        (format!("{}{simulated}", client("deposit = \"20TON\"\n")), "unknown field `platform`"),
        (client("deposit = \"20TON\"\n"), "nowhere.json"),
    ] {
        std::fs::write(dir.path().join("client.toml"), &text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_cocoon"))
            .args(["client", "--config", "client.toml"])
            .current_dir(dir.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(word), "{text}: {said}");
    }
}
