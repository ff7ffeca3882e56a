//! Checks blocks as strictly as a validator would: everything that can be recomputed is, from the leaves.

use std::collections::{BTreeMap, BTreeSet};

use cocoon_chain::{Cell, Chain};
use cocoon_devnet::Devnet;
use cocoon_devnet::block::Workchain;
use cocoon_devnet::blocks::validator::Validators;
use cocoon_devnet::view::Known;
use cocoon_protocol::{Nano, NodePublicKey, Signature};
use tycho_types::boc::Boc;
use tycho_types::cell::{CellBuilder, HashBytes, Load};
use tycho_types::dict::{AugDict, RawDict};
use tycho_types::models::{
    Block, BlockExtra, BlockInfo, ConfigParam34, CurrencyCollection, InMsg, MsgEnvelope, MsgInfo, OutMsg, PrevBlockRef,
    ShardAccounts, ShardIdent, ShardStateUnsplit, Transaction, ValueFlow,
};

/// A message queue, from the state: place to envelope.
type Queue = BTreeMap<Vec<u8>, Cell>;

/// Everything of a block that the checks compare.
pub struct Opened {
    pub known: Known,
    pub block: Block,
    pub info: BlockInfo,
    pub flow: ValueFlow,
    pub extra: BlockExtra,
    pub state: ShardStateUnsplit,
    pub queue: Queue,
    /// Up to which logical time and hash messages to this chain are processed.
    pub processed: (u64, HashBytes),
    /// Messages that left the queue because another chain took them, and where that chain's block ended.
    pub dequeued: BTreeMap<HashBytes, u64>,
    /// Hash of a message to the transaction that took it in.
    pub taken: BTreeMap<HashBytes, HashBytes>,
    pub transactions: usize,
}

pub async fn known(devnet: &Devnet, chain: Workchain, seqno: u32) -> Known {
    devnet.sealed(chain, seqno).await.unwrap().unwrap_or_else(|| panic!("no block {seqno}"))
}

/// Checks all blocks from one to the head, and that they agree with what the devnet says of itself.
pub async fn check_from(devnet: &Devnet, first: u32) {
    let head = devnet.head().await.unwrap();
    let mut before = (
        state(&known(devnet, Workchain::Base, first - 1).await),
        state(&known(devnet, Workchain::Master, first - 1).await),
    );
    let mut masters = vec![];
    for seqno in 0..first {
        masters.push(known(devnet, Workchain::Master, seqno).await);
    }
    for seqno in first..=head.seqno {
        let base = open(known(devnet, Workchain::Base, seqno).await, &before.0);
        let master = open(known(devnet, Workchain::Master, seqno).await, &before.1);
        check_pair(&base, &master, &masters);
        let record = devnet.block(seqno).await.unwrap().unwrap();
        assert_eq!(record.transactions.len(), base.transactions + master.transactions);
        assert_eq!((record.base.end_lt, record.master.end_lt), (base.info.end_lt, master.info.end_lt));
        before = (base.known.state.unwrap(), master.known.state.clone().unwrap());
        masters.push(master.known);
    }
    let (base, master): (ShardStateUnsplit, ShardStateUnsplit) = (before.0.parse().unwrap(), before.1.parse().unwrap());
    let supply = devnet.supply().await.unwrap();
    let sum =
        |a: &CurrencyCollection, b: &CurrencyCollection| Nano::try_from(a.checked_add(b).unwrap().tokens).unwrap();
    assert_eq!(supply.balances, sum(&base.total_balance, &master.total_balance));
    assert_eq!(supply.totals.fees, Nano::try_from(master.total_validator_fees.tokens).unwrap());
    let global = master.load_custom().unwrap().unwrap().global_balance;
    assert_eq!(supply.sum().checked_sub(supply.totals.burned).unwrap(), Nano::try_from(global.tokens).unwrap());
}

fn state(known: &Known) -> Cell {
    known.state.clone().unwrap()
}

