//! TLS 1.3 with attested certificates on both sides.

use std::fmt;
use std::sync::{Arc, LazyLock};

use cocoon_attest::{AttestError, Identity, PeerIdentity, Verifier};
use cocoon_protocol::{NodePublicKey, Role};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError, ServerConfig,
    SignatureScheme,
};

use crate::error::LinkError;

/// The one provider, named explicitly: other crates in the same process switch on a second one, and rustls then has no
/// default. The hybrid post-quantum group comes first.
pub(crate) static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    let groups = vec![kx_group::X25519MLKEM768, kx_group::X25519];
    Arc::new(CryptoProvider { kx_groups: groups, ..aws_lc_rs::default_provider() })
});

/// Certificates are signed, and handshakes too, with Ed25519 only.
const SCHEMES: [SignatureScheme; 1] = [SignatureScheme::ED25519];

/// Which peers one connection is for.
#[derive(Clone, Debug)]
pub struct PeerRule {
    pub verifier: Arc<Verifier>,
    pub roles: Vec<Role>,
    pub node_key: Option<NodePublicKey>,
}

impl PeerRule {
    /// Checks a peer's certificate. Costs no signature when the certificate was seen before.
    pub fn check(&self, certificate: &[u8]) -> Result<PeerIdentity, AttestError> {
        self.of_node(self.verifier.verify(certificate, &self.roles)?)
    }

    /// The same with the collateral that the peer handed over.
    pub fn check_stapled(&self, certificate: &[u8], staple: &[u8]) -> Result<PeerIdentity, AttestError> {
        self.of_node(self.verifier.verify_stapled(certificate, staple, &self.roles)?)
    }

    fn of_node(&self, peer: PeerIdentity) -> Result<PeerIdentity, AttestError> {
        match self.node_key {
            Some(expected) if expected != peer.node_key => {
                Err(AttestError::WrongNode { got: Box::new(peer.node_key), expected: Box::new(expected) })
            }
            _ => Ok(peer),
        }
    }

    fn check_in_handshake(&self, end_entity: &[u8], intermediates: &[CertificateDer<'_>]) -> Result<(), Error> {
        let refuse = |reason: AttestError| {
            tracing::debug!(%reason, "peer's attestation refused");
            Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(reason))))
        };
        if !intermediates.is_empty() {
            let why = format!("{} certificates beside it", intermediates.len());
            return Err(refuse(AttestError::MalformedCertificate { why }));
        }
        match self.check(end_entity) {
            // Everything else is in order. The peer is asked for its collateral once it has shown that it holds the certificate's key,
            // and there is no link before that has verified the quote: see `Words::exchange`.
            Err(reason) if reason.wants_collateral() => Ok(()),
            verdict => verdict.map(drop).map_err(refuse),
        }
    }

    fn check_signature(
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &PROVIDER.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }
}

fn only_tls13() -> Error {
    Error::General("only TLS 1.3 is spoken here".into())
}

impl ServerCertVerifier for PeerRule {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check_in_handshake(end_entity, intermediates).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::check_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }
}

impl ClientCertVerifier for PeerRule {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        true
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check_in_handshake(end_entity, intermediates).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::check_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }
}

/// An identity made ready for TLS.
pub struct TlsIdentity {
    pub identity: Arc<Identity>,
    // A resolver rather than `with_single_cert`, which reads the certificate again and is particular about extensions.
    resolver: Arc<SingleCertAndKey>,
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.identity.fmt(f)
    }
}

impl TlsIdentity {
    pub fn new(identity: Arc<Identity>) -> Result<Self, LinkError> {
        let own = |e: Error| LinkError::OwnIdentity { why: e.to_string() };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.tls_key().to_vec()));
        let key = PROVIDER.key_provider.load_private_key(key).map_err(own)?;
        let certificate = CertificateDer::from(identity.certificate().to_vec());
        let resolver = Arc::new(SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key)));
        Ok(Self { identity, resolver })
    }

    /// Configuration of the dialling side.
    pub fn client(&self, rule: PeerRule) -> Result<Arc<ClientConfig>, LinkError> {
        let mut config = ClientConfig::builder_with_provider(PROVIDER.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(|e| LinkError::Tls { why: e.to_string() })?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(rule))
            .with_client_cert_resolver(self.resolver.clone());
        // A resumed session skips the verifier, and with it the registry (attack 69).
        config.resumption = rustls::client::Resumption::disabled();
        config.enable_early_data = false;
        config.enable_sni = false;
        Ok(Arc::new(config))
    }

    /// Configuration of the listening side.
    pub fn server(&self, rule: PeerRule) -> Result<Arc<ServerConfig>, LinkError> {
        let mut config = ServerConfig::builder_with_provider(PROVIDER.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(|e| LinkError::Tls { why: e.to_string() })?
            .with_client_cert_verifier(Arc::new(rule))
            .with_cert_resolver(self.resolver.clone());
        // Attack 69, the other half.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.max_early_data_size = 0;
        Ok(Arc::new(config))
    }
}
