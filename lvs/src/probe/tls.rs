//! TLS of `SSL_GET`: with `ca` certificates are verified, without it they are not, as in keepalived (a check asks whether a server
//! serves, not who it is). A client certificate is shown when the `SSL` block has one.

use crate::config::check_types::Tls;
use crate::config::tls::{identity, roots};
use crate::config::types::TlsFiles;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Arc;

/// Everything of TLS for one check. Reads the files that it names.
///
/// # Errors
/// Which file is of no use, and why.
pub(super) fn config(tls: &Tls, files: &TlsFiles) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS: {e}"))?;
    let builder = match &tls.ca {
        Some(file) => {
            let roots = roots(&text("ca", file)?).map_err(|why| format!("ca {file}: {why}"))?;
            builder.with_root_certificates(roots)
        }
        None => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider))),
    };
    let mut config = match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => {
            let bad = |why: String| format!("certificate {certificate} with key {key}: {why}");
            let pair = identity(&text("certificate", certificate)?, &text("key", key)?);
            let (chain, key) = pair.map_err(bad)?;
            builder.with_client_auth_cert(chain, key).map_err(|e| bad(e.to_string()))?
        }
        _ => builder.with_no_client_auth(),
    };
    config.enable_sni = tls.enable_sni;
    Ok(config)
}

/// A file's text; it may have changed since the configuration was read.
fn text(what: &str, file: &str) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|e| format!("{what} {file}: {e}"))
}

/// Takes every certificate; signatures of the handshake are still verified.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
