//! What a block says of its transactions: account blocks, and descriptors of all messages that it takes in and lets out.

use std::collections::{BTreeMap, HashMap};

use tycho_types::cell::{Cell, HashBytes, Lazy, Load};
use tycho_types::dict::AugDict;
use tycho_types::error::Error;
use tycho_types::models::ShardAccount;
use tycho_types::models::{
    AccountBlock, AccountBlocks, CurrencyCollection, DepthBalanceInfo, EnqueuedMsg, ExtOutMsgInfo, HashUpdate,
    ImportFees, InMsg, InMsgDescr, InMsgExternal, InMsgFinal, MsgInfo, OutMsg, OutMsgDequeueImmediate,
    OutMsgDequeueShort, OutMsgDescr, OutMsgExternal, OutMsgImmediate, OutMsgNew, ShardAccounts, StdAddr, Transaction,
};

use super::queue::{MinLt, Processed, QueueInfo, Routed};
use crate::block::Part;

/// The inside of a block, and the parts of the state that follow from it.
pub(crate) struct Contents {
    pub in_msgs: InMsgDescr,
    pub out_msgs: OutMsgDescr,
    pub account_blocks: AccountBlocks,
    /// Accounts after the block.
    pub accounts: ShardAccounts,
    /// Queue after the block.
    pub queue: QueueInfo,
    /// Messages taken from the other chain's queue.
    pub delivered: Vec<Routed>,
}

impl Contents {
    /// What the transactions and the delivery of messages collect for the validators.
    pub fn fees(&self) -> Result<CurrencyCollection, Error> {
        let mut fees = self.account_blocks.root_extra().clone();
        fees.try_add_assign_tokens(self.in_msgs.root_extra().fees_collected)?;
        Ok(fees)
    }
}

/// A message that a transaction of the block sent.
enum Sent {
    Internal(Box<Routed>),
    External,
}

/// What the block is made from besides its own transactions.
pub(crate) struct Before<'a> {
    /// Accounts before the block.
    pub accounts: &'a ShardAccounts,
    /// Queue before the block.
    pub queue: &'a QueueInfo,
    /// Messages of this queue that the other chain has taken, and where its block that took them ends.
    pub taken: &'a [Routed],
    pub taken_lt: u64,
    /// The masterchain block that the processed messages are reckoned by.
    pub mc_seqno: u32,
}

/// Describes a block.
pub(crate) fn describe<'a>(
    before: &Before<'_>,
    part: &Part,
    changed: impl Iterator<Item = (&'a StdAddr, &'a Option<ShardAccount>)>,
) -> Result<Contents, Error> {
    let mut transactions = vec![];
    let mut sent: HashMap<HashBytes, (Sent, Cell, Lazy<Transaction>)> = HashMap::new();
    for entry in &part.transactions {
        let lazy = Lazy::<Transaction>::from_raw(entry.cell.clone())?;
        let transaction = lazy.load()?;
        for message in transaction.out_msgs.values() {
            let message = message?;
            let kind = match Routed::new(&message)? {
                Some(routed) => Sent::Internal(Box::new(routed)),
                None => {
                    let MsgInfo::ExtOut(ExtOutMsgInfo { .. }) = MsgInfo::load_from(&mut message.as_slice()?)? else {
                        return Err(Error::InvalidTag);
                    };
                    Sent::External
                }
            };
            sent.insert(*message.repr_hash(), (kind, message, lazy.clone()));
        }
        transactions.push((entry.account.address, transaction, lazy));
    }

    let mut queue = before.queue.clone();
    let mut delivered = vec![];
    let mut in_msgs = BTreeMap::new();
    let mut out_msgs = BTreeMap::new();
    let mut last = None;
    for (_, transaction, lazy) in &transactions {
        let message = transaction.in_msg.as_ref().ok_or(Error::InvalidData)?;
        let hash = *message.repr_hash();
        let Some(routed) = Routed::new(message)? else {
            let entry = InMsgExternal { in_msg: Lazy::from_raw(message.clone())?, transaction: lazy.clone() };
            in_msgs.insert(hash, (ImportFees::default(), InMsg::External(entry)));
            continue;
        };
        last = Some((routed.info.created_lt, hash));
        let end =
            InMsgFinal { in_msg_envelope: routed.envelope.clone(), transaction: lazy.clone(), fwd_fee: routed.fwd_fee };
        if let Some((Sent::Internal(_), _, source)) = sent.get(&hash) {
            let fees = ImportFees { fees_collected: routed.fwd_fee, value_imported: CurrencyCollection::ZERO };
            let reimport = InMsg::Immediate(end);
            let out = OutMsgImmediate {
                out_msg_envelope: routed.envelope,
                transaction: source.clone(),
                reimport: Lazy::new(&reimport)?,
            };
            in_msgs.insert(hash, (fees, reimport));
            out_msgs.insert(hash, (CurrencyCollection::ZERO, OutMsg::Immediate(out)));
            sent.remove(&hash);
            continue;
        }
        let mut value_imported = routed.info.value.clone();
        value_imported.try_add_assign_tokens(routed.fwd_fee)?;
        let fees = ImportFees { fees_collected: routed.fwd_fee, value_imported };
        let import = InMsg::Final(end);
        if queue.queue.remove(routed.queue_key())?.is_some() {
            queue.size = queue.size.saturating_sub(1);
            let out = OutMsgDequeueImmediate { out_msg_envelope: routed.envelope, reimport: Lazy::new(&import)? };
            out_msgs.insert(hash, (CurrencyCollection::ZERO, OutMsg::DequeueImmediate(out)));
        } else {
            delivered.push(routed);
        }
        in_msgs.insert(hash, (fees, import));
    }

    for message in &part.dropped {
        let routed = Routed::new(message)?.ok_or(Error::InvalidTag)?;
        if queue.queue.contains_key(routed.queue_key())? {
            dequeue(&mut queue, &mut out_msgs, &routed, part.start_lt)?;
        } else {
            delivered.push(routed);
        }
    }
    for routed in before.taken {
        dequeue(&mut queue, &mut out_msgs, routed, before.taken_lt)?;
    }
    for (hash, (kind, message, transaction)) in sent {
        let entry = match kind {
            Sent::External => {
                let out_msg = Lazy::from_raw(message)?;
                (CurrencyCollection::ZERO, OutMsg::External(OutMsgExternal { out_msg, transaction }))
            }
            Sent::Internal(routed) => {
                let mut exported = routed.info.value.clone();
                exported.try_add_assign_tokens(routed.fwd_fee)?;
                let lt = routed.info.created_lt;
                let enqueued = EnqueuedMsg { enqueued_lt: lt, out_msg_envelope: routed.envelope.clone() };
                queue.queue.set(routed.queue_key(), MinLt(lt), &enqueued)?;
                queue.size += 1;
                (exported, OutMsg::New(OutMsgNew { out_msg_envelope: routed.envelope, transaction }))
            }
        };
        out_msgs.insert(hash, entry);
    }
    queue.processed = processed(before, part, last);

    let mut accounts = before.accounts.clone();
    let mut changes = vec![];
    for (address, entry) in changed {
        let value = match entry {
            Some(entry) => {
                let balance = entry.load_account()?.map(|account| account.balance).unwrap_or_default();
                Some((DepthBalanceInfo { split_depth: 0, balance }, entry.clone()))
            }
            None => None,
        };
        changes.push((address.address, value));
    }
    accounts.modify_with_sorted_iter(changes)?;
    Ok(Contents {
        in_msgs: AugDict::try_from_btree(&in_msgs)?,
        out_msgs: AugDict::try_from_btree(&out_msgs)?,
        account_blocks: account_blocks(transactions)?,
        accounts,
        queue,
        delivered,
    })
}

