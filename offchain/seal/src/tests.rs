#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use cocoon_protocol::{GlobalId, ModelHash, NodeKey, Tokens, UnixSeconds};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::request::{ClientKeys, SealedQuestion, open, seal};
use crate::{ChunkOpener, ChunkSealer, KnownKeys, SealError, SealingKey, SealingPublicKey};

const NET: GlobalId = GlobalId::DEVNET;
const MODEL: ModelHash = ModelHash([3; 32]);
const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

fn random() -> StdRng {
    StdRng::seed_from_u64(7)
}

fn node(n: u8) -> NodeKey {
    NodeKey::from_seed(&[n; 32])
}

struct Setting {
    workers: Vec<(NodeKey, SealingKey)>,
    question: SealedQuestion,
    keys: ClientKeys,
}

fn ask(body: &[u8]) -> Setting {
    let mut random = random();
    let workers: Vec<_> = (1..=3).map(|n| (node(n), SealingKey::generate(&mut random))).collect();
    let candidates: Vec<_> = workers.iter().map(|(node, key)| (node.public(), key.public().clone())).collect();
    let (question, keys) = seal(body, NET, &MODEL, &candidates, &mut random).unwrap();
    Setting { workers, question, keys }
}

/// A whole exchange with the second worker.
fn exchange(salt: [u8; 32]) -> (ChunkSealer, ChunkOpener) {
    let s = ask(b"question");
    let (worker, key) = &s.workers[1];
    let (_, worker_keys) = open(&s.question.body, &s.question.keys[1], NET, &MODEL, key).unwrap();
    (worker_keys.sealer(&salt).unwrap(), s.keys.opener(&worker.public(), &salt).unwrap())
}

#[test]
fn each_candidate_can_open_the_question_and_nobody_else() {
    let s = ask(b"{\"messages\":[]}");
    for ((worker, key), sealed) in s.workers.iter().zip(&s.question.keys) {
        assert_eq!(sealed.worker, worker.public());
        assert_eq!(open(&s.question.body, sealed, NET, &MODEL, key).unwrap().0.as_slice(), b"{\"messages\":[]}");
    }
    let stranger = SealingKey::generate(&mut StdRng::seed_from_u64(8));
    for sealed in &s.question.keys {
        assert!(matches!(open(&s.question.body, sealed, NET, &MODEL, &stranger), Err(SealError::Question)));
    }
}

#[test]
fn a_question_is_for_one_network_model_and_body() {
    let s = ask(b"question");
    let (sealed, key) = (&s.question.keys[0], &s.workers[0].1);
    let refused = |body: &[u8], net, model| open(body, sealed, net, model, key).is_err();
    assert!(refused(&s.question.body, GlobalId::MAINNET, &MODEL));
    assert!(refused(&s.question.body, NET, &ModelHash([4; 32])), "attack 78");
    assert!(refused(&ask(b"question?").question.body, NET, &MODEL), "a key moved to another body");
    let mut altered = s.question.body.clone();
    altered[0] ^= 1;
    assert!(refused(&altered, NET, &MODEL));
    assert!(refused(&[], NET, &MODEL));
}

#[test]
fn sizes_tell_little() {
    let size = |n| ask(&vec![b'x'; n]).question.body.len();
    assert_eq!(size(0), size(500));
    assert!(size(500) < size(600));
    let (mut sealer, _) = exchange([0; 32]);
    let mut chunk = |n: usize| sealer.seal(&vec![b'x'; n], Tokens(1)).unwrap().len();
    assert_eq!(chunk(1), chunk(250));
}

#[test]
fn an_answer_is_opened_in_order_by_its_asker() {
    let (mut sealer, mut opener) = exchange([9; 32]);
    for n in 0..5u64 {
        let chunk = format!("chunk {n}").into_bytes();
        assert_eq!(opener.open(&sealer.seal(&chunk, Tokens(n)).unwrap(), Tokens(n)).unwrap(), chunk);
    }
}

