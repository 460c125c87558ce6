//! A certificate authority of the test's own: its servers are trusted by sessions only because the operator's bundle has it.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// The names that sessions reach the test's servers by.
const NAMES: [&str; 2] = [super::proxy::HOST, super::site::HOST];

/// The authority, and what its servers show.
pub struct Authority {
    pub pem: String,
    pub acceptor: TlsAcceptor,
}

impl Authority {
    pub fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).expect("an authority");
        let issuer = Issuer::new(params, key);
        let server_key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(NAMES.map(str::to_owned).to_vec()).expect("parameters");
        let certificate = params.signed_by(&server_key, &issuer).expect("a certificate");
        let private = PrivateKeyDer::Pkcs8(server_key.serialize_der().into());
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate.der().clone()], private).expect("a TLS server");
        Self { pem: authority.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) }
    }

    /// The machine's bundle and this authority, as an operator behind such a proxy would have it.
    pub fn write_bundle(&self, path: &Path) {
        let machine = std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
        std::fs::write(path, format!("{machine}\n{}", self.pem)).expect("the bundle is written");
    }
}
