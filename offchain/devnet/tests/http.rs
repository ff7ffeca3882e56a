//! The HTTP face: forms of answers, and what is wrong with bad requests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cocoon_chain::{Chain, OutMessage, Wallet, WalletVersion, cell_hash};
use cocoon_devnet::Devnet;
use cocoon_protocol::{Nano, StdAddr};
use common::face::Face;
use common::{balance, funded, network, text};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tycho_types::boc::Boc;

async fn paid() -> (Devnet, Wallet, Wallet, Face) {
    let (devnet, _clock) = network().await;
    let alice = funded(&devnet, WalletVersion::V4R2, 1).await;
    let bob = common::wallet(WalletVersion::V5R1, 2);
    for comment in ["one", "two", "three"] {
        let payment = OutMessage::new(bob.address().clone(), Nano::from_ton(1)).no_bounce().body(text(comment));
        alice.send_and_confirm(&devnet, &[payment]).await.unwrap().ok().unwrap();
    }
    let face = Face::of(&devnet).await;
    (devnet, alice, bob, face)
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn blocks_have_the_names_and_forms_of_the_public_service() {
    let (devnet, _, _, face) = paid().await;
    let info = face.ask("getMasterchainInfo", json!({})).await;
    assert_eq!(keys(&info), ["@type", "last", "state_root_hash", "init", "@extra"]);
    let last = &info["last"];
    assert_eq!(keys(last), ["@type", "workchain", "shard", "seqno", "root_hash", "file_hash"]);
    assert_eq!((&last["workchain"], &last["shard"]), (&json!(-1), &json!("-9223372036854775808")));
    assert_eq!(last["seqno"], devnet.head().await.unwrap().seqno);

    let seqno = last["seqno"].as_u64().unwrap();
    let shards = face.ask("shards", json!({ "seqno": seqno })).await;
    let shard = &shards["shards"][0];
    assert_eq!((&shard["workchain"], &shard["seqno"]), (&json!(0), &json!(seqno)));
    let named = json!({ "workchain": 0, "shard": shard["shard"], "seqno": seqno });
    let header = face.ask("getBlockHeader", named.clone()).await;
    assert_eq!(header["id"], *shard);
    assert_eq!(header["prev_blocks"][0]["seqno"], seqno - 1);
    assert!(header["start_lt"].is_string() && header["gen_utime"].is_u64());

    // By number, logical time and time it is the same block.
    let mut found = face.ask("lookupBlock", named).await;
    found.as_object_mut().unwrap().shift_remove("@extra");
    assert_eq!(found, *shard);
    let by_lt = json!({ "workchain": "0", "shard": shard["shard"], "lt": header["end_lt"] });
    assert_eq!(face.ask("lookupBlock", by_lt).await["root_hash"], shard["root_hash"]);

    let signatures = face.ask("getMasterchainBlockSignatures", json!({ "seqno": seqno })).await;
    assert_eq!(STANDARD.decode(signatures["signatures"][0]["signature"].as_str().unwrap()).unwrap().len(), 64);
    assert_eq!(face.ask("getConsensusBlock", json!({})).await["consensus_block"], seqno);

    let block = json!({ "workchain": 0, "shard": shard["shard"], "seqno": 1, "from_seqno": seqno });
    let proof = face.ask("getShardBlockProof", block).await;
    assert_eq!((&proof["from"], &proof["mc_id"]["seqno"]), (last, &json!(1)));
    assert_eq!((&proof["links"][0]["id"]["seqno"], &proof["mc_proof"][0]["to"]), (&json!(1), &proof["mc_id"]));
    let early = json!({ "workchain": 0, "shard": shard["shard"], "seqno": 2, "from_seqno": 1 });
    assert_eq!(face.refused("getShardBlockProof", early).await, 422);
    let queues = face.ask("getOutMsgQueueSizes", json!({})).await;
    assert_eq!((&queues["shards"][1]["id"], &queues["shards"][1]["size"]), (shard, &json!(0)));
}

#[tokio::test]
async fn accounts_have_the_names_and_forms_of_the_public_service() {
    let (devnet, alice, bob, face) = paid().await;
    let address = json!({ "address": alice.address().to_string() });
    let information = face.ask("getAddressInformation", address.clone()).await;
    let fields = ["@type", "balance", "extra_currencies", "code", "data", "last_transaction_id", "block_id"];
    assert_eq!(keys(&information)[..7], fields);
    assert_eq!(keys(&information)[7..], ["frozen_hash", "sync_utime", "state", "@extra"]);
    let held = balance(&devnet, alice.address()).await.get().to_string();
    assert_eq!((&information["balance"], &information["state"]), (&json!(held), &json!("active")));
    assert_eq!(face.ask("getAddressBalance", address.clone()).await, json!(held));

    let wallet = face.ask("getWalletInformation", address.clone()).await;
    assert_eq!((&wallet["wallet_type"], &wallet["seqno"]), (&json!("wallet v4 r2"), &json!(3)));
    assert_eq!(wallet["wallet_id"], 698_983_191);
    let extended = face.ask("getExtendedAddressInformation", address).await;
    assert_eq!(extended["account_state"]["@type"], "wallet.v4.accountState");

    let bob = json!({ "address": bob.address().to_string() });
    assert_eq!(face.ask("getAddressState", bob.clone()).await, "uninitialized");
    assert_eq!(face.ask("getWalletInformation", bob).await["wallet"], false);
    let nobody = json!({ "address": StdAddr::new(0, [9; 32].into()).to_string() });
    assert_eq!(face.ask("getAddressInformation", nobody.clone()).await["balance"], "0");
    assert_eq!(face.ask("getExtendedAddressInformation", nobody).await["balance"], "-1");
}

#[tokio::test]
async fn addresses_are_packed_unpacked_and_detected() {
    let (devnet, _clock) = network().await;
    let face = Face::of(&devnet).await;
    let raw = "0:83dfd552e63729b472fcbcc8c45ebcc6691702558b68ec7527e1ba403a0f31a8";
    let friendly = "EQCD39VS5jcptHL8vMjEXrzGaRcCVYto7HUn4bpAOg8xqB2N";
    assert_eq!(face.get(&format!("packAddress?address={raw}")).await.1["result"], friendly);
    assert_eq!(face.get(&format!("unpackAddress?address={friendly}")).await.1["result"], raw);
    let detected = face.get(&format!("detectAddress?address={friendly}")).await.1["result"].clone();
    assert_eq!(
        keys(&detected),
        ["@type", "raw_form", "bounceable", "non_bounceable", "given_type", "test_only", "@extra"]
    );
    let hash = "ab".repeat(32);
    let forms = face.get(&format!("detectHash?hash={hash}")).await.1["result"].clone();
    assert_eq!((&forms["hex"], &forms["b64"]), (&json!(hash), &json!(STANDARD.encode([0xab; 32]))));
    assert_eq!(face.get("detectHash?hash=ab").await.0, 422);
    assert_eq!((&detected["given_type"], &detected["raw_form"]), (&json!("friendly_bounceable"), &json!(raw)));
}

#[tokio::test]
async fn history_is_paged_without_gap_and_located_by_message() {
    let (_devnet, alice, bob, face) = paid().await;
    let address = alice.address().to_string();
    let all = face.ask("getTransactions", json!({ "address": address, "limit": 100 })).await;
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), 4);
    let message = &all[0]["out_msgs"][0];
    assert_eq!((&message["message"], &message["msg_data"]["@type"]), (&json!("three"), &json!("msg.dataText")));
    assert_eq!(message["value"], "1000000000");
    assert_eq!(all[0]["in_msg"]["source"], "");
    let number = |name: &str| all[0][name].as_str().unwrap().parse::<u64>().unwrap();
    assert_eq!(number("fee"), number("storage_fee") + number("other_fee"));

    // Page by page it is the same.
    let (mut paged, mut from): (Vec<Value>, Option<Value>) = (vec![], None);
    loop {
        let mut params = json!({ "address": address, "limit": 2 });
        if let Some(from) = &from {
            params["lt"] = from["lt"].clone();
            params["hash"] = from["hash"].clone();
        }
        let page = face.ask("getTransactions", params).await;
        let page = page.as_array().unwrap();
        let fresh = usize::from(from.is_some());
        if page.len() <= fresh {
            break;
        }
        paged.extend(page[fresh..].iter().cloned());
        from = page.last().map(|last| last["transaction_id"].clone());
    }
    assert_eq!(&paged, all);
    assert_eq!((&all[0]["account"], &all[0]["@type"]), (&json!(address), &json!("ext.transaction")));
    // tonlib's form has the name of what comes before.
    let std = face.ask("getTransactionsStd", json!({ "address": address, "limit": 3 })).await;
    assert_eq!(std["previous_transaction_id"], all[3]["transaction_id"]);
    let (one, other) = (&std["transactions"][0], &all[0]);
    assert_eq!((&one["data"], &one["fee"], one.get("account")), (&other["data"], &other["fee"], None));
    let message = &one["out_msgs"][0];
    let account = json!({ "@type": "accountAddress", "account_address": other["out_msgs"][0]["destination"] });
    assert_eq!((&message["destination"], message.get("message")), (&account, None));
    let message = &all[0]["out_msgs"][0];
    let newer = json!({ "address": address, "to_lt": all[2]["transaction_id"]["lt"] });
    assert_eq!(face.ask("getTransactions", newer).await, json!(all[..2]));

    let named =
        json!({ "source": address, "destination": bob.address().to_string(), "created_lt": message["created_lt"] });
    assert_eq!(face.ask("tryLocateSourceTx", named.clone()).await["transaction_id"], all[0]["transaction_id"]);
    let result = face.ask("tryLocateResultTx", named.clone()).await;
    assert_eq!(result["in_msg"]["hash"], message["hash"]);
    assert_eq!(face.ask("tryLocateTx", named).await["data"], result["data"]);
    let wrong = json!({ "source": address, "destination": address, "created_lt": message["created_lt"] });
    assert_eq!(face.refused("tryLocateTx", wrong).await, 500);
}

