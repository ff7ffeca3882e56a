//! The watchtower: defends channels of payees that are not there to do it.
//!
//! A payee hands over its vouchers, nothing else; a voucher pays only its channel's payee, so whoever has one can do no harm with
//! it. When a payer begins to close a channel, the tower claims with the best voucher that it has, within the challenge period
//! (invariants I5, I8). It pays for the message out of its own wallet.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cocoon_chain::{Chain, StdAddr, Wallet};
use cocoon_node::{ChannelError, channels};
use cocoon_protocol::{GlobalId, Nano, NodePublicKey, SignedVoucher, UnixSeconds};
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};
use tokio_util::sync::CancellationToken;

use crate::claims::CLAIM_FEE;
use crate::index::{Index, IndexError};

/// Keeps vouchers for others, and claims with them.
pub struct Tower {
    index: Arc<Index>,
    network: GlobalId,
    path: PathBuf,
    vouchers: Mutex<Connection>,
}

/// A voucher is not kept, or a channel not defended.
#[derive(Debug, thiserror::Error)]
pub enum TowerError {
    /// The voucher is for another network.
    #[error("the voucher is for network {found}, and this tower watches {expected}")]
    Network {
        /// What it names.
        found: GlobalId,
        /// Which network is watched.
        expected: GlobalId,
    },
    /// Nothing is known of the channel.
    #[error("channel {0} is not on chain, as far as block {1}: try again once it is")]
    Unknown(Box<StdAddr>, u32),
    /// The payer has not signed it.
    #[error("the voucher is not signed by the payer of its channel")]
    Signature,
    /// It expires before it could be of use.
    #[error("the voucher has expired at {0}")]
    Expired(UnixSeconds),
    /// A better one is here.
    #[error("a voucher for {0} is here already, and this one is not above it")]
    NotBetter(Nano),
    /// The index failed.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The store failed; nothing was acknowledged.
    #[error("the tower's store {}: {source}", .path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A stored voucher cannot be read.
    #[error("the tower's store {}: the voucher of channel {channel} cannot be read: {why}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Whose voucher.
        channel: String,
        /// What is wrong.
        why: String,
    },
    /// A claim failed; it will be tried again.
    #[error(transparent)]
    Claim(#[from] ChannelError),
}

