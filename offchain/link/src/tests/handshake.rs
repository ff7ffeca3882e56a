//! Who gets in.

use rcgen::{CertificateParams, CustomExtension, KeyPair, PKCS_ED25519};
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, NamedGroup, ServerConfig, ServerConnection};
use tokio_rustls::TlsConnector;
use x509_parser::prelude::FromDer;

use super::*;

fn server_name() -> ServerName<'static> {
    ServerName::try_from("cocoon.invalid").unwrap()
}

/// The evidence of `victim` in a certificate over the thief's own TLS key.
fn stolen_evidence(victim: &Identity) -> Identity {
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(victim.certificate()).unwrap();
    let evidence = certificate.extensions().iter().find(|e| e.oid.to_id_string() == "2.23.133.5.4.9").unwrap();
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let mut params = CertificateParams::default();
    params.custom_extensions.push(CustomExtension::from_oid_content(OID_EVIDENCE, evidence.value.to_vec()));
    let certificate = params.self_signed(&key).unwrap();
    Identity::from_parts(certificate.der().to_vec(), key.serialize_der(), NodeKey::from_seed(&[66; 32])).unwrap()
}

#[tokio::test]
async fn two_honest_nodes_know_each_other() {
    let world = World::new();
    let listener = world.proxy.listen(localhost(), &[Role::Worker, Role::Client]).await.unwrap();
    let expect = Expect::node(Role::Proxy, NodeKey::from_seed(&[2; 32]).public());
    let (dialled, (from, accepted)) = tokio::join!(world.worker.connect(listener.addr(), &expect), listener.accept());
    let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());
    assert_eq!(dialled.peer().node_key, NodeKey::from_seed(&[2; 32]).public());
    assert_eq!(
        (dialled.peer().role, dialled.peer().domain.unwrap().image),
        (Role::Proxy, image_id(&image(Role::Proxy)))
    );
    assert_eq!(accepted.peer().node_key, NodeKey::from_seed(&[3; 32]).public());
    assert_eq!((accepted.remote(), dialled.remote()), (Some(from), Some(listener.addr())));
    assert_eq!(dialled.exporter(), accepted.exporter());
    let (other, _) = world.linked().await;
    assert_ne!(other.exporter(), dialled.exporter(), "another connection has another exporter");
}

#[tokio::test]
async fn attack_59_stolen_evidence_in_both_directions() {
    let world = World::new();
    let thief = world.stranger(stolen_evidence(&world.issue(Role::Worker, 3)));
    let (dialled, accepted) = world.meet(&thief).await;
    assert_eq!(refused(accepted), LinkError::Attestation { reason: AttestError::KeyNotBound });
    assert!(matches!(refused(dialled), LinkError::Refused { .. }), "the thief hears an alert");

    let thief = world.stranger(stolen_evidence(&world.issue(Role::Proxy, 2)));
    let (dialled, accepted) = meet(&world.worker, &Expect::role(Role::Proxy), &thief, &[Role::Worker]).await;
    assert_eq!(refused(dialled), LinkError::Attestation { reason: AttestError::KeyNotBound });
    assert!(matches!(refused(accepted), LinkError::Refused { .. }));
}

#[tokio::test]
async fn attack_60_an_unknown_image_in_both_directions() {
    let world = World::new();
    let identity = |role: Role| {
        let quoter = world.vendor.platform(9).unwrap().quoter(Measurements::simulated(b"unknown"));
        issue(&quoter, role, 9)
    };
    let (_, accepted) = world.meet(&world.stranger(identity(Role::Worker))).await;
    let LinkError::Attestation { reason: AttestError::ImageNotApproved { role: Role::Worker, .. } } = refused(accepted)
    else {
        panic!()
    };
    let fake_proxy = world.stranger(identity(Role::Proxy));
    let (dialled, _) = meet(&world.worker, &Expect::role(Role::Proxy), &fake_proxy, &[Role::Worker]).await;
    let error = refused(dialled);
    assert!(matches!(&error, LinkError::Attestation { reason: AttestError::ImageNotApproved { .. } }), "{error}");
    assert!(error.to_string().contains("not approved for the role proxy"), "{error}");
}

