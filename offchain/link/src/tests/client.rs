//! Clients: a key and no quote, and what that may cost the other side.

use std::sync::Condvar;
use std::sync::atomic::AtomicUsize;

use bytes::{BufMut, BytesMut};
use rand::RngCore;
use rcgen::{CertificateParams, CustomExtension, KeyPair, PKCS_ED25519, PublicKeyData};
use sha2::{Digest, Sha384};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::endpoint::transcript;
use crate::frame::Frame;
use crate::hello::{Greeting, Nonce, Side};
use crate::link::Proven;
use crate::proof::{Prover, Transcript};

const BOTH: [Role; 2] = [Role::Client, Role::Worker];

fn expect() -> Expect {
    Expect::role(Role::Proxy)
}

/// A certificate with any claims and no quote.
fn without_quote(role: Role, seed: u8) -> Identity {
    let (key, node_key) = (KeyPair::generate_for(&PKCS_ED25519).unwrap(), NodeKey::from_seed(&[seed; 32]));
    let spki_sha384 = Sha384::digest(key.subject_public_key_info()).into();
    let claims = Claims { spki_sha384, role, ..client(seed).claims().clone() }.encode();
    // Tag 60000 on an array of two byte strings, the first one empty.
    let mut evidence = vec![0xd9, 0xea, 0x60, 0x82, 0x40, 0x58];
    evidence.push(claims.len().try_into().unwrap());
    evidence.extend(claims);
    let mut params = CertificateParams::default();
    params.custom_extensions.push(CustomExtension::from_oid_content(OID_EVIDENCE, evidence));
    let certificate = params.self_signed(&key).unwrap();
    Identity::from_parts(certificate.der().to_vec(), key.serialize_der(), node_key).unwrap()
}

/// Lets everything run that can, on the threads of platforms too.
async fn time_for_quotes() {
    for _ in 0..50 {
        settle().await;
        tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
    }
}

/// A proxy whose platform is `quoter`.
fn proxy_on(world: &World, quoter: impl Quoter + 'static, config: LinkConfig) -> Endpoint {
    let identity = IdentityHandle::new(world.issue(Role::Proxy, 2));
    let config = LinkConfig { timer: world.time.clone(), ..config };
    Endpoint::new(identity, Arc::new(quoter), world.proxy.verifier().clone(), config)
}

/// Counts quotes.
struct Counted(SimQuoter, Arc<AtomicUsize>);

impl Quoter for Counted {
    fn quote(&self, report_data: &[u8; 64]) -> Result<Vec<u8>, QuoterError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.quote(report_data)
    }
}

fn counted(world: &World) -> (Endpoint, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let quoter = Counted(quoter(&world.vendor, Role::Proxy), asked.clone());
    (proxy_on(world, quoter, LinkConfig::default()), asked)
}

#[tokio::test]
async fn a_client_without_a_trust_domain_verifies_a_proxy_and_is_known_by_its_key() {
    let world = World::new();
    let client = world.node(Role::Client, 4, world.vendor.clone());
    let (dialled, accepted) = soon(meet(&client, &expect(), &world.proxy, &BOTH)).await;
    let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());
    let key = NodeKey::from_seed(&[4; 32]).public();
    assert_eq!((accepted.peer().role, accepted.peer().node_key, accepted.peer().domain), (Role::Client, key, None));
    assert_eq!(dialled.peer().domain.unwrap().image, image_id(&image(Role::Proxy)));
    let mut stream = dialled.open().unwrap();
    stream.send("question".into()).await.unwrap();
    assert_eq!(accepted.accept().await.unwrap().recv().await.unwrap().unwrap(), "question");
    let stats = client.verifier().stats();
    assert_eq!((stats.verified, stats.refreshed), (1, 1), "the proxy's certificate, and its fresh quote");
    // Clients are no images that the registry could revoke.
    world.change(|policy| policy.revoke_image(Role::Worker, image_id(&image(Role::Worker))));
    settle().await;
    assert_eq!((dialled.error(), accepted.error()), (None, None));
}

#[tokio::test]
async fn attack_70_a_client_where_only_workers_are_expected() {
    let world = World::new();
    let client = world.node(Role::Client, 4, world.vendor.clone());
    let (_, accepted) = world.meet(&client).await;
    let reason = AttestError::WrongRole { got: Role::Client, expected: vec![Role::Worker] };
    assert_eq!(refused(accepted), LinkError::Attestation { reason });
}

