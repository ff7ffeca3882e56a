//! Accounts and their getters.

use std::sync::Arc;

use cocoon_chain::cells::read_cell;
use cocoon_chain::getter::{from_vm, run_method, to_vm};
use cocoon_chain::{AccountSnapshot, GetterError, Head, NetworkConfig};
use cocoon_lite::{AccountId, BlockIdExt, answers, queries};
use cocoon_protocol::StdAddr;
use tycho_types::boc::Boc;
use tycho_types::cell::{Cell, CellBuilder, HashBytes, Lazy, UsageTree, UsageTreeMode};
use tycho_types::error::Error;
use tycho_types::merkle::MerkleProof;
use tycho_types::models::{OptionalAccount, ShardAccount, ShardStateUnsplit};
use tycho_types::num::Tokens;
use tycho_vm::Stack;

use super::answer::{Failure, Responder, address};
use super::fault::Fault;
use super::proof;
use crate::block::Workchain;
use crate::libraries::Libraries;
use crate::view::Known;

/// There is no code to run, as the C++ server says it.
const NO_CODE: i32 = -256;

/// What getters see besides their account.
pub(crate) struct Surroundings {
    pub config: Arc<NetworkConfig>,
    pub libraries: Libraries,
}

/// An account as a block leaves it, with the proofs of it.
struct Proven {
    address: StdAddr,
    shard: Known,
    entry: Option<ShardAccount>,
    shard_proof: Vec<u8>,
    proof: Vec<u8>,
}

