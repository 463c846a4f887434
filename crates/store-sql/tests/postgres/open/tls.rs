//! TLS to the server: what `sslmode` in the address asks for is had, or nothing is.

use std::net::TcpListener;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use roamline_store::conformance::fixture::{agent, log_in};
use tempfile::TempDir;

use super::*;
use crate::server::{Server, Tls};

/// An authority that signs certificates; its own is in a file.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), folder }
    }

    /// What follows the address of a database that this authority is believed for.
    fn believed(&self, mode: &str) -> String {
        format!("sslmode={mode}&sslrootcert={}", self.folder.path().join("ca.crt").display())
    }

    fn server(&self, name: &str) -> (Server, u16) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &self.issuer).unwrap().pem();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let tls = Tls { certificate, key: key.serialize_pem(), port };
        (Server::start_with(Some(tls)), port)
    }
}

#[tokio::test]
async fn a_certificate_is_believed_by_its_authority_and_its_name() {
    let (ours, other) = (Authority::new(), Authority::new());
    let (_server, port) = ours.server("localhost");
    let url =
        |host: &str, mode: &str| format!("postgres://postgres:{PASSWORD}@{host}:{port}/postgres?{mode}");

    let believed = [
        url("localhost", &ours.believed("verify-full")),
        url("127.0.0.1", &ours.believed("verify-ca")),
        url("127.0.0.1", "sslmode=require"),
    ];
    for (number, url) in (1..).zip(&believed) {
        let store = Arc::new(open(url).await.unwrap());
        log_in(&store, number, &agent(number)).await;
        let open = "pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'roamline'";
        let admin = raw(url).await;
        assert!(count(&admin, &format!("{open} AND ssl")).await > 0, "{url}");
        assert_eq!(count(&admin, &format!("{open} AND NOT ssl")).await, 0, "{url}");
    }

    let refused = [
        url("localhost", &other.believed("verify-full")),
        url("127.0.0.1", &other.believed("verify-ca")),
        url("localhost", "sslmode=verify-full"),
        url("127.0.0.1", &ours.believed("verify-full")),
    ];
    for url in &refused {
        let refused = error(url).await;
        assert!(matches!(refused, OpenError::Unusable { .. }), "it stays refused: {refused:?}");
        assert!(!format!("{refused:?}").contains(PASSWORD), "{refused:?}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_it_is_asked_for() {
    let refused = error(&format!("{}&sslmode=require", database().await)).await;
    assert!(matches!(refused, OpenError::Unusable { .. }), "{refused:?}");
}