#[tokio::test]
async fn attack_66_a_platform_under_another_root() {
    let world = World::new();
    let other_vendor = Simulator::from_seed(&[7; 32]).unwrap();
    let (_, accepted) = world.meet(&world.stranger(issue(&quoter(&other_vendor, Role::Worker), Role::Worker, 3))).await;
    let error = refused(accepted);
    assert!(matches!(&error, LinkError::Attestation { reason: AttestError::QuoteRejected { .. } }), "{error}");

    // On mainnet even a registry that lists the simulated root admits no simulated platform.
    let mut policy = Policy::new(GlobalId::MAINNET);
    policy.allow_root(world.vendor.root());
    policy.allow_image(Role::Worker, image_id(&image(Role::Worker)), ImageWindow::ALWAYS);
    let verifier = Arc::new(Verifier::new(PolicyHandle::new(policy), world.vendor.clone(), Arc::new(|| NOW)));
    let mainnet = |role| {
        let request = IdentityRequest::new(role, GlobalId::MAINNET, NOW);
        let quoter = quoter(&world.vendor, role);
        let identity = issue_identity(&quoter, &NodeKey::from_seed(&[2; 32]), &request).unwrap();
        let config = LinkConfig::default();
        Endpoint::new(IdentityHandle::new(identity), Arc::new(quoter), verifier.clone(), config)
    };
    let (dialler, listener) = (world.stranger(world.issue(Role::Worker, 3)), mainnet(Role::Proxy));
    let (_, accepted) = meet(&dialler, &Expect::role(Role::Proxy), &listener, &[Role::Worker]).await;
    let wrong = AttestError::WrongNetwork { got: GlobalId::DEVNET, expected: GlobalId::MAINNET };
    // A client always checks the server first.
    assert!(
        accepted.is_err() && verifier.verify(world.issue(Role::Worker, 3).certificate(), &[Role::Worker]) == Err(wrong)
    );
    let (dialled, _) =
        meet(&mainnet(Role::Worker), &Expect::role(Role::Worker), &mainnet(Role::Worker), &[Role::Worker]).await;
    let expected = AttestError::RootNotAllowed { root: world.vendor.root(), network: GlobalId::MAINNET };
    assert_eq!(refused(dialled), LinkError::Attestation { reason: expected });
}

#[tokio::test]
async fn attack_67_a_leaked_tls_key_without_the_node_key() {
    let world = World::new();
    let victim = world.issue(Role::Worker, 3);
    let thief = |victim: &Identity| {
        let (certificate, key) = (victim.certificate().to_vec(), victim.tls_key().to_vec());
        world.stranger(Identity::from_parts(certificate, key, NodeKey::from_seed(&[66; 32])).unwrap())
    };
    let (dialled, accepted) = world.meet(&thief(&victim)).await;
    assert_eq!(refused(accepted), LinkError::NodeKeyProof);
    // The thief may believe that it has a link until it hears of the refusal.
    let heard = match dialled {
        Ok(link) => soon(link.closed()).await,
        Err(error) => error,
    };
    assert!(matches!(&heard, LinkError::ClosedByPeer { reason } if reason.contains("node key")), "{heard}");

    let victim = world.issue(Role::Proxy, 2);
    let (dialled, _) = meet(&world.worker, &Expect::role(Role::Proxy), &thief(&victim), &[Role::Worker]).await;
    assert_eq!(refused(dialled), LinkError::NodeKeyProof);
}

#[tokio::test]
async fn attack_68_an_honest_nodes_certificate_without_its_tls_key() {
    let world = World::new();
    let honest = world.issue(Role::Worker, 3);
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap().serialize_der();
    let relay = Identity::from_parts(honest.certificate().to_vec(), key, NodeKey::from_seed(&[66; 32])).unwrap();
    let (_, accepted) = world.meet(&world.stranger(relay)).await;
    let error = refused(accepted);
    assert!(matches!(&error, LinkError::Tls { why } if why.contains("BadSignature")), "{error}");
}

