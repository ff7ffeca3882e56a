//! A client demands that the worker it talks to is in the transparency log.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use cocoon_attest::{IdentityRequest, issue_identity};
use cocoon_chain::{Chain, OutMessage};
use cocoon_e2e::rogue::Rogue;
use cocoon_e2e::{fault as fault_of, *};
use cocoon_localnet::LocalNet;
use cocoon_node::log;
use cocoon_protocol::{Fault, FaultCode, Hash256, LogProof, Nano, NodeKey, Role, UnixSeconds};
use cocoon_transparency::{Index, Tail, Tree, evidence_digest, log_address, require_evidence};

/// Why a question has no answer.
async fn refusal(net: &LocalNet) -> Fault {
    match net.ask(question("What is Toncoin?")).await {
        Ok(answer) => fault_of(answer).await,
        Err(error) => error.downcast::<Fault>().unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_demands_the_log_is_answered_by_a_logged_worker() {
    let mut net = start(config()).await;
    let (text, finished) = ask(&net, "What is Toncoin?").await;
    assert!(text.contains("Toncoin"));
    let offered = net.proxy().unwrap().proxy.offers();
    let shown = &offered[0].candidates[0];
    assert_eq!(shown.evidence, finished.evidence);
    let proof = shown.logged.as_ref().unwrap();
    let state = log::read(&*net.chain, &net.registry).await.unwrap();
    assert!(proof.index < state.size());
    let digest = evidence_digest(&shown.evidence);
    let key = net.node_key(Role::Worker).public();
    require_evidence(&state, &key, &digest, proof).unwrap();

    // It is paid for once, however many blocks come.
    for _ in 0..3 {
        net.chain.tick().await.unwrap();
    }
    let mut index = Index::new(log_address(&net.registry).unwrap());
    for transaction in net.chain.transactions(&log_address(&net.registry).unwrap(), 0, 1_000).await.unwrap() {
        index.read(&transaction).unwrap();
    }
    assert_eq!(index.leaves().iter().filter(|leaf| leaf.logs(&key, &digest).is_some()).count(), 1);
    assert_eq!(index.head(), log::read(&*net.chain, &net.registry).await.unwrap().head());
    assert_conserved(&net).await;
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_59_a_worker_that_is_not_logged_is_refused_by_a_client_that_demands_it_and_by_no_other() {
    let mut config = config();
    config.log_evidence = false;
    let mut net = start(config).await;
    let fault = refusal(&net).await;
    assert_eq!(fault.code, FaultCode::AttestationFailed, "{fault}");
    assert!(fault.message.contains("does not show that its evidence is in the transparency log"), "{fault}");
    assert!(fault.message.contains("demand_logged"), "{fault}");
    let books = billed(&net).await;
    assert_eq!(books.client, books.proxy_earned);

    net.kill(cocoon_localnet::Service::Client);
    net.config.client.demand_logged = false;
    net.start_client().await.unwrap();
    ask(&net, "What is Toncoin?").await;
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_of_others_disturb_nobody() {
    let mut net = start(config()).await;
    let others = net.wallet("member 1").unwrap();
    let proof = |net: &LocalNet| net.proxy().unwrap().proxy.offers()[0].candidates[0].logged.clone().unwrap();
    let first = proof(&net);
    for i in 0..5u8 {
        let (node, digest) = (NodeKey::from_seed(&[i; 32]), Hash256([i; 32]));
        let trace = log::publish(&others, &*net.chain, &net.registry, &node, &digest).await.unwrap();
        // docs/transparency.md says what it costs: a fee that burns, and gas.
        let spent = -trace.balance_changes()[others.address()];
        assert!((20_000_000..32_000_000).contains(&spent), "{spent} nanoton");
        // One that has seen the worker in the log before, and one that has not.
        ask(&net, "What is Toncoin?").await;
        net.kill(cocoon_localnet::Service::Client);
        net.start_client().await.unwrap();
        ask(&net, "What is Toncoin?").await;
    }
    let last = proof(&net);
    assert_eq!((last.index, last.at), (first.index, first.at), "its leaf is the same");
    assert!(last.path.len() > first.path.len() || last == first);
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_logged_before_it_is_shown() {
    let mut net = start(config()).await;
    let (_, first) = ask(&net, "What is Toncoin?").await;
    net.chain.advance(Duration::from_secs(50 * 60)).await.unwrap();
    let key = net.node_key(Role::Worker).public();
    let mut seen = vec![];
    for _ in 0..400 {
        let shown = net.proxy().unwrap().proxy.offers()[0].candidates[0].clone();
        assert!(shown.logged.is_some(), "what is not in the log is not shown");
        if shown.evidence != first.evidence {
            seen.push(shown);
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let renewed = seen.pop().unwrap();
    let state = log::read(&*net.chain, &net.registry).await.unwrap();
    let digest = evidence_digest(&renewed.evidence);
    require_evidence(&state, &key, &digest, &renewed.logged.unwrap()).unwrap();
    let (_, second) = ask(&net, "What is TON?").await;
    assert_eq!(second.evidence, renewed.evidence);
    assert!(net.chain.head().await.unwrap().utime > first.receipt.receipt.time);
    net.stop().await;
}

/// Publishes evidence of any node, and gives the place of the leaf.
async fn publish(net: &LocalNet, tail: &mut Tail, node: &NodeKey, digest: Hash256) -> (u64, UnixSeconds) {
    let wallet = net.wallet("member 1").unwrap();
    log::publish(&wallet, &*net.chain, &net.registry, node, &digest).await.unwrap();
    let mut place = None;
    let each = |index, leaf: &cocoon_transparency::Leaf| {
        place = Some((index, leaf.logs(&node.public(), &digest).unwrap()));
    };
    log::follow(tail, &*net.chain, &net.registry, each).await.unwrap();
    place.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_58_59_a_proof_that_is_not_of_this_certificate_in_this_log_is_refused() {
    let mut config = config();
    config.client.patience = Duration::from_secs(1);
    let mut net = LocalNet::open(config, &mut |_| {}).await.unwrap();
    net.start_proxy().await.unwrap();
    let key = net.node_key(Role::Worker);
    let mut rogue = Rogue::dial(&net, "gpu owner", key.clone()).await;
    net.start_client().await.unwrap();
    let digest = evidence_digest(&rogue.node.evidence());
    let (other, elsewhere) = (NodeKey::from_seed(&[8; 32]), Hash256([7; 32]));
    let mut tail = log::tail(&*net.chain, &net.registry).await.unwrap();

    // The same certificate under another key, and another certificate under the same key: both are in the log.
    let anothers = publish(&net, &mut tail, &other, digest).await;
    let stale = publish(&net, &mut tail, &key, elsewhere).await;
    let proof = |tail: &Tail, (index, at): (u64, UnixSeconds)| tail.prove(index, at).unwrap();
    // A log that somebody made up, or that of another registry: as long as ours, with the right leaf in it.
    let leaf = cocoon_transparency::Leaf::Evidence { node: Hash256(*key.public().as_bytes()), digest, at: stale.1 };
    let mut foreign = Tree::default();
    (0..tail.size()).for_each(|_| foreign.push(leaf.hash()));
    let whole = foreign.inclusion(0, 4).unwrap();
    let made_up = LogProof { index: 0, at: stale.1, path: [whole, vec![Hash256::default(); 60]].concat() };
    let not_yet = LogProof { index: tail.size(), ..proof(&tail, stale) };
    let cases = [
        ("another node's", proof(&tail, anothers), "forged"),
        ("another certificate's", proof(&tail, stale), "forged"),
        ("another log's", made_up, "forged"),
        ("of a leaf to come", not_yet, "wait for the next block"),
    ];
    for (what, logged, said) in cases {
        rogue.show(Some(logged)).await;
        let fault = refusal(&net).await;
        assert_eq!(fault.code, FaultCode::AttestationFailed, "{what}: {fault}");
        assert!(
            fault.message.contains("is in the transparency log") && fault.message.contains(said),
            "{what}: {fault}"
        );
    }
    rogue.show(None).await;
    assert!(refusal(&net).await.message.contains("demand_logged"));

    // In the log at last; but the proof is for the log as it was before others came.
    let place = publish(&net, &mut tail, &key, digest).await;
    let old = proof(&tail, place);
    while proof(&tail, place).path == old.path {
        publish(&net, &mut tail, &other, elsewhere).await;
    }
    rogue.show(Some(old)).await;
    let fault = refusal(&net).await;
    assert!(fault.message.contains("it is too old"), "{fault}");
    let forged = LogProof { at: place.1.plus(1), ..proof(&tail, place) };
    rogue.show(Some(forged)).await;
    assert!(refusal(&net).await.message.contains("forged"));

    // The true proof: now the question goes out. But a receipt under another certificate, as genuine and not in the log, is not taken.
    rogue.show(Some(proof(&tail, place))).await;
    let platform = net.vendor().platform(u32::from(Role::Worker.code())).unwrap();
    let quoter = platform.quoter(cocoon_localnet::measurements(Role::Worker));
    let request = IdentityRequest::new(Role::Worker, net.chain.network(), rogue.node.now());
    let unlogged = issue_identity(&quoter, &key, &request).unwrap().certificate().to_vec();
    let asked = async { fault_of(net.ask(question("What is Toncoin?")).await.unwrap()).await };
    let (refused, ()) = tokio::join!(asked, rogue.accept_with(unlogged));
    assert_eq!(refused.code, FaultCode::AttestationFailed, "{refused}");
    assert!(refused.message.contains("demand_logged"), "{refused}");
    rogue.leave().await;
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_68_a_logged_worker_is_asked_and_not_one_that_shows_the_others_proof_or_none() {
    let mut net = start(config()).await;
    let mut rogue = Rogue::dial(&net, "member 2", NodeKey::from_seed(&[9; 32])).await;
    let honest = net.node_key(Role::Worker).public();
    let theirs = {
        let offers = net.proxy().unwrap().proxy.offers();
        offers[0].candidates.iter().find_map(|candidate| candidate.logged.clone()).unwrap()
    };
    for logged in [None, Some(theirs)] {
        rogue.show(logged).await;
        for _ in 0..4 {
            let (_, finished) = ask(&net, "What is Toncoin?").await;
            assert_eq!(finished.worker.node_key, honest);
        }
    }
    assert_eq!(net.proxy().unwrap().proxy.offers()[0].candidates.len(), 2, "both were there to be asked");
    // When it alone is left, nobody is asked.
    net.kill(cocoon_localnet::Service::Worker);
    let mut fault = refusal(&net).await;
    for _ in 0..10 {
        if fault.code == FaultCode::AttestationFailed {
            break;
        }
        // The client may not know yet that the worker has gone.
        fault = refusal(&net).await;
    }
    assert_eq!(fault.code, FaultCode::AttestationFailed, "{fault}");
    assert!(fault.message.contains("forged"), "{fault}");
    rogue.leave().await;
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_83_a_proof_too_long_for_any_log_goes_no_further_than_the_proxy() {
    let mut net = LocalNet::open(config(), &mut |_| {}).await.unwrap();
    net.start_proxy().await.unwrap();
    let mut rogue = Rogue::dial(&net, "gpu owner", net.node_key(Role::Worker)).await;
    rogue.show(Some(LogProof { index: 0, at: UnixSeconds(0), path: vec![Hash256::default(); 64] })).await;
    let refused = rogue.refusal().await;
    assert!(refused.message.contains("log proof"), "{refused}");
    assert!(net.proxy().unwrap().proxy.offers().is_empty());
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_cannot_pay_shows_its_logged_certificate_to_its_end_and_is_logged_again_when_it_can() {
    let mut net = start(config()).await;
    let (_, first) = ask(&net, "What is Toncoin?").await;
    // Of its wallet only dust is left.
    let wallet = net.worker().unwrap().node.wallet().clone();
    let balance = net.chain.account(wallet.address()).await.unwrap().balance;
    let to = net.wallet("member 1").unwrap().address().clone();
    let gift = OutMessage::new(to, balance.saturating_sub(Nano::new(30_000_000)));
    wallet.send_and_confirm(&*net.chain, &[gift]).await.unwrap().ok().unwrap();

    // Its certificate is renewed at forty minutes, and the new one cannot be logged.
    net.chain.advance(Duration::from_secs(45 * 60)).await.unwrap();
    let renewed = async {
        while net.worker().unwrap().node.evidence() == first.evidence {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), renewed).await.unwrap();
    for _ in 0..3 {
        net.chain.tick().await.unwrap();
        let (_, again) = ask(&net, "What is Toncoin?").await;
        assert_eq!(again.evidence, first.evidence);
    }
    // After its end there is none to show that is logged.
    net.chain.advance(Duration::from_secs(20 * 60)).await.unwrap();
    for _ in 0..400 {
        let offers = net.proxy().unwrap().proxy.offers();
        if offers.first().is_some_and(|offer| offer.candidates[0].evidence != first.evidence) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let fault = refusal(&net).await;
    assert!(fault.message.contains("demand_logged"), "{fault}");

    // Money helps, within the pause that it makes after failures.
    net.chain.faucet(wallet.address(), Nano::from_ton(1)).await.unwrap();
    net.chain.advance(Duration::from_secs(5 * 60)).await.unwrap();
    net.wait_for_offers().await.unwrap();
    let (_, last) = ask(&net, "What is Toncoin?").await;
    assert_ne!(last.evidence, first.evidence);
    net.stop().await;
}