/// Reads a block and checks it against the state before it.
pub fn open(known: Known, before: &Cell) -> Opened {
    assert_eq!(Boc::file_hash(&known.boc), known.id.file_hash);
    let root = Boc::decode(&known.boc).unwrap();
    assert_eq!((root.repr_hash(), &root), (&known.id.root_hash, &known.root));
    let block: Block = root.parse().unwrap();
    let (info, flow, extra) =
        (block.load_info().unwrap(), block.load_value_flow().unwrap(), block.load_extra().unwrap());
    let after = state(&known);
    let update = block.load_state_update().unwrap();
    assert_eq!((&update.old_hash, &update.new_hash), (before.repr_hash(), after.repr_hash()));
    assert_eq!(update.apply(before).unwrap(), after, "the update gives another state");
    // Neither side is whole: some parsers cannot read a proof of a block whose update has no pruned branch.
    assert_eq!((update.old.level(), update.new.level()), (1, 1));

    let (old, new): (ShardStateUnsplit, ShardStateUnsplit) = (before.parse().unwrap(), after.parse().unwrap());
    assert_eq!((info.seqno, info.shard, info.vert_seqno), (known.id.seqno, known.id.shard, 0));
    assert_eq!(
        (new.seqno, new.shard_ident, new.gen_utime, new.gen_lt),
        (info.seqno, info.shard, info.gen_utime, info.end_lt)
    );
    assert_eq!((new.global_id, block.global_id), (old.global_id, old.global_id));
    assert_eq!((old.seqno + 1, old.gen_lt <= info.start_lt), (new.seqno, true));
    assert!(info.start_lt < info.end_lt && info.gen_utime >= old.gen_utime);

    // Money.
    assert!(flow.validate().unwrap(), "{flow:?}");
    let (accounts_before, accounts) = (old.load_accounts().unwrap(), new.load_accounts().unwrap());
    recount_accounts(&accounts);
    assert_eq!(
        (&old.total_balance, &new.total_balance),
        (&accounts_before.root_extra().balance, &accounts.root_extra().balance)
    );
    assert_eq!((&flow.from_prev_block, &flow.to_next_block), (&old.total_balance, &new.total_balance));
    let in_msgs = extra.load_in_msg_description().unwrap();
    let out_msgs = extra.load_out_msg_description().unwrap();
    let blocks = extra.account_blocks.load().unwrap();
    assert_eq!(flow.imported, in_msgs.root_extra().value_imported);
    assert_eq!(&flow.exported, out_msgs.root_extra());
    let mut fees = blocks.root_extra().checked_add(&flow.fees_imported).unwrap();
    fees.try_add_assign_tokens(in_msgs.root_extra().fees_collected).unwrap();
    assert_eq!(flow.fees_collected, fees);
    assert_eq!(new.total_validator_fees, old.total_validator_fees.checked_add(&fees).unwrap());

    // Transactions, and the accounts that they change.
    let mut transactions = BTreeMap::new();
    let mut sent = BTreeMap::new();
    let mut touched = BTreeSet::new();
    for entry in blocks.iter() {
        let (address, fees, list) = entry.unwrap();
        assert_eq!((address, &fees), (list.account, list.transactions.root_extra()));
        touched.insert(address);
        let update = list.state_update.load().unwrap();
        let hash = |accounts: &ShardAccounts| accounts.get(address).unwrap().map(|(_, account)| account);
        let none = *CellBuilder::build_from(false).unwrap().repr_hash();
        let (was, is) = (hash(&accounts_before), hash(&accounts));
        assert_eq!(update.old, was.as_ref().map_or(none, |account| *account.account.repr_hash()));
        assert_eq!(update.new, is.as_ref().map_or(none, |account| *account.account.repr_hash()));
        let mut last = was.map_or((0, HashBytes::ZERO), |account| (account.last_trans_lt, account.last_trans_hash));
        let mut state = update.old;
        for entry in list.transactions.iter() {
            let (lt, fees, lazy) = entry.unwrap();
            let transaction: Transaction = lazy.load().unwrap();
            assert!(lt > info.start_lt && lt < info.end_lt, "lt {lt} of {info:?}");
            assert_eq!((transaction.account, transaction.lt, &transaction.total_fees), (address, lt, &fees));
            assert_eq!(transaction.now, info.gen_utime);
            if last != (0, HashBytes::ZERO) {
                assert_eq!((transaction.prev_trans_lt, transaction.prev_trans_hash), last);
            }
            let step = transaction.state_update.load().unwrap();
            assert_eq!(step.old, state);
            (state, last) = (step.new, (lt, *lazy.repr_hash()));
            for message in transaction.out_msgs.values() {
                let message = message.unwrap();
                sent.insert(*message.repr_hash(), (message, *lazy.repr_hash()));
            }
            transactions.insert(*lazy.repr_hash(), transaction);
        }
        assert_eq!(state, update.new);
        if let Some(account) = is {
            assert_eq!((account.last_trans_lt, account.last_trans_hash), last);
        }
    }
    for entry in accounts.iter() {
        let (address, _, account) = entry.unwrap();
        if !touched.contains(&address) {
            assert_eq!(accounts_before.get(address).unwrap().unwrap().1, account, "changed without a transaction");
        }
    }

    // Messages in: exactly those that the transactions took.
    let mut taken = BTreeMap::new();
    let mut recounted = BTreeMap::new();
    for entry in in_msgs.iter() {
        let (hash, fees, entry) = entry.unwrap();
        let cell = entry.transaction_cell().unwrap();
        let transaction = &transactions[cell.repr_hash()];
        let message = transaction.in_msg.as_ref().unwrap();
        assert_eq!((hash, message), (*message.repr_hash(), &entry.load_msg_cell().unwrap()));
        assert_eq!(fees, entry.compute_fees().unwrap());
        if let Some(envelope) = entry.load_in_msg_envelope().unwrap() {
            check_envelope(&envelope, message);
        }
        assert_eq!(matches!(entry, InMsg::Immediate(_)), sent.contains_key(&hash));
        taken.insert(hash, *cell.repr_hash());
        recounted.insert(hash, (fees, entry));
    }
    assert_eq!(taken.len(), transactions.len());
    assert_eq!(AugDict::try_from_btree(&recounted).unwrap(), in_msgs, "recounted from the leaves");

    // Messages out: exactly those that the transactions sent, and those that leave the queue.
    let ((mut queue, was_processed), (after_queue, processed)) =
        (read_queue(&old.out_msg_queue_info), read_queue(&new.out_msg_queue_info));
    assert!(processed >= was_processed);
    let mut dequeued = BTreeMap::new();
    let mut recounted = BTreeMap::new();
    let mut described = BTreeSet::new();
    for entry in out_msgs.iter() {
        let (hash, value, entry) = entry.unwrap();
        assert_eq!(value, entry.compute_exported_value().unwrap());
        if let Some(cell) = entry.transaction_cell() {
            assert_eq!(sent[&hash].1, *cell.repr_hash());
            described.insert(hash);
        }
        if let Some(envelope) = entry.load_out_msg_envelope().unwrap() {
            assert_eq!(envelope.message_hash(), &hash);
        }
        match &entry {
            OutMsg::External(out) => {
                assert!(matches!(MsgInfo::load_from(&mut out.out_msg.as_slice().unwrap()), Ok(MsgInfo::ExtOut(_))))
            }
            OutMsg::New(out) => {
                assert!(!taken.contains_key(&hash));
                assert!(
                    queue
                        .insert(place(&out.load_out_msg_envelope().unwrap()), out.out_msg_envelope.inner().clone())
                        .is_none()
                );
            }
            OutMsg::Immediate(out) => {
                assert_eq!(in_msgs.get(hash).unwrap().unwrap().1, out.load_reimport_msg().unwrap())
            }
            OutMsg::DequeueImmediate(out) => {
                assert_eq!(in_msgs.get(hash).unwrap().unwrap().1, out.load_reimport_msg().unwrap());
                let envelope = queue.remove(&place(&out.load_out_msg_envelope().unwrap())).unwrap();
                assert_eq!(&envelope, out.out_msg_envelope.inner());
            }
            OutMsg::DequeueShort(out) => {
                let mut place = out.next_workchain.to_be_bytes().to_vec();
                place.extend(out.next_addr_pfx.to_be_bytes());
                place.extend(hash.0);
                assert_eq!(queue.remove(&place).unwrap().repr_hash(), &out.msg_env_hash);
                dequeued.insert(hash, out.import_block_lt);
            }
        }
        recounted.insert(hash, (value, entry));
    }
    assert_eq!(described, sent.keys().copied().collect(), "messages that were sent and described");
    assert_eq!(AugDict::try_from_btree(&recounted).unwrap(), out_msgs, "recounted from the leaves");
    assert_eq!(queue, after_queue, "the queue after the block");
    let transactions = transactions.len();
    Opened { known, block, info, flow, extra, state: new, queue: after_queue, processed, dequeued, taken, transactions }
}

