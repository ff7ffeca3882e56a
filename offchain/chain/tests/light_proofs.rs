//! What a liteserver says, taken apart and put together wrongly: nothing false is believed, and nothing panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::OnceLock;

use cocoon_chain::light::{
    ProofError, ProvenBlock, check_account, check_config, check_header, check_history, check_steps,
};
use cocoon_chain::{AccountStatus, Chain};
use cocoon_devnet::Devnet;
use cocoon_devnet::block::Workchain;
use cocoon_lite::answers::{AccountState, ConfigInfo, PartialBlockProof, TransactionList};
use cocoon_lite::frame::Asked;
use cocoon_lite::types::{BlockLink, SignatureSet};
use cocoon_lite::{AccountId, Answer, BlockIdExt, Connection, Frame, Query, queries, wrap_query};
use cocoon_protocol::{Hash256, Nano, StdAddr};
use proptest::prelude::*;
use tycho_types::boc::Boc;
use tycho_types::boc::ser::BocHeader;
use tycho_types::cell::{Cell, CellBuilder, CellFamily, CellType, HashBytes};
use tycho_types::merkle::MerkleProof;

/// Asks a server, as it is, and believes everything.
struct Naive(Connection);

impl Naive {
    async fn ask(&mut self, query: Query) -> Answer {
        let asked = Asked { query_id: HashBytes::ZERO, query: wrap_query(&query, None) };
        self.0.sender.send(&Frame::Asked(asked)).await.unwrap();
        match self.0.receiver.receive().await.unwrap() {
            Frame::Answered(answered) => Answer::from_bytes(&answered.answer).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn account(&mut self, id: &BlockIdExt, address: &StdAddr) -> AccountState {
        let account = AccountId { workchain: address.workchain.into(), id: address.address };
        match self.ask(queries::GetAccountState { id: id.clone(), account }.into()).await {
            Answer::AccountState(state) => state,
            other => panic!("{other:?}"),
        }
    }

    async fn steps(&mut self, from: &BlockIdExt, to: &BlockIdExt) -> PartialBlockProof {
        let query = queries::GetBlockProof { mode: 1, known_block: from.clone(), target_block: Some(to.clone()) };
        match self.ask(query.into()).await {
            Answer::PartialBlockProof(proof) => proof,
            other => panic!("{other:?}"),
        }
    }

    async fn proven(&mut self, id: &BlockIdExt) -> ProvenBlock {
        match self.ask(queries::GetBlockHeader { id: id.clone(), mode: 0 }.into()).await {
            Answer::BlockHeader(header) => check_header(id, &header.header_proof).unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

/// True answers of one network: what is forged here is forged from them.
struct Recorded {
    zero: BlockIdExt,
    key: BlockIdExt,
    /// A block before the newest one, and the newest one.
    old: ProvenBlock,
    head: ProvenBlock,
    rich: StdAddr,
    poor: StdAddr,
    /// The rich one's and the poor one's state, and that of somebody who is not there, at the newest block.
    rich_state: AccountState,
    poor_state: AccountState,
    nobody_state: AccountState,
    /// The rich one's state at the older block.
    old_state: AccountState,
    /// An account of the masterchain, at both blocks.
    master_state: AccountState,
    master_old_state: AccountState,
    newest: (u64, Hash256),
    history: TransactionList,
    config: ConfigInfo,
    /// From the beginning to the newest block; and back from it to the older one.
    forward: PartialBlockProof,
    back: PartialBlockProof,
    /// And back to the beginning.
    back_to_zero: PartialBlockProof,
}

fn in_masterchain() -> StdAddr {
    StdAddr::new(-1, [0x22; 32].into())
}

fn nobody() -> StdAddr {
    StdAddr::new(0, [0xab; 32].into())
}

fn recorded() -> &'static Recorded {
    static RECORDED: OnceLock<Recorded> = OnceLock::new();
    RECORDED.get_or_init(|| {
        std::thread::spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(record())).join().unwrap()
    })
}

async fn record() -> Recorded {
    let devnet = Devnet::ephemeral().await.unwrap();
    let server = devnet.serve_lite("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let mut naive = Naive(Connection::connect(server.address(), server.public_key()).await.unwrap());
    let poor = StdAddr::new(0, [0x11; 32].into());
    for _ in 0..5 {
        devnet.faucet(&poor, Nano::from_ton(1)).await.unwrap();
    }
    devnet.faucet(&in_masterchain(), Nano::from_ton(2)).await.unwrap();
    let value = CellBuilder::build_from(7u32).unwrap();
    let key = devnet.set_config_param(u32::MAX - 7, Some(value)).await.unwrap().seqno;
    let old = devnet.tick().await.unwrap().seqno;
    devnet.faucet(&poor, Nano::from_ton(1)).await.unwrap();
    devnet.faucet(&in_masterchain(), Nano::from_ton(2)).await.unwrap();
    let head = devnet.tick().await.unwrap().seqno;
    let id = async |seqno| BlockIdExt::from(devnet.sealed(Workchain::Master, seqno).await.unwrap().unwrap().id);
    let (zero, key, old, head) = (id(0).await, id(key).await, id(old).await, id(head).await);
    let rich = devnet.giver().clone();
    let account = devnet.account(&rich).await.unwrap();
    let newest = (account.last_trans_lt, account.last_trans_hash);
    let query = queries::GetTransactions {
        count: 16,
        account: AccountId { workchain: 0, id: rich.address },
        lt: newest.0,
        hash: HashBytes(*newest.1.as_bytes()),
    };
    let Answer::TransactionList(history) = naive.ask(query.into()).await else { panic!() };
    let Answer::ConfigInfo(config) = naive.ask(queries::GetConfigAll { mode: 0, id: head.clone() }.into()).await else {
        panic!()
    };
    Recorded {
        rich_state: naive.account(&head, &rich).await,
        poor_state: naive.account(&head, &poor).await,
        nobody_state: naive.account(&head, &nobody()).await,
        old_state: naive.account(&old, &rich).await,
        master_state: naive.account(&head, &in_masterchain()).await,
        master_old_state: naive.account(&old, &in_masterchain()).await,
        back_to_zero: naive.steps(&head, &zero).await,
        forward: naive.steps(&zero, &head).await,
        back: naive.steps(&head, &old).await,
        old: naive.proven(&old).await,
        head: naive.proven(&head).await,
        zero,
        key,
        rich,
        poor,
        newest,
        history,
        config,
    }
}

fn bag(roots: &[Cell]) -> Vec<u8> {
    let mut header = BocHeader::<std::hash::RandomState>::default();
    for root in roots {
        header.add_root(root.as_ref());
    }
    let mut bytes = vec![];
    header.encode(&mut bytes);
    bytes
}

fn roots(bytes: &[u8]) -> Vec<Cell> {
    let header = tycho_types::boc::de::BocHeader::decode(bytes, &Default::default()).unwrap();
    let cells = header.finalize(Cell::empty_context()).unwrap();
    header.roots().iter().map(|root| cells.get(*root).unwrap()).collect()
}

fn refused(answer: &AccountState) -> ProofError {
    let known = recorded();
    check_account(&known.head, &known.rich, answer).unwrap_err()
}

#[test]
fn true_answers_are_believed() {
    let known = recorded();
    let rich = check_account(&known.head, &known.rich, &known.rich_state).unwrap();
    assert_eq!(
        (rich.status, rich.last_trans_lt, rich.last_trans_hash),
        (AccountStatus::Active, known.newest.0, known.newest.1)
    );
    assert_eq!(check_account(&known.head, &known.poor, &known.poor_state).unwrap().balance, Nano::from_ton(6));
    let master = check_account(&known.head, &in_masterchain(), &known.master_state).unwrap();
    assert_eq!(master.balance, Nano::from_ton(4));
    let nobody = check_account(&known.head, &nobody(), &known.nobody_state).unwrap();
    assert_eq!(nobody.status, AccountStatus::NotExists);
    assert!(check_account(&known.old, &known.rich, &known.old_state).unwrap().balance > rich.balance);
    assert_eq!(check_config(&known.head, &known.config).unwrap().global_id().0, known.head.global_id);
    let history = check_history(&known.rich, known.newest, 16, &known.history).unwrap();
    assert!(history.len() >= 6 && history.windows(2).all(|pair| pair[0].prev_hash == pair[1].hash));
    let reached = check_steps(&known.zero, &known.head.id, &known.forward).unwrap();
    assert_eq!((reached.end.as_ref(), reached.anchor.as_ref()), (Some(&known.head), Some(&known.key)));
    let reached = check_steps(&known.head.id, &known.old.id, &known.back).unwrap();
    assert_eq!(reached.end.as_ref(), Some(&known.old));
    let reached = check_steps(&known.head.id, &known.zero, &known.back_to_zero).unwrap();
    assert_eq!((reached.end, reached.id == known.zero, reached.complete), (None, true, true));
}

#[test]
fn attack_86_the_proof_of_another_account_or_block_or_an_older_state_is_refused() {
    let known = recorded();
    // Somebody else's state, with and without its own proof.
    assert!(check_account(&known.head, &known.rich, &known.poor_state).is_err());
    let swapped = AccountState { state: known.poor_state.state.clone(), ..known.rich_state.clone() };
    assert!(matches!(refused(&swapped), ProofError::Differs { .. }));
    let cut = Boc::encode(pruned(&Boc::decode(&known.rich_state.state).unwrap(), &mut 1));
    let refusal = refused(&AccountState { state: cut, ..known.rich_state.clone() });
    assert!(refusal.to_string().contains("pruned"), "{refusal}");
    // Nobody's proof for somebody.
    assert!(check_account(&known.head, &known.rich, &known.nobody_state).is_err());
    let hidden = AccountState { state: vec![], ..known.rich_state.clone() };
    assert!(matches!(refused(&hidden), ProofError::Differs { .. }));
    let invented = AccountState { state: known.rich_state.state.clone(), ..known.nobody_state.clone() };
    assert!(check_account(&known.head, &nobody(), &invented).is_err());
    // An older block, named as it is, and named as the newest.
    assert!(matches!(refused(&known.old_state), ProofError::Differs { .. }));
    let renamed = AccountState { id: known.head.id.clone(), ..known.old_state.clone() };
    assert!(matches!(refused(&renamed), ProofError::Differs { .. }));
    // An older block of the shard, under the right block of the masterchain.
    let stale = AccountState { shard_proof: known.rich_state.shard_proof.clone(), ..renamed.clone() };
    assert!(matches!(refused(&stale), ProofError::Differs { .. }), "{}", refused(&stale));
    let stale = AccountState { shardblk: known.rich_state.shardblk.clone(), ..stale };
    assert!(matches!(refused(&stale), ProofError::Differs { .. }));
    // In the masterchain there is no other block between the newest one and the account.
    let stale = AccountState { id: known.head.id.clone(), ..known.master_old_state.clone() };
    let refusal = check_account(&known.head, &in_masterchain(), &stale).unwrap_err();
    assert!(refusal.to_string().contains("masterchain account"), "{refusal}");
    // Proofs of a hash that is claimed, and not that of the cells in them.
    for field in [0, 1] {
        let mut forged = known.rich_state.clone();
        let bytes = if field == 0 { &mut forged.proof } else { &mut forged.shard_proof };
        let real = roots(bytes);
        let other = roots(if field == 0 { &known.old_state.proof } else { &known.old_state.shard_proof });
        *bytes = bag(&[real[0].clone(), other[1].clone()]);
        assert!(matches!(refused(&forged), ProofError::Differs { .. }));
    }
}

#[test]
fn attack_86_an_account_of_another_workchain_is_refused() {
    let known = recorded();
    for workchain in [-1, 1, 2, 127, -128] {
        let elsewhere = StdAddr::new(workchain, known.rich.address);
        assert!(check_account(&known.head, &elsewhere, &known.rich_state).is_err(), "{workchain}");
        assert!(check_account(&known.head, &elsewhere, &known.nobody_state).is_err(), "{workchain}");
    }
    // The masterchain's block in place of the shard's.
    let master = AccountState { shardblk: known.head.id.clone(), ..known.rich_state.clone() };
    assert!(matches!(refused(&master), ProofError::Differs { .. }));
}

/// The proof without the cells below this one, in the order of a walk.
fn pruned(cell: &Cell, at: &mut i32) -> Cell {
    *at -= 1;
    if *at == -1 && cell.level() == 0 && cell.reference_count() > 0 {
        let mut builder = CellBuilder::new();
        builder.set_exotic(true);
        builder.store_u8(CellType::PrunedBranch.to_byte()).unwrap();
        builder.store_u8(1).unwrap();
        builder.store_u256(cell.repr_hash()).unwrap();
        builder.store_u16(cell.repr_depth()).unwrap();
        return builder.build().unwrap();
    }
    let mut builder = CellBuilder::new();
    builder.set_exotic(cell.is_exotic());
    let slice = cell.as_slice_allow_exotic();
    builder.store_slice_data(slice).unwrap();
    for child in cell.references() {
        let child: Cell = Boc::decode(Boc::encode(child)).unwrap();
        builder.store_reference(pruned(&child, at)).unwrap();
    }
    builder.build().unwrap_or_else(|_| cell.clone())
}

fn reproved(proof: &Cell, at: i32) -> Cell {
    let inner = proof.parse_exotic::<MerkleProof>().unwrap().cell;
    let cell = pruned(&inner, &mut { at });
    CellBuilder::build_from(MerkleProof { hash: *cell.hash(0), depth: cell.depth(0), cell }).unwrap()
}

#[test]
fn attack_86_nothing_is_taken_for_absent_that_is_only_pruned() {
    let known = recorded();
    let truth = check_account(&known.head, &known.rich, &known.rich_state).unwrap();
    let config = check_config(&known.head, &known.config).unwrap();
    let mut refusals = 0;
    for at in 1..200 {
        let [header, state] = <[Cell; 2]>::try_from(roots(&known.rich_state.proof)).unwrap();
        for (header, state) in [(reproved(&header, at), state.clone()), (header.clone(), reproved(&state, at))] {
            let forged = AccountState { proof: bag(&[header, state]), ..known.rich_state.clone() };
            match check_account(&known.head, &known.rich, &forged) {
                Ok(found) => assert_eq!(found, truth),
                Err(_) => refusals += 1,
            }
            // In particular not for an account that is not there.
            let absent = AccountState { state: vec![], ..forged };
            assert!(check_account(&known.head, &known.rich, &absent).is_err());
        }
        let state = Boc::decode(&known.config.config_proof).unwrap();
        let forged = ConfigInfo { config_proof: Boc::encode(reproved(&state, at)), ..known.config.clone() };
        match check_config(&known.head, &forged) {
            Ok(found) => assert_eq!(found.params().as_dict().root(), config.params().as_dict().root()),
            Err(_) => refusals += 1,
        }
    }
    assert!(refusals > 50, "{refusals} of the proofs were missing something");
}

#[test]
fn attack_86_histories_with_gaps_strangers_or_another_beginning_are_refused() {
    let known = recorded();
    let cells = roots(&known.history.transactions);
    let check = |cells: &[Cell]| {
        let list = TransactionList { ids: vec![], transactions: bag(cells) };
        check_history(&known.rich, known.newest, 16, &list)
    };
    assert!(check(&cells[1..]).is_err());
    let mut gap = cells.clone();
    gap.remove(2);
    assert!(check(&gap).is_err());
    let mut twice = cells.clone();
    twice.insert(1, cells[0].clone());
    assert!(check(&twice).is_err());
    let mut swapped = cells.clone();
    swapped.swap(1, 2);
    assert!(check(&swapped).is_err());
    let mut longer = cells.clone();
    longer.push(cells[0].clone());
    assert!(check(&longer).is_err());
    let whole = TransactionList { ids: vec![], transactions: bag(&cells) };
    assert!(check_history(&known.poor, known.newest, 16, &whole).is_err());
    assert!(check_history(&known.rich, (known.newest.0 + 1, known.newest.1), 16, &whole).is_err());
    // More than was asked for, and nothing at all.
    assert!(check_history(&known.rich, known.newest, cells.len() - 1, &whole).is_err());
    let empty = TransactionList { ids: vec![], transactions: vec![] };
    assert!(check_history(&known.rich, known.newest, 16, &empty).is_err());
}

fn forward_links(proof: &mut PartialBlockProof) -> Vec<&mut cocoon_lite::types::BlockLinkForward> {
    let links = proof.steps.iter_mut().filter_map(|step| match step {
        BlockLink::Forward(link) => Some(link),
        BlockLink::Back(_) => None,
    });
    links.collect()
}

#[test]
fn attack_86_forged_missing_repeated_and_foreign_signatures_are_refused() {
    let known = recorded();
    let check = |forge: &dyn Fn(&mut cocoon_lite::types::SignatureSetOrdinary)| {
        let mut proof = known.forward.clone();
        for link in forward_links(&mut proof) {
            let SignatureSet::Ordinary(set) = &mut link.signatures else { panic!() };
            forge(set);
        }
        check_steps(&known.zero, &known.head.id, &proof).unwrap_err().to_string()
    };
    assert!(check(&|set| set.signatures[0].signature[5] ^= 1).contains("is false"));
    assert!(check(&|set| set.signatures[0].signature.truncate(63)).contains("is false"));
    assert!(check(&|set| set.signatures.clear()).contains("only 0 of"));
    assert!(check(&|set| set.signatures.push(set.signatures[0].clone())).contains("signed twice"));
    assert!(check(&|set| set.signatures[0].node_id_short.0[0] ^= 1).contains("no validator"));
    assert!(check(&|set| set.catchain_seqno += 1).contains("hash of the validators"));
    assert!(check(&|set| set.validator_set_hash ^= 1).contains("hash of the validators"));
    // The right validators in a session that did not make the block.
    let config = check_config(&known.head, &known.config).unwrap();
    let members = config.params().get_current_validator_set().unwrap().list;
    let other = tycho_types::models::ValidatorSet::compute_subset_hash_short(&members, 1);
    let refusal = check(&|set| (set.catchain_seqno, set.validator_set_hash) = (1, other));
    assert!(refusal.contains("the session of the signatures"), "{refusal}");
}

#[test]
fn attack_86_steps_that_lead_elsewhere_are_refused() {
    let known = recorded();
    let check = |proof: &PartialBlockProof| check_steps(&known.zero, &known.head.id, proof);
    // The key block in the middle is left out: old validators have no say after it.
    let mut proof = known.forward.clone();
    let skipped: Vec<_> = forward_links(&mut proof).into_iter().map(|link| link.clone()).collect();
    let last = skipped.last().unwrap();
    let first = &skipped[0];
    let mut over = last.clone();
    over.from = first.from.clone();
    over.config_proof = first.config_proof.clone();
    proof.steps = vec![BlockLink::Forward(over)];
    assert!(check(&proof).unwrap_err().to_string().contains("key block before a block"));
    // Steps left out, in another order, from elsewhere.
    let mut proof = known.forward.clone();
    proof.steps.remove(0);
    assert!(check(&proof).is_err());
    let mut proof = known.forward.clone();
    proof.steps.reverse();
    assert!(check(&proof).is_err());
    assert!(check_steps(&known.key, &known.head.id, &known.forward).is_err());
    // It does not reach what was asked for, and says that it does.
    assert!(check_steps(&known.zero, &known.old.id, &known.forward).is_err());
    let mut proof = known.forward.clone();
    proof.steps.pop();
    assert!(check(&proof).is_err());
    proof.complete = false;
    assert!(!check(&proof).unwrap().complete);
    // A block that nobody signed.
    let forgeries: [fn(&mut cocoon_lite::types::BlockLinkForward); 7] = [
        |link| link.to.root_hash.0[0] ^= 1,
        |link| link.to.file_hash.0[0] ^= 1,
        |link| link.to.seqno += 1,
        |link| link.to.workchain = 0,
        |link| link.to_key_block ^= true,
        |link| link.dest_proof = link.config_proof.clone(),
        |link| link.config_proof = link.dest_proof.clone(),
    ];
    for forge in forgeries {
        let mut proof = known.forward.clone();
        let to = {
            let mut links = forward_links(&mut proof);
            let link = links.last_mut().unwrap();
            forge(link);
            link.to.clone()
        };
        assert!(check_steps(&known.zero, &to, &proof).is_err());
        assert!(check(&proof).is_err());
    }
    // Back to a block that the state does not name.
    let mut proof = known.back.clone();
    let Some(BlockLink::Back(link)) = proof.steps.first_mut() else { panic!() };
    link.to.file_hash.0[0] ^= 1;
    let to = link.to.clone();
    assert!(check_steps(&known.head.id, &to, &proof).is_err());
    // The beginning has no header to check: its name is all there is.
    for forge in [|to: &mut BlockIdExt| to.root_hash.0[0] ^= 1, |to: &mut BlockIdExt| to.file_hash.0[0] ^= 1] {
        let mut proof = known.back_to_zero.clone();
        let Some(BlockLink::Back(link)) = proof.steps.last_mut() else { panic!() };
        forge(&mut link.to);
        proof.to = link.to.clone();
        let refusal = check_steps(&known.head.id, &proof.to, &proof).unwrap_err();
        assert!(refusal.to_string().contains("an earlier block"), "{refusal}");
    }
    // It says of a block that it is a key block, and of the way that it begins elsewhere.
    let mut proof = known.back.clone();
    let Some(BlockLink::Back(link)) = proof.steps.first_mut() else { panic!() };
    link.to_key_block ^= true;
    let refusal = check_steps(&known.head.id, &known.old.id, &proof).unwrap_err();
    assert!(refusal.to_string().contains("the kind of a block"), "{refusal}");
    let proof = PartialBlockProof { from: known.old.id.clone(), ..known.back.clone() };
    let refusal = check_steps(&known.head.id, &known.old.id, &proof).unwrap_err();
    assert!(refusal.to_string().contains("chain of proofs begins"), "{refusal}");
    // Validators sign blocks of shards in the same way.
    for chosen in [0, 1] {
        let mut proof = known.forward.clone();
        let refusal = {
            let mut links = forward_links(&mut proof);
            let link = &mut links[chosen];
            link.to.workchain = 0;
            check(&proof).unwrap_err()
        };
        assert!(refusal.to_string().contains("of the masterchain"), "{refusal}");
    }
    // Forward said to be back.
    let mut proof = known.back.clone();
    let Some(BlockLink::Back(link)) = proof.steps.first_mut() else { panic!() };
    std::mem::swap(&mut link.from, &mut link.to);
    assert!(check_steps(&known.old.id, &known.head.id, &proof).is_err());
}

#[test]
fn attack_86_cells_too_deep_to_walk_are_refused_and_not_walked() {
    let known = recorded();
    // A bag written by hand: each cell refers to the next one, and the last to none.
    let count: u16 = 60_000;
    let mut cells = vec![];
    for index in 0..count {
        if index + 1 < count {
            cells.extend([1, 0]);
            cells.extend((index + 1).to_be_bytes());
        } else {
            cells.extend([0, 0]);
        }
    }
    let mut bytes = vec![0xb5, 0xee, 0x9c, 0x72, 2, 3];
    bytes.extend(count.to_be_bytes());
    bytes.extend([0, 1, 0, 0]);
    bytes.extend(&(cells.len() as u32).to_be_bytes()[1..]);
    bytes.extend([0, 0]);
    bytes.extend(cells);
    let deep = AccountState { state: bytes, ..known.rich_state.clone() };
    assert!(refused(&deep).to_string().contains("too deep"), "{}", refused(&deep));
    // As deep as is allowed it is read, and is something else.
    let deep = AccountState { state: bag(&[chain_of(1000)]), ..known.rich_state.clone() };
    assert!(matches!(refused(&deep), ProofError::Differs { .. }), "{}", refused(&deep));
    let deep = AccountState { state: bag(&[chain_of(2000)]), ..known.rich_state.clone() };
    assert!(refused(&deep).to_string().contains("too deep"), "{}", refused(&deep));
}

fn chain_of(depth: usize) -> Cell {
    let mut cell = Cell::empty_cell();
    for _ in 0..depth {
        let mut builder = CellBuilder::new();
        builder.store_reference(cell).unwrap();
        cell = builder.build().unwrap();
    }
    cell
}

/// Changes one bit, or cuts, somewhere.
fn damage(bytes: &mut Vec<u8>, place: usize, cut: bool) {
    if bytes.is_empty() {
        bytes.push(place as u8);
    } else if cut {
        bytes.truncate(place / 8 % bytes.len());
    } else {
        let length = bytes.len();
        bytes[place / 8 % length] ^= 1 << (place % 8);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn attack_86_a_damaged_answer_never_gives_another_result(field in 0..10, place: usize, cut in prop::bool::weighted(0.1)) {
        let known = recorded();
        let truth = check_account(&known.head, &known.rich, &known.rich_state).unwrap();
        let mut account = known.rich_state.clone();
        let mut config = known.config.clone();
        let mut history = known.history.clone();
        let mut forward = known.forward.clone();
        match field {
            0 => damage(&mut account.proof, place, cut),
            1 => damage(&mut account.shard_proof, place, cut),
            2 => damage(&mut account.state, place, cut),
            3 => damage(&mut config.config_proof, place, cut),
            4 => damage(&mut config.state_proof, place, cut),
            5 => damage(&mut history.transactions, place, cut),
            6 => forward_links(&mut forward).into_iter().for_each(|link| damage(&mut link.config_proof, place, cut)),
            7 => forward_links(&mut forward).into_iter().for_each(|link| damage(&mut link.dest_proof, place, cut)),
            8 => {
                let mut bytes = Answer::from(account.clone()).to_bytes();
                damage(&mut bytes, place, cut);
                if let Ok(Answer::AccountState(read)) = Answer::from_bytes(&bytes) {
                    account = read;
                }
            }
            _ => {
                let mut bytes = Answer::from(forward.clone()).to_bytes();
                damage(&mut bytes, place, cut);
                if let Ok(Answer::PartialBlockProof(read)) = Answer::from_bytes(&bytes) {
                    forward = read;
                }
            }
        }
        if let Ok(found) = check_account(&known.head, &known.rich, &account) {
            prop_assert_eq!(found, truth);
        }
        if let Ok(found) = check_config(&known.head, &config) {
            let real = check_config(&known.head, &known.config).unwrap();
            prop_assert_eq!(found.params().as_dict().root(), real.params().as_dict().root());
        }
        if let Ok(found) = check_history(&known.rich, known.newest, 16, &history) {
            let real = check_history(&known.rich, known.newest, 16, &known.history).unwrap();
            prop_assert_eq!(&found[..], &real[..found.len()]);
        }
        if let Ok(found) = check_steps(&known.zero, &known.head.id, &forward) {
            prop_assert!(!found.complete || found.end.as_ref() == Some(&known.head));
        }
    }

    #[test]
    fn attack_86_garbage_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let known = recorded();
        let forged = AccountState { proof: bytes.clone(), ..known.rich_state.clone() };
        prop_assert!(check_account(&known.head, &known.rich, &forged).is_err());
        let forged = AccountState { state: bytes, ..known.rich_state.clone() };
        prop_assert!(check_account(&known.head, &known.rich, &forged).is_err());
    }
}
