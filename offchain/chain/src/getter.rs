//! Getters, run locally on an account's state with the network's own configuration.
//!
//! No server is asked: what a getter returns follows from the state, and the state is what a chain proves. Code that an account
//! only names by its hash, because a masterchain account publishes it, is fetched from the chain when the getter misses it.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

use cocoon_protocol::StdAddr;
use cocoon_wrappers::{GetterCall, StackValue};
use tycho_types::cell::{Cell, CellBuilder, DynCell, HashBytes};
use tycho_types::dict::Dict;
use tycho_types::error::Error;
use tycho_types::models::{AccountState, SimpleLib};
use tycho_vm::{
    GasParams, LibraryProvider, NoLibraries, OwnedCellSlice, RcStackValue, SafeRc, SmcInfoBase, Stack, StackValueType,
    VmGetterMethodId, VmStateBuilder, VmVersion,
};

use crate::account::{AccountSnapshot, AccountStatus};
use crate::chain::{Chain, ChainError};
use crate::config::NetworkConfig;

/// Tuples within tuples deeper than this are refused; Tact's structs need three or four.
const MAX_DEPTH: usize = 64;

/// A getter may need so many public libraries; as many can be asked for at once.
pub const MAX_LIBRARIES: usize = 16;

/// A getter gave no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GetterError {
    /// The chain could not be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// There is no code at the address.
    #[error("getter {method} of {contract}: the account is {status}, so there is no code to run")]
    NoCode {
        /// Whose getter.
        contract: StdAddr,
        /// Which getter.
        method: &'static str,
        /// What the account is.
        status: AccountStatus,
    },
    /// The getter threw.
    #[error("getter {method} of {contract} ended with exit code {exit_code}")]
    Exit {
        /// Whose getter.
        contract: StdAddr,
        /// Which getter.
        method: &'static str,
        /// Exit code of the TVM; 11 says that the contract has no such getter.
        exit_code: i32,
    },
    /// It refers to more public libraries than are fetched for one getter.
    #[error("getter {method} of {contract} needs more than {MAX_LIBRARIES} public libraries")]
    Libraries {
        /// Whose getter.
        contract: StdAddr,
        /// Which getter.
        method: &'static str,
    },
    /// A value is of a kind that no getter of ours takes or returns.
    #[error("getter {method} of {contract}: {why}")]
    Value {
        /// Whose getter.
        contract: StdAddr,
        /// Which getter.
        method: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The virtual machine failed in a way that no contract should cause.
    #[error("getter {method} of {contract}: the virtual machine failed: {why}")]
    Failed {
        /// Whose getter.
        contract: StdAddr,
        /// Which getter.
        method: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// What a getter returned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GetterOutput {
    /// The stack, the deepest value first.
    pub stack: Vec<StackValue>,
    /// Gas that it would have cost.
    pub gas_used: u64,
}

/// How a getter ended, well or not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GetterRun {
    /// Exit code of the TVM; 0 and 1 are the two ways to end well.
    pub exit_code: i32,
    /// The stack, the deepest value first. If the getter threw, it is what it threw.
    pub stack: Vec<StackValue>,
    /// Gas that it would have cost.
    pub gas_used: u64,
    /// Public libraries that it looked for and that were not there.
    pub missing: BTreeSet<HashBytes>,
}

impl GetterRun {
    /// True if it ended well.
    pub const fn is_ok(&self) -> bool {
        matches!(self.exit_code, 0 | 1)
    }

    fn output(self, contract: &StdAddr, method: &'static str) -> Result<GetterOutput, GetterError> {
        if self.is_ok() {
            return Ok(GetterOutput { stack: self.stack, gas_used: self.gas_used });
        }
        Err(GetterError::Exit { contract: contract.clone(), method, exit_code: self.exit_code })
    }
}

/// Runs a getter on the newest state of an account.
pub async fn call_getter(
    chain: &dyn Chain,
    contract: &StdAddr,
    call: &GetterCall,
) -> Result<Vec<StackValue>, GetterError> {
    let account = chain.account(contract).await?;
    Ok(run_getter_on(chain, &account, call).await?.stack)
}

