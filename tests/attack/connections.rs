//! Connections that are slow, or say nothing: they cost their clients as much as the server.

use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::number;
use crate::process::Site;
use crate::victim::Victim;
use crate::wire::{PREFACE, call, connect, frame, pour};

const KEYS: &str = "/roamline.auth.v1.AuthService/GetJsonWebKeySet";
/// After this a client that has not said hello is gone.
const GONE_WITHIN: Duration = Duration::from_secs(25);

/// A server with room for fewer connections than an attack holds open.
async fn small() -> Victim {
    Victim::at(Site::new().set("SERVER__MAX_CONNECTIONS", "50"), 1).await
}

/// Lets this process have as many files open as it may, and says how many connections that is enough for.
fn room_for(wanted: usize) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("a process may raise its own limit");
    let most = limit.maximum.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let room = wanted.min(most.saturating_sub(500));
    if room < wanted {
        eprintln!("{room} connections in place of {wanted}: this process may have only {most} files open");
    }
    room
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_come_byte_by_byte_or_not_at_all_keep_nobody_out() {
    let victim = small().await;
    let head = format!(
        "POST {KEYS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc-web+proto\r\nContent-Length: 1000\r\n\r\n\0"
    );
    let begun = [PREFACE, &frame(4, 0, 0, &[]), &frame(1, 4, 1, &call(KEYS)), &frame(0, 0, 1, &[0])].concat();
    let mut slow = Vec::new();
    for n in 0..room_for(number(400, 4_000)) {
        let mut stream = connect(victim.api()).await;
        // It may have given way already.
        let _ = stream.write_all(if n % 2 == 0 { head.as_bytes() } else { &begun }).await;
        slow.push(stream);
    }
    for _ in 0..5 {
        for (n, stream) in slow.iter_mut().enumerate() {
            let more = if n % 2 == 0 { vec![0] } else { frame(0, 0, 1, &[0]) };
            // One that has been closed is not slow any more.
            let _ = stream.write_all(&more).await;
        }
        victim.serves().await;
    }
    victim.survives(&format!("{} slow bodies", slow.len())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_do_not_read_their_answers_hold_up_nobody() {
    let victim = small().await;
    let mut deaf = Vec::new();
    // No window for any answer, and as many calls as one may have.
    let shut = frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let calls: Vec<u8> = (0..200)
        .flat_map(|n| [frame(1, 4, 2 * n + 1, &call(KEYS)), frame(0, 1, 2 * n + 1, &[0; 5])].concat())
        .collect();
    for _ in 0..number(100, 300) {
        let mut stream = connect(victim.api()).await;
        pour(&mut stream, &[PREFACE, &shut, &calls].concat(), 1).await;
        deaf.push(stream);
    }
    victim.survives(&format!("{} clients without a window", deaf.len())).await;
    let request = format!(
        "POST {KEYS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc-web+proto\r\nContent-Length: 5\r\n\r\n\0\0\0\0\0"
    );
    for _ in 0..number(4, 60) {
        let mut stream = connect(victim.api()).await;
        pour(&mut stream, request.as_bytes(), 50_000).await;
        deaf.push(stream);
    }
    victim.survives(&format!("{} clients that do not read", deaf.len())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_keep_nobody_out_and_are_closed() {
    let victim = Victim::new(1).await;
    let mut silent = Vec::new();
    for n in 0..room_for(number(1_000, 10_000)) {
        let mut stream = connect(victim.api()).await;
        let said = match n % 4 {
            0 => &b""[..],
            1 => &PREFACE[..10],
            2 => b"POST / HT",
            _ => b"\r\n",
        };
        stream.write_all(said).await.unwrap();
        silent.push(stream);
        if n % 250 == 0 {
            victim.serves().await;
        }
    }
    victim.survives(&format!("{} silent connections", silent.len())).await;
    for stream in &mut silent {
        is_closed(stream).await;
    }
    victim.survives("silent connections that are closed").await;
}

async fn is_closed(stream: &mut TcpStream) {
    let mut heard = Vec::new();
    let ended = timeout(GONE_WITHIN, stream.read_to_end(&mut heard)).await;
    assert!(ended.is_ok(), "a client that has not said hello is kept");
}
