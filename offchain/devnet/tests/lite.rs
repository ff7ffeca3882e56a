//! The liteserver: every question has an answer, what is served can be checked, and nobody can stop it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use cocoon_chain::{Cell, Chain, OutMessage, WalletVersion};
use cocoon_devnet::block::Workchain;
use cocoon_devnet::store::CHECKPOINT;
use cocoon_devnet::{Devnet, Fault, LiteServer};
use cocoon_lite::frame::{Asked, Authentificate, Ping};
use cocoon_lite::queries::*;
use cocoon_lite::types::{AccountId, BlockId, BlockIdExt, BlockLink, SignatureSet, TransactionId3};
use cocoon_lite::{Answer, Connection, Frame, Query, wrap_query};
use cocoon_protocol::{Nano, NodePublicKey, Signature, StdAddr};
use common::{funded, network, pay};
use tycho_types::boc::Boc;
use tycho_types::cell::{CellType, HashBytes};
use tycho_types::dict::AugDict;
use tycho_types::merkle::MerkleProof;
use tycho_types::models::{
    Block, BlockInfo, ConfigParam34, DepthBalanceInfo, McStateExtra, OptionalAccount, ShardHashes, ShardIdent,
    ShardStateUnsplit, Transaction,
};

const V5: WalletVersion = WalletVersion::V5R1;
const LOCAL: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

struct Client {
    connection: Connection,
    asked: u8,
}

impl Client {
    async fn connect(server: &LiteServer) -> Self {
        let connection = Connection::connect(server.address(), server.public_key()).await.unwrap();
        Self { connection, asked: 0 }
    }

    async fn send(&mut self, query: Vec<u8>) -> HashBytes {
        self.asked = self.asked.wrapping_add(1);
        let query_id = HashBytes([self.asked; 32]);
        self.connection.sender.send(&Frame::Asked(Asked { query_id, query })).await.unwrap();
        query_id
    }

    async fn receive(&mut self) -> Frame {
        tokio::time::timeout(Duration::from_secs(10), self.connection.receiver.receive()).await.unwrap().unwrap()
    }

    async fn ask_bytes(&mut self, query: Vec<u8>) -> Answer {
        let id = self.send(query).await;
        let Frame::Answered(answered) = self.receive().await else { panic!("no answer") };
        assert_eq!(answered.query_id, id);
        Answer::from_bytes(&answered.answer).unwrap()
    }

    async fn ask(&mut self, query: impl Into<Query>) -> Answer {
        self.ask_bytes(wrap_query(&query.into(), None)).await
    }

    /// The code and words of the error that the answer must be.
    async fn refused(&mut self, query: impl Into<Query>) -> (i32, String) {
        match self.ask(query).await {
            Answer::Error(error) => (error.code, error.message),
            other => panic!("{other:?}"),
        }
    }

    async fn head(&mut self) -> BlockIdExt {
        let Answer::MasterchainInfo(info) = self.ask(GetMasterchainInfo {}).await else { panic!() };
        info.last
    }
}

macro_rules! answer {
    ($client:ident, $variant:ident, $query:expr) => {
        match $client.ask($query).await {
            Answer::$variant(answer) => answer,
            other => panic!("{other:?}"),
        }
    };
}

async fn serve() -> (Devnet, LiteServer) {
    let (devnet, _) = network().await;
    let server = devnet.serve_lite(SocketAddr::from(LOCAL)).await.unwrap();
    (devnet, server)
}

/// What a proof proves: the part of the tree with this hash that it shows.
fn proven(cell: &Cell, hash: &HashBytes) -> Cell {
    let proof = cell.parse_exotic::<MerkleProof>().unwrap();
    assert_eq!(&proof.hash, hash);
    proof.cell
}

fn boc(bytes: &[u8]) -> Cell {
    Boc::decode(bytes).unwrap()
}

fn account(address: &StdAddr) -> AccountId {
    AccountId { workchain: address.workchain.into(), id: address.address }
}