/// Runs a getter on a state, and fetches the public libraries that it misses.
pub async fn run_getter_on(
    chain: &dyn Chain,
    account: &AccountSnapshot,
    call: &GetterCall,
) -> Result<GetterOutput, GetterError> {
    let config = chain.config().await?;
    let mut libraries = HashMap::new();
    let mut asked = BTreeSet::new();
    loop {
        let method = call.name.as_getter_method_id();
        let run = run_method(account, &config, &libraries, call.name, method, &call.args)?;
        // One that is not public either is missed again, and asked for only once.
        let wanted: Vec<_> = run.missing.difference(&asked).copied().collect();
        if wanted.is_empty() {
            return run.output(&account.address, call.name);
        }
        asked.extend(&wanted);
        if asked.len() > MAX_LIBRARIES {
            return Err(GetterError::Libraries { contract: account.address.clone(), method: call.name });
        }
        for root in chain.libraries(&wanted).await? {
            libraries.insert(*root.repr_hash(), SimpleLib { public: true, root });
        }
    }
}

/// Runs a getter on a state, where there are no public libraries. The time it sees is that of the state's block.
pub fn run_getter(
    account: &AccountSnapshot,
    config: &NetworkConfig,
    call: &GetterCall,
) -> Result<GetterOutput, GetterError> {
    let method = call.name.as_getter_method_id();
    let run = run_method(account, config, &NoLibraries, call.name, method, &call.args)?;
    run.output(&account.address, call.name)
}

/// Runs the method with this number; `name` is for errors.
pub fn run_method(
    account: &AccountSnapshot,
    config: &NetworkConfig,
    libraries: &dyn LibraryProvider,
    name: &'static str,
    method_id: u32,
    args: &[StackValue],
) -> Result<GetterRun, GetterError> {
    let contract = || account.address.clone();
    let no_code = || GetterError::NoCode { contract: contract(), method: name, status: account.status };
    let value = |why: String| GetterError::Value { contract: contract(), method: name, why };
    let failed = |why: String| GetterError::Failed { contract: contract(), method: name, why };

    let raw = account.raw().ok_or_else(no_code)?;
    let AccountState::Active(state) = &raw.state else { return Err(no_code()) };
    let code = state.code.clone().ok_or_else(no_code)?;

    let run = || -> Result<GetterRun, GetterError> {
        let mut stack = args.iter().map(to_vm).collect::<Result<Vec<_>, _>>().map_err(value)?;
        stack.push(RcStackValue::new_dyn_value(num_bigint::BigInt::from(method_id)));
        let info = SmcInfoBase::new()
            .with_now(account.at.utime.0)
            .with_block_lt(raw.last_trans_lt)
            .with_tx_lt(raw.last_trans_lt)
            .with_mixed_rand_seed(&HashBytes::ZERO, &account.address.address)
            .with_account_balance(raw.balance.clone())
            .with_account_addr(raw.address.clone())
            .with_config(config.params().clone())
            .require_ton_v4()
            .with_code(code.clone())
            .require_ton_v6()
            .fill_unpacked_config()
            .map_err(|e| failed(format!("network configuration: {e}")))?
            .require_ton_v11();
        let libraries = Shelf { own: &state.libraries, public: libraries, missing: RefCell::default() };
        let mut vm = VmStateBuilder::new()
            .with_smc_info(info)
            // Without it the machine follows the rules of the newest version whose contract info differs, not the
            // network's.
            .with_version(VmVersion::Ton(config.tvm_version()))
            .with_code(code)
            .with_data(state.data.clone().unwrap_or_default())
            .with_libraries(&libraries)
            .with_init_selector(false)
            .with_stack(stack)
            .with_gas(GasParams::getter())
            .build();
        let exit_code = !vm.run();
        let (stack, gas_used) = (vm.stack.items.iter().map(from_vm).collect::<Result<Vec<_>, _>>(), vm.gas.consumed());
        let missing = libraries.missing.take();
        let mut run = GetterRun { exit_code, stack: vec![], gas_used, missing };
        match stack {
            Ok(stack) => run.stack = stack,
            // What it threw need not be anything that can be shown.
            Err(_) if !run.is_ok() => {}
            Err(why) => return Err(value(why)),
        }
        Ok(run)
    };
    // What a stranger's contract makes the machine do is not our bug to die of.
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(failed("it panicked".to_owned())))
}

