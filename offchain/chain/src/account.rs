//! States of accounts.

use cocoon_protocol::{Hash256, Nano, StdAddr};
use tycho_types::cell::Cell;
use tycho_types::models::{Account, AccountState, CurrencyCollection, IntAddr, ShardAccount, StorageInfo};

use crate::chain::{ChainError, Head};
use crate::{hash, nano};

/// What an account is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccountStatus {
    /// Nothing was ever sent there, or nothing is left.
    NotExists,
    /// It holds money but no code.
    Uninit,
    /// It has code.
    Active,
    /// It could not pay for its storage for long; only the hash of its state is kept.
    Frozen,
}

impl std::fmt::Display for AccountStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotExists => "nonexistent",
            Self::Uninit => "uninitialised",
            Self::Active => "active",
            Self::Frozen => "frozen",
        })
    }
}

/// An account's state at one block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountSnapshot {
    /// Which account.
    pub address: StdAddr,
    /// What it is.
    pub status: AccountStatus,
    /// What it holds, before storage fees that are due.
    pub balance: Nano,
    /// Its code, if it is active.
    pub code: Option<Cell>,
    /// Its data, if it is active.
    pub data: Option<Cell>,
    /// Logical time of its last transaction; 0 if there was none.
    pub last_trans_lt: u64,
    /// Hash of its last transaction; zero if there was none.
    pub last_trans_hash: Hash256,
    /// The block.
    pub at: Head,
    account: Option<Account>,
}

impl AccountSnapshot {
    /// An account that does not exist.
    pub const fn nonexistent(address: StdAddr, at: Head) -> Self {
        Self {
            address,
            status: AccountStatus::NotExists,
            balance: Nano::ZERO,
            code: None,
            data: None,
            last_trans_lt: 0,
            last_trans_hash: Hash256([0; 32]),
            at,
            account: None,
        }
    }

    /// Reads the account's entry in a state. Fails if the cells are malformed or hold another account.
    pub fn from_state(address: StdAddr, entry: &ShardAccount, at: Head) -> Result<Self, ChainError> {
        const WHAT: &str = "account state";
        let mut snapshot = Self {
            last_trans_lt: entry.last_trans_lt,
            last_trans_hash: hash(&entry.last_trans_hash),
            ..Self::nonexistent(address, at)
        };
        let Some(account) = entry.load_account().map_err(|e| ChainError::malformed(WHAT, e))? else {
            return Ok(snapshot);
        };
        if !matches!(&account.address, IntAddr::Std(found) if *found == snapshot.address) {
            let why = format!("asked for {}, got {}", snapshot.address, account.address);
            return Err(ChainError::Malformed { what: WHAT, why });
        }
        snapshot.balance = nano(WHAT, account.balance.tokens)?;
        snapshot.status = match &account.state {
            AccountState::Uninit => AccountStatus::Uninit,
            AccountState::Frozen(_) => AccountStatus::Frozen,
            AccountState::Active(state) => {
                snapshot.code.clone_from(&state.code);
                snapshot.data.clone_from(&state.data);
                AccountStatus::Active
            }
        };
        snapshot.account = Some(account);
        Ok(snapshot)
    }

    /// A state that no chain has: these cells and this balance at an address, to run getters on before deployment.
    pub fn hypothetical(address: StdAddr, state: tycho_types::models::StateInit, balance: Nano, at: Head) -> Self {
        let account = Account {
            address: address.clone().into(),
            storage_stat: StorageInfo::default(),
            last_trans_lt: 0,
            balance: CurrencyCollection::new(u128::from(balance.get())),
            state: AccountState::Active(state.clone()),
        };
        Self {
            status: AccountStatus::Active,
            balance,
            code: state.code,
            data: state.data,
            account: Some(account),
            ..Self::nonexistent(address, at)
        }
    }

    /// The account as the cell library knows it, with everything that is not named above.
    pub const fn raw(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// True if its code has this hash.
    pub fn has_code(&self, code_hash: &Hash256) -> bool {
        self.code.as_ref().is_some_and(|code| code.repr_hash().0 == *code_hash.as_bytes())
    }
}
