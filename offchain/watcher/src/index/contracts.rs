//! The system's contracts: which accounts they are, and their states as rows.

use cocoon_chain::{AccountSnapshot, ChainError, NetworkConfig, StdAddr, run_getter};
use cocoon_protocol::{Hash256, Nano};
use cocoon_wrappers::generated::{governor, pay_channel, proposal, registry, reputation, stake_account};
use rusqlite::{Transaction, params};
use tycho_types::cell::HashBytes;
use tycho_types::num::Tokens;

use super::IndexError;

/// `stage` of a proposal that was deployed but never opened.
const NOT_OPENED: u8 = 0;

/// What an account of the system is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The root.
    Registry,
    /// The DAO.
    Governor,
    /// One owner's stake.
    StakeAccount,
    /// One vote.
    Proposal,
    /// One node's record.
    Reputation,
    /// One payment channel.
    PayChannel,
}

impl Kind {
    /// All of them, with their code.
    const ALL: [(Self, HashBytes); 6] = [
        (Self::Registry, registry::CODE_HASH),
        (Self::Governor, governor::CODE_HASH),
        (Self::StakeAccount, stake_account::CODE_HASH),
        (Self::Proposal, proposal::CODE_HASH),
        (Self::Reputation, reputation::CODE_HASH),
        (Self::PayChannel, pay_channel::CODE_HASH),
    ];

    /// Name in the index, the same as the contract's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registry => "Registry",
            Self::Governor => "Governor",
            Self::StakeAccount => "StakeAccount",
            Self::Proposal => "Proposal",
            Self::Reputation => "Reputation",
            Self::PayChannel => "PayChannel",
        }
    }

    /// The reverse of [`Kind::name`].
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().map(|(kind, _)| kind).find(|kind| kind.name() == name)
    }

    /// What an account is by its code.
    pub fn of(account: &AccountSnapshot) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, hash)| account.has_code(&Hash256(hash.0))).map(|(kind, _)| kind)
    }
}

/// The contract that a contract names as its parent: the governor of a stake or a proposal, the registry of a record. Anybody may deploy
/// the same code under another parent, and an index shows those of its own registry only. A channel belongs to nobody but its parties.
pub fn parent(kind: Kind, account: &AccountSnapshot, config: &NetworkConfig) -> Result<Option<StdAddr>, IndexError> {
    Ok(match kind {
        Kind::Registry | Kind::Governor | Kind::PayChannel => None,
        Kind::StakeAccount => {
            Some(state(account, config, &stake_account::get_state(), stake_account::decode_state)?.governor)
        }
        // One that was never opened has no terms, and its getter fails.
        Kind::Proposal => Some(parse::<proposal::Data>(account)?.governor),
        Kind::Reputation => Some(state(account, config, &reputation::get_state(), reputation::decode_state)?.registry),
    })
}

/// A contract's data, as its bindings read them.
trait Data: Sized {
    fn read(cell: &cocoon_chain::Cell) -> Result<Self, cocoon_wrappers::AbiError>;
}

impl Data for proposal::Data {
    fn read(cell: &cocoon_chain::Cell) -> Result<Self, cocoon_wrappers::AbiError> {
        Self::from_cell(cell)
    }
}

impl Data for pay_channel::Data {
    fn read(cell: &cocoon_chain::Cell) -> Result<Self, cocoon_wrappers::AbiError> {
        Self::from_cell(cell)
    }
}

fn parse<T: Data>(account: &AccountSnapshot) -> Result<T, IndexError> {
    let data = account.data.as_ref().ok_or_else(|| malformed(account, "it has no data"))?;
    T::read(data).map_err(|e| malformed(account, e))
}

fn state<T>(
    account: &AccountSnapshot,
    config: &NetworkConfig,
    call: &cocoon_wrappers::GetterCall,
    decode: impl FnOnce(Vec<cocoon_wrappers::StackValue>) -> Result<T, cocoon_wrappers::AbiError>,
) -> Result<T, IndexError> {
    let output = run_getter(account, config, call).map_err(|e| malformed(account, e))?;
    decode(output.stack).map_err(|e| malformed(account, e))
}

fn malformed(account: &AccountSnapshot, why: impl std::fmt::Display) -> IndexError {
    ChainError::malformed("contract", format!("{}: {why}", account.address)).into()
}

/// Nanotons as SQLite has integers; all the Toncoin that there is fits.
pub(super) fn nano(amount: Tokens) -> Result<i64, IndexError> {
    let amount = Nano::try_from(amount).ok().and_then(|n| i64::try_from(n.get()).ok());
    amount.ok_or_else(|| ChainError::malformed("amount", "more than there is").into())
}

fn hex(hash: &HashBytes) -> String {
    hex::encode(hash.0)
}

/// Replaces what the index says of a contract by its new state.
pub fn write(
    db: &Transaction<'_>,
    kind: Kind,
    account: &AccountSnapshot,
    config: &NetworkConfig,
) -> Result<(), IndexError> {
    let address = account.address.to_string();
    match kind {
        Kind::PayChannel => channel(db, &address, account),
        Kind::StakeAccount => stake(db, &address, account, config),
        Kind::Proposal => vote(db, &address, account, config),
        Kind::Registry => entries(db, account, config),
        Kind::Reputation => record(db, &address, account, config),
        Kind::Governor => Ok(()),
    }
}

