//! Requests within requests: what two that read a connection differently could take for two different requests, and
//! gRPC-web frames that say something else than the bytes after them.

use roamline_proto::auth::SignInRequest;
use roamline_proto::auth::auth_service_client::AuthServiceClient;

use crate::clients::{link, pin, user};
use crate::victim::Victim;
use crate::wire;

const KEYS: &str = "/roamline.auth.v1.AuthService/GetJsonWebKeySet";
const LIST: &str = "/roamline.session.v1.SessionService/ListSessions";
/// An empty message.
const EMPTY: &[u8] = &[0; 5];

fn request(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc-web+proto\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn sized(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let all = format!("Connection: close\r\nContent-Length: {}\r\n{headers}", body.len());
    request(path, &all, body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_in_the_body_of_another_is_not_served_and_one_after_it_has_none_of_its_rights() {
    let victim = Victim::new(1).await;
    let rights = format!("Authorization: Bearer {}\r\n", victim.admin);
    let hidden = sized(LIST, "", EMPTY);
    let chunked = [b"5\r\n".as_slice(), EMPTY, b"\r\n0\r\n\r\n"].concat();
    let both = [&chunked[..], &hidden].concat();
    let lengths = [
        // Both lengths; whoever believes the first takes what is hidden for a body.
        format!("{rights}Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", both.len()),
        format!("{rights}Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", both.len()),
        format!("{rights}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
    ];
    for headers in lengths {
        let answer = wire::say(victim.api(), &request(LIST, &headers, &both)).await;
        // What follows such a request is nobody's: the connection ends with its answer.
        assert!(answer.closed && answer.answers() <= 1, "{headers}: {}", answer.text());
    }
    // One after the other, as it is allowed: each by its own headers.
    let first = request(LIST, &format!("{rights}Content-Length: 5\r\n"), EMPTY);
    let answer = wire::say(victim.api(), &[&first[..], &hidden].concat()).await;
    assert_eq!(answer.statuses(), [0, 16], "{}", answer.text());
    victim.survives("requests within requests").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lengths_that_contradict_each_other_are_refused() {
    let victim = Victim::new(1).await;
    for headers in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "X: y\r\n\tfolded: z\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nbad header\r\n",
        "Content-Length: 5\r\nX: a\0b\r\n",
    ] {
        let answer = wire::say(victim.api(), &request(KEYS, headers, EMPTY)).await;
        assert!(!answer.statuses().contains(&0), "{headers:?} is taken: {}", answer.text());
    }
    for (chunks, why) in [
        (&b"FFFFFFFFFFFFFFFFF\r\n"[..], "a length beyond all"),
        (b"-5\r\n\0\0\0\0\0\r\n0\r\n\r\n", "a length below zero"),
        (b"5 \0\r\n\0\0\0\0\0\r\n0\r\n\r\n", "a zero byte in a length"),
        (b"5\n\0\0\0\0\0\n0\n\n", "lines that do not end as lines"),
        (b"3\r\n\0\0\0\0\0\r\n0\r\n\r\n", "a length too short"),
        (b"g\r\n\0\0\0\0\0\r\n0\r\n\r\n", "a length that is no number"),
    ] {
        let answer = wire::say(victim.api(), &request(KEYS, "Transfer-Encoding: chunked\r\n", chunks)).await;
        assert!(!answer.statuses().contains(&0), "{why} is taken: {}", answer.text());
    }
    let extension = [b"5;".as_slice(), &[b'x'; 1 << 20], b"\r\n\0\0\0\0\0\r\n0\r\n\r\n"].concat();
    wire::say(victim.api(), &request(KEYS, "Transfer-Encoding: chunked\r\n", &extension)).await;
    victim.survives("lengths that contradict each other").await;
}

/// Frames: one byte of flags, four of length, the message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_lie_are_refused_and_trailers_of_a_client_are_no_headers() {
    let victim = Victim::new(1).await;
    let trailers = format!("authorization: Bearer {}\r\n", victim.admin);
    let trailing = |flag: u8| {
        let length = u32::try_from(trailers.len()).unwrap().to_be_bytes();
        [&[flag][..], &length, trailers.as_bytes()].concat()
    };
    // A token in trailers, before the message, after it, and alone, is no token.
    for body in [
        [&trailing(0x80)[..], EMPTY].concat(),
        [EMPTY, &trailing(0x80)].concat(),
        trailing(0x80),
        [EMPTY, &trailing(0x81)].concat(),
    ] {
        let answer = wire::say(victim.api(), &sized(LIST, "", &body)).await;
        assert_eq!(answer.statuses(), [16], "{}", answer.text());
    }
    let sign_in = prost::Message::encode_to_vec(&SignInRequest { name: user(0), credential: pin("10000") });
    for (what, body) in [
        ("nothing", Vec::new()),
        ("half a head", vec![0, 0]),
        ("less than it says", vec![0, 0, 0, 0, 9, 1, 2]),
        ("a gibibyte that does not come", vec![0, 0x40, 0, 0, 0]),
        ("four gibibytes that do not come", vec![0, 0xff, 0xff, 0xff, 0xff]),
        ("compressed with nothing", vec![1, 0, 0, 0, 0]),
        ("a flag that is none", vec![2, 0, 0, 0, 0]),
        ("all flags", vec![0xff, 0, 0, 0, 0]),
        ("no protobuf", wire::message(&[0xff; 40])),
        ("a field without an end", wire::message(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f])),
        ("groups within groups", wire::message(&[0x0b; 10_000])),
    ] {
        let path = "/roamline.auth.v1.AuthService/SignIn";
        let answer = wire::say(victim.api(), &sized(path, "", &body)).await;
        assert!(!answer.statuses().contains(&0), "{what} is taken: {}", answer.text());
    }
    // Two messages for one call: refused, or the first alone is taken.
    let twice = [wire::message(&sign_in), wire::message(&[0xff; 8])].concat();
    let answer = wire::say(victim.api(), &sized("/roamline.auth.v1.AuthService/SignIn", "", &twice)).await;
    assert!(answer.statuses().len() <= 1, "{}", answer.text());
    victim.survives("frames that lie").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_contents_methods_and_addresses_are_no_calls() {
    let victim = Victim::new(1).await;
    for kind in [
        "application/json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/grpc-web-json",
        "",
    ] {
        let text = format!(
            "POST {KEYS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: 5\r\n\r\n\0\0\0\0\0"
        );
        let answer = wire::say(victim.api(), text.as_bytes()).await;
        assert!(!answer.statuses().contains(&0), "{kind}: {}", answer.text());
    }
    let bad = sized(KEYS, "", b"!!!not base64!!!");
    let bad = String::from_utf8(bad).unwrap().replace("grpc-web+proto", "grpc-web-text+proto");
    let answer = wire::say(victim.api(), bad.as_bytes()).await;
    assert!(!answer.statuses().contains(&0), "{}", answer.text());
    for line in [
        format!("GET {KEYS} HTTP/1.1"),
        format!("CONNECT {} HTTP/1.1", victim.api()),
        format!("TRACE {KEYS} HTTP/1.1"),
        format!("POST /x/..{LIST} HTTP/1.1"),
        format!("POST /{LIST} HTTP/1.1"),
        format!("POST {}%2FListSessions HTTP/1.1", LIST.trim_end_matches("/ListSessions")),
        format!("POST {LIST}/ HTTP/1.1"),
        format!("POST {} HTTP/1.1", LIST.to_lowercase()),
        format!("POST http://elsewhere.example.org{LIST} HTTP/1.1"),
        format!("POST {LIST} HTTP/0.9"),
        format!("POST {LIST} HTTP/3.0"),
        "POST * HTTP/1.1".to_owned(),
    ] {
        let text = format!(
            "{line}\r\nHost: x\r\nConnection: close\r\nContent-Type: application/grpc-web+proto\r\nContent-Length: 5\r\n\r\n\0\0\0\0\0"
        );
        let answer = wire::say(victim.api(), text.as_bytes()).await;
        assert!(!answer.statuses().contains(&0), "{line}: {}", answer.text());
    }
    for headers in [
        "Grpc-Timeout: 99999999999999999999S\r\n",
        "Grpc-Timeout: -1S\r\n",
        "Grpc-Timeout: 0n\r\n",
        "Grpc-Timeout: x\r\n",
        "Grpc-Encoding: gzip\r\n",
        "Grpc-Encoding: \u{7f}\r\n",
        "Grpc-Accept-Encoding: ,,,\r\n",
        "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Expect: 100-continue\r\n",
        "Expect: 200-ok\r\n",
    ] {
        // Taken or refused, but answered or closed, and alive.
        wire::say(victim.api(), &sized(KEYS, headers, EMPTY)).await;
    }
    AuthServiceClient::new(link(&victim.server, ""))
        .sign_in(SignInRequest { name: user(0), credential: pin("10000") })
        .await
        .expect("an honest call");
    victim.survives("calls that are none").await;
}