#[tokio::test]
async fn transactions_of_a_block_are_listed_in_full_and_in_part() {
    let (devnet, alice, _, face) = paid().await;
    let seqno = devnet.head().await.unwrap().seqno;
    let mut found = 0;
    for seqno in 1..=seqno {
        let named = json!({ "workchain": 0, "shard": "-9223372036854775808", "seqno": seqno });
        let short = face.ask("getBlockTransactions", named.clone()).await;
        let long = face.ask("getBlockTransactionsExt", named.clone()).await;
        assert_eq!((&short["incomplete"], &short["req_count"]), (&json!(false), &json!(40)));
        let (short, long) = (short["transactions"].as_array().unwrap(), long["transactions"].as_array().unwrap());
        for (short, long) in short.iter().zip(long) {
            assert_eq!((&short["account"], &short["lt"]), (&long["account"], &long["transaction_id"]["lt"]));
            found += usize::from(short["account"] == alice.address().to_string());
        }
        if let [first, second, ..] = short.as_slice() {
            let mut params = named.clone();
            params["count"] = json!(1);
            let part = face.ask("getBlockTransactions", params.clone()).await;
            assert_eq!((&part["incomplete"], &part["transactions"]), (&json!(true), &json!([first])));
            params["after_lt"] = first["lt"].clone();
            params["after_hash"] = json!(first["account"].as_str().unwrap().split(':').nth(1).unwrap());
            assert_eq!(face.ask("getBlockTransactions", params).await["transactions"], json!([second]));
        }
    }
    assert_eq!(found, 4);
}