/// The header that a proof shows, and the hash of the state after the block. By hand: the rest of the block is pruned, as other
/// servers prune it.
fn header_of(block: &Cell) -> (BlockInfo, HashBytes) {
    let block = block.virtualize();
    let info = block.reference(0).unwrap().parse::<BlockInfo>().unwrap();
    assert!(block.reference(3).unwrap().cell_type() == CellType::PrunedBranch);
    let mut update = block.reference(2).unwrap().as_slice_allow_exotic();
    update.skip_first(8 + 256, 0).unwrap();
    (info, update.load_u256().unwrap())
}

/// Roots of a bag of two.
fn two(bytes: &[u8]) -> (Cell, Cell) {
    Boc::decode_pair(bytes).unwrap()
}

/// Accounts as a proof shows them: each may be pruned.
type ProvenAccounts = AugDict<HashBytes, DepthBalanceInfo, (Cell, HashBytes, u64)>;

/// Follows the proofs of an account from the masterchain block, trusting only its name, to the account.
fn check_account(
    answer: &cocoon_lite::answers::AccountState,
    address: &StdAddr,
) -> Result<Option<OptionalAccount>, String> {
    let state_of = |header: &Cell, id: &BlockIdExt| {
        let proof = header.parse_exotic::<MerkleProof>().unwrap();
        if proof.hash != id.root_hash {
            return Err("another block".to_owned());
        }
        Ok(header_of(&proof.cell).1)
    };
    if address.workchain == 0 {
        let (header, state) = two(&answer.shard_proof);
        let hash = state_of(&header, &answer.id)?;
        let state = state.parse_exotic::<MerkleProof>().unwrap();
        if state.hash != hash {
            return Err("another masterchain state".to_owned());
        }
        // By hand: accounts are pruned.
        let extra = state.cell.virtualize().reference(3).unwrap().parse::<McStateExtra>().unwrap();
        let (ident, shard) = extra.shards.iter().next().unwrap().unwrap();
        assert_eq!(BlockIdExt::from(shard.as_block_id(ident)), answer.shardblk);
    }
    let (header, state) = two(&answer.proof);
    let hash = state_of(&header, &answer.shardblk)?;
    let state = state.parse_exotic::<MerkleProof>().unwrap();
    if state.hash != hash {
        return Err("another state".to_owned());
    }
    // By hand: what only the masterchain's state has is pruned.
    let accounts = state.cell.virtualize().reference(1).unwrap().parse::<ProvenAccounts>().unwrap();
    let Some((_, entry)) = accounts.get(address.address).unwrap() else { return Ok(None) };
    let found = boc(&answer.state);
    if found.repr_hash() != entry.0.as_ref().hash(0) {
        return Err("another account".to_owned());
    }
    Ok(Some(found.parse().unwrap()))
}

#[tokio::test]
async fn accounts_come_with_proofs_that_begin_at_a_masterchain_block() {
    let (devnet, server) = serve().await;
    let alice = funded(&devnet, V5, 1).await;
    let there = StdAddr::new(-1, HashBytes([0x42; 32]));
    devnet.faucet(&there, Nano::from_ton(3)).await.unwrap().ok().unwrap();
    alice.send_and_confirm(&devnet, &[]).await.unwrap().ok().unwrap();
    devnet.tick().await.unwrap();
    let mut client = Client::connect(&server).await;
    let id = client.head().await;
    for address in [
        alice.address(),
        &there,
        devnet.giver(),
        &StdAddr::new(0, HashBytes([9; 32])),
        &StdAddr::new(-1, HashBytes([9; 32])),
    ] {
        let answer = answer!(client, AccountState, GetAccountState { id: id.clone(), account: account(address) });
        assert_eq!(answer.shard_proof.is_empty(), address.workchain == -1);
        let found = check_account(&answer, address).unwrap();
        let expected = devnet.account(address).await.unwrap();
        assert_eq!(
            found.as_ref().map(|found| Nano::try_from(found.0.as_ref().unwrap().balance.tokens).unwrap()),
            expected.raw().map(|_| expected.balance)
        );
        // Without code and data, and with the same hash.
        let pruned =
            answer!(client, AccountState, GetAccountStatePrunned { id: id.clone(), account: account(address) });
        assert_eq!((&pruned.proof, &pruned.shard_proof), (&answer.proof, &answer.shard_proof));
        if !answer.state.is_empty() {
            proven(&boc(&pruned.state), boc(&answer.state).repr_hash());
            assert!(pruned.state.len() < answer.state.len().max(200));
        }
        // By the block of its own chain too.
        let by_shard =
            answer!(client, AccountState, GetAccountState { id: answer.shardblk.clone(), account: account(address) });
        assert_eq!((by_shard.state, by_shard.proof, by_shard.shard_proof), (answer.state, answer.proof, vec![]));
    }
    let wrong_chain = GetAccountState { id, account: AccountId { workchain: 7, id: HashBytes::ZERO } };
    // Where there is no workchain there is no block either, as in the C++ server.
    let nowhere = answer!(client, AccountState, wrong_chain);
    assert_eq!((nowhere.shardblk.workchain, nowhere.proof.len(), nowhere.state.len()), (i32::MIN, 0, 0));
    assert!(!nowhere.shard_proof.is_empty());
}

