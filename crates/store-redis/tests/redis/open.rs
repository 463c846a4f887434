//! A Redis that cannot be used is refused with the reason, and no refusal tells a password.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use roamline_store::SessionStore;
use roamline_store::conformance::fixture::{agent, log_in};
use roamline_store_redis::{OpenError, RedisOptions, RedisServers, RedisStore, RedisTls};
use secrecy::SecretString;

use crate::starter::{Cluster, MASTER, PASSWORD, Redis, Replicated};
use crate::{begun, behind_sentinel, cluster};

/// Why it is refused; the whole of what is said.
async fn refused(options: RedisOptions) -> (OpenError, String) {
    refused_for(cluster(), options).await
}

async fn refused_for(cluster: roamline_domain::ClusterId, options: RedisOptions) -> (OpenError, String) {
    let printed = format!("{options:?}");
    assert!(!printed.contains(PASSWORD) || printed.contains("redis://"), "{printed}");
    let error = RedisStore::open(cluster, options).await.expect_err("it is refused");
    let mut said = format!("{error} {error:?}");
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        said += &format!(" {cause}");
        source = cause.source();
    }
    assert!(!said.contains(PASSWORD), "{said}");
    (error, said)
}

fn standalone(url: &str) -> RedisOptions {
    RedisOptions { command_timeout: Duration::from_millis(500), ..RedisOptions::standalone(url) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_url_is_refused() {
    for url in
        ["", "redis", "http://localhost", "redis://u:s3cret-of-tests@host:port", "rediss://h/#insecure"]
    {
        assert!(matches!(refused(standalone(url)).await.0, OpenError::Options(_)), "{url}");
    }
    let none = RedisServers::Cluster { urls: Vec::new() };
    assert!(matches!(refused(RedisOptions::of(none)).await.0, OpenError::Options(_)));
    let database = RedisServers::Cluster { urls: vec!["redis://localhost/3".into()] };
    assert!(matches!(refused(RedisOptions::of(database)).await.0, OpenError::Options(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_answer_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://u:{PASSWORD}@{}", listener.local_addr().unwrap());
    assert!(
        matches!(refused(standalone(&url)).await.0, OpenError::Unreachable { .. }),
        "it accepts and is mute"
    );
    drop(listener);
    assert!(matches!(refused(standalone(&url)).await.0, OpenError::Unreachable { .. }), "nobody listens");
    let sentinel =
        RedisServers::Sentinel { urls: vec![url], master: MASTER.into(), username: None, password: None };
    assert!(matches!(refused(RedisOptions::of(sentinel)).await.0, OpenError::Unreachable { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_user_or_password_is_refused_and_a_right_one_is_not() {
    let server = Redis::start(&[]);
    server.ask(&[
        "ACL",
        "SETUSER",
        "roamline",
        "on",
        &format!(">{PASSWORD}"),
        "~roamline:*",
        "+@all",
        "-@admin",
        "-@dangerous",
        "+info",
    ]);
    server.ask(&["ACL", "SETUSER", "default", "off"]);
    let with = |user: Option<&str>, password: Option<&str>| RedisOptions {
        username: user.map(Into::into),
        password: password.map(SecretString::from),
        ..standalone(&server.url())
    };
    for options in
        [with(None, None), with(Some("roamline"), Some("wrong")), with(Some("nobody"), Some(PASSWORD))]
    {
        let (error, said) = refused(options).await;
        assert!(matches!(error, OpenError::Refused { .. }), "{said}");
    }
    let store = begun(cluster(), with(Some("roamline"), Some(PASSWORD))).await;
    log_in(&store, 1, &agent(1)).await;
    let in_url = server.url().replace("//", &format!("//roamline:{PASSWORD}@"));
    RedisStore::open(cluster(), standalone(&in_url)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_lacks_a_command_or_the_keys_is_told_which() {
    let server = Redis::start(&[]);
    let permit = |rules: &[&str]| {
        server.ask(&[&["ACL", "SETUSER", "default", "reset", "on", "nopass", "+@all", "~*"], rules].concat());
    };
    let cases: [(&[&str], &[&str]); 5] = [
        (&["-zadd", "-xtrim"], &["zadd", "xtrim"]),
        (&["-evalsha"], &["evalsha"]),
        (&["-info"], &["info"]),
        (&["-xread"], &["xread"]),
        (&["resetkeys", "~other:*"], &[]),
    ];
    for (rules, expected) in cases {
        permit(rules);
        let (error, said) = refused(standalone(&server.url())).await;
        let OpenError::NotPermitted { commands, .. } = error else { panic!("{rules:?}: {said}") };
        assert!(expected.iter().all(|command| commands.iter().any(|named| named == command)), "{commands:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_another_kind_is_refused() {
    let (alone, replicated, nodes) = (Redis::of_all(), Replicated::of_all(), Cluster::of_all());
    let sentinel = |urls, master: &str| {
        RedisOptions::of(RedisServers::Sentinel {
            urls,
            master: master.into(),
            username: None,
            password: None,
        })
    };
    let of_kind = [
        standalone(&nodes.nodes[0].url()),
        standalone(&replicated.sentinels[0].url()),
        RedisOptions::of(RedisServers::Cluster { urls: vec![alone.url()] }),
        sentinel(vec![alone.url()], MASTER),
    ];
    for options in of_kind {
        let (error, said) = refused(options).await;
        assert!(matches!(error, OpenError::WrongKind { .. }), "{said}");
    }
    let (error, said) = refused(sentinel(replicated.sentinel_urls(), "nobody")).await;
    assert!(matches!(error, OpenError::NoMaster(_)) && said.contains("nobody"), "{said}");
    let (error, said) = refused(standalone(&replicated.servers[1].url())).await;
    assert!(matches!(error, OpenError::ReadOnly { .. }), "{said}");
    let mut urls = replicated.sentinel_urls();
    urls[0] = "redis://127.0.0.1:1".into();
    RedisStore::open(cluster(), sentinel(urls, MASTER)).await.expect("the other sentinels know");
    RedisStore::open(cluster(), behind_sentinel(replicated)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_evicts_is_refused() {
    let server = Redis::start(&["maxmemory-policy allkeys-lru"]);
    let (error, said) = refused(standalone(&server.url())).await;
    assert!(matches!(error, OpenError::Evicts { .. }) && said.contains("noeviction"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_keys_and_formats_are_refused_and_left_alone() {
    let server = Redis::of_all();
    let foreign: [(&str, &[&str]); 4] =
        [("phones", &["SET"]), ("live", &["HSET", "a"]), ("meta", &["HSET", "a"]), ("events", &["RPUSH"])];
    for (name, command) in foreign {
        let cluster = cluster();
        let key = format!("roamline:{{{cluster}}}:{name}");
        let words: Vec<_> =
            [command[0], key.as_str()].into_iter().chain(command[1..].iter().copied()).chain(["b"]).collect();
        server.ask(&words);
        let (error, said) = refused_for(cluster, standalone(&server.url())).await;
        assert!(matches!(&error, OpenError::Foreign { key: found, .. } if *found == key), "{said}");
        assert!(server.ask(&["EXISTS", &key]).starts_with(":1"));
    }
    let cluster = cluster();
    begun(cluster.clone(), standalone(&server.url())).await;
    server.ask(&["HSET", &format!("roamline:{{{cluster}}}:meta"), "format", "1"]);
    let (error, said) = refused_for(cluster, standalone(&server.url())).await;
    assert!(
        matches!(&error, OpenError::Format { found } if found == "1") && said.contains("layout 1"),
        "{said}"
    );
}

/// A server that says of itself what it is told to.
fn actor(info: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            let said = String::from_utf8_lossy(&buffer[..length]).to_uppercase();
            let mut answer = String::new();
            if said.contains("HELLO") {
                answer += "%1\r\n$5\r\nproto\r\n:3\r\n";
            }
            answer += &"+OK\r\n".repeat(said.matches("SETINFO").count());
            if said.contains("\r\nINFO\r\n") {
                answer += &format!("${}\r\n{info}\r\n", info.len());
            }
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_server_is_refused_with_its_version() {
    for version in ["6.0.16", "5.0.3", ""] {
        let url = actor(format!("redis_version:{version}\r\nredis_mode:standalone\r\nrole:master\r\n"));
        let (error, said) = refused(standalone(&url)).await;
        assert!(matches!(&error, OpenError::TooOld { version: found, .. } if found == version), "{said}");
    }
}

/// An authority, and a certificate of it for that address, as PEM, with its key.
fn certificates(host: &str) -> (String, String, String) {
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.distinguished_name.push(DnType::CommonName, "authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&key).unwrap();
    let issuer = Issuer::new(authority, key);
    let own_key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&own_key, &issuer).unwrap();
    (root.pem(), own.pem(), own_key.serialize_pem())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_checks_the_servers_certificate_and_shows_our_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let host = Redis::of_all().host();
    let (root, certificate, key) = certificates(&host);
    std::fs::write(file("ca.pem"), root).unwrap();
    std::fs::write(file("own.pem"), certificate).unwrap();
    std::fs::write(file("own.key"), key).unwrap();
    std::fs::write(file("other.pem"), certificates(&host).0).unwrap();
    let path = |name: &str| file(name).display().to_string();
    let server = Redis::start(&[
        "tls-port 17000",
        &format!("tls-cert-file {}", path("own.pem")),
        &format!("tls-key-file {}", path("own.key")),
        &format!("tls-ca-cert-file {}", path("ca.pem")),
        "tls-auth-clients yes",
    ]);
    let client = Some((file("own.pem"), file("own.key")));
    let with = |authority: &str, client| RedisOptions {
        tls: Some(RedisTls { authority: Some(file(authority)), client }),
        ..standalone(&format!("rediss://{}:17000", server.host()))
    };
    let store = begun(cluster(), with("ca.pem", client.clone())).await;
    log_in(&store, 1, &agent(1)).await;
    assert!(store.is_begun().await.unwrap());
    assert!(matches!(refused(with("other.pem", client.clone())).await.0, OpenError::Unreachable { .. }));
    assert!(matches!(refused(with("ca.pem", None)).await.0, OpenError::Unreachable { .. }));
    assert!(matches!(refused(with("missing.pem", client)).await.0, OpenError::File { .. }));
}