/// Takes a message that somebody else has out of the queue.
fn dequeue(
    queue: &mut QueueInfo,
    out_msgs: &mut BTreeMap<HashBytes, (CurrencyCollection, OutMsg)>,
    routed: &Routed,
    import_block_lt: u64,
) -> Result<(), Error> {
    let key = routed.queue_key();
    queue.queue.remove(key)?.ok_or(Error::InvalidData)?;
    queue.size = queue.size.saturating_sub(1);
    let out = OutMsgDequeueShort {
        msg_env_hash: *routed.envelope.repr_hash(),
        next_workchain: key.workchain,
        next_addr_pfx: key.prefix,
        import_block_lt,
    };
    out_msgs.insert(key.hash, (CurrencyCollection::ZERO, OutMsg::DequeueShort(out)));
    Ok(())
}

/// How far the messages to this shard are processed after the block.
fn processed(before: &Before<'_>, part: &Part, last: Option<(u64, HashBytes)>) -> Option<Processed> {
    let mc_seqno = before.mc_seqno;
    match last {
        Some((lt, hash)) => Some(Processed { mc_seqno, lt, hash }),
        // Nothing is waiting that is older than the block.
        None if !part.is_full => Some(Processed { mc_seqno, lt: part.start_lt, hash: HashBytes([0xff; 32]) }),
        None => before.queue.processed,
    }
}

/// Transactions by account.
fn account_blocks(transactions: Vec<(HashBytes, Transaction, Lazy<Transaction>)>) -> Result<AccountBlocks, Error> {
    let mut by_account: BTreeMap<HashBytes, Vec<(u64, CurrencyCollection, Lazy<Transaction>, Lazy<HashUpdate>)>> =
        BTreeMap::new();
    for (account, transaction, lazy) in transactions {
        let entry = (transaction.lt, transaction.total_fees, lazy, transaction.state_update);
        by_account.entry(account).or_default().push(entry);
    }
    let mut blocks = BTreeMap::new();
    for (account, mut list) in by_account {
        list.sort_by_key(|(lt, ..)| *lt);
        let (Some(first), Some(last)) = (list.first(), list.last()) else { continue };
        let update = HashUpdate { old: first.3.load()?.old, new: last.3.load()?.new };
        let sorted: Vec<_> = list.into_iter().map(|(lt, fees, lazy, _)| (lt, fees, lazy)).collect();
        let transactions = AugDict::<u64, CurrencyCollection, Lazy<Transaction>>::try_from_sorted_slice(&sorted)?;
        let fees = transactions.root_extra().clone();
        blocks.insert(account, (fees, AccountBlock { account, transactions, state_update: Lazy::new(&update)? }));
    }
    AugDict::try_from_btree(&blocks)
}