#[tokio::test]
async fn attack_70_a_proxy_that_shows_a_clients_certificate() {
    let world = World::new();
    let (client, fake) = (world.node(Role::Client, 4, world.vendor.clone()), world.stranger(client(5)));
    let (dialled, _) = meet(&client, &expect(), &fake, &BOTH).await;
    let reason = AttestError::WrongRole { got: Role::Client, expected: vec![Role::Proxy] };
    assert_eq!(refused(dialled), LinkError::Attestation { reason });
}

#[tokio::test]
async fn attack_70_a_worker_and_a_proxy_without_quotes() {
    let world = World::new();
    let (_, accepted) = meet(&world.stranger(without_quote(Role::Worker, 3)), &expect(), &world.proxy, &BOTH).await;
    let error = refused(accepted);
    assert_eq!(error, LinkError::Attestation { reason: AttestError::NoQuote { role: Role::Worker } });
    assert!(error.to_string().contains("is a worker and shows no quote"), "{error}");

    let client = world.node(Role::Client, 4, world.vendor.clone());
    let (dialled, _) = meet(&client, &expect(), &world.stranger(without_quote(Role::Proxy, 2)), &BOTH).await;
    let reason = AttestError::NoQuote { role: Role::Proxy };
    assert_eq!(refused(dialled), LinkError::Attestation { reason });
    // The forgery is sound but for its role: as a client's it opens a link.
    meet(&world.stranger(without_quote(Role::Client, 4)), &expect(), &world.proxy, &BOTH).await.1.unwrap();
}

#[tokio::test]
async fn attack_67_a_clients_tls_key_without_its_node_key_gets_no_link_and_no_quote() {
    let world = World::new();
    let (proxy, asked) = counted(&world);
    let victim = client(4);
    let (certificate, tls_key) = (victim.certificate().to_vec(), victim.tls_key().to_vec());
    let thief = Identity::from_parts(certificate, tls_key, NodeKey::from_seed(&[66; 32])).unwrap();
    let (dialled, accepted) = soon(meet(&world.stranger(thief), &expect(), &proxy, &BOTH)).await;
    assert_eq!(refused(accepted), LinkError::NodeKeyProof);
    let heard = refused(dialled);
    assert!(matches!(&heard, LinkError::ClosedByPeer { reason } if reason.contains("node key")), "{heard}");
    assert_eq!(asked.load(Ordering::Relaxed), 0, "attack 75");
}

/// A dialler in the test's hands, once TLS is up.
struct Hands {
    stream: tokio_rustls::client::TlsStream<DuplexStream>,
    transcript: Transcript,
    prover: Prover,
    buffer: BytesMut,
}

impl Hands {
    async fn dial(world: &World, identity: Identity, io: DuplexStream) -> Self {
        let endpoint = world.stranger(identity);
        let tls = endpoint.tls_identity().unwrap();
        let config = tls.client(endpoint.rule(&[Role::Proxy], None)).unwrap();
        let connector = tokio_rustls::TlsConnector::from(config);
        let stream = connector.connect("cocoon.invalid".try_into().unwrap(), io).await.unwrap();
        let transcript = transcript(stream.get_ref().1, &tls).unwrap();
        let identity = tls.identity.clone();
        let shared = Arc::new(transcript.clone());
        let prover = Prover { identity, quoter: None, transcript: shared, side: Side::Dialer, turns: None };
        Self { stream, transcript, prover, buffer: BytesMut::new() }
    }

