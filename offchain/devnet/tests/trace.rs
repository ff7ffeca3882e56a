//! Replays what the C++ TVM did with every contract of this project, and with the wallets: the devnet must do the same, to
//! the hash. The trace is recorded by `npm run record-trace` in sandbox-tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "common/unsent.rs"]
mod unsent;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cocoon_chain::getter::{from_vm, run_method};
use cocoon_chain::{AccountSnapshot, Cell, ComputeOutcome, Head, NetworkConfig, StateInit, TransactionRecord};
use cocoon_devnet::genesis;
use cocoon_devnet::tvm::{Moment, NotExecuted, Rules};
use cocoon_protocol::{Nano, StdAddr, UnixSeconds};
use cocoon_wrappers::StackValue;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tycho_types::boc::Boc;
use tycho_types::cell::{CellBuilder, HashBytes};
use tycho_types::dict::Dict;
use tycho_types::models::{ComputePhaseSkipReason, IntAddr, Message, MsgInfo, ShardAccount};
use tycho_vm::{NoLibraries, Stack};
use unsent::agrees_but_for_unsent;

struct Trace {
    records: Vec<Value>,
    cells: BTreeMap<u32, Cell>,
    config: NetworkConfig,
    rules: Rules,
}

static TRACE: LazyLock<Trace> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = root.join("tests/traces");
    let read = |path: PathBuf| std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let json: Value = serde_json::from_slice(&read(folder.join("contracts.json"))).unwrap();
    assert_eq!(json["format"], 1);
    let boc = read(folder.join(json["cells"]["file"].as_str().unwrap()));
    assert_eq!(hex::encode(Sha256::digest(&boc)), json["cells"]["sha256"].as_str().unwrap(), "cells of the trace");
    assert_eq!(
        hex::encode(Sha256::digest(genesis::CONFIG)),
        json["config"]["sha256"].as_str().unwrap(),
        "the trace was recorded with another configuration: record it again"
    );
    let dict = Dict::<u32, Cell>::from_raw(Some(Boc::decode(boc).unwrap()));
    let cells: BTreeMap<u32, Cell> = dict.iter().map(Result::unwrap).collect();
    assert_eq!(cells.len() as u64, json["cells"]["count"].as_u64().unwrap());
    let config = genesis::config().unwrap();
    // The prices of the configuration have not changed in the whole time of the trace.
    let rules = Rules::new(&config, UnixSeconds(1_760_000_000)).unwrap();
    Trace { records: json["records"].as_array().unwrap().clone(), cells, config, rules }
});

/// The first figure in which the replay differs, with both values.
type Difference = String;

fn same<T: PartialEq + std::fmt::Debug>(what: &str, devnet: T, recorded: T) -> Result<(), Difference> {
    if devnet == recorded { Ok(()) } else { Err(format!("{what}: {devnet:?} here, {recorded:?} recorded")) }
}

impl Trace {
    fn cell(&self, key: &Value) -> Cell {
        self.cells[&u32::try_from(key.as_u64().unwrap()).unwrap()].clone()
    }

    fn replay(&self, record: &Value) -> Result<(), Difference> {
        match record["kind"].as_str().unwrap() {
            "tx" | "refused" => self.transaction(record),
            "get" => self.getter(record),
            other => panic!("unknown kind of record: {other}"),
        }
    }

    fn transaction(&self, record: &Value) -> Result<(), Difference> {
        let before: ShardAccount = self.cell(&record["account"]).parse().unwrap();
        let message = self.cell(&record["message"]);
        let lt: u64 = record["lt"].as_str().unwrap().parse().unwrap();
        let moment = Moment {
            utime: UnixSeconds(number(&record["now"]).try_into().unwrap()),
            block_lt: lt - lt % 1_000_000,
            min_lt: lt,
            seed: record["seed"].as_str().map_or(HashBytes::ZERO, |seed| seed.parse().unwrap()),
        };
        let (dst, is_external) = match message.parse::<Message<'_>>().unwrap().info {
            MsgInfo::Int(info) => (info.dst, false),
            MsgInfo::ExtIn(info) => (info.dst, true),
            MsgInfo::ExtOut(_) => panic!("nobody receives this"),
        };
        let IntAddr::Std(dst) = dst else { panic!("{dst}") };
        let executed = self.rules.execute(&moment, &dst, &message, is_external, &before);
        if record["kind"] == "refused" {
            let exit_code = record["exit"].as_i64().map(|code| i32::try_from(code).unwrap());
            let refused = match executed {
                Err(NotExecuted::NotAccepted { exit_code, .. }) => Ok(exit_code),
                other => Err(other.map(|_| ())),
            };
            return same("refusal", refused, Ok(exit_code));
        }
        let executed = executed.map_err(|e| format!("not executed here: {e}"))?;
        let transaction = executed.transaction.inner().clone();
        let read = TransactionRecord::from_cell(dst.workchain, transaction.clone()).unwrap();
        let at = Head { seqno: 1, utime: moment.utime, lt };
        let after = AccountSnapshot::from_state(dst.clone(), &executed.state, at).unwrap();