#[tokio::test]
async fn attack_68_another_node_than_the_one_that_was_called() {
    let world = World::new();
    let expected = NodeKey::from_seed(&[200; 32]).public();
    let (dialled, _) = meet(&world.worker, &Expect::node(Role::Proxy, expected), &world.proxy, &[Role::Worker]).await;
    let got = Box::new(NodeKey::from_seed(&[2; 32]).public());
    let reason = AttestError::WrongNode { got, expected: Box::new(expected) };
    assert_eq!(refused(dialled), LinkError::Attestation { reason });
}

/// Runs a TLS handshake in memory and a round trip after it, in which tickets would travel.
pub(super) fn in_memory(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> (ClientConnection, ServerConnection) {
    let mut client = ClientConnection::new(client, server_name()).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    for _ in 0..6 {
        let mut wire = vec![];
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut wire = &wire[..];
        while !wire.is_empty() {
            server.read_tls(&mut wire).unwrap();
            server.process_new_packets().unwrap();
        }
        let mut wire = vec![];
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut wire = &wire[..];
        while !wire.is_empty() {
            client.read_tls(&mut wire).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    (client, server)
}

pub(super) fn configs(world: &World) -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    let client = world.worker.tls_identity().unwrap().client(world.worker.rule(&[Role::Proxy], None)).unwrap();
    let server = world.proxy.tls_identity().unwrap().server(world.proxy.rule(&[Role::Worker], None)).unwrap();
    (client, server)
}

#[test]
fn attack_69_no_session_is_resumed_whatever_the_other_side_wants() {
    let world = World::new();
    let (client, server) = configs(&world);
    let mut eager_client = (*client).clone();
    eager_client.resumption = Resumption::default();
    let mut eager_server = (*server).clone();
    eager_server.send_tls13_tickets = 2;
    eager_server.session_storage = rustls::server::ServerSessionMemoryCache::new(16);
    let (eager_client, eager_server) = (Arc::new(eager_client), Arc::new(eager_server));
    let kinds = |client: &Arc<ClientConfig>, server: &Arc<ServerConfig>| {
        in_memory(client.clone(), server.clone());
        let (client, server) = in_memory(client.clone(), server.clone());
        (client.handshake_kind().unwrap(), server.handshake_kind().unwrap())
    };
    let full = (HandshakeKind::Full, HandshakeKind::Full);
    assert_eq!(kinds(&client, &server), full);
    assert_eq!(kinds(&eager_client, &server), full, "our listener gives no tickets");
    assert_eq!(kinds(&client, &eager_server), full, "our dialler keeps no tickets");
    // The test can tell the difference: this is what the library does by default.
    assert_eq!(kinds(&eager_client, &eager_server), (HandshakeKind::Resumed, HandshakeKind::Resumed));
}

#[tokio::test]
async fn attack_69_a_node_revoked_between_two_connections_stays_out() {
    let world = World::new();
    let (worker, proxy) = world.linked().await;
    world.change(|p| p.revoke_image(Role::Worker, image_id(&image(Role::Worker))));
    assert!(matches!(soon(proxy.closed()).await, LinkError::Revoked { .. }));
    soon(worker.closed()).await;
    let (_, accepted) = world.meet(&world.worker).await;
    assert!(matches!(refused(accepted), LinkError::Attestation { reason: AttestError::ImageNotApproved { .. } }));
}

#[test]
fn tls_is_1_3_with_the_hybrid_post_quantum_group() {
    let (client, server) = configs(&World::new());
    let (client, _) = in_memory(client, server);
    assert_eq!(client.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
    assert_eq!(client.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
}

/// Dials with a TLS configuration of the attacker's making; what the proxy says.
async fn proxy_meets(world: &World, client: ClientConfig) -> LinkError {
    let (a, b) = pipe();
    let attack = async {
        let mut stream = TlsConnector::from(Arc::new(client)).connect(server_name(), a).await?;
        tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1]).await
    };
    let (heard, accepted) = tokio::join!(attack, world.proxy.accept_over(b, None, &[Role::Worker]));
    heard.unwrap_err();
    refused(accepted)
}

fn attackers_tls(world: &World) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(world.worker.rule(&[Role::Proxy], None)))
}

#[tokio::test]
async fn attack_70_no_certificate() {
    let world = World::new();
    let client = attackers_tls(&world).with_no_client_auth();
    assert_eq!(proxy_meets(&world, client).await, LinkError::NoCertificate);
}

