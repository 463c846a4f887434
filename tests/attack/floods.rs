//! Frames of HTTP/2 that cost their sender little: the server takes them, stops reading or closes, and goes on.

use crate::number;
use crate::victim::Victim;
use crate::wire::{PREFACE, call, connect, frame, header, message, pour, say};

const KEYS: &str = "/roamline.auth.v1.AuthService/GetJsonWebKeySet";
const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;
/// Calls that a connection may have at once, and what one of them may cost.
const CALLS: usize = 200;
const COST: u64 = 32 << 10;

fn opening(more: &[u8]) -> Vec<u8> {
    [PREFACE, &frame(4, 0, 0, &[]), more].concat()
}

/// What is sent once, and then again and again.
fn floods() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let calling = opening(&frame(1, END_HEADERS, 1, &call(KEYS)));
    let unended = opening(&frame(1, 0, 1, &call(KEYS)));
    vec![
        ("pings", opening(&[]), frame(6, 0, 0, &[7; 8])),
        ("pings on a call", calling.clone(), frame(6, 0, 0, &[7; 8])),
        ("answers to no ping", opening(&[]), frame(6, 1, 0, &[7; 8])),
        ("empty settings", opening(&[]), frame(4, 0, 0, &[])),
        ("settings of the header table", opening(&[]), frame(4, 0, 0, &[0, 1, 0, 0, 0x10, 0])),
        ("settings of windows", calling.clone(), frame(4, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff])),
        ("settings that are acknowledged", opening(&[]), frame(4, 1, 0, &[])),
        ("empty data", calling.clone(), frame(0, 0, 1, &[])),
        ("padding alone", calling.clone(), frame(0, 8, 1, &[200; 201])),
        ("empty messages", calling.clone(), frame(0, 0, 1, &message(&[]))),
        ("empty continuations", unended.clone(), frame(9, 0, 1, &[])),
        ("continuations", unended, frame(9, 0, 1, &header("x", "y"))),
        ("priorities", opening(&[]), frame(2, 0, 1, &[0, 0, 0, 0, 1])),
        ("windows of the connection", opening(&[]), frame(8, 0, 0, &[0, 0, 0, 1])),
        ("windows of a call", calling.clone(), frame(8, 0, 1, &[0, 0, 0, 1])),
        ("windows that overflow", opening(&[]), frame(8, 0, 0, &[0x7f, 0xff, 0xff, 0xff])),
        ("windows of nothing", opening(&[]), frame(8, 0, 0, &[0; 4])),
        ("resets of no call", opening(&[]), frame(3, 0, 1, &[0, 0, 0, 8])),
        ("resets of one call", calling.clone(), frame(3, 0, 1, &[0, 0, 0, 8])),
        ("data of no call", opening(&[]), frame(0, 0, 3, &[0; 1000])),
        ("headers again and again", calling.clone(), frame(1, END_HEADERS, 1, &call(KEYS))),
        ("promises", calling.clone(), frame(5, END_HEADERS, 1, &[0, 0, 0, 2, 0x82])),
        ("farewells", opening(&[]), frame(7, 0, 0, &[0; 8])),
        ("frames nobody knows", opening(&[]), frame(0x77, 0, 0, &[0; 100])),
        ("a frame of 16 MiB", calling, [&[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1][..], &[0; 1000]].concat()),
        ("the preface", Vec::new(), PREFACE.to_vec()),
        ("zeros", Vec::new(), vec![0; 1000]),
        ("a hello of TLS", Vec::new(), [&[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[9; 501]].concat()),
        ("lines", Vec::new(), b"x\r\n".to_vec()),
        ("empty lines", Vec::new(), b"\r\n".to_vec()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_by_hand_is_answered_so_that_floods_come_through() {
    let victim = Victim::new(1).await;
    let data = frame(0, END_STREAM, 1, &message(&[]));
    let sent = [opening(&frame(1, END_HEADERS, 1, &call(KEYS))), frame(6, 0, 0, &[7; 8]), data].concat();
    let answer = say(victim.api(), &sent).await;
    assert!(answer.text().contains("ES256") && answer.bytes.windows(8).any(|eight| eight == [7; 8]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_small_frames_drown_nobody() {
    let victim = Victim::new(1).await;
    let mut open = Vec::new();
    for (what, begun, piece) in floods() {
        let mut stream = connect(victim.api()).await;
        pour(&mut stream, &begun, 1).await;
        let poured = pour(&mut stream, &piece, number(200_000, 5_000_000)).await;
        // What is held stays so while the honest one comes.
        open.push(stream);
        victim.survives(&format!("flood of {what} ({poured:?})")).await;
    }
    drop(open);
    victim.survives("all floods together").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_opened_and_never_ended_cost_no_more_than_their_number_allows() {
    let victim = Victim::new(1).await;
    let connections = number(20, 200);
    let mut open = Vec::new();
    for _ in 0..connections {
        let mut stream = connect(victim.api()).await;
        let calls: Vec<u8> = (0..1000).flat_map(|n| frame(1, END_HEADERS, 2 * n + 1, &call(KEYS))).collect();
        pour(&mut stream, &opening(&calls), 1).await;
        open.push(stream);
    }
    let cost = (connections * CALLS) as u64 * COST;
    victim.survives_within(&format!("{} calls that are never ended", connections * CALLS), cost).await;
}