#[tokio::test]
async fn attack_86_what_a_forging_server_says_does_not_fit_its_own_proofs() {
    let (devnet, server) = serve().await;
    let alice = funded(&devnet, V5, 1).await;
    let mut client = Client::connect(&server).await;
    let id = client.head().await;
    let query = GetAccountState { id, account: account(alice.address()) };
    let honest = answer!(client, AccountState, query.clone());
    check_account(&honest, alice.address()).unwrap();
    for (fault, why) in [(Fault::ForgeState, "another account"), (Fault::ForgeProof, "another state")] {
        server.set_fault(Some(fault));
        let forged = answer!(client, AccountState, query.clone());
        let balance = |state: &[u8]| boc(state).parse::<OptionalAccount>().unwrap().0.unwrap().balance.tokens;
        assert!(balance(&forged.state) > balance(&honest.state));
        assert_eq!(check_account(&forged, alice.address()).unwrap_err(), why);
    }
    server.set_fault(None);
    assert_eq!(answer!(client, AccountState, query), honest);
}

/// Follows steps, trusting only the block that they begin with; whose state is given if it is the beginning.
fn check_steps(from: &BlockIdExt, steps: &[BlockLink]) -> Result<BlockIdExt, String> {
    let mut at = from.clone();
    for step in steps {
        match step {
            BlockLink::Forward(link) => {
                assert_eq!(link.from, at);
                let config = proven(&boc(&link.config_proof), &link.from.root_hash);
                let config = if at.seqno == 0 {
                    config.virtualize().parse::<ShardStateUnsplit>().unwrap().load_custom().unwrap().unwrap().config
                } else {
                    let block = config.virtualize().parse::<Block>().unwrap();
                    block.load_extra().unwrap().load_custom().unwrap().unwrap().config.unwrap()
                };
                let set = config.params.get::<ConfigParam34>().unwrap().unwrap();
                let dest = proven(&boc(&link.dest_proof), &link.to.root_hash);
                let (info, _) = header_of(&dest);
                assert_eq!((info.seqno, info.key_block), (link.to.seqno, link.to_key_block));
                let SignatureSet::Ordinary(signatures) = &link.signatures else { panic!() };
                assert_eq!(signatures.validator_set_hash, info.gen_validator_list_hash_short);
                let [signature] = signatures.signatures.as_slice() else { panic!() };
                let key = NodePublicKey::from_bytes(&set.list[0].public_key.0).unwrap();
                let signed = Block::build_data_for_sign(&link.to.to_block_id().unwrap());
                let signature = Signature(signature.signature.clone().try_into().unwrap());
                key.verify_bytes(&signed, &signature).map_err(|_| "a wrong signature".to_owned())?;
                at = link.to.clone();
            }
            BlockLink::Back(link) => {
                assert_eq!(link.from, at);
                let (_, hash) = header_of(&proven(&boc(&link.proof), &link.from.root_hash));
                let state = boc(&link.state_proof).parse_exotic::<MerkleProof>().unwrap();
                assert_eq!(state.hash, hash);
                let extra =
                    state.cell.virtualize().parse::<ShardStateUnsplit>().unwrap().load_custom().unwrap().unwrap();
                let (_, named) = extra.prev_blocks.get(link.to.seqno).unwrap().unwrap();
                assert_eq!(BlockIdExt::from(named.block_ref.as_block_id(ShardIdent::MASTERCHAIN)), link.to);
                assert_eq!(named.is_key_block, link.to_key_block);
                at = link.to.clone();
            }
        }
    }
    Ok(at)
}

