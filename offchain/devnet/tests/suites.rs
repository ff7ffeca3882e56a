//! Makes every call again that the contract tests made on @ton/sandbox, the C++ TVM: the Rust TVM must do the same, transaction
//! for transaction, to the hash.
//!
//! The tests write down their calls when `COCOON_RECORD` names a folder (the format is explained in
//! sandbox-tests/trace/suites.ts); `COCOON_SUITE_TRACE` names that folder here:
//!
//! ```text
//! (cd sandbox-tests && COCOON_RECORD="$folder" npm test)
//! COCOON_SUITE_TRACE="$folder" cargo test -p cocoon-devnet --test suites
//! ```
//!
//! Without it only the trace in tests/traces is replayed, which is committed because it is small.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "common/unsent.rs"]
mod unsent;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cocoon_chain::getter::{from_vm, run_method};
use cocoon_chain::{AccountSnapshot, Cell, Head, NetworkConfig, StateInit, TransactionRecord};
use cocoon_devnet::tvm::{Moment, NotExecuted, Rules};
use cocoon_devnet::{genesis, tvm::Executed};
use cocoon_protocol::{Nano, StdAddr, UnixSeconds};
use cocoon_wrappers::StackValue;
use serde_json::Value;
use tycho_types::boc::Boc;
use tycho_types::boc::de::{BocHeader, Options};
use tycho_types::cell::{CellBuilder, CellFamily, HashBytes};
use tycho_types::dict::Dict;
use tycho_types::models::{IntAddr, Message, MsgInfo, ShardAccount};
use tycho_vm::{NoLibraries, Stack};
use unsent::agrees_but_for_unsent;

/// Calls that go otherwise on the Rust TVM, by no fault of this project: suite, difference, how often, and why. One that is gone
/// must be struck out.
const KNOWN: &[(&str, &str, usize, &str)] = &[(
    "governance.votes",
    "exit code: Some(0) here, Some(5) recorded",
    1,
    "tycho-vm 0.3.7 stores a negative number with STGRAMS, where C++ throws; only a stake account that hears a refusal \
     of what it never asked for comes to that",
)];

/// Fewer records than this say that the recording went wrong.
const ENOUGH: usize = 8000;

/// A message on its way to an account.
#[derive(Clone)]
struct Call {
    account: Cell,
    message: Cell,
    config: Cell,
    now: u32,
    lt: u64,
    seed: HashBytes,
}

#[derive(Clone)]
enum Record {
    /// It became a transaction.
    Transaction { call: Call, after: Cell, transaction: Cell },
    /// The account did not accept it.
    Refused { call: Call, exit: Option<i32> },
    /// A method was asked.
    Getter {
        account: Box<AccountSnapshot>,
        config: Cell,
        method: u32,
        arguments: Cell,
        stack: Cell,
        gas: u64,
        exit: i64,
    },
}

/// What one test file did.
struct Suite {
    name: String,
    records: Vec<Record>,
}

/// The first figure in which the replay differs, with both values.
type Difference = String;

fn same<T: PartialEq + std::fmt::Debug>(what: &str, here: &T, recorded: &T) -> Result<(), Difference> {
    if here == recorded { Ok(()) } else { Err(format!("{what}: {here:?} here, {recorded:?} recorded")) }
}

fn integer<T: TryFrom<u64>>(value: &Value) -> T {
    let number = match value {
        Value::String(digits) => digits.parse().unwrap(),
        other => other.as_u64().unwrap_or_else(|| panic!("{other} is no number")),
    };
    T::try_from(number).ok().unwrap_or_else(|| panic!("{number} is too large"))
}

fn seed(value: &Value) -> HashBytes {
    value.as_str().map_or(HashBytes::ZERO, |seed| seed.parse().unwrap())
}

