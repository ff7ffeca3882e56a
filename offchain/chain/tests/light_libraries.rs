//! Contracts whose code is a public library: their getters run here too, and no server chooses what code that is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::time::Duration;

use cocoon_chain::light::{GlobalConfig, LightClient, LightSettings, ProvenBlock, check_header, check_libraries};
use cocoon_chain::{Chain, GetterError, OutMessage, StateInit, Wallet, WalletVersion, call_getter};
use cocoon_devnet::{Devnet, Fault, LiteServer};
use cocoon_lite::answers::LibraryResultWithProof;
use cocoon_lite::frame::Asked;
use cocoon_lite::{Answer, Connection, Frame, Query, queries, wrap_query};
use cocoon_protocol::{Nano, NodeKey, StdAddr};
use cocoon_wrappers::{GetterCall, StackValue};
use tycho_types::boc::Boc;
use tycho_types::cell::{Cell, CellBuilder, HashBytes};

const ANYTHING: GetterCall = GetterCall { name: "anything", args: vec![] };

/// DROP and 42 PUSHINT: whatever it is asked, it says 42.
fn library() -> Cell {
    let mut code = CellBuilder::new();
    code.store_u8(0x30).unwrap();
    code.store_u16(0x802a).unwrap();
    code.build().unwrap()
}

fn with_code(code: CellBuilder) -> StateInit {
    StateInit { code: Some(code.build().unwrap()), data: Some(Cell::default()), ..Default::default() }
}

/// PUSHREF, 2 PUSHINT and SETLIBCODE: it publishes the library when it is deployed.
fn publisher() -> StateInit {
    let mut code = CellBuilder::new();
    code.store_u8(0x88).unwrap();
    code.store_reference(library()).unwrap();
    code.store_u8(0x72).unwrap();
    code.store_u16(0xfb06).unwrap();
    with_code(code)
}

/// Its code is the library with this hash.
fn user(hash: &HashBytes) -> StateInit {
    let mut code = CellBuilder::new();
    code.set_exotic(true);
    code.store_u8(2).unwrap();
    code.store_u256(hash).unwrap();
    with_code(code)
}

fn address(workchain: i8, state: &StateInit) -> StdAddr {
    StdAddr::new(workchain, *CellBuilder::build_from(state).unwrap().repr_hash())
}

struct Network {
    devnet: Devnet,
    servers: Vec<LiteServer>,
    user: StdAddr,
}

impl Network {
    /// Two servers of a network where somebody uses a public library.
    async fn new() -> Self {
        let devnet = Devnet::ephemeral().await.unwrap();
        let payer = Wallet::new(NodeKey::from_seed(&[1; 32]), WalletVersion::V5R1, devnet.network()).unwrap();
        devnet.faucet(payer.address(), Nano::from_ton(10)).await.unwrap();
        let user = user(library().repr_hash());
        for (workchain, state) in [(-1, publisher()), (0, user.clone())] {
            let deploy = OutMessage::new(address(workchain, &state), Nano::from_ton(1)).state_init(state);
            payer.send_and_confirm(&devnet, &[deploy]).await.unwrap().ok().unwrap();
        }
        let mut servers = vec![];
        for _ in 0..2 {
            servers.push(devnet.serve_lite("127.0.0.1:0".parse().unwrap()).await.unwrap());
        }
        Self { devnet, servers, user: address(0, &user) }
    }

    async fn client(&self) -> LightClient {
        let mut configs = vec![];
        for server in &self.servers {
            let config = self.devnet.global_config(server).await.unwrap();
            configs.push(GlobalConfig::from_json(&config.to_string()).unwrap());
        }
        let mut config = configs[0].clone();
        config.servers = configs.into_iter().flat_map(|config| config.servers).collect();
        let settings = LightSettings { timeout: Duration::from_secs(2), ..LightSettings::new(config) };
        LightClient::connect(settings).await.unwrap()
    }

    async fn ask(&self, query: Query) -> Answer {
        let server = &self.servers[0];
        let mut connection = Connection::connect(server.address(), server.public_key()).await.unwrap();
        let query = wrap_query(&query, None);
        connection.sender.send(&Frame::Asked(Asked { query_id: HashBytes::ZERO, query })).await.unwrap();
        let Frame::Answered(answered) = connection.receiver.receive().await.unwrap() else { panic!() };
        Answer::from_bytes(&answered.answer).unwrap()
    }