#[tokio::test]
async fn steps_lead_from_any_block_to_any_other() {
    let (devnet, server) = serve().await;
    let price = devnet.config().await.unwrap().params().get_raw_cell(21).unwrap().unwrap();
    for _ in 0..20 {
        devnet.set_config_param(21, Some(price.clone())).await.unwrap();
        devnet.tick().await.unwrap();
    }
    let mut client = Client::connect(&server).await;
    let head = client.head().await.seqno;
    let id = |known: cocoon_devnet::view::Known| BlockIdExt::from(known.id);
    let mut longest = 0;
    for (from, to) in
        [(0, head), (1, head), (0, 1), (2, 3), (2, head), (head, 2), (head, 0), (5, 5), (head - 1, head), (30, 7)]
    {
        let from = id(devnet.sealed(Workchain::Master, from).await.unwrap().unwrap());
        let to = id(devnet.sealed(Workchain::Master, to).await.unwrap().unwrap());
        let mut at = from.clone();
        loop {
            let query = GetBlockProof { mode: 1, known_block: at.clone(), target_block: Some(to.clone()) };
            let answer = answer!(client, PartialBlockProof, query);
            assert_eq!(answer.from, at);
            longest = longest.max(answer.steps.len());
            at = check_steps(&at, &answer.steps).unwrap();
            assert_eq!((&answer.to, answer.complete), (&at, at == to));
            if answer.complete {
                break;
            }
        }
    }
    assert_eq!(longest, 16, "long ways are answered in parts");
    // Without a target, to the newest.
    let from = id(devnet.sealed(Workchain::Master, 1).await.unwrap().unwrap());
    let answer =
        answer!(client, PartialBlockProof, GetBlockProof { mode: 0, known_block: from.clone(), target_block: None });
    assert!(check_steps(&from, &answer.steps).is_ok());

    // attack 86: a signature that is wrong in one bit.
    server.set_fault(Some(Fault::ForgeSignature));
    let answer =
        answer!(client, PartialBlockProof, GetBlockProof { mode: 0, known_block: from.clone(), target_block: None });
    assert_eq!(check_steps(&from, &answer.steps).unwrap_err(), "a wrong signature");
}