/// The libraries that a getter sees, and those that it looks for in vain.
struct Shelf<'a> {
    own: &'a Dict<HashBytes, SimpleLib>,
    public: &'a dyn LibraryProvider,
    missing: RefCell<BTreeSet<HashBytes>>,
}

impl Shelf<'_> {
    fn noted<T>(&self, hash: &HashBytes, found: Option<T>) -> Option<T> {
        if found.is_none()
            && let Ok(mut missing) = self.missing.try_borrow_mut()
            // More than can be fetched need not be remembered.
            && missing.len() <= MAX_LIBRARIES
        {
            missing.insert(*hash);
        }
        found
    }
}

impl LibraryProvider for Shelf<'_> {
    fn find(&self, hash: &HashBytes) -> Result<Option<Cell>, Error> {
        let found = match self.own.find(hash)? {
            Some(found) => Some(found),
            None => self.public.find(hash)?,
        };
        Ok(self.noted(hash, found))
    }

    fn find_ref<'a>(&'a self, hash: &HashBytes) -> Result<Option<&'a DynCell>, Error> {
        let found = match self.own.find_ref(hash)? {
            Some(found) => Some(found),
            None => self.public.find_ref(hash)?,
        };
        Ok(self.noted(hash, found))
    }
}

/// A value as the virtual machine keeps it. Fails with the reason.
pub fn to_vm(value: &StackValue) -> Result<RcStackValue, String> {
    to_vm_at(value, 0)
}

/// A value of the virtual machine's. Fails, with the reason, for continuations and for the integer that is none.
pub fn from_vm(value: &RcStackValue) -> Result<StackValue, String> {
    from_vm_at(value, 0)
}

fn to_vm_at(value: &StackValue, depth: usize) -> Result<RcStackValue, String> {
    if depth > MAX_DEPTH {
        return Err(format!("an argument nests deeper than {MAX_DEPTH} tuples"));
    }
    Ok(match value {
        StackValue::Null => Stack::make_null(),
        StackValue::Int(int) => {
            if int.bits() > 256 {
                return Err(format!("the argument {int} does not fit 257 bits"));
            }
            RcStackValue::new_dyn_value(int.clone())
        }
        StackValue::Cell(cell) => RcStackValue::new_dyn_value(cell.clone()),
        StackValue::Slice(cell) => RcStackValue::new_dyn_value(OwnedCellSlice::new_allow_exotic(cell.clone())),
        StackValue::Builder(cell) => {
            let mut builder = CellBuilder::new();
            builder.store_slice(cell.as_slice_allow_exotic()).map_err(|e| e.to_string())?;
            RcStackValue::new_dyn_value(builder)
        }
        StackValue::Tuple(items) => {
            let items = items.iter().map(|item| to_vm_at(item, depth + 1)).collect::<Result<Vec<_>, _>>()?;
            SafeRc::new(items).into_dyn_value()
        }
    })
}

fn from_vm_at(value: &RcStackValue, depth: usize) -> Result<StackValue, String> {
    if depth > MAX_DEPTH {
        return Err(format!("a result nests deeper than {MAX_DEPTH} tuples"));
    }
    let build = |slice| {
        let mut builder = CellBuilder::new();
        builder.store_slice(slice)?;
        builder.build()
    };
    let cell = |built: Result<Cell, tycho_types::error::Error>| built.map_err(|e| e.to_string());
    if let Some(int) = value.as_int() {
        Ok(StackValue::Int(int.clone()))
    } else if let Some(found) = value.as_cell() {
        Ok(StackValue::Cell(found.clone()))
    } else if let Some(slice) = value.as_cell_slice() {
        cell(build(slice.apply())).map(StackValue::Slice)
    } else if let Some(builder) = value.as_cell_builder() {
        cell(builder.clone().build()).map(StackValue::Builder)
    } else if let Some(items) = value.as_tuple() {
        items.iter().map(|item| from_vm_at(item, depth + 1)).collect::<Result<_, _>>().map(StackValue::Tuple)
    } else if value.raw_ty() == StackValueType::Null as u8 {
        Ok(StackValue::Null)
    } else {
        Err(format!("it returned a {}", StackValueType::display_raw(value.raw_ty())))
    }
}
