//! Settings of issuers, good and bad, and TLS to them.

use std::path::PathBuf;
use std::sync::Arc;

use roamline_token::{SsoConfig, Verifier};

use crate::{AtMost, CLUSTER, NoKeys, user_id};

const GOOD: &str = "issuer = 'https://login.example.org/cc'\naudiences = ['roamline']\n";

fn config(issuers: &[&str]) -> Result<SsoConfig, String> {
    let text: String = issuers.iter().map(|issuer| format!("[[issuers]]\n{issuer}\n")).collect();
    toml::from_str(&text).map_err(|error| error.to_string())
}

fn judge(issuers: &[&str]) -> Result<(), String> {
    let config = config(issuers)?;
    let verifier = Verifier::new(CLUSTER, CLUSTER, Arc::new(NoKeys));
    verifier.with_outside(&config, user_id, AtMost::questions(0)).map(drop).map_err(|error| error.to_string())
}

#[test]
fn an_issuer_needs_its_url_and_an_audience_and_nothing_more() {
    assert_eq!(judge(&[]), Ok(()));
    assert_eq!(judge(&[GOOD]), Ok(()));
    for local in ["http://localhost:8080/realms/cc", "http://127.0.0.1:1", "http://[::1]:1"] {
        assert_eq!(judge(&[&GOOD.replace("https://login.example.org/cc", local)]), Ok(()), "{local}");
    }
    let plain = GOOD.replace("https", "http");
    assert!(judge(&[&plain]).unwrap_err().contains("issuers[0].issuer: is without TLS"));
    assert_eq!(judge(&[&format!("{plain}allow_http = true")]), Ok(()));
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    let introspecting = "[issuers.introspection]\nendpoint = 'https://a.example.org/i'\nclient_id = 'r'\n";
    for (text, says) in [
        ("issuer = ''", "issuers[0].issuer: is missing"),
        ("issuer = 'login.example.org'\naudiences = ['a']", "issuers[0].issuer: is not an address"),
        (
            "issuer = 'https://u:p4ss@a.example.org'\naudiences = ['a']",
            "issuers[0].issuer: is not an address",
        ),
        ("issuer = 'https://a.example.org'", "issuers[0].audiences: at least one is needed"),
        (&format!("{GOOD}algorithms = []"), "issuers[0].algorithms: at least one"),
        (&format!("{GOOD}algorithms = ['HS256']"), "unknown variant `HS256`"),
        (&format!("{GOOD}algorithms = ['none']"), "unknown variant `none`"),
        (&format!("{GOOD}jwks_uri = 'http://a.example.org/k'"), "issuers[0].jwks_uri: is without TLS"),
        (&format!("{GOOD}jwks_uri = 'file:///etc/passwd'"), "issuers[0].jwks_uri: is not an address"),
        (&format!("{GOOD}user_claim = ''"), "issuers[0].user_claim: is missing"),
        (&format!("{GOOD}roles_claim = 'groups'"), "issuers[0].roles: roles and roles_claim"),
        (&format!("{GOOD}default_roles = ['administrator']"), "issuers[0].default_roles: administrators"),
        (&format!("{GOOD}default_roles = ['service']"), "unknown variant `service`"),
        (&format!("{GOOD}roles_claim = 'g'\nroles = {{ x = 'phone-link' }}"), "unknown variant `phone-link`"),
        (&format!("{GOOD}roles_claim = 'g'\nroles = {{ x = 'peer' }}"), "unknown variant `peer`"),
        (&format!("{GOOD}jwks_refresh_every = '1s'"), "issuers[0].jwks_refresh_every: must be at least 10s"),
        (&format!("{GOOD}jwks_keep_for = '1m'"), "issuers[0].jwks_keep_for: must be at least"),
        (&format!("{GOOD}timeout = '0s'"), "issuers[0].timeout: must be"),
        (&format!("{GOOD}ca_file = '/nonexistent/ca'"), "issuers[0].ca_file: /nonexistent/ca cannot be read"),
        (&format!("{GOOD}audience = 'a'"), "unknown field `audience`"),
        (&format!("{GOOD}{introspecting}"), "issuers[0].introspection.client_secret: is missing"),
        (
            &format!("{GOOD}{introspecting}client_secret = 's3cret'\ncache_for = '2m'"),
            "issuers[0].introspection.cache_for: must be at most 1m",
        ),
        (
            &format!("{GOOD}{introspecting}client_secret = 's3cret'\nclient_secret_file = '/x'"),
            "issuers[0].introspection.client_secret: client_secret_file is set, too",
        ),
        (
            &format!("{GOOD}{introspecting}client_secret_file = '/nonexistent/s'"),
            "issuers[0].introspection.client_secret_file: /nonexistent/s cannot be read",
        ),
        (
            &format!("{GOOD}[issuers.introspection]\nclient_id = 'r'"),
            "issuers[0].introspection.endpoint: is missing",
        ),
    ] {
        let refused = judge(&[text]).unwrap_err();
        assert!(refused.contains(says), "{text}: {refused}");
        assert!(!refused.contains("s3cret") && !refused.contains("p4ss"), "{refused}");
    }
    assert!(judge(&[GOOD, GOOD]).unwrap_err().contains("issuers[1].issuer: another one has the same URL"));
    let one = format!("{GOOD}{introspecting}client_secret = 'a'");
    let two = one.replace("login.example.org", "other.example.org");
    assert!(
        judge(&[&one, &two])
            .unwrap_err()
            .contains("issuers[1].introspection.endpoint: another issuer has one")
    );
}

#[test]
fn the_secret_is_neither_printed_nor_written_out_and_may_be_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("secret");
    std::fs::write(&file, "s3cret\n").unwrap();
    let with = |line: &str| {
        format!(
            "{GOOD}[issuers.introspection]\nendpoint = 'https://a.example.org/i'\nclient_id = 'r'\n{line}"
        )
    };
    let config = config(&[&with("client_secret = 's3cret'")]).unwrap();
    let written = toml::to_string(&config).unwrap();
    assert!(!format!("{config:?} {written}").contains("s3cret"), "{config:?} {written}");
    assert_eq!(judge(&[&with(&format!("client_secret_file = '{}'", file.display()))]), Ok(()));
    std::fs::write(&file, "\n").unwrap();
    let refused = judge(&[&with(&format!("client_secret_file = '{}'", file.display()))]).unwrap_err();
    assert!(refused.contains("is empty"), "{refused}");
}