#[tokio::test]
async fn blocks_headers_shards_and_transactions_are_what_the_devnet_made() {
    let (devnet, server) = serve().await;
    let alice = funded(&devnet, V5, 1).await;
    let there = StdAddr::new(-1, HashBytes([0x42; 32]));
    let payments = [
        pay(&there, Nano::from_ton(1)),
        pay(devnet.giver(), Nano::from_ton(1)),
        OutMessage::new(there.clone(), Nano::from_ton(1)),
    ];
    alice.send_and_confirm(&devnet, &payments).await.unwrap();
    devnet.tick().await.unwrap();
    let mut client = Client::connect(&server).await;
    let head = client.head().await;
    let mut listed = 0;
    for seqno in 1..=head.seqno {
        let record = devnet.block(seqno).await.unwrap().unwrap();
        for chain in Workchain::ALL {
            let known = devnet.sealed(chain, seqno).await.unwrap().unwrap();
            let id = BlockIdExt::from(known.id);
            assert_eq!(answer!(client, BlockData, GetBlock { id: id.clone() }).data, known.boc);
            let state = answer!(client, BlockState, GetState { id: id.clone() });
            assert_eq!(boc(&state.data), known.state.unwrap());
            let header = answer!(client, BlockHeader, GetBlockHeader { id: id.clone(), mode: 0 });
            proven(&boc(&header.header_proof), &id.root_hash);
            let short = BlockId { workchain: id.workchain, shard: id.shard, seqno };
            let found = answer!(client, BlockHeader, LookupBlock { mode: 1, id: short.clone(), lt: None, utime: None });
            assert_eq!(found.id, id);
            for lt in [known.start_lt, known.start_lt + 1, known.end_lt] {
                let found =
                    answer!(client, BlockHeader, LookupBlock { mode: 2, id: short.clone(), lt: Some(lt), utime: None });
                assert_eq!(found.id, id);
                let query = LookupBlockWithProof {
                    mode: 2,
                    id: short.clone(),
                    mc_block_id: head.clone(),
                    lt: Some(lt),
                    utime: None,
                };
                let found = answer!(client, LookupBlockResult, query);
                assert_eq!((&found.id, found.prev_header.is_empty()), (&id, seqno == 1));
                assert_eq!(found.shard_links.len(), usize::from(chain == Workchain::Base));
                assert_eq!(found.mc_block_proof.is_empty(), seqno == head.seqno);
            }

            // Transactions: in pages of one, forwards and backwards, and one by one.
            let all = answer!(
                client,
                BlockTransactions,
                ListBlockTransactions { id: id.clone(), mode: 0b10_0111, count: 100, after: None }
            );
            let mut pages = vec![];
            let mut after = None;
            loop {
                let mode = 0b10_0111;
                let page = answer!(
                    client,
                    BlockTransactions,
                    ListBlockTransactions { id: id.clone(), mode, count: 1, after: after.take() }
                );
                pages.extend(page.ids.clone());
                if !page.incomplete {
                    break;
                }
                let last = page.ids.last().unwrap();
                after = Some(TransactionId3 { account: last.account.unwrap(), lt: last.lt.unwrap() });
            }
            assert_eq!(pages, all.ids);
            let mut backwards = answer!(
                client,
                BlockTransactions,
                ListBlockTransactions { id: id.clone(), mode: 0b110_0111, count: 100, after: None }
            )
            .ids;
            backwards.reverse();
            assert_eq!(backwards, all.ids);
            let extended = answer!(
                client,
                BlockTransactionsExt,
                ListBlockTransactionsExt { id: id.clone(), mode: 0b10_0111, count: 100, after: None }
            );
            assert_eq!(extended.transactions.is_empty(), all.ids.is_empty());
            for listed in &all.ids {
                let address = AccountId { workchain: id.workchain, id: listed.account.unwrap() };
                let query = GetOneTransaction { id: id.clone(), account: address, lt: listed.lt.unwrap() };
                let one = answer!(client, TransactionInfo, query);
                assert_eq!(boc(&one.transaction).repr_hash(), &listed.hash.unwrap());
                proven(&boc(&one.proof), &id.root_hash);
            }
            listed += all.ids.len();
            let in_record = record.transactions.iter().filter(|(account, _)| Workchain::of(account) == chain).count();
            assert_eq!(all.ids.len(), in_record);
        }
        let known = devnet.sealed(Workchain::Master, seqno).await.unwrap().unwrap();
        let base = BlockIdExt::from(devnet.sealed(Workchain::Base, seqno).await.unwrap().unwrap().id);
        let id = BlockIdExt::from(known.id);
        let info =
            answer!(client, ShardInfo, GetShardInfo { id: id.clone(), workchain: 0, shard: 1 << 63, exact: true });
        assert_eq!(info.shardblk, base);
        let all = answer!(client, AllShardsInfo, GetAllShardsInfo { id: id.clone() });
        let shards: ShardHashes = boc(&all.data).parse().unwrap();
        assert_eq!(shards.iter().count(), 1);
        proven(&boc(&all.proof), &id.root_hash);
        let proof = answer!(client, ShardBlockProof, GetShardBlockProof { id: base });
        assert_eq!((proof.masterchain_id, proof.links.len()), (id, 1));
    }
    assert!(listed >= 6, "{listed}");

    // An account's history, newest first, in pages without a gap.
    let snapshot = devnet.account(alice.address()).await.unwrap();
    let mut at = (snapshot.last_trans_lt, HashBytes(snapshot.last_trans_hash.0));
    let mut seen = 0;
    while at.0 != 0 {
        let query = GetTransactions { count: 1, account: account(alice.address()), lt: at.0, hash: at.1 };
        let list = answer!(client, TransactionList, query);
        let cell = boc(&list.transactions);
        assert_eq!((cell.repr_hash(), list.ids.len()), (&at.1, 1));
        let transaction: Transaction = cell.parse().unwrap();
        at = (transaction.prev_trans_lt, transaction.prev_trans_hash);
        seen += 1;
    }
    assert!(seen >= 2, "{seen}");
    let query = GetTransactions { count: 5, account: account(alice.address()), lt: 5, hash: HashBytes::ZERO };
    assert_eq!(client.refused(query).await.0, 651);
}

