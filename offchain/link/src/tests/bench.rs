//! How much CPU handshakes take, as ratios within one run: `scripts/bench handshakes`.

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, PKCS_ED25519};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::handshake::in_memory;
use super::*;
use crate::tls::PROVIDER;

/// CPU time of this thread: user and system, both sides of a handshake being in it.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split_whitespace().next().unwrap().parse().unwrap())
}

fn measure(rounds: u32, mut round: impl FnMut(u32)) -> Duration {
    for i in 0..rounds / 10 {
        round(i);
    }
    let before = cpu();
    for i in 0..rounds {
        round(rounds + i);
    }
    (cpu() - before) / rounds
}

/// Mutual TLS as everybody does it: a CA and two certificates.
fn plain() -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    let ca_key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let mut ca = CertificateParams::new(vec![]).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let leaf = || {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let certificate =
            CertificateParams::new(vec!["cocoon.invalid".into()]).unwrap().signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        (vec![CertificateDer::from(certificate.der().to_vec())], key)
    };
    let mut roots = RootCertStore::empty();
    roots.add(ca_certificate.der().clone()).unwrap();
    let roots = Arc::new(roots);
    let (chain, key) = leaf();
    let mut client = ClientConfig::builder_with_provider(PROVIDER.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots.clone())
        .with_client_auth_cert(chain, key)
        .unwrap();
    client.resumption = rustls::client::Resumption::disabled();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, PROVIDER.clone()).build().unwrap();
    let (chain, key) = leaf();
    let mut server = ServerConfig::builder_with_provider(PROVIDER.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .unwrap();
    server.send_tls13_tickets = 0;
    (Arc::new(client), Arc::new(server))
}

fn vendor(seed: u8) -> Arc<Simulator> {
    let vendor = Arc::new(Simulator::from_seed(&[seed; 32]).unwrap());
    // The vendor's own work.
    vendor.collateral(cocoon_attest::sim::SIM_FMSPC, NOW).unwrap();
    vendor
}

/// A worker and a proxy that have met nobody, on machine number `index` of their vendors.
struct Newcomers(Endpoint, Endpoint);

impl Newcomers {
    fn shake(&self) {
        let Self(worker, proxy) = self;
        let client = worker.tls_identity().unwrap().client(worker.rule(&[Role::Proxy], None)).unwrap();
        let server = proxy.tls_identity().unwrap().server(proxy.rule(&[Role::Worker], None)).unwrap();
        drop(in_memory(client, server));
    }
}

fn newcomers(dialler: &Arc<Simulator>, listener: &Arc<Simulator>, index: u32) -> Newcomers {
    let mut policy = Policy::new(GlobalId::DEVNET);
    policy.allow_root(dialler.root());
    policy.allow_root(listener.root());
    for role in [Role::Proxy, Role::Worker] {
        policy.allow_image(role, image_id(&image(role)), ImageWindow::ALWAYS);
    }
    let policy = PolicyHandle::new(policy);
    let endpoint = |role, own: &Arc<Simulator>, others: &Arc<Simulator>| {
        let quoter = own.platform(index).unwrap().quoter(image(role));
        let identity = IdentityHandle::new(issue(&quoter, role, 3));
        let verifier = Arc::new(Verifier::new(policy.clone(), others.clone(), Arc::new(|| NOW)));
        let endpoint = Endpoint::new(identity, Arc::new(quoter), verifier, LinkConfig::default());
        // The own key is made ready once for all connections.
        endpoint.tls_identity().unwrap();
        endpoint
    };
    Newcomers(endpoint(Role::Worker, dialler, listener), endpoint(Role::Proxy, listener, dialler))
}

fn measure_each(pairs: impl Iterator<Item = Newcomers>) -> Duration {
    let pairs: Vec<_> = pairs.collect();
    let before = cpu();
    pairs.iter().for_each(Newcomers::shake);
    (cpu() - before) / pairs.len() as u32
}

#[test]
#[ignore = "a benchmark: scripts/bench handshakes"]
fn handshakes() {
    const ROUNDS: u32 = 400;
    let (client, server) = plain();
    let plain = measure(ROUNDS, |_| drop(in_memory(client.clone(), server.clone())));

    let world = World::new();
    let (client, server) = super::handshake::configs(&world);
    let cached = measure(ROUNDS, |_| drop(in_memory(client.clone(), server.clone())));

    // Each side sees the other for the first time. Whatever one side verifies here the process remembers, so that the sides have vendors
    // of their own, as if they were two processes, and machines that nobody has seen.
    let first = measure_each((0..24).map(|i| newcomers(&vendor(2 * i + 10), &vendor(2 * i + 11), 0)));
    let (dialler, listener) = (vendor(100), vendor(101));
    newcomers(&dialler, &listener, 0).shake();
    let later = measure_each((1..25).map(|i| newcomers(&dialler, &listener, i)));

    // The fresh quote: one signature to check once the certificate is known.
    let quoter = quoter(&world.vendor, Role::Worker);
    let identity = world.issue(Role::Worker, 3);
    let quotes: Vec<_> = (0..2 * ROUNDS)
        .map(|i| {
            let mut data = [0; 64];
            data[..4].copy_from_slice(&i.to_le_bytes());
            (data, quoter.quote(&data).unwrap())
        })
        .collect();
    let verifier = world.proxy.verifier();
    let fresh = measure(ROUNDS, |i| {
        let (data, quote) = &quotes[i as usize];
        verifier.verify_fresh(identity.certificate(), &[Role::Worker], quote, data).unwrap();
    });

    let row = |what: &str, time: Duration| {
        println!(
            "{what:<58} {:>7.0} µs  {:>5.2} × plain",
            time.as_nanos() as f64 / 1e3,
            time.as_secs_f64() / plain.as_secs_f64()
        );
    };
    println!("\nCPU of both sides, one thread, X25519MLKEM768");
    row("mutual TLS with a CA", plain);
    row("RA-TLS, both certificates seen before", cached);
    row("RA-TLS, neither seen before, their platforms' model known", later);
    row("RA-TLS, nothing known (two times nine signatures)", first);
    row("a fresh quote on top, one side", fresh);
}