    /// The newest block, and a true answer about libraries at it.
    async fn recorded(&self, wanted: &[HashBytes], mode: u32) -> (ProvenBlock, LibraryResultWithProof) {
        let client = self.client().await;
        let id = client.proven_block().unwrap().id;
        let answer = self.ask(queries::GetBlockHeader { id: id.clone(), mode: 0 }.into()).await;
        let Answer::BlockHeader(header) = answer else { panic!("{answer:?}") };
        let query = queries::GetLibrariesWithProof { id: id.clone(), mode, library_list: wanted.to_vec() };
        let answer = self.ask(query.into()).await;
        let Answer::LibraryResultWithProof(result) = answer else { panic!("{answer:?}") };
        (check_header(&id, &header.header_proof).unwrap(), result)
    }
}

#[tokio::test]
async fn the_getter_of_a_contract_whose_code_is_a_library_runs_here() {
    let network = Network::new().await;
    let client = network.client().await;
    let result = call_getter(&client, &network.user, &ANYTHING).await.unwrap();
    assert_eq!(result, [StackValue::Int(42.into())]);
    assert_eq!(client.libraries(&[*library().repr_hash(), HashBytes::ZERO]).await.unwrap(), [library()]);
    // What is known of the newest block is not asked for again.
    drop(network.servers);
    let head = client.head().await.unwrap();
    assert_eq!(client.libraries(&[*library().repr_hash(), HashBytes::ZERO]).await.unwrap(), [library()]);
    assert_eq!(client.head().await.unwrap(), head);
    client.libraries(&[HashBytes::ZERO; 17]).await.unwrap_err();
}

#[tokio::test]
async fn attack_86_a_server_that_gives_other_code_for_a_library_is_not_believed() {
    for fault in [Fault::ForgeState, Fault::ForgeProof] {
        let network = Network::new().await;
        let client = network.client().await;
        // Known before, so that only the library is asked of the liars.
        let account = client.account(&network.user).await.unwrap();
        client.config().await.unwrap();
        network.servers[0].set_fault(Some(fault));
        let result = cocoon_chain::run_getter_on(&client, &account, &ANYTHING).await.unwrap();
        assert_eq!(result.stack, [StackValue::Int(42.into())]);
        network.servers[1].set_fault(Some(fault));
        network.devnet.tick().await.unwrap();
        let fresh = network.client().await;
        network.servers.iter().for_each(|server| server.set_fault(None));
        let account = fresh.account(&network.user).await.unwrap();
        fresh.config().await.unwrap();
        network.servers.iter().for_each(|server| server.set_fault(Some(fault)));
        let refused = cocoon_chain::run_getter_on(&fresh, &account, &ANYTHING).await.unwrap_err();
        assert!(matches!(&refused, GetterError::Chain(_)), "{refused}");
        assert!(refused.to_string().contains("a public library should be"), "{refused}");
        assert_eq!(fresh.troubles().len(), 2, "{:?}", fresh.troubles());
    }
}

#[tokio::test]
async fn attack_86_a_library_that_is_left_out_exchanged_or_of_another_state_is_refused() {
    let network = Network::new().await;
    let (hash, absent) = (*library().repr_hash(), HashBytes([7; 32]));
    let (block, answer) = network.recorded(&[hash, absent], 0).await;
    assert_eq!(check_libraries(&block, &[hash, absent], &answer).unwrap(), [library()]);
    assert!(check_libraries(&block, &[absent], &answer).unwrap().is_empty());

    let mut without = answer.clone();
    without.result.clear();
    let refused = check_libraries(&block, &[hash], &without).unwrap_err();
    assert!(refused.to_string().contains("left out"), "{refused}");
    let mut other = answer.clone();
    other.result[0].data = Boc::encode(CellBuilder::build_from(7u32).unwrap());
    check_libraries(&block, &[hash], &other).unwrap_err();
    // A proof of another one proves nothing about this one.
    let (block, about_another) = network.recorded(&[absent], 0).await;
    check_libraries(&block, &[hash], &about_another).unwrap_err();
    // Another block's state proves nothing about this one.
    network.devnet.tick().await.unwrap();
    let (later, newer) = network.recorded(&[hash], 1).await;
    assert_eq!(check_libraries(&later, &[hash], &newer).unwrap(), [library()]);
    check_libraries(&later, &[hash], &answer).unwrap_err();
    let mut mixed = newer.clone();
    mixed.data_proof = answer.data_proof;
    check_libraries(&later, &[hash], &mixed).unwrap_err();
    // With mode 2 the data is left out, and nothing can be run.
    let (later, bare) = network.recorded(&[hash], 2).await;
    assert!(bare.result[0].data.is_empty());
    check_libraries(&later, &[hash], &bare).unwrap_err();
}