#[tokio::test]
async fn the_configuration_is_proven_whole_in_part_and_by_key_block() {
    let (devnet, server) = serve().await;
    devnet.tick().await.unwrap();
    let mut client = Client::connect(&server).await;
    let id = client.head().await;
    let state = devnet.sealed(Workchain::Master, id.seqno).await.unwrap().unwrap().state.unwrap();
    let set = devnet.config().await.unwrap().params().get::<ConfigParam34>().unwrap().unwrap();
    for params in [vec![], vec![8, 34, 77]] {
        let info = if params.is_empty() {
            answer!(client, ConfigInfo, GetConfigAll { mode: 0, id: id.clone() })
        } else {
            answer!(client, ConfigInfo, GetConfigParams { mode: 0, id: id.clone(), param_list: params })
        };
        proven(&boc(&info.state_proof), &id.root_hash);
        let shown = proven(&boc(&info.config_proof), state.repr_hash());
        let config = shown.virtualize().parse::<ShardStateUnsplit>().unwrap().load_custom().unwrap().unwrap().config;
        assert_eq!(config.params.get::<ConfigParam34>().unwrap().unwrap(), set);
    }
    let info = answer!(client, ConfigInfo, GetConfigParams { mode: 0x8000, id, param_list: vec![34] });
    assert_eq!((info.id.seqno, info.state_proof.is_empty()), (1, true));
    let shown = proven(&boc(&info.config_proof), &info.id.root_hash);
    let extra = shown.virtualize().parse::<Block>().unwrap().load_extra().unwrap().load_custom().unwrap().unwrap();
    assert_eq!(extra.config.unwrap().params.get::<ConfigParam34>().unwrap().unwrap(), set);
}

#[tokio::test]
async fn getters_run_and_messages_are_sent() {
    let (devnet, server) = serve().await;
    let alice = funded(&devnet, V5, 1).await;
    let mut client = Client::connect(&server).await;
    let until = devnet.head().await.unwrap().utime.plus(60);
    let message = alice.sign(&[pay(devnet.giver(), Nano::from_ton(1))], 0, until, true).unwrap();
    let body = Boc::encode(&message);
    assert_eq!(answer!(client, SendMsgStatus, SendMessage { body: body.clone() }).status, 1);
    let (code, why) = client.refused(SendMessage { body }).await;
    assert!(code == 0 && why.contains("cannot apply external message"), "{why}");
    assert_eq!(client.refused(SendMessage { body: vec![1, 2, 3] }).await.0, 621);

    let id = client.head().await;
    let run = |method_id: u64, address: &StdAddr, mode: u32| RunSmcMethod {
        mode,
        id: id.clone(),
        account: account(address),
        method_id,
        params: vec![],
    };
    // seqno
    let result = answer!(client, RunMethodResult, run(85143, alice.address(), 0b111));
    assert_eq!((result.exit_code, result.mode), (0, 0b111));
    assert!(
        result.proof.is_some()
            && result.shard_proof.is_some()
            && result.state_proof.is_some()
            && result.result.is_some()
    );
    let plain = answer!(client, RunMethodResult, run(85143, alice.address(), 0b100));
    assert_eq!((plain.result, plain.proof, plain.mode), (result.result, None, 0b100));
    assert_eq!(answer!(client, RunMethodResult, run(1, alice.address(), 0)).exit_code, 11);
    // Cells too deep to be freed are refused before there are any.
    let deep = common::deep_bag(60_000);
    assert_eq!(client.refused(SendMessage { body: deep.clone() }).await.0, 621);
    assert_eq!(client.refused(RunSmcMethod { params: deep, ..run(1, alice.address(), 0) }).await.0, 621);
    assert_eq!(answer!(client, RunMethodResult, run(1, &StdAddr::new(0, HashBytes([7; 32])), 0)).exit_code, -256);
}