#[tokio::test]
async fn a_message_is_sent_once_and_its_hash_told() {
    let (devnet, alice, bob, face) = paid().await;
    let payment = OutMessage::new(bob.address().clone(), Nano::from_ton(2)).no_bounce();
    let until = devnet.head().await.unwrap().utime.plus(60);
    let message = alice.sign(&[payment], 3, until, false).unwrap();
    let boc = json!({ "boc": STANDARD.encode(Boc::encode(&message)) });
    let sent = face.ask("sendBocReturnHash", boc.clone()).await;
    assert_eq!(sent["hash"], STANDARD.encode(cell_hash(&message).0));
    assert_eq!(balance(&devnet, bob.address()).await, Nano::from_ton(5));
    let (status, again) = face.post("sendBocReturnHashNoError", &boc).await;
    assert_eq!((status, &again["result"]["hash"]), (200, &sent["hash"]));
    let (status, again) = face.post("sendBoc", &boc).await;
    assert_eq!((status, &again["ok"]), (500, &json!(false)));
    assert!(again["error"].as_str().unwrap().starts_with("LITE_SERVER_UNKNOWN: cannot apply external message"));
    assert_eq!(balance(&devnet, bob.address()).await, Nano::from_ton(5));
}

#[tokio::test]
async fn an_estimate_is_what_the_message_then_costs_and_changes_nothing() {
    let (devnet, alice, bob, face) = paid().await;
    let payment = OutMessage::new(bob.address().clone(), Nano::from_ton(2)).no_bounce();
    let head = devnet.head().await.unwrap();
    let message = alice.sign(&[payment], 3, head.utime.plus(60), false).unwrap();
    let parsed: tycho_types::models::Message<'_> = message.parse().unwrap();
    let body = tycho_types::cell::CellBuilder::build_from(parsed.body).unwrap();
    let params = json!({
        "address": alice.address().to_string(),
        "body": STANDARD.encode(Boc::encode(&body)),
        "init_code": "",
        "init_data": "",
        "ignore_chksig": false,
    });
    let estimate = face.ask("estimateFee", params.clone()).await["source_fees"].clone();
    assert_eq!(devnet.head().await.unwrap(), head);
    let before = balance(&devnet, alice.address()).await.get();
    face.ask("sendQuery", params).await;
    let after = balance(&devnet, alice.address()).await.get();
    let part = |name: &str| estimate[name].as_u64().unwrap();
    let all = part("in_fwd_fee") + part("storage_fee") + part("gas_fee") + part("fwd_fee");
    assert_eq!(before - after, all + 2_000_000_000);
    assert!(part("gas_fee") > 0 && part("fwd_fee") > 0 && part("in_fwd_fee") > 0);
}

