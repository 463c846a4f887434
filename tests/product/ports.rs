//! The two ports as operators and browsers find them: health, reflection, gRPC-web, probes, metrics.

use std::io::{Read, Write};
use std::net::TcpStream;

use roamline_proto::auth::GetJsonWebKeySetRequest;
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::session::LoginRequest;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::clients::{
    administrator, as_administrator, channel, furnish, live, login, phone_name, sessions, user,
};
use crate::process::{Server, Site, WITHIN, start};
use crate::redis::starter::Redis;
use crate::redis::{order, ready, until_ready_says};

/// One HTTP/1.1 request, and the whole answer as text.
pub(crate) fn http(address: &str, request: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(WITHIN)).unwrap();
    let head =
        format!("{request}Host: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(server: &Server, path: &str) -> String {
    http(&server.admin, &format!("GET {path} HTTP/1.1\r\n"), b"")
}

#[tokio::test]
async fn the_admin_port_publishes_the_keys_that_verify_tokens() {
    let site = Site::new();
    let server = site.start();
    let answer = get(&server, "/.well-known/jwks.json");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("application/json"), "{head}");
    let set: serde_json::Value = serde_json::from_str(body).unwrap();
    let mut auth = AuthServiceClient::new(channel(&server));
    let over_grpc = auth.get_json_web_key_set(GetJsonWebKeySetRequest {}).await.unwrap().into_inner().keys;
    let keys = set["keys"].as_array().unwrap();
    assert_eq!((keys.len(), over_grpc.len()), (2, 2), "the current one and the next");
    for (key, known) in keys.iter().zip(over_grpc) {
        assert_eq!(
            (&key["kid"], &key["x"], &key["y"]),
            (&known.kid.into(), &known.x.into(), &known.y.into())
        );
        assert_eq!((&key["kty"], &key["crv"], &key["alg"]), (&"EC".into(), &"P-256".into(), &"ES256".into()));
        assert!(key.get("d").is_none(), "no private key is among them");
    }
}

#[tokio::test]
async fn the_admin_port_answers_probes_and_shows_what_happened() {
    let site = Site::new();
    let server = site.start();
    assert!(get(&server, "/livez").starts_with("HTTP/1.1 200"));
    assert!(get(&server, "/readyz").starts_with("HTTP/1.1 200"));
    let admin = administrator(&site, &server).await;
    furnish(&server, &admin, 1).await;
    let mut client = sessions(&server, &admin);
    client.login(login(&user(0), &phone_name(0))).await.unwrap();
    client.login(login("ghost", &phone_name(0))).await.unwrap_err();
    let metrics = get(&server, "/metrics");
    for line in [
        "roamline_session_logins_total{",
        "result=\"ok\"",
        "reason=\"USER_NOT_FOUND\"",
        "rpc_server_call_duration",
        "roamline.session.v1.SessionService/Login",
    ] {
        assert!(metrics.contains(line), "{line} is missing in {metrics}");
    }
    assert!(
        !metrics.contains("agent0") && !metrics.contains(&phone_name(0)),
        "no user and no phone is a label"
    );
}

#[test]
fn a_browser_can_call_over_grpc_web() {
    let site = Site::new().with(&["--demo"]);
    let server = site.start();
    // An empty GetJsonWebKeySetRequest in a gRPC-web frame.
    let request = "POST /roamline.auth.v1.AuthService/GetJsonWebKeySet HTTP/1.1\r\nContent-Type: application/grpc-web+proto\r\nX-Grpc-Web: 1\r\n";
    let answer = http(&server.api, request, &[0, 0, 0, 0, 0]);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("grpc-status:0") || answer.contains("grpc-status: 0"), "{answer}");
    assert!(answer.contains("ES256"));
}

#[test]
fn sigterm_ends_the_process_cleanly_with_a_watch_open() {
    let site = Site::new().with(&["--demo"]);
    let server = site.start();
    let mut phone = crate::process::Phone::run(&site, "SEP02005E005302");
    phone.wait_until_worn(None);
    assert!(server.stop().success());
}

/// A message of which nothing is looked at.
#[derive(Clone, PartialEq, prost::Message)]
struct Anything {}

/// A watch of health, on a connection of its own.
async fn watch(server: &Server) -> Result<(Grpc<Channel>, Streaming<Anything>), Status> {
    let mut client = Grpc::new(channel(server));
    client.ready().await.expect("it is connected");
    let path = PathAndQuery::from_static("/grpc.health.v1.Health/Watch");
    let codec = ProstCodec::<Anything, Anything>::default();
    let mut watch = client.server_streaming(Request::new(Anything {}), path, codec).await?.into_inner();
    watch.message().await?;
    Ok((client, watch))
}

/// Who holds watches of health, for which nobody needs a token, keeps nobody else from the port.
#[tokio::test]
async fn watches_of_health_keep_nobody_out() {
    let site = Site::new();
    let mut up = site.up();
    up.env("ROAMLINE_SERVER__MAX_CONNECTIONS", "60").env("ROAMLINE_SERVER__MAX_PUBLIC_STREAMS", "50");
    let server = start(up).expect("it starts");
    let admin = administrator(&site, &server).await;
    furnish(&server, &admin, 1).await;
    let mut honest = sessions(&server, &admin);
    let mut watches = Vec::new();
    for _ in 0..200 {
        watches.push(watch(&server).await.unwrap());
        live(&mut honest).await;
    }
    sessions(&server, &admin)
        .login(login(&user(0), &phone_name(0)))
        .await
        .expect("a new client is served, too");
    let ended = watches[0].1.message().await.unwrap_err();
    assert!(matches!(ended.code(), Code::ResourceExhausted | Code::Unavailable | Code::Unknown), "{ended:?}");
    let metrics = get(&server, "/metrics");
    assert!(metrics.contains("roamline_public_streams_ended_total{reason=\"crowded\"}"), "{metrics}");
    assert!(server.stop().success());
}

/// What clients do with ids and phones that the server uses itself does not hide that nothing is taken.
#[tokio::test]
async fn a_store_that_takes_no_changes_is_told_whatever_clients_have_done() {
    let redis = Redis::start(&[]);
    let site = Site::new().with(&["--demo"]).set("REDIS__URL", &redis.url());
    let server = site.start();
    let mut client = as_administrator(&site, &server).await;
    let request_id = "roamline:ready".to_owned();
    client.login(LoginRequest { request_id, ..login("1001", "SEP02005E005302") }).await.unwrap();
    order(&redis, "CONFIG SET maxmemory 1");
    until_ready_says(&server, "OOM").await;
    assert!(ready(&server).starts_with("HTTP/1.1 503"));
    order(&redis, "CONFIG SET maxmemory 0");
    until_ready_says(&server, "200 OK").await;
}