#[tokio::test]
async fn everything_else_that_clients_ask_has_an_answer_too() {
    let (devnet, server) = serve().await;
    devnet.tick().await.unwrap();
    let mut client = Client::connect(&server).await;
    let id = client.head().await;
    let info = answer!(client, MasterchainInfoExt, GetMasterchainInfoExt { mode: 0 });
    assert_eq!((&info.last, info.version, info.capabilities & 1), (&id, 0x101, 1));
    assert_eq!(answer!(client, CurrentTime, GetTime {}).now, devnet.head().await.unwrap().utime.0);
    assert_eq!(answer!(client, Version, GetVersion {}).version, 0x101);
    let libraries = vec![HashBytes([1; 32])];
    assert!(answer!(client, LibraryResult, GetLibraries { library_list: libraries.clone() }).result.is_empty());
    let none = answer!(
        client,
        LibraryResultWithProof,
        GetLibrariesWithProof { id: id.clone(), mode: 0, library_list: libraries }
    );
    assert!(none.result.is_empty() && !none.data_proof.is_empty());
    assert_eq!(
        answer!(client, OutMsgQueueSizes, GetOutMsgQueueSizes { mode: 0, wc: None, shard: None }).shards.len(),
        2
    );
    let size = answer!(client, BlockOutMsgQueueSize, GetBlockOutMsgQueueSize { mode: 1, id: id.clone() });
    assert_eq!((size.size, size.proof.is_some()), (0, true));
    let stats = answer!(
        client,
        ValidatorStats,
        GetValidatorStats { mode: 0, id: id.clone(), limit: 10, start_after: None, modified_after: None }
    );
    assert!(stats.complete && stats.count == 2, "{stats:?}");

    // Of more than 16 libraries, only the first are looked for.
    let many = GetLibraries { library_list: vec![HashBytes::ZERO; 17] };
    assert!(answer!(client, LibraryResult, many).result.is_empty());

    // What is not there is said so, and what is not known is an error and no end.
    let future = BlockIdExt { seqno: id.seqno + 10, ..id.clone() };
    assert_eq!(client.refused(GetBlock { id: future }).await.0, 651);
    let other = BlockIdExt { root_hash: HashBytes::ZERO, ..id.clone() };
    assert!(client.refused(GetBlock { id: other }).await.1.contains("other hashes"));
    let split = BlockIdExt { workchain: 0, shard: 1 << 62, ..id.clone() };
    assert_eq!(client.refused(GetBlock { id: split }).await.0, 651);
    assert_eq!(
        client.refused(GetDispatchQueueInfo { mode: 0, id: id.clone(), after_addr: None, max_accounts: 5 }).await.0,
        621
    );
    let Answer::Error(error) = client.ask_bytes(vec![1, 2, 3, 4, 5, 6, 7, 8]).await else { panic!() };
    assert!(error.code == 621 && error.message.contains("0x04030201"), "{error:?}");
    assert_eq!(client.head().await, id);
}

#[tokio::test]
async fn states_that_are_gone_are_said_to_be_so() {
    let (devnet, server) = serve().await;
    for _ in 0..CHECKPOINT + 10 {
        devnet.tick().await.unwrap();
    }
    let mut client = Client::connect(&server).await;
    let old = BlockIdExt::from(devnet.sealed(Workchain::Master, 5).await.unwrap().unwrap().id);
    let query = GetAccountState { id: old.clone(), account: account(devnet.giver()) };
    let (code, why) = client.refused(query).await;
    assert!(code == 651 && why.contains("not kept any more"), "{why}");
    // Blocks, and what is proven by them alone, are there for ever.
    answer!(client, BlockData, GetBlock { id: old.clone() });
    answer!(client, AllShardsInfo, GetAllShardsInfo { id: old });
    let begin = BlockIdExt::from(devnet.sealed(Workchain::Master, 0).await.unwrap().unwrap().id);
    let state = answer!(client, BlockState, GetState { id: begin.clone() });
    assert_eq!((state.root_hash, state.file_hash), (begin.root_hash, begin.file_hash));
}

