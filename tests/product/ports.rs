//! The two ports as operators and browsers find them: health, reflection, gRPC-web, probes, metrics.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::clients::{administrator, furnish, login, phone_name, sessions, user};
use crate::process::{Server, Site, WITHIN};

/// One HTTP/1.1 request, and the whole answer as text.
fn http(address: &str, request: &str, body: &[u8]) -> String {
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