#[tokio::test]
async fn a_wrong_signature_is_good_for_an_estimate_and_never_for_a_payment() {
    let (devnet, alice, bob, face) = paid().await;
    let payment = OutMessage::new(bob.address().clone(), Nano::from_ton(2)).no_bounce();
    let mallory = Wallet::new(common::key(9), WalletVersion::V4R2, devnet.network()).unwrap();
    let until = devnet.head().await.unwrap().utime.plus(60);
    let forged = mallory.sign(&[payment], 3, until, false).unwrap();
    let parsed: tycho_types::models::Message<'_> = forged.parse().unwrap();
    let body = tycho_types::cell::CellBuilder::build_from(parsed.body).unwrap();
    let mut params = json!({ "address": alice.address().to_string(), "body": STANDARD.encode(Boc::encode(&body)) });
    let fees = face.ask("estimateFee", params.clone()).await;
    assert!(fees["source_fees"]["gas_fee"].as_u64().unwrap() > 0);
    assert_eq!(face.refused("sendQuery", params.clone()).await, 500);
    // With a signature that counts, the wallet accepts nothing: the way there is all that would be paid.
    params["ignore_chksig"] = json!(false);
    let refused = face.ask("estimateFee", params).await["source_fees"].clone();
    assert_eq!(refused["in_fwd_fee"], fees["source_fees"]["in_fwd_fee"]);
    assert_eq!((&refused["gas_fee"], &refused["fwd_fee"]), (&json!(0), &json!(0)));
    let nobody = json!({ "address": StdAddr::new(0, [9; 32].into()).to_string(), "body": "te6ccgEBAQEAAgAAAA==" });
    assert_eq!(face.refused("estimateFee", nobody).await, 500);
    assert_eq!(balance(&devnet, bob.address()).await, Nano::from_ton(3));
}

