//! Bytes on a connection, by hand: what no client would send.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a server may take for its first words.
const BEGUN: Duration = Duration::from_secs(20);
/// How long it may be silent after some before it counts as one that waits for more.
const QUIET: Duration = Duration::from_millis(1500);
/// How long a write may take before the server counts as one that reads no more.
const STUCK: Duration = Duration::from_secs(2);
/// The most of an answer that is kept.
const MOST: usize = 4 << 20;

/// The beginning of every HTTP/2 connection.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a server answered until it closed, or waited.
pub(crate) struct Answer {
    /// All of it.
    pub(crate) bytes: Vec<u8>,
    /// Whether it closed the connection.
    pub(crate) closed: bool,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The gRPC status of each answer in it, in order, in a header or in a frame of trailers.
    pub(crate) fn statuses(&self) -> Vec<u32> {
        let text = self.text().to_ascii_lowercase();
        let numbers = text.split("grpc-status:").skip(1).map(|rest| {
            let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
            digits.parse().expect("a number")
        });
        numbers.collect()
    }

    /// How many HTTP/1.1 answers there are.
    pub(crate) fn answers(&self) -> usize {
        self.text().matches("HTTP/1.1 ").count()
    }
}

pub(crate) async fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).await.expect("it listens");
    stream.set_nodelay(true).expect("a live socket");
    stream
}

/// Sends the bytes and hears the answer.
pub(crate) async fn say(address: &str, bytes: &[u8]) -> Answer {
    let mut stream = connect(address).await;
    // A server that has heard enough closes before the end.
    let _ = timeout(STUCK, stream.write_all(bytes)).await;
    hear(&mut stream).await
}

/// What comes until the server closes, or is silent.
pub(crate) async fn hear(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    let mut patience = BEGUN;
    loop {
        match timeout(patience, stream.read(&mut buffer)).await {
            Err(_) => return Answer { bytes, closed: false },
            Ok(Ok(0) | Err(_)) => return Answer { bytes, closed: true },
            Ok(Ok(read)) => {
                let room = MOST.saturating_sub(bytes.len());
                bytes.extend_from_slice(&buffer[..read.min(room)]);
                patience = QUIET;
            }
        }
    }
}

/// What became of bytes that were sent again and again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Poured {
    /// The server took all of them.
    Taken,
    /// It closed the connection.
    Closed,
    /// It reads no more.
    Held,
}

/// Sends `piece` so many times, and reads nothing.
pub(crate) async fn pour(stream: &mut TcpStream, piece: &[u8], times: usize) -> Poured {
    let together = (64 << 10) / piece.len().max(1) + 1;
    let block = piece.repeat(together);
    for _ in 0..times.div_ceil(together) {
        match timeout(STUCK, stream.write_all(&block)).await {
            Err(_) => return Poured::Held,
            Ok(Err(_)) => return Poured::Closed,
            Ok(Ok(())) => {}
        }
    }
    Poured::Taken
}

/// A frame of HTTP/2.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame").to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header of HPACK, written out, that is not to be remembered.
pub(crate) fn header(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        let mut length = text.len();
        if length < 127 {
            bytes.push(u8::try_from(length).expect("short"));
        } else {
            bytes.push(127);
            length -= 127;
            while length >= 128 {
                bytes.push(u8::try_from(length % 128).expect("seven bits") | 128);
                length /= 128;
            }
            bytes.push(u8::try_from(length).expect("seven bits"));
        }
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// The headers of a call.
pub(crate) fn call(path: &str) -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "x"),
        (":path", path),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    fields.iter().flat_map(|(name, value)| header(name, value)).collect()
}

/// A message as gRPC frames it.
pub(crate) fn message(bytes: &[u8]) -> Vec<u8> {
    let mut framed = vec![0];
    framed.extend(u32::try_from(bytes.len()).expect("a message").to_be_bytes());
    framed.extend(bytes);
    framed
}
