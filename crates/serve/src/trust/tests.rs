use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::server::StoresServerSessions;

use super::*;

const BERLIN: &str = "spiffe://example.org/roamline/berlin";
const HAMBURG: &str = "spiffe://example.org/roamline/hamburg";
const GATEWAY: &str = "spiffe://example.org/gateway";

/// An authority, and what it signs.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn sign(&self, id: &str) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
        params.signed_by(&KeyPair::generate().unwrap(), &self.issuer).unwrap().der().clone()
    }
}

fn peers<const N: usize>(peers: [(&str, &str); N]) -> BTreeMap<String, String> {
    peers.into_iter().map(|(id, pem)| (id.to_owned(), pem.to_owned())).collect()
}

fn believes(verifier: &Arc<dyn ClientCertVerifier>, certificate: &CertificateDer<'_>) -> bool {
    verifier.verify_client_cert(certificate, &[], UnixTime::now()).is_ok()
}

#[test]
fn xc_10_a_peer_is_believed_by_its_own_authorities_alone() {
    let (house, berlin, hamburg) = (Authority::new(), Authority::new(), Authority::new());
    let trust = PeerTrust::default();
    let provider = Arc::new(default_provider());
    let both = trust.beside(verifier(&house.pem, &provider), &provider);
    assert!(believes(&both, &house.sign(BERLIN)) && !believes(&both, &berlin.sign(BERLIN)));
    assert!(trust.obey(peers([(BERLIN, &berlin.pem), (HAMBURG, &hamburg.pem)])).is_empty());
    assert!(believes(&both, &berlin.sign(BERLIN)) && believes(&both, &hamburg.sign(HAMBURG)));
    assert!(!believes(&both, &hamburg.sign(BERLIN)) && !believes(&both, &house.sign(BERLIN)));
    assert!(!believes(&both, &hamburg.sign(GATEWAY)) && believes(&both, &house.sign(GATEWAY)));
    let ids: Vec<_> = trust.take_disbelieved().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, [BERLIN, BERLIN, BERLIN, GATEWAY]);
    trust.obey(peers([(BERLIN, &berlin.pem)]));
    assert!(!believes(&both, &hamburg.sign(HAMBURG)));
    assert!(
        matches!(&trust.take_disbelieved()[..], [(id, why)] if id == HAMBURG && why.contains("certificate"))
    );
}

#[test]
fn xc_10_a_peer_whose_authorities_cannot_be_used_is_believed_by_nobody() {
    let (house, hamburg) = (Authority::new(), Authority::new());
    let trust = PeerTrust::default();
    let provider = Arc::new(default_provider());
    let both = trust.beside(verifier(&house.pem, &provider), &provider);
    for broken in ["", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "text"] {
        assert_eq!(trust.obey(peers([(BERLIN, broken), (HAMBURG, &hamburg.pem)])), [BERLIN]);
        assert!(!believes(&both, &house.sign(BERLIN)) && believes(&both, &hamburg.sign(HAMBURG)));
    }
}

#[test]
fn xc_10_certificates_are_asked_for_as_soon_as_there_is_a_peer() {
    let authority = Authority::new();
    let trust = PeerTrust::default();
    let provider = Arc::new(default_provider());
    let alone = trust.beside(None, &provider);
    assert!(!alone.offer_client_auth() && !believes(&alone, &authority.sign(BERLIN)));
    trust.obey(peers([(BERLIN, &authority.pem)]));
    assert!(alone.offer_client_auth() && !alone.client_auth_mandatory());
    let beside = trust.beside(verifier(&authority.pem, &provider), &provider);
    assert!(beside.client_auth_mandatory() && beside.root_hint_subjects().is_empty());
}

#[test]
fn xc_10_a_session_from_before_a_change_is_not_taken_up_again() {
    let (authority, trust) = (Authority::new(), PeerTrust::default());
    let sessions = Sessions::new(trust.clone());
    assert!(sessions.put(b"1".to_vec(), b"one".to_vec()));
    assert_eq!(sessions.get(b"1"), Some(b"one".to_vec()));
    trust.obey(peers([(BERLIN, &authority.pem)]));
    assert_eq!((sessions.get(b"1"), sessions.take(b"1")), (None, None));
    assert!(sessions.put(b"2".to_vec(), b"two".to_vec()));
    trust.obey(peers([(BERLIN, &authority.pem)]));
    assert_eq!(sessions.take(b"2"), Some(b"two".to_vec()));
}

#[test]
fn xc_10_the_facts_of_a_certificate_are_read() {
    let (one, other) = (Authority::new(), Authority::new());
    let [facts] = &CertificateFacts::all_of(one.pem.as_bytes()).unwrap()[..] else { panic!() };
    assert!(facts.is_authority && facts.begins_at < facts.expires_at);
    let signed = CertificateFacts::of(&one.sign(BERLIN)).unwrap();
    assert_eq!(signed.identity, Some(PeerIdentity::Spiffe(BERLIN.into())));
    assert!(!signed.is_authority);
    assert_eq!(CertificateFacts::of(b"none"), None);
    assert_eq!(CertificateFacts::all_of(b""), Some(Vec::new()));
    let now = signed.begins_at.checked_add(Duration::from_secs(86_400)).unwrap();
    let chain = [signed.der];
    assert!(is_signed_by(&chain, &format!("{}{}", other.pem, one.pem), now));
    assert!(!is_signed_by(&chain, &other.pem, now) && !is_signed_by(&[], &one.pem, now));
    let late = signed.expires_at.checked_add(Duration::from_secs(1)).unwrap();
    assert!(!is_signed_by(&chain, &one.pem, late));
}

#[test]
fn only_tls_addresses_are_dialled() {
    let within = Duration::from_secs(1);
    for bad in ["", "http://a:1", "https://a", "a:1", "https://"] {
        let made = PeerDial::new(bad, &Expected::Certificate([0; 32]), None, within);
        assert!(matches!(made, Err(PeerDialError::Address(_))), "{bad}");
    }
    let nobody = Expected::Peer { id: BERLIN.into(), authorities: String::new() };
    let made = PeerDial::new("https://a:1", &nobody, None, within);
    assert!(matches!(made, Err(PeerDialError::Authorities)));
    let half = PeerDial::new("https://[::1]:1", &Expected::Certificate([0; 32]), Some((b"x", b"y")), within);
    assert!(matches!(half, Err(PeerDialError::Ours)));
}