fn channel(db: &Transaction<'_>, address: &str, account: &AccountSnapshot) -> Result<(), IndexError> {
    // By far the most frequent, so its cells are read directly.
    let s: pay_channel::Data = parse(account)?;
    let terms = pay_channel::ChannelTerms::from_cell(&s.terms).map_err(|e| malformed(account, e))?;
    db.prepare_cached("REPLACE INTO channels VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")?.execute(
        params![
            address,
            terms.payer.to_string(),
            terms.payee.to_string(),
            hex(&terms.payer_key),
            hex(&terms.payee_key),
            terms.salt.to_string(),
            terms.challenge,
            terms.protocol_fee_bps,
            nano(s.deposit)?,
            nano(s.claimed)?,
            s.close_at,
            s.epoch
        ],
    )?;
    Ok(())
}

fn stake(
    db: &Transaction<'_>,
    address: &str,
    account: &AccountSnapshot,
    config: &NetworkConfig,
) -> Result<(), IndexError> {
    let s = state(account, config, &stake_account::get_state(), stake_account::decode_state)?;
    db.prepare_cached("REPLACE INTO stakes VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
        address,
        s.owner.to_string(),
        nano(s.held)?,
        nano(s.staying)?,
        nano(s.bonded)?
    ])?;
    db.prepare_cached("DELETE FROM lots WHERE stake = ?1")?.execute([address])?;
    for (lot, l) in &s.lots {
        db.prepare_cached("INSERT INTO lots VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
            address,
            lot,
            nano(l.amount)?,
            l.active_from,
            l.exit_from,
            l.release_at
        ])?;
    }
    db.prepare_cached("DELETE FROM nodes WHERE stake = ?1")?.execute([address])?;
    for (key, n) in &s.nodes {
        db.prepare_cached("INSERT INTO nodes VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
            address,
            hex(key),
            nano(n.bond)?,
            n.since,
            n.free_at
        ])?;
    }
    Ok(())
}

fn vote(
    db: &Transaction<'_>,
    address: &str,
    account: &AccountSnapshot,
    config: &NetworkConfig,
) -> Result<(), IndexError> {
    if parse::<proposal::Data>(account)?.stage == NOT_OPENED {
        return Ok(());
    }
    let s = state(account, config, &proposal::get_state(), proposal::decode_state)?;
    db.prepare_cached(
        "REPLACE INTO proposals VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?
    .execute(params![
        address,
        hex(&s.id),
        s.proposer.to_string(),
        s.snapshot,
        s.starts_at,
        s.ends_at,
        s.executable_from,
        s.expires_at,
        nano(s.total_stake)?,
        nano(s.quorum)?,
        nano(s.yes)?,
        nano(s.no)?,
        nano(s.abstain)?,
        nano(s.bond)?,
        s.status
    ])?;
    Ok(())
}

fn entries(db: &Transaction<'_>, account: &AccountSnapshot, config: &NetworkConfig) -> Result<(), IndexError> {
    let s = state(account, config, &registry::get_snapshot(), registry::decode_snapshot)?;
    db.execute("DELETE FROM entries", [])?;
    let mut entry = db.prepare_cached("INSERT INTO entries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")?;
    for (id, i) in &s.images {
        let (l, none) = (&i.life, None::<String>);
        entry.execute(params![
            "image",
            hex(id),
            i.role,
            none,
            hex(&i.source_commit),
            l.status,
            l.active_from,
            l.sunset,
            l.suspended_until,
            l.changed_at,
            l.reason
        ])?;
    }
    for (id, m) in &s.models {
        let (l, none) = (&m.life, None::<u8>);
        entry.execute(params![
            "model",
            hex(id),
            none,
            m.name,
            hex(&m.source_commit),
            l.status,
            l.active_from,
            l.sunset,
            l.suspended_until,
            l.changed_at,
            l.reason
        ])?;
    }
    db.execute("DELETE FROM proxies", [])?;
    let mut proxy = db.prepare_cached("INSERT INTO proxies VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for (owner, p) in &s.proxies {
        proxy.execute(params![
            owner.to_string(),
            hex(&p.node_key),
            p.endpoint,
            nano(p.bond)?,
            p.since,
            p.unbonding_at
        ])?;
    }
    Ok(())
}

fn record(
    db: &Transaction<'_>,
    address: &str,
    account: &AccountSnapshot,
    config: &NetworkConfig,
) -> Result<(), IndexError> {
    let s = state(account, config, &reputation::get_state(), reputation::decode_state)?;
    db.prepare_cached("REPLACE INTO reputation VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
        address,
        hex(&s.node),
        s.good.to_string(),
        s.bad.to_string(),
        s.step
    ])?;
    Ok(())
}

/// The governor that a registry names.
pub fn governor_of(account: &AccountSnapshot, config: &NetworkConfig) -> Result<StdAddr, IndexError> {
    Ok(state(account, config, &registry::get_snapshot(), registry::decode_snapshot)?.governor)
}