    async fn say(&mut self, frame: Frame) {
        let mut bytes = BytesMut::new();
        frame.encode(&mut bytes);
        self.stream.write_all(&bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    async fn hear(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = Frame::decode(&mut self.buffer).unwrap() {
                return Some(frame);
            }
            if self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Greets as a client; the nonce that the other side gives.
    async fn greet(&mut self, wants_collateral: bool) -> Nonce {
        let mut nonce = [0; 32];
        rand::rngs::OsRng.fill_bytes(&mut nonce);
        self.say(Frame::Hello(Greeting { role: Role::Client, wants_collateral, nonce }.encode())).await;
        match self.hear().await.unwrap() {
            Frame::Hello(greeting) => Greeting::decode(greeting).unwrap().nonce,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn attack_75_a_listener_makes_no_quote_before_it_has_a_clients_proof() {
    let world = World::new();
    let (proxy, asked) = counted(&world);
    let (a, b) = pipe();
    let listening = {
        let proxy = proxy.clone();
        tokio::spawn(async move { proxy.accept_over(b, None, &BOTH).await })
    };
    let mut hands = Hands::dial(&world, client(4), a).await;
    let nonce = hands.greet(false).await;
    time_for_quotes().await;
    assert_eq!(asked.load(Ordering::Relaxed), 0, "it waits for the dialler");
    let proof = hands.prover.clone().prove(nonce).await.unwrap();
    hands.say(Frame::Proof(proof)).await;
    assert!(matches!(soon(hands.hear()).await, Some(Frame::Proof(_))));
    soon(listening).await.unwrap().unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn attack_70_a_client_proves_itself_with_a_quote() {
    let world = World::new();
    let (a, b) = pipe();
    let attack = async {
        let mut hands = Hands::dial(&world, client(4), a).await;
        let nonce = hands.greet(false).await;
        // A proof that a worker would give, signed by the client's node key over the same connection.
        let quote = quoter(&world.vendor, Role::Worker).quote(&[7; 64]).unwrap();
        let message = hands.transcript.signed(Side::Dialer, Role::Client, true, &nonce, &quote);
        let mut proof = BytesMut::from(&quote[..]);
        proof.put_slice(&NodeKey::from_seed(&[4; 32]).sign_bytes(&message).0);
        hands.say(Frame::Proof(proof.freeze())).await;
        hands.hear().await
    };
    let (heard, accepted) = soon(async { tokio::join!(attack, world.proxy.accept_over(b, None, &BOTH)) }).await;
    assert_eq!(refused(accepted), LinkError::Attestation { reason: AttestError::QuoteOfClient });
    assert!(matches!(&heard, Some(Frame::GoAway { reason, .. }) if reason.contains("no quote")), "{heard:?}");
}

#[tokio::test]
async fn attack_70_a_worker_proves_itself_without_a_quote() {
    let world = World::new();
    let (a, b) = pipe();
    let attack = async {
        let mut hands = Hands::dial(&world, world.issue(Role::Worker, 3), a).await;
        let mut nonce = [0; 32];
        rand::rngs::OsRng.fill_bytes(&mut nonce);
        hands.say(Frame::Hello(Greeting { role: Role::Worker, wants_collateral: false, nonce }.encode())).await;
        let Some(Frame::Hello(greeting)) = hands.hear().await else { panic!() };
        let nonce = Greeting::decode(greeting).unwrap().nonce;
        let message = hands.transcript.signed(Side::Dialer, Role::Worker, true, &nonce, &[]);
        let signature = NodeKey::from_seed(&[3; 32]).sign_bytes(&message);
        hands.say(Frame::Proof(signature.0.to_vec().into())).await;
        hands.hear().await
    };
    let (_, accepted) = soon(async { tokio::join!(attack, world.proxy.accept_over(b, None, &[Role::Worker])) }).await;
    let reason = AttestError::NoQuote { role: Role::Worker };
    assert_eq!(refused(accepted), LinkError::Attestation { reason });
}

#[tokio::test]
async fn a_client_is_asked_for_no_collateral() {
    let world = World::new();
    let client = world.node(Role::Client, 4, world.vendor.clone());
    // A listener that wants some: it is made by hand, because no endpoint asks.
    let (a, b) = pipe();
    let listen = async {
        let tls = world.proxy.tls_identity().unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(tls.server(world.proxy.rule(&BOTH, None)).unwrap());
        let mut stream = acceptor.accept(b).await.unwrap();
        let greeting = Greeting { role: Role::Proxy, wants_collateral: true, nonce: [1; 32] };
        let mut bytes = BytesMut::new();
        Frame::Hello(greeting.encode()).encode(&mut bytes);
        stream.write_all(&bytes).await.unwrap();
        stream.flush().await.unwrap();
        let _ = stream.read_to_end(&mut vec![]).await;
    };
    let expect = expect();
    let (dialled, ()) = soon(async { tokio::join!(client.connect_over(a, None, &expect), listen) }).await;
    let error = refused(dialled);
    assert!(matches!(&error, LinkError::Protocol { why } if why.contains("collateral")), "{error}");
}

#[tokio::test]
async fn an_endpoint_without_a_platform_cannot_show_a_workers_identity() {
    let world = World::new();
    let verifier = world.worker.verifier().clone();
    let identity = IdentityHandle::new(world.issue(Role::Worker, 3));
    let wrong = Endpoint::client(identity, verifier, LinkConfig::default());
    let error = refused(soon(world.meet(&wrong)).await.0);
    assert!(matches!(&error, LinkError::OwnQuote { why } if why.contains("worker")), "{error}");
}

/// A platform whose quotes are made when the test says so.
#[derive(Clone)]
struct Gate(Arc<(Mutex<Gated>, Condvar)>, SimQuoter);

#[derive(Default)]
struct Gated {
    making: usize,
    most: usize,
    open: bool,
}

impl Gate {
    fn new(quoter: SimQuoter) -> Self {
        Self(Arc::default(), quoter)
    }

    fn making(&self) -> usize {
        self.0.0.lock().unwrap().making
    }

    /// The most that were in the making at once.
    fn most(&self) -> usize {
        self.0.0.lock().unwrap().most
    }

    /// Waits until so many are in the making, or more.
    async fn reaches(&self, count: usize) {
        soon(async {
            while self.making() < count {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    fn close(&self) {
        self.0.0.lock().unwrap().open = false;
    }

    fn open(&self) {
        self.0.0.lock().unwrap().open = true;
        self.0.1.notify_all();
    }
}

/// Opens a gate at the end of a test, also of one that fails: nobody waits for a platform any more.
struct OpenedAtLast(Gate);

impl Drop for OpenedAtLast {
    fn drop(&mut self) {
        self.0.open();
    }
}

impl Quoter for Gate {
    fn quote(&self, report_data: &[u8; 64]) -> Result<Vec<u8>, QuoterError> {
        let (state, opened) = &*self.0;
        let mut gated = state.lock().unwrap();
        gated.making += 1;
        gated.most = gated.most.max(gated.making);
        let mut gated = opened.wait_while(gated, |gated| !gated.open).unwrap();
        gated.making -= 1;
        drop(gated);
        self.1.quote(report_data)
    }
}

#[tokio::test]
async fn attack_75_a_crowd_of_clients_holds_up_no_worker() {
    let world = World::new();
    let gate = Gate::new(quoter(&world.vendor, Role::Proxy));
    let _opened = OpenedAtLast(gate.clone());
    let proxy = proxy_on(&world, gate.clone(), LinkConfig { max_client_quotes: 2, ..LinkConfig::default() });
    let dial = |dialer: Endpoint, proxy: Endpoint| async move { meet(&dialer, &expect(), &proxy, &BOTH).await };
    let clients: Vec<_> = (10..18)
        .map(|seed| tokio::spawn(dial(world.node(Role::Client, seed, world.vendor.clone()), proxy.clone())))
        .collect();
    gate.reaches(2).await;
    time_for_quotes().await;
    assert_eq!(gate.making(), 2, "the others wait for their turn");
    let worker = tokio::spawn(dial(world.worker.clone(), proxy.clone()));
    gate.reaches(3).await;
    gate.open();
    for link in [worker].into_iter().chain(clients) {
        let (dialled, accepted) = soon(link).await.unwrap();
        assert!(dialled.is_ok() && accepted.is_ok());
    }
    assert_eq!(gate.most(), 3, "two for clients, one for the worker");
}

#[tokio::test]
async fn attack_75_a_crowd_at_the_door_holds_up_no_client_that_has_a_link() {
    let config = LinkConfig {
        ping_interval: Duration::from_secs(5),
        proof_interval: Duration::from_secs(60),
        max_client_quotes: 1,
        ..LinkConfig::default()
    };
    let world = World::with_config(config.clone());
    let gate = Gate::new(quoter(&world.vendor, Role::Proxy));
    let _opened = OpenedAtLast(gate.clone());
    let proxy = proxy_on(&world, gate.clone(), LinkConfig { proof_interval: Duration::MAX, ..config.clone() });
    gate.open();
    let config = LinkConfig { timer: world.time.clone(), ..config };
    let client = Endpoint::client(IdentityHandle::new(client(4)), world.worker.verifier().clone(), config);
    let (dialled, accepted) = soon(meet(&client, &expect(), &proxy, &BOTH)).await;
    let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());
    gate.close();
    let stranger = {
        let (stranger, proxy) = (world.node(Role::Client, 5, world.vendor.clone()), proxy.clone());
        tokio::spawn(async move { meet(&stranger, &expect(), &proxy, &BOTH).await })
    };
    gate.reaches(1).await;
    world.time.pass(61).await;
    // The client asks for its second proof, and the platform begins with it.
    gate.reaches(2).await;
    gate.open();
    assert!(soon(stranger).await.is_ok());
    soon(async {
        while client.verifier().stats().refreshed < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!((dialled.error(), accepted.error()), (None, None));
}

#[tokio::test]
async fn attack_75_clients_that_go_away_make_no_room_before_their_quotes_are_made() {
    let world = World::new();
    let gate = Gate::new(quoter(&world.vendor, Role::Proxy));
    let _opened = OpenedAtLast(gate.clone());
    let proxy = proxy_on(&world, gate.clone(), LinkConfig { max_client_quotes: 1, ..LinkConfig::default() });
    for seed in 10..14 {
        let (client, proxy) = (world.node(Role::Client, seed, world.vendor.clone()), proxy.clone());
        let gone = tokio::spawn(async move { meet(&client, &expect(), &proxy, &BOTH).await });
        gate.reaches(1).await;
        time_for_quotes().await;
        gone.abort();
        assert!(soon(gone).await.is_err());
    }
    assert_eq!(gate.most(), 1);
    gate.open();
    let client = world.node(Role::Client, 14, world.vendor.clone());
    soon(meet(&client, &expect(), &proxy, &BOTH)).await.1.unwrap();
}

#[tokio::test]
async fn long_links_of_clients_prove_themselves_again_in_both_directions() {
    let config = LinkConfig {
        ping_interval: Duration::from_secs(5),
        proof_interval: Duration::from_secs(60),
        ..LinkConfig::default()
    };
    let world = World::with_config(config.clone());
    let verifier = world.worker.verifier().clone();
    let config = LinkConfig { timer: world.time.clone(), ..config };
    let client = Endpoint::client(IdentityHandle::new(client(4)), verifier, config);
    let (dialled, accepted) = soon(meet(&client, &expect(), &world.proxy, &BOTH)).await;
    let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());
    for round in 2..5 {
        world.time.pass(65).await;
        soon(async {
            while client.verifier().stats().refreshed < round {
                tokio::task::yield_now().await;
            }
        })
        .await;
        settle().await;
    }
    assert_eq!((dialled.error(), accepted.error()), (None, None), "neither side gave the other up");
}

#[tokio::test]
async fn attack_75_a_client_that_keeps_asking_for_proofs_is_left() {
    let world = World::new();
    let (proxy, asked) = counted(&world);
    let endpoint = world.node(Role::Client, 4, world.vendor.clone());
    let (a, b) = pipe();
    let dial = async {
        let tls = endpoint.tls_identity().unwrap();
        let rule = endpoint.rule(&[Role::Proxy], None);
        let connector = tokio_rustls::TlsConnector::from(tls.client(rule.clone()).unwrap());
        let stream = connector.connect("cocoon.invalid".try_into().unwrap(), a).await.unwrap();
        let transcript = transcript(stream.get_ref().1, &tls).unwrap();
        endpoint.greet(stream, Side::Dialer, &tls, &rule, transcript).await.unwrap()
    };
    let (Proven { mut stream, mut read_ahead, .. }, link) =
        soon(async { tokio::join!(dial, proxy.accept_over(b, None, &BOTH)) }).await;
    let link = link.unwrap();
    let mut challenge = BytesMut::new();
    Frame::Challenge([1; 32]).encode(&mut challenge);
    let mut alive = BytesMut::new();
    Frame::Pong.encode(&mut alive);
    for _ in 0..4 {
        world.time.pass(10).await;
        stream.write_all(&alive).await.unwrap();
    }
    stream.write_all(&challenge).await.unwrap();
    soon(async {
        while asked.load(Ordering::Relaxed) < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // The answer is on its way, and the next question is here too soon.
    soon(async {
        loop {
            match Frame::decode(&mut read_ahead).unwrap() {
                Some(Frame::Proof(_)) => break,
                Some(_) => {}
                None => assert_ne!(stream.read_buf(&mut read_ahead).await.unwrap(), 0),
            }
        }
    })
    .await;
    stream.write_all(&challenge).await.unwrap();
    let ended = soon(link.closed()).await;
    assert!(matches!(&ended, LinkError::Protocol { why } if why.contains("too often")), "{ended}");
    assert_eq!(asked.load(Ordering::Relaxed), 2, "one in the handshake, one since");
}