#[test]
fn attack_76_chunks_that_are_altered_dropped_reordered_or_repeated_do_not_open() {
    let sealed = |n: u64| {
        let (mut sealer, opener) = exchange([9; 32]);
        let chunks: Vec<_> = (0..n).map(|i| sealer.seal(b"chunk", Tokens(i)).unwrap()).collect();
        (chunks, opener)
    };
    let (chunks, mut opener) = sealed(3);
    assert_eq!(opener.open(&chunks[1], Tokens(1)), Err(SealError::Chunk { index: 0 }), "dropped or reordered");
    let (chunks, mut opener) = sealed(3);
    opener.open(&chunks[0], Tokens(0)).unwrap();
    assert_eq!(opener.open(&chunks[0], Tokens(0)), Err(SealError::Chunk { index: 1 }), "repeated");
    let (chunks, mut opener) = sealed(1);
    assert!(opener.open(&chunks[0], Tokens(1)).is_err(), "another token count (attack 77)");
    let (chunks, mut opener) = sealed(1);
    let mut altered = chunks[0].clone();
    *altered.last_mut().unwrap() ^= 1;
    assert!(opener.open(&altered, Tokens(0)).is_err(), "altered");
    let (mut other, _) = exchange([8; 32]);
    let (_, mut opener) = sealed(1);
    assert!(opener.open(&other.seal(b"chunk", Tokens(0)).unwrap(), Tokens(0)).is_err(), "of another answer");
}

#[test]
fn one_question_shown_twice_gives_answers_under_different_keys() {
    let (mut first, _) = exchange([1; 32]);
    let (mut second, _) = exchange([2; 32]);
    assert_ne!(first.seal(b"chunk", Tokens(0)).unwrap(), second.seal(b"chunk", Tokens(0)).unwrap());
}

#[test]
fn only_candidates_have_answers_that_open() {
    let s = ask(b"question");
    assert!(s.keys.opener(&node(9).public(), &[0; 32]).is_none());
}

#[test]
fn an_announcement_is_of_one_network_time_and_attested_worker() {
    let key = SealingKey::generate(&mut random());
    let signed = key.announce(NET, NOW, &node(1));
    // To whoever has seen it before all of this applies as well.
    let mut known = KnownKeys::default();
    known.take(&signed, &node(1).public(), NET, NOW).unwrap();
    let mut read = |signed: &_, worker: &NodeKey, net, now| {
        let fresh = SealingPublicKey::from_announcement(signed, &worker.public(), net, now);
        let known = known.take(signed, &worker.public(), net, now);
        assert_eq!(fresh.is_ok(), known.is_ok(), "what was known before changes nothing");
        fresh.and(known).map(|key| key.as_bytes().to_vec())
    };
    assert_eq!(read(&signed, &node(1), NET, NOW).unwrap(), key.public().as_bytes());
    assert!(read(&signed, &node(2), NET, NOW).is_err(), "attack 68: another worker's");
    assert!(read(&signed, &node(1), GlobalId::MAINNET, NOW).is_err());
    assert!(read(&signed, &node(1), NET, NOW.plus(1)).is_err());
    let mut swapped = signed.clone();
    swapped.announcement.key = SealingKey::generate(&mut StdRng::seed_from_u64(9)).public().as_bytes().to_vec();
    assert!(read(&swapped, &node(1), NET, NOW).is_err(), "a proxy's own key in its place");
    let short = cocoon_protocol::Announcement { key: vec![1; 9], ..signed.announcement.clone() }.sign(&node(1));
    assert!(matches!(read(&short, &node(1), NET, NOW), Err(SealError::Key(_))));
    assert_eq!(read(&signed, &node(1), NET, NOW).unwrap(), key.public().as_bytes(), "after all of them");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn garbage_is_an_error(body in proptest::collection::vec(any::<u8>(), 0..600),
                           encapsulated in proptest::collection::vec(any::<u8>(), 0..1300),
                           key in proptest::collection::vec(any::<u8>(), 0..80),
                           public in proptest::collection::vec(any::<u8>(), 0..1300)) {
        let secret = SealingKey::generate(&mut random());
        let sealed = cocoon_protocol::SealedKey { worker: node(1).public(), encapsulated, key };
        prop_assert!(open(&body, &sealed, NET, &MODEL, &secret).is_err());
        let _ = SealingPublicKey::from_bytes(&public);
        let (_, mut opener) = exchange([0; 32]);
        prop_assert!(opener.open(&body, Tokens(0)).is_err());
    }

    #[test]
    fn every_body_and_chunk_survives(body in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let s = ask(&body);
        let (opened, _) = open(&s.question.body, &s.question.keys[2], NET, &MODEL, &s.workers[2].1).unwrap();
        prop_assert_eq!(opened.as_slice(), &body);
        let (mut sealer, mut opener) = exchange([0; 32]);
        prop_assert_eq!(opener.open(&sealer.seal(&body, Tokens(0)).unwrap(), Tokens(0)).unwrap(), body);
    }
}