#[tokio::test]
async fn attack_70_a_certificate_without_evidence() {
    let world = World::new();
    let plain = rcgen::generate_simple_self_signed(vec!["node.invalid".into()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(plain.signing_key.serialize_der()));
    let client = attackers_tls(&world).with_client_auth_cert(vec![plain.cert.der().clone()], key).unwrap();
    // rustls offers no ECDSA here, so the attacker has no scheme in common, or is refused for lack of evidence.
    assert!(matches!(
        proxy_meets(&world, client).await,
        LinkError::NoCertificate | LinkError::Attestation { reason: AttestError::NoEvidence }
    ));
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let plain = CertificateParams::default().self_signed(&key).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let client = attackers_tls(&world).with_client_auth_cert(vec![plain.der().clone()], key).unwrap();
    let refused = proxy_meets(&world, client).await;
    assert_eq!(refused, LinkError::Attestation { reason: AttestError::NoEvidence });
}

#[tokio::test]
async fn attack_70_a_wrong_role_in_both_directions() {
    let world = World::new();
    let (_, accepted) = world.meet(&world.stranger(world.issue(Role::Client, 4))).await;
    let reason = AttestError::WrongRole { got: Role::Client, expected: vec![Role::Worker] };
    assert_eq!(refused(accepted), LinkError::Attestation { reason });
    let (dialled, _) = meet(&world.worker, &Expect::role(Role::Worker), &world.proxy, &[Role::Worker]).await;
    let reason = AttestError::WrongRole { got: Role::Proxy, expected: vec![Role::Worker] };
    assert_eq!(refused(dialled), LinkError::Attestation { reason });
}

#[tokio::test]
async fn attack_70_a_wrong_network() {
    let world = World::new();
    let request = IdentityRequest::new(Role::Worker, GlobalId(7), NOW);
    let foreign =
        issue_identity(&quoter(&world.vendor, Role::Worker), &NodeKey::from_seed(&[3; 32]), &request).unwrap();
    let (_, accepted) = world.meet(&world.stranger(foreign)).await;
    let reason = AttestError::WrongNetwork { got: GlobalId(7), expected: GlobalId::DEVNET };
    assert_eq!(refused(accepted), LinkError::Attestation { reason });
}

#[tokio::test]
async fn attack_71_an_oversized_certificate_and_a_chain() {
    let world = World::new();
    let with_certificates = |certificates: Vec<CertificateDer<'static>>, key: &KeyPair| {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
        let resolver = SingleCertAndKey::from(CertifiedKey::new(certificates, key));
        attackers_tls(&world).with_client_cert_resolver(Arc::new(resolver))
    };
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let mut params = CertificateParams::default();
    params.custom_extensions.push(CustomExtension::from_oid_content(OID_EVIDENCE, vec![0; 40_000]));
    let oversized = params.self_signed(&key).unwrap().der().clone();
    let size = oversized.len();
    let error = proxy_meets(&world, with_certificates(vec![oversized], &key)).await;
    let limit = cocoon_attest::MAX_CERTIFICATE;
    assert_eq!(error, LinkError::Attestation { reason: AttestError::CertificateTooLarge { size, limit } });

    let small = CertificateParams::default().self_signed(&key).unwrap().der().clone();
    let error = proxy_meets(&world, with_certificates(vec![small.clone(), small], &key)).await;
    assert!(matches!(&error, LinkError::Attestation { reason: AttestError::MalformedCertificate { .. } }), "{error}");
}

#[tokio::test]
async fn attack_71_bytes_that_are_no_tls() {
    let world = World::new();
    let (mut a, b) = pipe();
    let attack = async {
        tokio::io::AsyncWriteExt::write_all(&mut a, &[0x55; 2000]).await.unwrap();
        drop(a);
    };
    let (_, accepted) = tokio::join!(attack, world.proxy.accept_over(b, None, &[Role::Worker]));
    assert!(matches!(refused(accepted), LinkError::Tls { .. }));
}

