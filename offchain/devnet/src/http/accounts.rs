//! States of accounts.

use cocoon_chain::{AccountSnapshot, AccountStatus, Head, Wallet, WalletVersion};
use cocoon_protocol::{GlobalId, NodeKey, StdAddr};
use serde_json::{Value, json};
use tycho_types::cell::{Cell, HashBytes};
use tycho_types::models::{AccountState, ShardStateUnsplit};

use super::error::ApiError;
use super::json::{account_address, bag, block_id, bytes, extra_currencies, transaction_id};
use super::params::Params;
use crate::block::Workchain;
use crate::lite::answer::Responder;
use crate::view::Known;

/// An account as a masterchain block leaves it.
pub(super) struct At {
    pub account: AccountSnapshot,
    /// The masterchain block.
    pub block: Known,
}

/// What is known of a wallet's contract.
struct KnownWallet {
    /// As `getWalletInformation` names it.
    name: &'static str,
    /// As `getExtendedAddressInformation` names it; absent where that one knows no such wallet.
    state: Option<&'static str>,
    revision: i32,
    seqno: u32,
    wallet_id: u32,
    /// For V5 only.
    signature_allowed: Option<bool>,
}

impl Responder<'_> {
    /// The account that the parameters name, at the block that they name or the newest.
    pub(super) fn http_account(&self, params: &Params) -> Result<At, ApiError> {
        let address = params.address("address")?;
        let seqno = params.optional_number::<u32>("seqno")?;
        self.http_account_at(address, seqno)
    }

    fn http_account_at(&self, address: StdAddr, seqno: Option<u32>) -> Result<At, ApiError> {
        let block = self.numbered(Workchain::Master, seqno.unwrap_or(self.view.head.seqno))?;
        let shard = self.numbered(Workchain::of(&address), block.id.seqno)?;
        let at = Head { seqno: block.id.seqno, utime: shard.utime, lt: shard.end_lt };
        let has_chain = [0, -1].contains(&address.workchain);
        let accounts = self.state(&shard)?.parse::<ShardStateUnsplit>()?.load_accounts()?;
        let account = match accounts.get(address.address)? {
            Some((_, entry)) if has_chain => AccountSnapshot::from_state(address, &entry, at)?,
            _ => AccountSnapshot::nonexistent(address, at),
        };
        Ok(At { account, block })
    }
}

impl At {
    /// `getAddressInformation`.
    pub fn information(&self) -> Result<Value, ApiError> {
        let account = &self.account;
        let cell = |cell: &Option<Cell>| cell.as_ref().map(bag).unwrap_or_default();
        Ok(json!({
            "@type": "raw.fullAccountState",
            "balance": self.balance(),
            "extra_currencies": self.extra_currencies()?,
            "code": cell(&account.code),
            "data": cell(&account.data),
            "last_transaction_id": self.last_transaction(),
            "block_id": block_id(&self.block.id),
            "frozen_hash": self.frozen_hash(),
            "sync_utime": self.block.utime.0,
            "state": self.state(),
        }))
    }

    /// `getExtendedAddressInformation`.
    pub fn extended(&self) -> Result<Value, ApiError> {
        let account = &self.account;
        let wallet = self.wallet();
        let known = wallet.as_ref().and_then(|wallet| Some((wallet, wallet.state?)));
        let (state, revision) = match (known, account.status) {
            (Some((wallet, name)), _) => {
                let wallet_id = wallet.wallet_id.to_string();
                (json!({ "@type": name, "wallet_id": wallet_id, "seqno": wallet.seqno }), wallet.revision)
            }
            (None, AccountStatus::Active) => {
                let cell = |cell: &Option<Cell>| cell.as_ref().map(bag).unwrap_or_default();
                let (code, data) = (cell(&account.code), cell(&account.data));
                (json!({ "@type": "raw.accountState", "code": code, "data": data, "frozen_hash": "" }), 0)
            }
            (None, _) => (json!({ "@type": "uninited.accountState", "frozen_hash": self.frozen_hash() }), 0),
        };
        let exists = account.status != AccountStatus::NotExists;
        // What does not exist has less than nothing here, unlike in `getAddressInformation`.
        let balance = if exists { account.balance.get().to_string() } else { "-1".to_owned() };
        Ok(json!({
            "@type": "fullAccountState",
            "address": account_address(&account.address),
            "balance": balance,
            "extra_currencies": self.extra_currencies()?,
            "last_transaction_id": self.last_transaction(),
            "block_id": block_id(&self.block.id),
            "sync_utime": self.block.utime.0,
            "account_state": state,
            "revision": revision,
        }))
    }

