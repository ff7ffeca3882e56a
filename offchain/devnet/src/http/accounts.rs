//! States of accounts.

use cocoon_chain::{AccountSnapshot, AccountStatus, Head};
use cocoon_protocol::StdAddr;
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
    /// Not for the first two versions.
    wallet_id: Option<u32>,
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

    pub(super) fn http_account_at(&self, address: StdAddr, seqno: Option<u32>) -> Result<At, ApiError> {
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
                let wallet_id = wallet.wallet_id.unwrap_or_default();
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
            "@type": "ext.accounts.walletInformation",
            "wallet": wallet.is_some(),
            "balance": self.balance(),
            "extra_currencies": self.extra_currencies()?,
            "account_state": self.state(),
        });
        if let (Some(wallet), Some(fields)) = (wallet, information.as_object_mut()) {
            fields.insert("wallet_type".to_owned(), json!(wallet.name));
            fields.insert("seqno".to_owned(), json!(wallet.seqno));
            if let Some(allowed) = wallet.signature_allowed {
                fields.insert("is_signature_allowed".to_owned(), json!(allowed));
            }
            if let Some(id) = wallet.wallet_id {
                fields.insert("wallet_id".to_owned(), json!(id));
            }
        }
        if let Some(fields) = information.as_object_mut() {
            fields.insert("last_transaction_id".to_owned(), self.last_transaction());
        }
        Ok(information)
    }

    /// The balance, in a string because it does not fit a double.
    pub fn balance(&self) -> Value {
        json!(self.account.balance.get().to_string())
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
        let hash = code.repr_hash().to_string();
        let (_, name, state, revision) = WALLETS.into_iter().find(|(known, ..)| *known == hash)?;
        let is_v5 = name.starts_with("wallet v5");
        let signature_allowed = if is_v5 { Some(data.load_bit().ok()?) } else { None };
        let seqno = data.load_u32().ok()?;
        // The first two versions have none.
        let has_id = !name.starts_with("wallet v1") && !name.starts_with("wallet v2");
        let wallet_id = if has_id { Some(data.load_u32().ok()?) } else { None };
        Some(KnownWallet { name, state, revision, seqno, wallet_id, signature_allowed })
    }
}

/// The wallets that the public service knows: hash of the code, name, how `getExtendedAddressInformation` calls the state if it
/// does, and the revision there.
const WALLETS: [(&str, &str, Option<&str>, i32); 11] = [
    ("a0cfc2c48aee16a271f2cfc0b7382d81756cecb1017d077faaab3bb602f6868c", "wallet v1 r1", None, 0),
    ("d4902fcc9fad74698fa8e353220a68da0dcf72e32bcb2eb9ee04217c17d3062c", "wallet v1 r2", None, 0),
    ("587cc789eff1c84f46ec3797e45fc809a14ff5ae24f1e0c7a6a99cc9dc9061ff", "wallet v1 r3", None, 0),
    ("5c9a5e68c108e18721a07c42f9956bfb39ad77ec6d624b60c576ec88eee65329", "wallet v2 r1", None, 0),
    ("fe9530d3243853083ef2ef0b4c2908c0abf6fa1c31ea243aacaa5bf8c7d753f1", "wallet v2 r2", None, 0),
    (
        "b61041a58a7980b946e8fb9e198e3c904d24799ffa36574ea4251c41a566f581",
        "wallet v3 r1",
        Some("wallet.v3.accountState"),
        1,
    ),
    (
        "84dafa449f98a6987789ba232358072bc0f76dc4524002a5d0918b9a75d2d599",
        "wallet v3 r2",
        Some("wallet.v3.accountState"),
        2,
    ),
    (
        "64dd54805522c5be8a9db59cea0105ccf0d08786ca79beb8cb79e880a8d7322d",
        "wallet v4 r1",
        Some("wallet.v4.accountState"),
        1,
    ),
    (
        "feb5ff6820e2ff0d9483e7e0d62c817d846789fb4ae580c878866d959dabd5c0",
        "wallet v4 r2",
        Some("wallet.v4.accountState"),
        2,
    ),
    ("f3d7ca53493deedac28b381986a849403cbac3d2c584779af081065af0ac4b93", "wallet v5 beta", None, 0),
    ("20834b7b72b112147e1b2fb457b84e74d1a30f04f737d4f62a668e9552d2b72f", "wallet v5 r1", None, 0),
];