#[tokio::test]
async fn attack_75_an_address_whose_handshakes_fail_costs_no_more_verification_in_that_minute() {
    let world = World::with_config(LinkConfig { max_failures_per_source: 5, ..LinkConfig::default() });
    let listener = world.proxy.listen(localhost(), &[Role::Worker]).await.unwrap();
    let expect = Expect::role(Role::Proxy);
    let verified = || world.proxy.verifier().stats().verified;
    // An approved image by its measurements, a quote that nobody signed, each time in another certificate.
    let forger = Simulator::from_seed(&[7; 32]).unwrap();
    let forged = |seed| world.stranger(issue(&quoter(&forger, Role::Worker), Role::Worker, seed));
    for seed in 0..5 {
        let forged = forged(seed);
        let (_, (_, accepted)) =
            soon(async { tokio::join!(forged.connect(listener.addr(), &expect), listener.accept()) }).await;
        let error = refused(accepted);
        assert!(matches!(&error, LinkError::Attestation { reason: AttestError::QuoteRejected { .. } }), "{error}");
    }
    assert_eq!(verified(), 5);
    for seed in 5..9 {
        assert!(soon(forged(seed).connect(listener.addr(), &expect)).await.is_err());
    }
    assert!(soon(world.worker.connect(listener.addr(), &expect)).await.is_err(), "nobody is let in from there");
    assert_eq!(verified(), 5);
    world.time.pass(61).await;
    let (dialled, (_, accepted)) =
        soon(async { tokio::join!(world.worker.connect(listener.addr(), &expect), listener.accept()) }).await;
    assert!(dialled.is_ok() && accepted.is_ok());
    assert_eq!(verified(), 6);
}

#[tokio::test]
async fn attack_75_half_open_connections_hold_up_nobody_else() {
    use tokio::net::TcpStream;
    let world = World::with_config(LinkConfig { max_handshakes_per_source: 3, ..LinkConfig::default() });
    let listener = world.proxy.listen(localhost(), &[Role::Worker]).await.unwrap();
    let expect = Expect::role(Role::Proxy);
    let mut silent = vec![];
    for _ in 0..2 {
        silent.push(TcpStream::connect(listener.addr()).await.unwrap());
    }
    let (dialled, (_, accepted)) = tokio::join!(world.worker.connect(listener.addr(), &expect), listener.accept());
    assert!(dialled.is_ok() && accepted.is_ok());
    // At the limit of its address a connection is dropped at once, and let in again when the others have gone.
    silent.push(TcpStream::connect(listener.addr()).await.unwrap());
    let error = soon(async {
        loop {
            match world.worker.connect(listener.addr(), &expect).await {
                // The listener has not seen the third silent one yet.
                Ok(_) => drop(listener.accept().await),
                Err(error) => break error,
            }
        }
    })
    .await;
    assert!(matches!(error, LinkError::PeerGone | LinkError::Io { .. }), "{error}");
    drop(silent);
    soon(async { while world.worker.connect(listener.addr(), &expect).await.is_err() {} }).await;
}

#[tokio::test]
async fn a_renewed_identity_is_used_for_the_next_connection() {
    let world = World::new();
    let handle = IdentityHandle::new(world.issue(Role::Worker, 3));
    let quoter = Arc::new(quoter(&world.vendor, Role::Worker));
    let worker = Endpoint::new(handle.clone(), quoter, world.worker.verifier().clone(), LinkConfig::default());
    let (_, first) = world.meet(&worker).await;
    handle.renew(world.issue(Role::Worker, 4));
    let (_, second) = world.meet(&worker).await;
    assert_eq!(first.unwrap().peer().node_key, NodeKey::from_seed(&[3; 32]).public());
    assert_eq!(second.unwrap().peer().node_key, NodeKey::from_seed(&[4; 32]).public());
}

#[tokio::test]
async fn nobody_listening_is_said_so() {
    let world = World::new();
    let listener = world.proxy.listen(localhost(), &[Role::Worker]).await.unwrap();
    let addr = listener.addr();
    drop(listener);
    let error = loop {
        // The task behind the port is being ended.
        match world.worker.connect(addr, &Expect::role(Role::Proxy)).await {
            Err(error @ LinkError::Connect { .. }) => break error,
            _ => tokio::task::yield_now().await,
        }
    };
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
}