    /// `getWalletInformation`.
    pub fn wallet_information(&self) -> Result<Value, ApiError> {
        let wallet = self.wallet();
        let mut information = json!({
            "wallet": wallet.is_some(),
            "balance": if self.account.balance.get() > 0 { self.balance() } else { json!(0) },
            "extra_currencies": self.extra_currencies()?,
            "account_state": self.state(),
        });
        if let (Some(wallet), Some(fields)) = (wallet, information.as_object_mut()) {
            fields.insert("wallet_type".to_owned(), json!(wallet.name));
            fields.insert("seqno".to_owned(), json!(wallet.seqno));
            if let Some(allowed) = wallet.signature_allowed {
                fields.insert("is_signature_allowed".to_owned(), json!(allowed));
            }
            fields.insert("wallet_id".to_owned(), json!(wallet.wallet_id));
        }
        if let Some(fields) = information.as_object_mut() {
            fields.insert("last_transaction_id".to_owned(), self.last_transaction());
        }
        Ok(information)
    }

    /// The balance: a string, but the number 0 for what does not exist.
    pub fn balance(&self) -> Value {
        match self.account.status {
            AccountStatus::NotExists => json!(0),
            _ => json!(self.account.balance.get().to_string()),
        }
    }

    /// `getAddressState`.
    pub const fn state(&self) -> &'static str {
        match self.account.status {
            AccountStatus::Active => "active",
            AccountStatus::Frozen => "frozen",
            AccountStatus::Uninit | AccountStatus::NotExists => "uninitialized",
        }
    }

    /// The name of the account's last transaction.
    pub fn last_transaction(&self) -> Value {
        transaction_id(self.account.last_trans_lt, &HashBytes(self.account.last_trans_hash.0))
    }

    fn extra_currencies(&self) -> Result<Value, ApiError> {
        let none = || Ok(json!([]));
        self.account.raw().map_or_else(none, |account| Ok(extra_currencies(&account.balance.other)?))
    }

    fn frozen_hash(&self) -> String {
        match self.account.raw().map(|account| &account.state) {
            Some(AccountState::Frozen(hash)) => bytes(hash.0),
            _ => String::new(),
        }
    }

    fn wallet(&self) -> Option<KnownWallet> {
        let code = self.account.code.as_ref()?;
        let mut data = self.account.data.as_ref()?.as_slice().ok()?;
        let is = |version| code_of(version).is_some_and(|hash| hash == *code.repr_hash());
        if is(WalletVersion::V4R2) {
            let (seqno, wallet_id) = (data.load_u32().ok()?, data.load_u32().ok()?);
            let (name, state) = ("wallet v4 r2", Some("wallet.v4.accountState"));
            Some(KnownWallet { name, state, revision: 2, seqno, wallet_id, signature_allowed: None })
        } else if is(WalletVersion::V5R1) {
            let allowed = data.load_bit().ok()?;
            let (seqno, wallet_id) = (data.load_u32().ok()?, data.load_u32().ok()?);
            let signature_allowed = Some(allowed);
            Some(KnownWallet { name: "wallet v5 r1", state: None, revision: 0, seqno, wallet_id, signature_allowed })
        } else {
            None
        }
    }
}

/// Hash of a wallet's code: that of any wallet of the kind.
fn code_of(version: WalletVersion) -> Option<HashBytes> {
    let wallet = Wallet::new(NodeKey::from_seed(&[0; 32]), version, GlobalId::DEVNET).ok()?;
    wallet.state_init().code.as_ref().map(|code| *code.repr_hash())
}