        let out = &record["out"];
        same("gas", read.gas_used(), out["gas"].as_u64().unwrap())?;
        same("exit code", read.exit_code().map(i64::from), out["exit"].as_i64())?;
        same("skipped", skipped(&read), out["skipped"].as_str())?;
        same("action result", read.action.map(|a| i64::from(a.result_code)), out["action"].as_i64())?;
        same("aborted", read.aborted, out["aborted"].as_bool().unwrap())?;
        same("fees", read.total_fees, amount(&out["fees"]))?;
        same("balance", after.balance, amount(&out["balance"]))?;
        let (recorded, account) = (self.cell(&out["transaction"]), self.cell(&out["account"]));
        if agrees_but_for_unsent(&executed, &recorded, &account).map_err(|e| e.to_string())? {
            return Ok(());
        }
        same("transaction", transaction.repr_hash(), recorded.repr_hash())?;
        let state = CellBuilder::build_from(&executed.state).unwrap();
        same("account", state.repr_hash(), account.repr_hash())
    }

    fn getter(&self, record: &Value) -> Result<(), Difference> {
        let address: StdAddr = record["address"].as_str().unwrap().parse().unwrap();
        let state = StateInit {
            code: Some(self.cell(&record["code"])),
            data: Some(self.cell(&record["data"])),
            ..Default::default()
        };
        let at = Head { seqno: 1, utime: UnixSeconds(number(&record["now"]).try_into().unwrap()), lt: 0 };
        let account = AccountSnapshot::hypothetical(address, state, amount(&record["balance"]), at);
        let arguments = stack(&self.cell(&record["arguments"]));
        let method = number(&record["method"]).try_into().unwrap();
        let out = &record["out"];
        let run = run_method(&account, &self.config, &NoLibraries, "recorded", method, &arguments);
        let run = run.map_err(|e| e.to_string())?;
        same("exit code", i64::from(run.exit_code), out["exit"].as_i64().unwrap())?;
        if !run.is_ok() {
            return Ok(());
        }
        same("gas", run.gas_used, out["gas"].as_u64().unwrap())?;
        same("stack", run.stack, stack(&self.cell(&out["stack"])))
    }
}

/// A recorded stack. Slices compare by what is in them: the recorded ones may still hang in the larger cells that they
/// were cut from.
fn stack(cell: &Cell) -> Vec<StackValue> {
    cell.parse::<Stack>().unwrap().items.iter().map(|item| from_vm(item).unwrap()).collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn amount(value: &Value) -> Nano {
    Nano::new(value.as_str().unwrap().parse().unwrap())
}

/// As @ton/core names the reasons.
fn skipped(transaction: &TransactionRecord) -> Option<&'static str> {
    match transaction.compute {
        ComputeOutcome::Executed { .. } => None,
        ComputeOutcome::Skipped(reason) => Some(match reason {
            ComputePhaseSkipReason::NoState => "no-state",
            ComputePhaseSkipReason::BadState => "bad-state",
            ComputePhaseSkipReason::NoGas => "no-gas",
            ComputePhaseSkipReason::Suspended => "suspended",
        }),
    }
}

#[test]
fn every_recorded_call_gives_the_same_gas_fees_balances_and_hashes() {
    let mut counts = BTreeMap::<&str, usize>::new();
    let mut differences = vec![];
    for (i, record) in TRACE.records.iter().enumerate() {
        *counts.entry(record["kind"].as_str().unwrap()).or_default() += 1;
        if let Err(difference) = TRACE.replay(record) {
            differences.push(format!("record {i} ({}): {difference}", record["step"].as_str().unwrap()));
        }
    }
    println!("replayed {counts:?}");
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    assert!(counts["tx"] > 100 && counts["get"] > 20 && counts["refused"] > 3, "too little to say much: {counts:?}");
}

#[test]
fn every_altered_figure_is_noticed() {
    let one = |kind: &str, with: &dyn Fn(&Value) -> bool| {
        TRACE.records.iter().find(|r| r["kind"] == kind && with(r)).unwrap_or_else(|| panic!("no such {kind}")).clone()
    };
    let ran = one("tx", &|r| r["out"]["action"].is_i64() && r["out"]["fees"] != "0");
    let idle = one("tx", &|r| r["out"]["skipped"].is_string());
    let got = one("get", &|r| r["out"]["exit"] == 0);
    let refused = one("refused", &|r| r["exit"].is_i64());
    for record in [&ran, &idle, &got, &refused] {
        TRACE.replay(record).unwrap();
    }
    for figure in ["gas", "exit", "action", "aborted", "fees", "balance", "transaction", "account"] {
        notices(&ran, &format!("/out/{figure}"));
    }
    // When and to whom it happened changes the transaction, too.
    for figure in ["/now", "/lt", "/message", "/account"] {
        notices(&ran, figure);
    }
    notices(&idle, "/out/skipped");
    for figure in ["exit", "gas", "stack"] {
        notices(&got, &format!("/out/{figure}"));
    }
    notices(&refused, "/exit");
}

/// Alters one figure: the replay must not agree any more.
fn notices(record: &Value, path: &str) {
    let mut altered = record.clone();
    let value = altered.pointer_mut(path).unwrap();
    *value = match &*value {
        Value::Bool(flag) => Value::from(!*flag),
        Value::Number(n) => Value::from(n.as_i64().unwrap() + 1),
        Value::String(s) if s.parse::<u64>().is_ok() => Value::from((s.parse::<u64>().unwrap() + 1).to_string()),
        Value::String(_) => Value::from("something else"),
        other => panic!("{path} is {other}"),
    };
    // The next cell may be something else than an account or a stack; to find that out is good enough.
    let outcome = std::panic::catch_unwind(|| TRACE.replay(&altered));
    assert!(!matches!(outcome, Ok(Ok(()))), "{path} may be altered");
}