fn recount_accounts(accounts: &ShardAccounts) {
    let mut all = BTreeMap::new();
    for entry in accounts.iter() {
        let (address, extra, account) = entry.unwrap();
        assert_eq!(extra.balance, account.load_account().unwrap().unwrap().balance);
        all.insert(address, (extra, account));
    }
    assert_eq!(&ShardAccounts::try_from_btree(&all).unwrap(), accounts, "recounted from the leaves");
}

fn check_envelope(envelope: &MsgEnvelope, message: &Cell) {
    let MsgInfo::Int(info) = MsgInfo::load_from(&mut message.as_slice().unwrap()).unwrap() else {
        panic!("not internal")
    };
    assert_eq!((envelope.fwd_fee_remaining, envelope.message.inner()), (info.fwd_fee, message));
}

/// Where a queue has a message: destination workchain, first 64 bits of the address, hash.
fn place(envelope: &MsgEnvelope) -> Vec<u8> {
    let dst = envelope.load_message_info().unwrap().dst;
    let dst = dst.as_std().unwrap();
    let mut place = i32::from(dst.workchain).to_be_bytes().to_vec();
    place.extend(&dst.address.0[..8]);
    place.extend(envelope.message_hash().0);
    place
}

/// Reads the queue by hand: `out_queue:(HashmapAugE 352 EnqueuedMsg uint64)`, and then `proc_info` and the extra part with
/// the number of messages.
fn read_queue(info: &Cell) -> (Queue, (u64, HashBytes)) {
    let mut slice = info.as_slice().unwrap();
    let dict = RawDict::<352>::load_from(&mut slice).unwrap();
    let least = slice.load_u64().unwrap();
    let processed = RawDict::<96>::load_from(&mut slice).unwrap();
    let mut upto = (0, HashBytes::ZERO);
    for (at, entry) in processed.iter().enumerate() {
        let (key, mut value) = entry.unwrap();
        assert_eq!((at, &key.raw_data()[..8]), (0, &ShardIdent::PREFIX_FULL.to_be_bytes()[..]));
        upto = (value.load_u64().unwrap(), value.load_u256().unwrap());
    }
    assert!(slice.load_bit().unwrap() && slice.load_small_uint(4).unwrap() == 0);
    assert!(!slice.load_bit().unwrap() && slice.load_u64().unwrap() == 0);
    assert!(slice.load_bit().unwrap());
    let size = slice.load_uint(48).unwrap();
    assert!(slice.is_data_empty() && slice.is_refs_empty());
    let mut queue = Queue::new();
    let mut lts = vec![];
    for entry in dict.iter() {
        let (key, mut value) = entry.unwrap();
        let (extra, enqueued_lt) = (value.load_u64().unwrap(), value.load_u64().unwrap());
        assert_eq!(extra, enqueued_lt);
        lts.push(extra);
        let cell = value.load_reference_cloned().unwrap();
        let envelope: MsgEnvelope = cell.parse().unwrap();
        assert_eq!(key.raw_data()[..44].to_vec(), place(&envelope));
        assert_eq!(envelope.load_message_info().unwrap().created_lt, extra);
        queue.insert(place(&envelope), cell.clone());
    }
    assert_eq!((size, least), (queue.len() as u64, lts.into_iter().min().unwrap_or(0)));
    (queue, upto)
}

