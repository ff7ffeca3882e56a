//! Transactions, by account and by block.

use cocoon_lite::{answers, queries, types};
use tycho_types::boc::Boc;
use tycho_types::cell::{Cell, HashBytes};
use tycho_types::models::{Block, Transaction};

use super::answer::{Failure, Responder, address, chain};
use super::proof;
use crate::block::Workchain;

/// An answer has at most so many transactions of an account.
const MAX_HISTORY: u32 = 16;

/// An answer has at most so many transactions of a block.
const MAX_LISTED: u32 = 256;

/// Bits of the mode of a list.
const WITH_PROOF: u32 = 1 << 5;
const BACKWARDS: u32 = 1 << 6;

/// Transactions of a block that an answer has.
struct Listed {
    entries: Vec<(HashBytes, u64, Cell)>,
    incomplete: bool,
    proof: Vec<u8>,
}

impl Responder<'_> {
    pub fn transactions(&self, query: &queries::GetTransactions) -> Result<answers::TransactionList, Failure> {
        let address = address(&query.account)?;
        let chain = Workchain::of(&address);
        let (mut ids, mut cells) = (vec![], vec![]);
        let (mut lt, mut hash) = (query.lt, query.hash);
        while lt != 0 && cells.len() < query.count.min(MAX_HISTORY) as usize {
            let Some((seqno, cell)) = self.view.store.transaction(&address, lt)? else { break };
            if *cell.repr_hash() != hash || seqno > self.view.head.seqno {
                break;
            }
            let transaction: Transaction = cell.parse()?;
            (lt, hash) = (transaction.prev_trans_lt, transaction.prev_trans_hash);
            ids.push(self.numbered(chain, seqno)?.id.into());
            cells.push(cell);
        }
        if cells.is_empty() {
            let why = format!("there is no transaction {} with this hash on {address}", query.lt);
            return Err(Failure::NotReady(why));
        }
        let roots: Vec<_> = cells.iter().collect();
        Ok(answers::TransactionList { ids, transactions: proof::bag(&roots) })
    }

    pub fn one_transaction(&self, query: &queries::GetOneTransaction) -> Result<answers::TransactionInfo, Failure> {
        let known = self.a_block(&query.id)?;
        let address = address(&query.account)?;
        if chain(query.id.workchain, query.id.shard)? != Workchain::of(&address) {
            return Err(Failure::Protocol("the account lives in another chain than the block".to_owned()));
        }
        let mut found = None;
        let proof = proof::block(&known.root, |block| {
            let blocks = block.load_extra()?.account_blocks.load()?;
            if let Some((_, list)) = blocks.get(address.address)? {
                found = list.transactions.get(query.lt)?.map(|(_, lazy)| *lazy.repr_hash());
            }
            Ok(())
        })?;
        // From the store, because the one in the proof is tracked.
        let transaction = match found {
            Some(_) => self.view.store.transaction(&address, query.lt)?.map(|(_, cell)| Boc::encode(cell)),
            None => None,
        };
        let transaction = transaction.unwrap_or_default();
        Ok(answers::TransactionInfo { id: query.id.clone(), proof: Boc::encode(proof), transaction })
    }

    pub fn list_transactions(
        &self,
        query: &queries::ListBlockTransactions,
    ) -> Result<answers::BlockTransactions, Failure> {
        let listed = self.list(&query.id, query.mode, query.count, query.after.as_ref())?;
        let shown = query.mode & 0b111;
        let with = |bit: u32| shown & (1 << bit) != 0;
        let ids = listed.entries.iter().map(|(account, lt, cell)| types::TransactionId {
            mode: shown,
            account: with(0).then_some(*account),
            lt: with(1).then_some(*lt),
            hash: with(2).then_some(*cell.repr_hash()),
            metadata: None,
        });
        Ok(answers::BlockTransactions {
            id: query.id.clone(),
            req_count: query.count,
            incomplete: listed.incomplete,
            ids: ids.collect(),
            proof: listed.proof,
        })
    }

    pub fn list_transactions_ext(
        &self,
        query: &queries::ListBlockTransactionsExt,
    ) -> Result<answers::BlockTransactionsExt, Failure> {
        let listed = self.list(&query.id, query.mode, query.count, query.after.as_ref())?;
        let roots: Vec<_> = listed.entries.iter().map(|(_, _, cell)| cell).collect();
        // A bag has at least one root.
        let transactions = if roots.is_empty() { vec![] } else { proof::bag(&roots) };
        let (id, req_count, incomplete) = (query.id.clone(), query.count, listed.incomplete);
        Ok(answers::BlockTransactionsExt { id, req_count, incomplete, transactions, proof: listed.proof })
    }

    fn list(
        &self,
        id: &types::BlockIdExt,
        mode: u32,
        count: u32,
        after: Option<&types::TransactionId3>,
    ) -> Result<Listed, Failure> {
        let known = self.a_block(id)?;
        let mut entries = vec![];
        let blocks = known.root.parse::<Block>()?.load_extra()?.account_blocks.load()?;
        for entry in blocks.iter() {
            let (account, _, list) = entry?;
            for entry in list.transactions.iter() {
                let (lt, _, lazy) = entry?;
                entries.push((account, lt, lazy.into_inner()));
            }
        }
        let backwards = mode & BACKWARDS != 0;
        if backwards {
            entries.reverse();
        }
        if let Some(after) = after {
            let last = (after.account, after.lt);
            entries.retain(|(account, lt, _)| if backwards { (*account, *lt) < last } else { (*account, *lt) > last });
        }
        let count = count.min(MAX_LISTED) as usize;
        let incomplete = entries.len() > count;
        entries.truncate(count);
        let proof = if mode & WITH_PROOF != 0 {
            let proof = proof::block(&known.root, |block| {
                let blocks = block.load_extra()?.account_blocks.load()?;
                if incomplete {
                    // What the answer has, and how to get there.
                    for (account, lt, _) in &entries {
                        if let Some((_, list)) = blocks.get(*account)? {
                            list.transactions.get(*lt)?;
                        }
                    }
                    return Ok(());
                }
                for entry in blocks.iter() {
                    for entry in entry?.2.transactions.iter() {
                        let _ = entry?;
                    }
                }
                Ok(())
            })?;
            Boc::encode(proof)
        } else {
            vec![]
        };
        Ok(Listed { entries, incomplete, proof })
    }
}
