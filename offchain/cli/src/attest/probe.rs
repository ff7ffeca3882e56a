//! What any caller gets from a node: its certificate, and by TLS the proof that it holds the certificate's key.
//!
//! In TLS 1.3 the listening side shows its certificate before it asks for the caller's, so we need none. Nothing
//! is sent to the node, and its certificate is judged by the caller of [`probe`]: this connection trusts nobody and carries nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long a node may take to show itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at any certificate; only the handshake's signature with its key is checked.
#[derive(Debug)]
struct Onlooker(Arc<CryptoProvider>);

impl ServerCertVerifier for Onlooker {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// The certificate (DER) that a node shows, and whose key it has just used.
pub(super) async fn probe(addr: SocketAddr) -> Result<Vec<u8>> {
    let groups = vec![kx_group::X25519MLKEM768, kx_group::X25519];
    let provider = Arc::new(CryptoProvider { kx_groups: groups, ..default_provider() });
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Onlooker(provider)))
        .with_no_client_auth();
    config.enable_sni = false;
    let handshake = async {
        let tcp = TcpStream::connect(addr).await?;
        // Names mean nothing between nodes.
        let name = ServerName::try_from("cocoon.invalid").map_err(std::io::Error::other)?;
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await
    };
    let stream = timeout(PATIENCE, handshake)
        .await
        .with_context(|| format!("{addr} says nothing for {} s", PATIENCE.as_secs()))?
        .with_context(|| format!("connecting to {addr}; is it the link address of a node?"))?;
    match stream.get_ref().1.peer_certificates() {
        Some([certificate]) => Ok(certificate.to_vec()),
        Some(several) => bail!("{addr} shows {} certificates, and a node shows one", several.len()),
        None => bail!("{addr} shows no certificate"),
    }
}
