//! A server of names that knows one, so that a program which is linked statically can be seen to ask for it.

use std::net::UdpSocket;

use anyhow::{Context, Result};

/// Where it listens, which is in no file but the `resolv.conf` that it is tried with.
pub(super) const SERVER: &str = "127.0.0.77";

/// The one name, for 127.0.0.1.
pub(super) const NAME: &str = "roamline.image.test";

/// The header of a message.
const HEADER: usize = 12;

/// Answers until the process ends.
///
/// # Errors
/// When its port is not to be had.
pub(super) fn serve() -> Result<()> {
    let socket =
        UdpSocket::bind((SERVER, 53)).with_context(|| format!("cannot listen on {SERVER}, port 53"))?;
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if let Some(answer) = buffer.get(..length).and_then(answer) {
                // Who does not get it asks again.
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    Ok(())
}

/// The answer to a question: the address, for an address of four bytes; nothing, for another kind of record; that there is
/// no such name, for another name.
fn answer(question: &[u8]) -> Option<Vec<u8>> {
    let (header, rest) = question.split_at_checked(HEADER)?;
    let mut name = String::new();
    let mut labels = rest;
    loop {
        let (length, after) = labels.split_first()?;
        let (label, after) = after.split_at_checked(usize::from(*length))?;
        labels = after;
        if label.is_empty() {
            break;
        }
        name.push_str(std::str::from_utf8(label).ok()?);
        name.push('.');
    }
    let kind = labels.get(..2)?;
    let asked = rest.get(..rest.len() - labels.len() + 4)?;
    let known = name.trim_end_matches('.').eq_ignore_ascii_case(NAME);
    let found = known && kind == [0, 1];

    let mut answer = header.get(..2)?.to_vec();
    // A recursive answer without an error, or with the one that there is no such name; one question, and no or one record.
    answer.extend([0x81, if known { 0x80 } else { 0x83 }, 0, 1, 0, u8::from(found), 0, 0, 0, 0]);
    answer.extend(asked);
    if found {
        // The name of the question, class Internet, for no time at all.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str, kind: u8) -> Vec<u8> {
        let mut message = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            message.push(u8::try_from(label.len()).unwrap());
            message.extend(label.bytes());
        }
        message.extend([0, 0, kind, 0, 1]);
        message
    }

    #[test]
    fn one_name_has_an_address_and_no_other_is_known() {
        let found = answer(&question(NAME, 1)).unwrap();
        assert_eq!(found[..8], [7, 9, 0x81, 0x80, 0, 1, 0, 1]);
        assert_eq!(found[found.len() - 4..], [127, 0, 0, 1]);
        assert_eq!(answer(&question(NAME, 28)).unwrap()[3..8], [0x80, 0, 1, 0, 0]);
        assert_eq!(answer(&question("example.org", 1)).unwrap()[3..8], [0x83, 0, 1, 0, 0]);
        assert_eq!(answer(&question(NAME, 1)[..20]), None);
    }
}