#[tokio::test]
async fn whoever_waits_for_a_block_gets_it_or_is_told_when_to_stop() {
    let (devnet, server) = serve().await;
    let mut client = Client::connect(&server).await;
    let head = client.head().await.seqno;
    let wait = |seqno, timeout_ms| {
        wrap_query(&Query::GetMasterchainInfo(GetMasterchainInfo {}), Some(&WaitMasterchainSeqno { seqno, timeout_ms }))
    };
    let id = client.send(wait(head + 1, 10_000)).await;
    // Others are served meanwhile.
    assert_eq!(client.head().await.seqno, head);
    devnet.tick().await.unwrap();
    let Frame::Answered(answered) = client.receive().await else { panic!() };
    let Answer::MasterchainInfo(info) = Answer::from_bytes(&answered.answer).unwrap() else { panic!() };
    assert_eq!((answered.query_id, info.last.seqno), (id, head + 1));
    let Answer::Error(error) = client.ask_bytes(wait(head + 2, 10)).await else { panic!() };
    assert_eq!(error.code, 652);
    let Answer::Error(error) = client.ask_bytes(wait(u32::MAX, 10_000)).await else { panic!() };
    assert_eq!(error.code, 651);
}

#[tokio::test]
async fn attack_85_servers_lag_and_stall_when_they_are_told_to() {
    let (devnet, server) = serve().await;
    for _ in 0..5 {
        devnet.tick().await.unwrap();
    }
    let mut client = Client::connect(&server).await;
    let head = client.head().await;
    server.set_fault(Some(Fault::Lag(3)));
    assert_eq!(client.head().await.seqno, head.seqno - 3);
    assert_eq!(client.refused(GetBlock { id: head.clone() }).await.0, 651);
    server.set_fault(Some(Fault::Stall));
    client.send(wrap_query(&Query::GetTime(GetTime {}), None)).await;
    // It is there, and does not answer.
    client.connection.sender.send(&Frame::Ping(Ping { random_id: 7 })).await.unwrap();
    assert!(matches!(client.receive().await, Frame::Pong(pong) if pong.random_id == 7));
    server.set_fault(None);
    assert_eq!(client.head().await, head);
}

#[tokio::test]
async fn strange_frames_end_nothing_and_many_clients_are_served() {
    let (devnet, server) = serve().await;
    let mut client = Client::connect(&server).await;
    client.connection.sender.send(&Frame::Authentificate(Authentificate { nonce: vec![1; 32] })).await.unwrap();
    assert!(matches!(client.receive().await, Frame::AuthentificationNonce(nonce) if nonce.nonce.len() == 32));
    for garbage in [vec![], vec![0xff; 3], vec![0xff; 5000]] {
        let Answer::Error(error) = client.ask_bytes(garbage).await else { panic!() };
        assert_eq!(error.code, 621);
    }
    // Whoever does not know the server's key gets nothing.
    assert!(Connection::connect(server.address(), &[7; 32]).await.is_err());
    let tcp = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let clients = (0..50).map(|_| async {
        let mut client = Client::connect(&server).await;
        for _ in 0..20 {
            client.head().await;
        }
    });
    futures::future::join_all(clients).await;
    drop(tcp);
    // More at once on one connection than are answered at once.
    for _ in 0..200 {
        client.send(wrap_query(&Query::GetTime(GetTime {}), None)).await;
    }
    for _ in 0..200 {
        assert!(matches!(client.receive().await, Frame::Answered(_)));
    }

    devnet.stop().await;
    assert_eq!(client.refused(GetTime {}).await.0, 602);
    drop(server);
    tokio::task::yield_now().await;
    assert!(client.connection.receiver.receive().await.is_err());
}