/// Checks that a masterchain block commits to its basechain block, and to everything before.
fn check_pair(base: &Opened, master: &Opened, before: &[Known]) {
    let prev = before.last().unwrap();
    let PrevBlockRef::Single(named) = master.info.load_prev_ref().unwrap() else { panic!("after a merge") };
    assert_eq!(named.as_block_id(ShardIdent::MASTERCHAIN), prev.id);
    let named = base.info.load_master_ref().unwrap().unwrap();
    assert_eq!(named.as_block_id(ShardIdent::MASTERCHAIN), prev.id);
    assert_eq!(base.state.master_ref.as_ref(), Some(&named));
    let (start, end) = (base.info.start_lt, base.info.end_lt);
    assert!(named.end_lt < start && end < master.info.start_lt);

    let in_state = master.state.load_custom().unwrap().unwrap();
    let in_block = master.extra.load_custom().unwrap().unwrap();
    assert_eq!(in_state.shards, in_block.shards);
    let shards: Vec<_> = in_state.shards.iter().map(Result::unwrap).collect();
    let [(ident, shard)] = shards.as_slice() else { panic!("{} shards", shards.len()) };
    assert_eq!((*ident, shard.as_block_id(*ident)), (ShardIdent::BASECHAIN, base.known.id));
    assert_eq!((shard.start_lt, shard.end_lt, shard.gen_utime), (start, end, base.info.gen_utime));
    assert_eq!((shard.reg_mc_seqno, &shard.fees_collected), (master.info.seqno, &base.flow.fees_collected));
    assert_eq!(master.flow.fees_imported, base.flow.fees_collected);
    assert_eq!(in_block.fees.root_extra().fees, base.flow.fees_collected);
    assert_eq!(base.flow.fees_imported, CurrencyCollection::ZERO);

    // Each block knows all before it, and which of them were key blocks.
    let mut last_key = None;
    for (seqno, known) in before.iter().enumerate() {
        let (_, entry) = in_state.prev_blocks.get(seqno as u32).unwrap().unwrap();
        assert_eq!(entry.block_ref.as_block_id(ShardIdent::MASTERCHAIN), known.id);
        assert_eq!((entry.is_key_block, entry.block_ref.end_lt), (known.is_key, known.end_lt));
        if known.is_key {
            last_key = Some(entry.block_ref);
        }
    }
    assert!(in_state.prev_blocks.get(before.len() as u32).unwrap().is_none());
    assert_eq!(in_state.last_key_block, last_key);
    let last_key = last_key.unwrap().seqno;
    assert_eq!((master.info.prev_key_block_seqno, base.info.prev_key_block_seqno), (last_key, last_key));
    assert_eq!((in_state.after_key_block, in_block.config.is_some()), (master.info.key_block, master.info.key_block));
    if let Some(config) = &in_block.config {
        assert_eq!(config, &in_state.config);
    }
    let workchains = in_state.config.params.get_workchains().unwrap();
    assert!(workchains.get(0).unwrap().is_some());

    // Signed by the set in force.
    let before = before.last().unwrap().state.as_ref().unwrap().parse::<ShardStateUnsplit>().unwrap();
    let before = before.load_custom().unwrap().unwrap();
    let number = before.validator_info.catchain_seqno;
    let validators = Validators::new(&before.config.params, number).unwrap();
    assert_eq!(before.validator_info.validator_list_hash_short, validators.hash_short(true));
    for info in [&base.info, &master.info] {
        let hash = validators.hash_short(info.shard.is_masterchain());
        assert_eq!((info.gen_validator_list_hash_short, info.gen_catchain_seqno), (hash, number));
    }
    let set = before.config.params.get::<ConfigParam34>().unwrap().unwrap();
    let signed = Block::build_data_for_sign(&master.known.id);
    let mut weight = 0;
    for signature in validators.sign(&master.known.id).unwrap().signatures {
        let by = set.list.iter().find(|one| {
            let key = NodePublicKey::from_bytes(&one.public_key.0).unwrap();
            let bytes = signature.signature.clone().try_into().unwrap();
            key.verify_bytes(&signed, &Signature(bytes)).is_ok()
        });
        weight += by.expect("one of the set signed").weight;
    }
    assert!(weight * 3 > set.total_weight * 2);
    // A session ends with a key block.
    let after = in_state.validator_info;
    assert!(after.nx_cc_updated >= in_block.config.is_some());
    assert_eq!(after.catchain_seqno, number + u32::from(after.nx_cc_updated));

    // What the basechain sent up is either taken at once or still waits in its queue; what it took from the masterchain is
    // gone from there.
    for envelope in base.queue.values().chain(master.queue.values()) {
        let envelope: MsgEnvelope = envelope.parse().unwrap();
        let info = envelope.load_message_info().unwrap();
        let (hash, to_master) = (envelope.message_hash(), info.dst.is_masterchain());
        // Whatever waits comes after what was processed.
        let receiver = if to_master { master } else { base };
        let is_processed = (info.created_lt, *hash) <= receiver.processed;
        assert_eq!(is_processed, receiver.taken.contains_key(hash));
        assert!(!is_processed || (to_master && !info.src.is_masterchain()), "only the next block can know");
    }
    for (hash, lt) in &master.dequeued {
        assert_eq!((base.taken.contains_key(hash), *lt), (true, base.info.end_lt));
    }
    for lt in base.dequeued.values() {
        assert_eq!(*lt, named.end_lt);
    }
}