/// A recording and the committed trace have the same figures under other names.
fn read_record(record: &Value, cell: &dyn Fn(&Value) -> Cell, config: &Cell) -> Record {
    let out = record.get("out").unwrap_or(record);
    let kind = record["kind"].as_str().unwrap();
    if matches!(kind, "g" | "get") {
        let state =
            StateInit { code: Some(cell(&record["code"])), data: Some(cell(&record["data"])), ..Default::default() };
        let at = Head { seqno: 1, utime: UnixSeconds(integer(&record["now"])), lt: 0 };
        let balance = Nano::new(record["balance"].as_str().unwrap().parse().unwrap());
        let address: StdAddr = record["address"].as_str().unwrap().parse().unwrap();
        return Record::Getter {
            account: Box::new(AccountSnapshot::hypothetical(address, state, balance, at)),
            config: config.clone(),
            method: integer(&record["method"]),
            arguments: cell(&record["arguments"]),
            stack: cell(&out["stack"]),
            gas: integer(&out["gas"]),
            exit: out["exit"].as_i64().unwrap(),
        };
    }
    let call = Call {
        account: cell(&record["account"]),
        message: cell(&record["message"]),
        config: config.clone(),
        now: integer(&record["now"]),
        lt: integer(&record["lt"]),
        seed: seed(&record["seed"]),
    };
    match kind {
        "t" => Record::Transaction { call, after: cell(&record["after"]), transaction: cell(&record["transaction"]) },
        "tx" => Record::Transaction { call, after: cell(&out["account"]), transaction: cell(&out["transaction"]) },
        "r" | "refused" => {
            Record::Refused { call, exit: record["exit"].as_i64().map(|code| i32::try_from(code).unwrap()) }
        }
        other => panic!("unknown kind of record: {other}"),
    }
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

impl Suite {
    /// One test file's recording: NAME.jsonl and NAME.boc beside it.
    fn recorded(path: &Path) -> Self {
        let boc = read(&path.with_extension("boc"));
        let options = Options { min_roots: Some(1), max_roots: Some(usize::MAX) };
        let header = BocHeader::decode(&boc, &options).unwrap();
        let cells = header.finalize(Cell::empty_context()).unwrap();
        let roots: Vec<Cell> = header.roots().iter().map(|&root| cells.get(root).unwrap()).collect();

        let text = String::from_utf8(read(path)).unwrap();
        let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let head = lines.next().unwrap_or_else(|| panic!("{} is empty", path.display()));
        assert_eq!(head["format"], 2, "{}", path.display());
        assert_eq!(roots.len() as u64, integer::<u64>(&head["cells"]), "{}: cells", path.display());
        let cell = |name: &Value| roots[integer::<usize>(name)].clone();
        let records: Vec<Record> = lines.map(|r| read_record(&r, &cell, &cell(&r["config"]))).collect();
        let promised: usize =
            ["transactions", "refused", "getters"].iter().map(|kind| integer::<usize>(&head[*kind])).sum();
        assert_eq!(records.len(), promised, "{}: records", path.display());
        Self { name: head["suite"].as_str().unwrap().to_owned(), records }
    }

    /// The trace in tests/traces.
    fn committed() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/traces");
        let json: Value = serde_json::from_slice(&read(&folder.join("contracts.json"))).unwrap();
        let root = Boc::decode(read(&folder.join(json["cells"]["file"].as_str().unwrap()))).unwrap();
        let dict = Dict::<u32, Cell>::from_raw(Some(root));
        let cells: BTreeMap<u32, Cell> = dict.iter().map(Result::unwrap).collect();
        let config = Boc::decode(genesis::CONFIG).unwrap();
        let cell = |name: &Value| cells[&integer::<u32>(name)].clone();
        let records = json["records"].as_array().unwrap().iter().map(|r| read_record(r, &cell, &config)).collect();
        Self { name: "tests/traces".into(), records }
    }
}

/// Rules of each configuration that the tests use, read once.
#[derive(Default)]
struct Replay {
    known: BTreeMap<HashBytes, (NetworkConfig, Rules)>,
}

impl Replay {
    fn rules(&mut self, config: &Cell) -> &(NetworkConfig, Rules) {
        self.known.entry(*config.repr_hash()).or_insert_with(|| {
            let network = NetworkConfig::from_cell(config.clone()).unwrap();
            // The only storage prices of these configurations hold from the beginning.
            let rules = Rules::new(&network, UnixSeconds(1_760_000_000)).unwrap();
            (network, rules)
        })
    }