#[tokio::test]
async fn getters_run_by_name_and_by_number() {
    let (_devnet, alice, _, face) = paid().await;
    let address = alice.address().to_string();
    let call = |method: Value, stack: Value| json!({ "address": address, "method": method, "stack": stack });
    let run = face.ask("runGetMethod", call(json!("seqno"), json!([]))).await;
    assert_eq!((&run["exit_code"], &run["stack"]), (&json!(0), &json!([["num", "0x3"]])));
    assert!(run["gas_used"].as_u64().unwrap() > 0);
    assert_eq!(face.ask("runGetMethod", call(json!(85143), json!([]))).await["stack"], json!([["num", "0x3"]]));
    let none = face.ask("runGetMethod", call(json!("no_such"), json!([]))).await;
    assert_eq!((&none["exit_code"], &none["stack"]), (&json!(11), &json!([["num", "0x132c4"]])), "what it threw");
    assert!(none["gas_used"].as_u64().unwrap() > 0);
    // With tonlib's forms of values.
    let number = |n: &str| json!({ "@type": "tvm.stackEntryNumber", "number": { "number": n } });
    let key = json!([number("5")]);
    let run = face.ask("runGetMethodStd", call(json!("seqno"), json!([]))).await;
    assert_eq!((&run["stack"][0]["number"]["number"], run.get("block_id")), (&json!("3"), None));
    let run = face.ask("runGetMethodStd", call(json!("is_plugin_installed"), json!([number("0"), number("5")]))).await;
    assert_eq!((&run["exit_code"], &run["stack"][0]["number"]["number"]), (&json!(0), &json!("0")), "{run}");
    let mut deep = key.clone();
    for _ in 0..100 {
        deep = json!([{ "@type": "tvm.stackEntryTuple", "tuple": { "elements": deep } }]);
    }
    for bad in [json!([5]), json!({}), json!([{ "@type": "tvm.stackEntryNumber" }]), json!([{ "@type": "?" }]), deep] {
        assert_eq!(face.refused("runGetMethodStd", call(json!("seqno"), bad)).await, 422);
    }
    assert_eq!(face.refused("runGetMethodStd", call(json!("seqno"), json!(vec![number("1"); 65]))).await, 422);
    let nobody = json!({ "address": StdAddr::new(0, [9; 32].into()).to_string(), "method": "seqno", "stack": [] });
    assert_eq!(face.ask("runGetMethod", nobody).await["exit_code"], -13);
    assert_eq!(face.refused("runGetMethod", call(json!("seqno"), json!([["num", "x"]]))).await, 422);
}