impl Tower {
    /// Opens or creates the store.
    pub fn open(path: &Path, index: Arc<Index>, network: GlobalId) -> Result<Self, TowerError> {
        let failed = |source| TowerError::Store { path: path.to_owned(), source };
        let db = Connection::open(path).map_err(failed)?;
        // What is acknowledged must survive a power cut.
        db.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        db.execute_batch(
            "CREATE TABLE IF NOT EXISTS vouchers (
                channel TEXT PRIMARY KEY, cumulative INTEGER NOT NULL, signed TEXT NOT NULL) STRICT",
        )
        .map_err(failed)?;
        Ok(Self { index, network, path: path.to_owned(), vouchers: Mutex::new(db) })
    }

    fn store<T>(&self, act: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, TowerError> {
        act(&self.vouchers.lock()).map_err(|source| TowerError::Store { path: self.path.clone(), source })
    }

    /// Keeps a voucher; durable when this returns. One per channel, the highest.
    pub fn keep(&self, signed: &SignedVoucher, now: UnixSeconds) -> Result<(), TowerError> {
        let v = &signed.voucher;
        if v.global_id != self.network {
            return Err(TowerError::Network { found: v.global_id, expected: self.network });
        }
        if v.valid_until != UnixSeconds(0) && v.valid_until <= now {
            return Err(TowerError::Expired(v.valid_until));
        }
        let channel = v.channel.to_string();
        let key: Option<String> = self.index.read(|db| {
            db.query_row("SELECT payer_key FROM channels WHERE address = ?1", [&channel], |row| row.get(0)).optional()
        })?;
        let unknown = || TowerError::Unknown(Box::new(v.channel.clone()), self.index.seqno());
        let mut bytes = [0; 32];
        hex::decode_to_slice(key.ok_or_else(unknown)?, &mut bytes).map_err(|_| TowerError::Signature)?;
        let payer = NodePublicKey::from_bytes(&bytes).map_err(|_| TowerError::Signature)?;
        signed.verify(&payer).map_err(|_| TowerError::Signature)?;
        let json = serde_json::to_string(signed).map_err(|e| self.damaged(&channel, e))?;
        let amount = i64::try_from(v.cumulative.get()).unwrap_or(i64::MAX);
        let known = self.store(|db| {
            let known: Option<i64> = db
                .query_row("SELECT cumulative FROM vouchers WHERE channel = ?1", [&channel], |row| row.get(0))
                .optional()?;
            if known.is_none_or(|known| known < amount) {
                db.execute("REPLACE INTO vouchers VALUES (?1, ?2, ?3)", params![channel, amount, json])?;
            }
            Ok(known)
        })?;
        match known.filter(|known| *known > amount) {
            Some(better) => Err(TowerError::NotBetter(Nano::new(better.unsigned_abs()))),
            None => Ok(()),
        }
    }

    /// How much the voucher that is kept for a channel is for.
    pub fn kept(&self, channel: &str) -> Result<Option<Nano>, TowerError> {
        let kept: Option<i64> = self.store(|db| {
            let sql = "SELECT cumulative FROM vouchers WHERE channel = ?1";
            db.query_row(sql, [channel], |row| row.get(0)).optional()
        })?;
        Ok(kept.map(|amount| Nano::new(amount.unsigned_abs())))
    }

    fn damaged(&self, channel: &str, why: impl ToString) -> TowerError {
        TowerError::Damaged { path: self.path.clone(), channel: channel.to_owned(), why: why.to_string() }
    }

    /// The vouchers with which closing channels should be claimed now: each brings its payee more than the claim costs.
    pub fn due(&self) -> Result<Vec<SignedVoucher>, TowerError> {
        let closing: Vec<(String, i64, i64)> = self.index.read(|db| {
            let mut query = db.prepare_cached("SELECT address, deposit, claimed FROM channels WHERE close_at != 0")?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            rows.collect()
        })?;
        let mut due = vec![];
        for (channel, deposit, claimed) in closing {
            let found: Option<(i64, String)> = self.store(|db| {
                let sql = "SELECT cumulative, signed FROM vouchers WHERE channel = ?1";
                db.query_row(sql, [&channel], |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })?;
            let Some((cumulative, json)) = found else { continue };
            let gain = cumulative.min(deposit).saturating_sub(claimed);
            if gain <= i64::try_from(CLAIM_FEE.get()).unwrap_or(i64::MAX) {
                continue;
            }
            due.push(serde_json::from_str(&json).map_err(|e| self.damaged(&channel, e))?);
        }
        Ok(due)
    }

    /// Claims in every closing channel that is due; returns how many claims arrived.
    pub async fn defend(&self, wallet: &Wallet, chain: &dyn Chain) -> Result<usize, TowerError> {
        let due = self.due()?;
        let mut claimed = 0;
        for voucher in &due {
            channels::claim(wallet, chain, voucher).await?;
            tracing::info!(channel = %voucher.voucher.channel, amount = %voucher.voucher.cumulative, "defended a channel");
            claimed += 1;
        }
        Ok(claimed)
    }

    /// Defends until told to stop: looks whenever there is a new block.
    pub async fn run(&self, wallet: &Wallet, chain: &dyn Chain, stop: CancellationToken) {
        let mut head = chain.subscribe();
        loop {
            tokio::select! {
                changed = head.changed() => if changed.is_err() { return },
                () = stop.cancelled() => return,
            }
            if let Err(error) = self.defend(wallet, chain).await {
                tracing::warn!(%error, "a channel could not be defended; it will be tried again");
            }
        }
    }
}
