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

#[test]
#[ignore = "a benchmark: scripts/bench handshakes"]
fn handshakes() {
    const ROUNDS: u32 = 400;
    let (client, server) = plain();
    let plain = measure(ROUNDS, |_| drop(in_memory(client.clone(), server.clone())));

    let world = World::new();
    let (client, server) = super::handshake::configs(&world);
    let cached = measure(ROUNDS, |_| drop(in_memory(client.clone(), server.clone())));

    // Each side sees the other for the first time.
    let strangers: Vec<_> = (0..24u8)
        .map(|_| {
            let world = World::new();
            let configs = super::handshake::configs(&world);
            // The simulated vendor's own work.
            world.vendor.collateral(cocoon_attest::sim::SIM_FMSPC, NOW).unwrap();
            (world, configs)
        })
        .collect();
    let before = cpu();
    for (_, (client, server)) in &strangers {
        drop(in_memory(client.clone(), server.clone()));
    }
    let uncached = (cpu() - before) / strangers.len() as u32;

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
    row("RA-TLS, neither seen before (two quotes in full)", uncached);
    row("a fresh quote on top, one side", fresh);
}