#[tokio::test]
async fn the_configuration_and_libraries_are_told() {
    let (devnet, _clock) = network().await;
    let face = Face::of(&devnet).await;
    let one = face.ask("getConfigParam", json!({ "config_id": 19 })).await;
    let cell = Boc::decode(STANDARD.decode(one["config"]["bytes"].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(cell.parse::<i32>().unwrap(), devnet.network().0);
    assert_eq!(face.ask("getConfigAll", json!({})).await["@type"], "configInfo");
    assert_eq!(face.refused("getConfigParam", json!({ "config_id": 9999 })).await, 500);
    let hash = "00".repeat(32);
    let (status, none) = face.get(&format!("getLibraries?libraries={hash}&libraries={hash}")).await;
    assert_eq!((status, &none["result"]["result"]), (200, &json!([])));
}

#[tokio::test]
async fn bad_requests_are_answered_with_what_is_wrong() {
    let (_devnet, alice, _, face) = paid().await;
    let address = alice.address().to_string();
    assert_eq!(face.refused("getEverything", json!({})).await, 404);
    assert_eq!(face.refused("getAddressInformation", json!({})).await, 422);
    for bad in ["", "x", "0:00", "EQCD39VS5jcptHL8vMjEXrzGaRcCVYto7HUn4bpAOg8xqB2X"] {
        assert_eq!(face.refused("getAddressInformation", json!({ "address": bad })).await, 416, "{bad}");
    }
    assert_eq!(face.refused("getAddressInformation", json!({ "address": 5 })).await, 422);
    for limit in [json!(0), json!(-1), json!(100_000), json!("many"), json!(1.5), json!([])] {
        assert_eq!(face.refused("getTransactions", json!({ "address": address, "limit": limit })).await, 422);
    }
    let unknown = json!({ "address": address, "lt": "1", "hash": "00".repeat(32) });
    assert_eq!(face.refused("getTransactions", unknown).await, 500);
    assert_eq!(face.refused("shards", json!({ "seqno": 1_000_000 })).await, 500);
    assert_eq!(face.refused("shards", json!({ "seqno": 0 })).await, 500);
    let elsewhere = json!({ "workchain": 5, "shard": "-9223372036854775808", "seqno": 1 });
    assert_eq!(face.refused("getBlockHeader", elsewhere).await, 500);
    for boc in ["", "!", "AAAA"] {
        assert_eq!(face.refused("sendBoc", json!({ "boc": boc })).await, 422, "{boc}");
    }
    // An empty cell is a bag of cells, but no message.
    assert_eq!(face.refused("sendBoc", json!({ "boc": "te6ccgEBAQEAAgAAAA==" })).await, 500);

    assert_eq!(face.get("sendBoc?boc=AAAA").await.0, 405);
    for body in ["", "[]", "{", "null", "{\"method\":5}", "{\"method\":\"shards\",\"params\":[]}"] {
        let (status, answer) = face.send("POST /api/v2/jsonRPC", body).await;
        assert_eq!((status, &answer["ok"]), (422, &json!(false)), "{body}");
    }
    let (status, answer) = face.send("GET /", "").await;
    assert_eq!((status, &answer["ok"]), (404, &json!(false)));
    let (status, answer) = face.post("sendBoc", &json!({ "boc": "A".repeat(300_000) })).await;
    assert_eq!((status, &answer["ok"]), (422, &json!(false)));
}

#[tokio::test]
async fn a_bag_of_cells_too_deep_to_be_freed_is_refused_and_ends_nothing() {
    let (_devnet, alice, _, face) = paid().await;
    let deep = STANDARD.encode(common::deep_bag(35_000));
    assert_eq!(face.refused("sendBoc", json!({ "boc": deep })).await, 422);
    let address = alice.address().to_string();
    for stack in [json!([["cell", deep]]), json!([["tvm.Slice", { "bytes": deep }]])] {
        let call = json!({ "address": address, "method": "seqno", "stack": stack });
        assert_eq!(face.refused("runGetMethod", call).await, 422);
    }
    let estimate = json!({ "address": address, "body": deep });
    assert_eq!(face.refused("estimateFee", estimate).await, 422);
    face.ask("getMasterchainInfo", json!({})).await;
}

#[tokio::test]
async fn it_is_for_this_machine_only_and_ends_when_dropped() {
    let (devnet, _clock) = network().await;
    assert!(devnet.serve_http("0.0.0.0:0".parse().unwrap()).await.is_err());
    let face = Face::of(&devnet).await;
    let address = face.0.addr();
    face.ask("getMasterchainInfo", json!({})).await;
    drop(face);
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