impl Responder<'_> {
    pub fn account_state(
        &self,
        id: &BlockIdExt,
        account: &AccountId,
        pruned: bool,
    ) -> Result<answers::AccountState, Failure> {
        let reference = self.find(id)?;
        if reference.id.is_masterchain() && !matches!(account.workchain, -1 | 0) {
            // As the C++ server says that there is no such workchain: with a block that is none.
            let shardblk = BlockIdExt {
                workchain: i32::MIN,
                shard: 0,
                seqno: 0,
                root_hash: HashBytes::ZERO,
                file_hash: HashBytes::ZERO,
            };
            let shard_proof = self.shard_proof(&reference)?;
            return Ok(answers::AccountState { id: id.clone(), shardblk, shard_proof, proof: vec![], state: vec![] });
        }
        let proven = self.proven(id, account)?;
        let mut state = vec![];
        if let Some(entry) = &proven.entry
            && entry.load_account()?.is_some()
        {
            let cell =
                if pruned { without_code_and_data(entry.account.inner())? } else { entry.account.inner().clone() };
            state = Boc::encode(cell);
        }
        let (shardblk, shard_proof, proof) = (proven.shard.id.into(), proven.shard_proof, proven.proof);
        Ok(answers::AccountState { id: id.clone(), shardblk, shard_proof, proof, state })
    }

    pub fn run_method(&self, query: &queries::RunSmcMethod) -> Result<answers::RunMethodResult, Failure> {
        let proven = self.proven(&query.id, &query.account)?;
        let with = |bit: u32| query.mode & (1 << bit) != 0;
        let state = match &proven.entry {
            Some(entry) if with(1) && entry.load_account()?.is_some() => {
                Some(Boc::encode(proof::whole(entry.account.inner())?))
            }
            _ => with(1).then(Vec::new),
        };
        let (exit_code, stack) = match &proven.entry {
            Some(entry) => self.run(&proven, entry, query)?,
            None => (NO_CODE, vec![]),
        };
        Ok(answers::RunMethodResult {
            mode: query.mode,
            id: query.id.clone(),
            shardblk: proven.shard.id.into(),
            shard_proof: with(0).then_some(proven.shard_proof),
            proof: with(0).then_some(proven.proof),
            state_proof: state,
            // What the contract sees of its surroundings is not told.
            init_c7: None,
            lib_extras: with(4).then(Vec::new),
            exit_code,
            result: with(2).then_some(stack),
        })
    }

    fn run(
        &self,
        proven: &Proven,
        entry: &ShardAccount,
        query: &queries::RunSmcMethod,
    ) -> Result<(i32, Vec<u8>), Failure> {
        let wrong = |what: &str, why: &dyn std::fmt::Display| Failure::Protocol(format!("{what}: {why}"));
        let mut args = vec![];
        if !query.params.is_empty() {
            let cell = read_cell(&query.params).map_err(|e| wrong("the arguments", &e))?;
            let stack: Stack = cell.parse().map_err(|e| wrong("the arguments", &e))?;
            for item in &stack.items {
                args.push(from_vm(item).map_err(|e| wrong("an argument", &e))?);
            }
        }
        let shard = &proven.shard;
        let at = Head { seqno: shard.id.seqno, utime: shard.utime, lt: shard.end_lt };
        let account = AccountSnapshot::from_state(proven.address.clone(), entry, at)
            .map_err(|e| Failure::Broken(e.to_string()))?;
        let around = self.surroundings(shard.id.seqno)?;
        let method = u32::try_from(query.method_id)
            .map_err(|_| Failure::Protocol(format!("no method can have the number {}", query.method_id)))?;
        match run_method(&account, &around.config, &around.libraries, "by number", method, &args) {
            Ok(run) => {
                let items = run.stack.iter().map(to_vm).collect::<Result<Vec<_>, _>>();
                let items = items.map_err(|e| wrong("a result", &e))?;
                Ok((run.exit_code, Boc::encode(CellBuilder::build_from(Stack::with_items(items))?)))
            }
            Err(GetterError::NoCode { .. }) => Ok((NO_CODE, vec![])),
            Err(e) => Err(Failure::Broken(e.to_string())),
        }
    }

    /// What getters see besides their account, after the masterchain block with this number.
    pub fn surroundings(&self, seqno: u32) -> Result<Surroundings, Failure> {
        let state = self.state(&self.numbered(Workchain::Master, seqno)?)?.parse::<ShardStateUnsplit>()?;
        let params = state.load_custom()?.ok_or(Error::InvalidData)?.config.params;
        let root = params.as_dict().root().clone().unwrap_or_default();
        let newest = &self.view.config;
        let config = if newest.params().as_dict().root().as_ref() == Some(&root) {
            newest.clone()
        } else {
            Arc::new(NetworkConfig::from_cell(root).map_err(|e| Failure::Broken(e.to_string()))?)
        };
        Ok(Surroundings { config, libraries: state.libraries })
    }

    /// Finds an account as a block of its own chain, or a masterchain block, leaves it.
    fn proven(&self, id: &BlockIdExt, account: &AccountId) -> Result<Proven, Failure> {
        let address = address(account)?;
        let reference = self.find(id)?;
        let chain = Workchain::of(&address);
        if chain == Workchain::Base && address.workchain != 0 {
            return Err(Failure::NotReady(format!("there is no workchain {}", address.workchain)));
        }
        let from_master = reference.id.is_masterchain();
        let (shard, shard_proof) = match (from_master, chain) {
            (true, Workchain::Base) => (self.numbered(chain, reference.id.seqno)?, self.shard_proof(&reference)?),
            (true, Workchain::Master) | (false, Workchain::Base) => (reference, vec![]),
            (false, Workchain::Master) => {
                return Err(Failure::Protocol("the account lives in another chain than the block".to_owned()));
            }
        };
        let mut state = self.state(&shard)?;
        let find = |state: &Cell| -> Result<Option<ShardAccount>, Error> {
            let accounts = state.parse::<ShardStateUnsplit>()?.load_accounts()?;
            Ok(accounts.get(address.address)?.map(|(_, entry)| entry))
        };
        let mut entry = find(&state)?;
        if let (Some(fault), Some(found)) = (self.fault, &mut entry) {
            match fault {
                Fault::ForgeState => *found = richer(found)?,
                Fault::ForgeProof => {
                    *found = richer(found)?;
                    state = with_account(&state, &address, found)?;
                }
                _ => {}
            }
        }
        let account_proof = proof::state(&state, |state| {
            state.load_accounts()?.get(address.address)?;
            Ok(())
        })?;
        // The beginning is a state and has no block: its hash is known from the outset.
        let proof = if shard.id.seqno == 0 {
            proof::bag(&[&account_proof])
        } else {
            proof::bag(&[&proof::header(&shard.root)?, &account_proof])
        };
        Ok(Proven { address, shard, entry, shard_proof, proof })
    }
}

/// The account with what is paid for, but without code and data.
fn without_code_and_data(account: &Cell) -> Result<Cell, Error> {
    let usage = UsageTree::new(UsageTreeMode::OnDataAccess);
    let tracked = usage.track(account);
    if let Some(account) = tracked.parse::<OptionalAccount>()?.0 {
        for balance in account.balance.other.as_dict().iter() {
            balance?;
        }
    }
    CellBuilder::build_from(MerkleProof::create(account.as_ref(), usage).build()?)
}

/// The account with a little more than it has.
fn richer(entry: &ShardAccount) -> Result<ShardAccount, Error> {
    let mut forged = entry.clone();
    if let Some(mut account) = entry.load_account()? {
        account.balance.try_add_assign_tokens(Tokens::new(42))?;
        forged.account = Lazy::new(&OptionalAccount(Some(account)))?;
    }
    Ok(forged)
}

/// The state with another account in it.
fn with_account(state: &Cell, address: &StdAddr, entry: &ShardAccount) -> Result<Cell, Error> {
    let mut state = state.parse::<ShardStateUnsplit>()?;
    let mut accounts = state.load_accounts()?;
    let (extra, _) = accounts.get(address.address)?.ok_or_else(super::answer::missing)?;
    accounts.set(address.address, extra, entry)?;
    state.accounts = Lazy::new(&accounts)?;
    CellBuilder::build_from(&state)
}
