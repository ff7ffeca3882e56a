//! What travels inside links: sealed questions and answers, frames of the services, frames of the link.
#![allow(clippy::expect_used, reason = "samples are made once, of constants")]

use std::sync::LazyLock;

use cocoon_protocol::frame::{Frame, Request, SessionOpen, SessionReady, ToPayee, ToPayer};
use cocoon_protocol::{Fault, FaultCode, GlobalId, ModelHash, Nano, NodeKey, Price, StdAddr, Tokens};
use cocoon_seal::{ChunkOpener, SealedQuestion, SealingKey};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::told;

const MODEL: ModelHash = ModelHash([3; 32]);
const BODY: &[u8] = br#"{"model":"m","messages":[]}"#;

/// A worker's key, a question sealed to it, and a chunk of the answer.
struct World {
    key: SealingKey,
    request: Request,
    chunk: Vec<u8>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let mut rng = StdRng::seed_from_u64(1);
    let key = SealingKey::generate(&mut rng);
    let worker = NodeKey::from_seed(&[4; 32]).public();
    let (question, _) =
        cocoon_seal::seal(BODY, GlobalId::DEVNET, &MODEL, &[(worker, key.public().clone())], &mut rng).expect("sealed");
    let SealedQuestion { body, keys } = question;
    let sealed = keys.first().expect("a key");
    let (_, worker_keys) = cocoon_seal::open(&body, sealed, GlobalId::DEVNET, &MODEL, &key).expect("opened");
    let chunk = worker_keys.sealer(&[5; 32]).and_then(|mut s| s.seal(b"{}", Tokens(1))).expect("a chunk");
    let price = Price { prompt: Nano::new(1), completion: Nano::new(2) };
    let request = Request { model: MODEL, price, channel: StdAddr::new(0, [6; 32].into()), body, keys };
    World { key, request, chunk }
});

/// The client's end of the question in [`WORLD`]: keys are bound to it, so that it is made anew each time.
fn opener() -> Option<ChunkOpener> {
    let mut rng = StdRng::seed_from_u64(1);
    let key = SealingKey::generate(&mut rng);
    let worker = NodeKey::from_seed(&[4; 32]).public();
    let candidates = [(worker, key.public().clone())];
    let (_, keys) = cocoon_seal::seal(BODY, GlobalId::DEVNET, &MODEL, &candidates, &mut rng).ok()?;
    keys.opener(&worker, &[5; 32])
}

/// A request whose body, encapsulated key or sealed key is the stranger's; or, a chunk. What opens is what was sealed.
pub fn seal(input: &[u8]) -> String {
    let world = &*WORLD;
    let Some((kind, bytes)) = input.split_first() else { return "nothing".to_owned() };
    if kind % 4 == 3 {
        let opened = opener().map(|mut opener| opener.open(bytes, Tokens(1)));
        return match opened {
            Some(Ok(chunk)) => {
                assert_eq!(
                    (chunk.as_slice(), bytes),
                    (b"{}".as_slice(), world.chunk.as_slice()),
                    "a forged chunk opens"
                );
                "the chunk opens".to_owned()
            }
            Some(Err(error)) => error.to_string(),
            None => "no opener".to_owned(),
        };
    }
    let mut request = world.request.clone();
    let Some(key) = request.keys.first_mut() else { return "no key".to_owned() };
    match kind % 4 {
        0 => request.body = bytes.to_vec(),
        1 => key.encapsulated = bytes.to_vec(),
        _ => key.key = bytes.to_vec(),
    }
    let opened = cocoon_seal::open(&request.body, key, GlobalId::DEVNET, &MODEL, &world.key);
    if let Ok((body, _)) = &opened {
        assert_eq!(body.as_slice(), BODY, "a forged question opens");
    }
    told(opened)
}

pub fn seal_samples() -> Vec<Vec<u8>> {
    let world = &*WORLD;
    let key = world.request.keys.first().expect("a key");
    let parts = [&world.request.body, &key.encapsulated, &key.key, &world.chunk];
    (0u8..).zip(parts).map(|(kind, bytes)| [&[kind], bytes.as_slice()].concat()).collect()
}

/// Reads a frame of one kind; what is read is written back and read again the same.
fn frame<T: Frame + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> String {
    let read = T::decode(bytes);
    if let Ok(frame) = &read {
        let again = frame.encode().and_then(|bytes| T::decode(&bytes));
        assert_eq!(again.ok().as_ref(), Some(frame), "a frame changes when it is written");
    }
    told(read)
}

/// Frames of the services: the first byte says of which kind.
pub fn frames(input: &[u8]) -> String {
    let Some((kind, bytes)) = input.split_first() else { return "nothing".to_owned() };
    match kind % 4 {
        0 => frame::<ToPayee>(bytes),
        1 => frame::<ToPayer>(bytes),
        2 => frame::<SessionOpen>(bytes),
        _ => frame::<SessionReady>(bytes),
    }
}

pub fn frame_samples() -> Vec<Vec<u8>> {
    let fault = Fault::new(FaultCode::Overloaded, "later");
    let encoded = [
        (0, ToPayee::Request(WORLD.request.clone()).encode()),
        (0, ToPayee::Stop.encode()),
        (1, ToPayer::Chunk { completion: Tokens(3), data: b"{}".to_vec() }.encode()),
        (1, ToPayer::Fault(fault.clone()).encode()),
        (3, SessionReady::Refused(fault).encode()),
    ];
    encoded.into_iter().map(|(kind, bytes)| [&[kind], bytes.expect("a frame").as_slice()].concat()).collect()
}

/// A byte stream of link frames.
pub fn link(input: &[u8]) -> String {
    cocoon_link::fuzzing::read_frames(input)
}

pub fn link_samples() -> Vec<Vec<u8>> {
    cocoon_link::fuzzing::frames()
}
