//! TLS towards `https` proxies: the public roots, and those that the operator adds.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::EgressError;

pub(crate) fn connector(ca_bundle: Option<&Path>) -> Result<TlsConnector, EgressError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = ca_bundle {
        add_bundle(&mut roots, path)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| EgressError::Tls { reason: error.to_string() })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// System bundles hold certificates that rustls cannot use; they are left out, but a bundle without any good one is an error.
fn add_bundle(roots: &mut RootCertStore, path: &Path) -> Result<(), EgressError> {
    let wrong = |reason: String| EgressError::CaBundle { path: path.to_owned(), reason };
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
        .and_then(|certificates| certificates.collect())
        .map_err(|error| wrong(error.to_string()))?;
    let (added, left_out) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(wrong("it holds no certificate that can be used".to_owned()));
    }
    if left_out > 0 {
        tracing::warn!(path = %path.display(), left_out, "certificates of the CA bundle cannot be used");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_bundles_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bundle.pem");
        assert!(connector(Some(&path)).is_err());
        std::fs::write(&path, "no certificate").unwrap();
        let error = connector(Some(&path)).err().unwrap().to_string();
        assert!(error.contains("bundle.pem"), "{error}");
        assert!(connector(None).is_ok());
    }
}