    fn run(&mut self, record: &Record) -> Result<(), Difference> {
        match record {
            Record::Transaction { call, after, transaction } => {
                let executed = self.execute(call).map_err(|e| format!("not executed here: {e}"))?;
                let here = executed.transaction.inner().clone();
                if here.repr_hash() == transaction.repr_hash() {
                    let state = CellBuilder::build_from(&executed.state).unwrap();
                    return same("account", state.repr_hash(), after.repr_hash());
                }
                if agrees_but_for_unsent(&executed, transaction, after)
                    .map_err(|e| format!("not a transaction: {e}"))?
                {
                    return Ok(());
                }
                Err(unlike(&here, transaction))
            }
            Record::Refused { call, exit } => {
                let here = match self.execute(call) {
                    Err(NotExecuted::NotAccepted { exit_code, .. }) => Ok(exit_code),
                    other => Err(other.map(|_| ())),
                };
                same("refusal", &here, &Ok(*exit))
            }
            Record::Getter { account, config, method, arguments, stack, gas, exit } => {
                let (network, _) = self.rules(config);
                let run = run_method(account, network, &NoLibraries, "recorded", *method, &values(arguments)?);
                let run = run.map_err(|e| e.to_string())?;
                same("exit code", &i64::from(run.exit_code), exit)?;
                if !run.is_ok() {
                    return Ok(());
                }
                same("gas", &run.gas_used, gas)?;
                same("stack", &Ok(run.stack), &values(stack))
            }
        }
    }

    fn execute(&mut self, call: &Call) -> Result<Executed, NotExecuted> {
        let moment = Moment {
            utime: UnixSeconds(call.now),
            block_lt: call.lt - call.lt % 1_000_000,
            min_lt: call.lt,
            seed: call.seed,
        };
        let unreadable = |e: tycho_types::error::Error| NotExecuted::Failed(format!("the record cannot be read: {e}"));
        let (to, is_external) = match call.message.parse::<Message<'_>>().map_err(unreadable)?.info {
            MsgInfo::Int(info) => (info.dst, false),
            MsgInfo::ExtIn(info) => (info.dst, true),
            MsgInfo::ExtOut(_) => panic!("nobody receives this"),
        };
        let IntAddr::Std(to) = to else { panic!("{to}") };
        let before: ShardAccount = call.account.parse().map_err(unreadable)?;
        let (_, rules) = self.rules(&call.config);
        rules.execute(&moment, &to, &call.message, is_external, &before)
    }
}

/// Where two transactions differ, as far as their figures tell.
fn unlike(here: &Cell, recorded: &Cell) -> Difference {
    let read = |cell: &Cell| TransactionRecord::from_cell(0, cell.clone());
    let (Ok(a), Ok(b)) = (read(here), read(recorded)) else { return "one is no transaction".into() };
    let figures = same("exit code", &a.exit_code(), &b.exit_code())
        .and_then(|()| same("gas", &a.gas_used(), &b.gas_used()))
        .and_then(|()| same("action", &a.action.map(|x| x.result_code), &b.action.map(|x| x.result_code)))
        .and_then(|()| same("fees", &a.total_fees, &b.total_fees))
        .and_then(|()| same("messages", &a.out_messages.len(), &b.out_messages.len()));
    let boc = |cell: &Cell| hex::encode(Boc::encode(cell.clone()));
    figures.err().unwrap_or_else(|| format!("transaction: {} here, {} recorded", boc(here), boc(recorded)))
}

/// A recorded stack. Slices compare by what is in them: the recorded ones may still hang in the larger cells that they
/// were cut from.
fn values(cell: &Cell) -> Result<Vec<StackValue>, Difference> {
    let stack = cell.parse::<Stack>().map_err(|e| format!("not a stack: {e}"))?;
    Ok(stack.items.iter().map(|item| from_vm(item).unwrap()).collect())
}

/// What was replayed so far, and what went otherwise here.
#[derive(Default)]
struct Verdict {
    total: usize,
    differences: Vec<String>,
}

