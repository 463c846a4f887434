//! Messages and headers that are too large, or grow when they are unpacked.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::number;
use crate::victim::Victim;
use crate::wire::{self, PREFACE, Poured, call, connect, frame, header, hear, pour};

const KEYS: &str = "/roamline.auth.v1.AuthService/GetJsonWebKeySet";
const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;

fn opening() -> Vec<u8> {
    [PREFACE, &frame(4, 0, 0, &[])].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_in_one_message_or_in_many_is_not_taken() {
    let victim = Victim::new(1).await;
    let begun = [opening(), frame(1, END_HEADERS, 1, &call(KEYS))].concat();
    // It is said, and does not come.
    let said = [&begun[..], &frame(0, 0, 1, &[0, 0x40, 0, 0, 0])].concat();
    let answer = wire::say(victim.api(), &said).await;
    assert!(answer.text().contains("grpc-status") || answer.bytes.len() > 9, "it is answered");
    victim.survives("a gibibyte that is said").await;

    // It comes, within what the flow control of HTTP/2 lets through, and without regard to it.
    let size = number(64 << 20, 1 << 30);
    let head = [0, 0x40, 0, 0, 0];
    for first in [&head[..], &[]] {
        let mut stream = connect(victim.api()).await;
        let data = frame(0, 0, 1, &[0; 16 << 10]);
        let sent = [&begun[..], &frame(0, 0, 1, first)].concat();
        pour(&mut stream, &sent, 1).await;
        let poured = pour(&mut stream, &data, size / (16 << 10)).await;
        assert_ne!(poured, Poured::Taken, "nobody reads all that");
    }
    victim.survives("a gibibyte over HTTP/2").await;

    for kind in ["application/grpc-web+proto", "application/grpc-web-text+proto"] {
        let mut stream = connect(victim.api()).await;
        let head = format!(
            "POST {KEYS} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        pour(&mut stream, head.as_bytes(), 1).await;
        // Zeros as bytes, and as base64 of them: empty messages without end.
        let filling = if kind.contains("text") { b'A' } else { 0 };
        let chunk = [&b"10000\r\n"[..], &vec![filling; 0x10000], b"\r\n"].concat();
        let poured = pour(&mut stream, &chunk, size / 0x10000).await;
        eprintln!("{kind}: {poured:?}");
        victim.survives("a gibibyte of empty messages").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_grows_when_it_is_unpacked_is_not_unpacked() {
    let victim = Victim::new(1).await;
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..number(64, 1024) {
        bomb.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let mut framed = wire::message(&bomb.finish().unwrap());
    framed[0] = 1;
    for encoding in ["gzip", "deflate", "zstd", "identity", "x"] {
        let head = format!(
            "POST {KEYS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/grpc-web+proto\r\nGrpc-Encoding: {encoding}\r\nContent-Length: {}\r\n\r\n",
            framed.len()
        );
        let answer = wire::say(victim.api(), &[head.as_bytes(), &framed].concat()).await;
        assert!(!answer.statuses().contains(&0), "{encoding}: {}", answer.text());
    }
    victim.survives("a message that unpacks to a gibibyte").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_without_end_are_not_kept() {
    let victim = Victim::new(1).await;
    // HTTP/2: many, long ones in frames that go on, and one that is remembered and named again and again.
    let many: Vec<u8> = (0..2_000).flat_map(|n| header(&format!("x-{n}"), "y")).collect();
    let remembered = [&[0x40, 1, b'x', 127][..], &[0xa1, 0x1e], &[b'y'; 4_000], &[0xbe; 10_000]].concat();
    for block in [many, header("x", &"y".repeat(1 << 20)), remembered] {
        let block = [call(KEYS), block].concat();
        let mut pieces = block.chunks(16 << 10);
        let mut sent = [opening(), frame(1, END_STREAM, 1, pieces.next().unwrap())].concat();
        for piece in pieces {
            sent.extend(frame(9, 0, 1, piece));
        }
        sent.extend(frame(9, END_HEADERS, 1, &[]));
        let answer = wire::say(victim.api(), &sent).await;
        assert!(!answer.text().contains("ES256"), "it is not served");
        victim.survives("headers over HTTP/2").await;
    }
    // HTTP/1.1: many, a long one, and one that never ends.
    let begun = format!("POST {KEYS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc-web+proto\r\n");
    let many: String = (0..5_000).map(|n| format!("x-{n}: y\r\n")).collect();
    for headers in [many, format!("x: {}\r\n", "y".repeat(2 << 20))] {
        let sent = format!("{begun}{headers}Content-Length: 5\r\n\r\n\0\0\0\0\0");
        let answer = wire::say(victim.api(), sent.as_bytes()).await;
        assert!(!answer.statuses().contains(&0), "{}", answer.text());
    }
    let mut stream = connect(victim.api()).await;
    pour(&mut stream, begun.as_bytes(), 1).await;
    let poured =
        pour(&mut stream, b"x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n", 4 << 20).await;
    assert_ne!(poured, Poured::Taken);
    hear(&mut stream).await;
    victim.survives("headers over HTTP/1.1").await;
}
