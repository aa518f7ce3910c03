//! Of what use the files and names of TLS are, before a check needs them. Pure: texts of files are given.
//!
//! What is refused here would fail at every probe, so [`super::load`] refuses it with its line; probes read the files anew by the same
//! functions, since they may change meanwhile.

use super::check_types::{Tls, Url};
use super::report::Place;
use super::value::Reader;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, crypto::ring};

/// Certificates of authorities in the text of a file.
///
/// # Errors
/// Why it has none.
pub(crate) fn roots(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(certificates(pem)?);
    if taken == 0 {
        return Err("no certificate of an authority is in it (PEM)".to_owned());
    }
    Ok(roots)
}

/// A certificate with its chain, and the key that belongs to it.
pub(crate) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The texts of a certificate's file and of its key's.
///
/// # Errors
/// Which of the two is of no use, and why.
pub(crate) fn identity(certificate: &str, key: &str) -> Result<Identity, String> {
    let chain = certificates(certificate)?;
    if chain.is_empty() {
        return Err("no certificate is in the file of the certificate (PEM)".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|e| format!("the file of the key: {e}; wanted is a key in PEM without a password"))?;
    // Certificate and key must be one pair: else every handshake fails.
    CertifiedKey::from_der(chain.clone(), key.clone_key(), &ring::default_provider())
        .map_err(|e| format!("certificate and key do not belong together: {e}"))?;
    Ok((chain, key))
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(|e| e.to_string())
}

/// The name that a server's certificate must have: `sni_name`, else the URL's host; none for its address.
///
/// # Errors
/// It is no name.
pub(crate) fn server_name(tls: &Tls, url: &Url) -> Result<Option<ServerName<'static>>, String> {
    let wanted = tls.sni_name.as_ref().or(url.virtualhost.as_ref());
    let host = |name: &String| name.rsplit_once(':').map_or(name.clone(), |(host, _)| host.to_owned());
    wanted.map(host).map(|name| ServerName::try_from(name.clone()).map_err(|_| not_a_name(&name))).transpose()
}

fn not_a_name(name: &str) -> String {
    format!("\"{name}\" is no name for TLS: write a host name such as www.example.org")
}

impl Reader<'_> {
    /// The text of a file that the host must have. The daemon has another working directory than the operator, so that a relative path
    /// would be two files.
    pub(super) fn pem(&mut self, at: &Place, what: &str, file: &str) -> Option<String> {
        if !file.starts_with('/') {
            self.report.error(at, format!("{what} {file}: write an absolute path"));
            return None;
        }
        let read = self.around.read(file);
        read.map_err(|why| {
            self.report.error(at, format!("{what} {file}: {why}; name a file that ctdbd can read, in PEM"));
        })
        .ok()
    }

    /// `ca FILE`.
    pub(super) fn authority(&mut self, at: &Place, file: &str) {
        let Some(text) = self.pem(at, "ca", file) else { return };
        if let Err(why) = roots(&text) {
            let said = format!("ca {file}: {why}; name a file with the certificates of authorities");
            self.report.error(at, said);
        }
    }
}