impl Verdict {
    fn replay(&mut self, Suite { name, records }: &Suite) {
        let mut replay = Replay::default();
        for (i, record) in records.iter().enumerate() {
            if let Err(difference) = replay.run(record) {
                self.differences.push(format!("{name}, line {}: {difference}", i + 2));
            }
        }
        println!("{name}: {} calls", records.len());
        self.total += records.len();
    }

    /// How many calls there were; fails when one of them differs that is not known to, or no longer does.
    fn finish(self, known: &[(&str, &str, usize, &str)]) -> usize {
        let Self { total, mut differences } = self;
        for (suite, difference, times, why) in known {
            let before = differences.len();
            differences
                .retain(|d| !(d.starts_with(&format!("{suite}, line ")) && d.ends_with(&format!(": {difference}"))));
            let met = before - differences.len();
            if met != *times {
                differences.push(format!("{suite}: {difference}: {met} times, known {times} times ({why})"));
            }
        }
        let shown = differences.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
        assert!(differences.is_empty(), "{} of {total} calls differ:\n{shown}", differences.len());
        println!("{total} calls gave the same");
        total
    }
}

#[test]
fn every_call_of_the_contract_tests_gives_the_same() {
    let Some(folder) = std::env::var_os("COCOON_SUITE_TRACE").map(PathBuf::from) else {
        println!("COCOON_SUITE_TRACE is not set: only the committed trace is replayed, not the whole suites");
        let mut verdict = Verdict::default();
        verdict.replay(&Suite::committed());
        assert!(verdict.finish(&[]) > 100);
        return;
    };
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("COCOON_SUITE_TRACE={}: {e}", folder.display()));
    let mut files: Vec<PathBuf> =
        entries.map(|e| e.unwrap().path()).filter(|f| f.extension().is_some_and(|e| e == "jsonl")).collect();
    files.sort();
    let mut verdict = Verdict::default();
    for file in files {
        // One at a time: a registry at its limits is large.
        verdict.replay(&Suite::recorded(&file));
    }
    let total = verdict.finish(KNOWN);
    assert!(
        total >= ENOUGH,
        "{}: {total} calls are too few for all suites: was the recording cut off?",
        folder.display()
    );
}

#[test]
fn every_altered_figure_of_a_call_is_noticed() {
    let suite = Suite::committed();
    let mut replay = Replay::default();
    let other = CellBuilder::build_from(7_u32).unwrap();
    let mut noticed = BTreeMap::<&str, usize>::new();
    let mut notices = |what: &'static str, altered: Record| {
        assert!(Replay::default().run(&altered).is_err(), "{what} may be altered");
        *noticed.entry(what).or_default() += 1;
    };
    for record in suite.records.iter().step_by(7) {
        replay.run(record).unwrap();
        match record.clone() {
            Record::Transaction { call, after, transaction } => {
                let with =
                    |call: Call| Record::Transaction { call, after: after.clone(), transaction: transaction.clone() };
                notices("now", with(Call { now: call.now + 1, ..call.clone() }));
                notices("lt", with(Call { lt: call.lt + 1, ..call.clone() }));
                notices("message", with(Call { message: other.clone(), ..call.clone() }));
                notices(
                    "after",
                    Record::Transaction { call: call.clone(), after: other.clone(), transaction: transaction.clone() },
                );
                notices("transaction", Record::Transaction { call, after, transaction: other.clone() });
            }
            Record::Refused { call, exit } => {
                notices("exit of a refusal", Record::Refused { call, exit: exit.map_or(Some(1), |e| Some(e + 1)) });
            }
            Record::Getter { account, config, method, arguments, stack, gas, exit } => {
                let with = |stack: Cell, gas, exit| Record::Getter {
                    account: account.clone(),
                    config: config.clone(),
                    method,
                    arguments: arguments.clone(),
                    stack,
                    gas,
                    exit,
                };
                notices("exit of a getter", with(stack.clone(), gas, exit + 1));
                if exit == 0 {
                    notices("gas of a getter", with(stack.clone(), gas + 1, exit));
                    notices("stack", with(other.clone(), gas, exit));
                }
            }
        }
    }
    for what in ["now", "lt", "message", "after", "transaction", "exit of a getter", "gas of a getter", "stack"] {
        assert!(noticed.contains_key(what), "{what} was never altered");
    }
}
