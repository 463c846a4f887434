//! What a certificate says: whom it names, and until when.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// No SPIFFE id is longer (SPIFFE-ID, section 2.3).
const LONGEST_SPIFFE: usize = 2048;

/// Whom the certificate of a client names. It stands in the extensions of a request whose connection came with a
/// certificate that an authority we believe has signed. The SPIFFE id if there is one, else the DNS names, else the
/// common name of the subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PeerIdentity {
    /// A SPIFFE id: `spiffe://example.org/session`.
    Spiffe(Arc<str>),
    /// DNS names, at least one.
    Dns(Arc<[String]>),
    /// The common name.
    CommonName(Arc<str>),
}

impl PeerIdentity {
    /// Whom a certificate names. Nobody, if it has a SPIFFE id that is malformed or beside another URI: such a one is no
    /// SVID (X509-SVID, section 2), and its other names are not to be trusted either.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let alternative = parsed.subject_alternative_name().ok()?;
        let names = alternative.iter().flat_map(|extension| &extension.value.general_names);
        let (mut uris, mut hosts) = (Vec::new(), Vec::new());
        for name in names {
            match name {
                GeneralName::URI(uri) => uris.push(*uri),
                GeneralName::DNSName(host) => hosts.push(host.to_ascii_lowercase()),
                GeneralName::Invalid(..) => return None,
                _ => {}
            }
        }
        if uris.iter().any(|uri| has_spiffe_scheme(uri)) {
            return match uris.as_slice() {
                [uri] if is_spiffe_id(uri) => Some(Self::Spiffe((*uri).into())),
                _ => None,
            };
        }
        if !hosts.is_empty() {
            return Some(Self::Dns(hosts.into()));
        }
        let common = parsed.subject().iter_common_name().next()?.as_str().ok()?;
        (!common.is_empty()).then(|| Self::CommonName(common.into()))
    }
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spiffe(name) | Self::CommonName(name) => f.write_str(name),
            Self::Dns(names) => f.write_str(&names.join(", ")),
        }
    }
}

/// Until when a certificate is valid; `None` where it is none.
pub(crate) fn not_after(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Timestamp::from_second(parsed.validity().not_after.timestamp()).ok()
}

fn has_spiffe_scheme(uri: &str) -> bool {
    uri.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe:"))
}

/// SPIFFE-ID, section 2: a trust domain in lower case, and a path of segments that mean nothing but themselves.
fn is_spiffe_id(uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix("spiffe://") else { return false };
    let (domain, path) = rest.split_once('/').map_or((rest, None), |(domain, path)| (domain, Some(path)));
    let in_domain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-._".contains(&c);
    let in_segment = |c: u8| c.is_ascii_alphanumeric() || b"-._".contains(&c);
    uri.len() <= LONGEST_SPIFFE
        && !domain.is_empty()
        && domain.len() <= 255
        && domain.bytes().all(in_domain)
        && path.is_none_or(|path| {
            path.split('/').all(|segment| {
                !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(in_segment)
            })
        })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn named(common: &str, alternative: Vec<SanType>) -> Option<PeerIdentity> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if !common.is_empty() {
            params.distinguished_name.push(DnType::CommonName, common);
        }
        params.subject_alt_names = alternative;
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        PeerIdentity::of(certificate.der())
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    fn dns(text: &str) -> SanType {
        SanType::DnsName(text.try_into().unwrap())
    }

    #[test]
    fn a_spiffe_id_goes_before_dns_names_and_those_before_the_common_name() {
        let id = "spiffe://example.org/session";
        let spiffe = named("cn", vec![dns("a.example.org"), uri(id)]).unwrap();
        assert_eq!(spiffe, PeerIdentity::Spiffe(id.into()));
        assert_eq!(spiffe.to_string(), id);
        let hosts = named("cn", vec![dns("A.example.org"), dns("b.example.org"), uri("urn:x")]).unwrap();
        assert_eq!(hosts.to_string(), "a.example.org, b.example.org");
        assert_eq!(named("cn", vec![]), Some(PeerIdentity::CommonName("cn".into())));
        assert_eq!(named("", vec![]), None);
    }

    #[test]
    fn a_spiffe_id_that_is_not_alone_or_malformed_names_nobody() {
        let two = vec![uri("spiffe://example.org/a"), uri("spiffe://example.org/b")];
        assert_eq!(named("cn", two), None);
        assert_eq!(named("cn", vec![uri("spiffe://example.org/a"), uri("urn:x")]), None);
        for bad in [
            "spiffe://",
            "spiffe:///a",
            "SPIFFE://example.org/a",
            "spiffe://Example.org/a",
            "spiffe://example.org/",
            "spiffe://example.org//a",
            "spiffe://example.org/../a",
            "spiffe://example.org:1/a",
            "spiffe://example.org/a?b",
            "spiffe://example.org/%61",
            "spiffe:example.org/a",
        ] {
            assert_eq!(named("cn", vec![dns("a.example.org"), uri(bad)]), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_certificate_names_nobody_and_ends_never() {
        let noise = CertificateDer::from(vec![0x30, 0x82, 1, 2, 3]);
        assert_eq!((PeerIdentity::of(&noise), not_after(&noise)), (None, None));
    }
}
