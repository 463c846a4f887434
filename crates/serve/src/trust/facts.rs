//! What stands in a certificate, for those who compare certificates or look when they expire.

use jiff::Timestamp;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::peer::PeerIdentity;

/// What stands in a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The certificate itself.
    pub der: Vec<u8>,
    /// Whose it is, as a distinguished name.
    pub subject: String,
    /// Whom it names.
    pub identity: Option<PeerIdentity>,
    /// Since when it is valid.
    pub begins_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
    /// Whether it may sign others.
    pub is_authority: bool,
}

impl CertificateFacts {
    /// Of a certificate; `None` where it is none.
    pub fn of(der: &[u8]) -> Option<Self> {
        let (rest, parsed) = X509Certificate::from_der(der).ok()?;
        let validity = parsed.validity();
        rest.is_empty().then_some(())?;
        Some(Self {
            der: der.to_vec(),
            subject: parsed.subject().to_string(),
            identity: PeerIdentity::of(&CertificateDer::from(der)),
            begins_at: Timestamp::from_second(validity.not_before.timestamp()).ok()?,
            expires_at: Timestamp::from_second(validity.not_after.timestamp()).ok()?,
            is_authority: parsed.is_ca(),
        })
    }

    /// Of all certificates of a text, in its order; `None` where one is none, or the text is not PEM.
    pub fn all_of(pem: &[u8]) -> Option<Vec<Self>> {
        CertificateDer::pem_slice_iter(pem).map(|one| Self::of(&one.ok()?)).collect()
    }
}
