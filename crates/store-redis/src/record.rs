//! Phones, events and replies as bytes. A phone's record is its epoch, so that a script compares it without reading the
//! rest, then which renderings it has, and the rest packed. Renderings stand beside it under names made from what they
//! are, so that phones share them. Phones are the six bytes of their MACs. Instants before bytes are 21 digits of
//! nanoseconds, so that they compare as texts do.

use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use redis::Value;
use roamline_domain::phone_state::{Configuration, PhoneState};
use roamline_domain::{PhoneName, RequestId, SessionId};
use roamline_store::{Guard, Reply, StoreError, StoredEvent};

use crate::error::{Cause, corrupt, strange};
use crate::packed;

/// Digits of an instant.
const INSTANT: usize = 21;
/// Bytes of a rendering's name: with what Redis puts before and behind it, it takes 16.
const RENDERING: usize = 14;

/// A phone's name in the store: half as long, and in the same order.
pub(crate) fn name(phone: &PhoneName) -> [u8; 6] {
    let digits = phone.as_str().chars().filter_map(|digit| digit.to_digit(16));
    // The letter E of what stands before them is shifted out.
    let [_, _, mac @ ..] = digits.fold(0_u64, |mac, digit| mac << 4 | u64::from(digit)).to_be_bytes();
    mac
}

/// The phone of that name in the store.
pub(crate) fn to_name(name: &[u8]) -> Result<PhoneName, Cause> {
    let Ok([a, b, c, d, e, f]) = <[u8; 6]>::try_from(name) else {
        return Err(format!("{} is not the name of a phone", name.escape_ascii()).into());
    };
    Ok(format!("SEP{:012X}", u64::from_be_bytes([0, 0, a, b, c, d, e, f])).parse()?)
}

/// A session's id in the store: the 16 bytes that it stands for, where they give back the same.
pub(crate) fn session(id: &SessionId) -> Vec<u8> {
    match ulid::Ulid::from_string(id.as_str()) {
        Ok(ulid) if ulid.to_string() == id.as_str() => ulid.to_bytes().to_vec(),
        _ => id.as_str().as_bytes().to_vec(),
    }
}

/// The name of a rendering: no two have one name by chance, and who looks for two needs some
/// 2^56 attempts.
pub(crate) fn rendering(rendering: &[u8]) -> Vec<u8> {
    digest(&SHA256, rendering).as_ref().iter().copied().take(RENDERING).collect()
}

/// The beginning of the record of a phone at that epoch.
pub(crate) fn at_epoch(epoch: u64) -> String {
    format!("{epoch}:")
}

/// Phones as scripts return them: name, record, what it wears, what it wears after the session. One whose record is
/// missing is `None`.
pub(crate) fn phones(values: Vec<Value>) -> Result<Vec<(PhoneName, Option<PhoneState>)>, StoreError> {
    let mut values = values.into_iter();
    let mut found = Vec::with_capacity(values.len() / 4);
    while let Some(name) = values.next() {
        let name = bytes(name).ok_or_else(|| strange("a phone"))?;
        let name = to_name(&name).map_err(corrupt("a phone"))?;
        let record = values.next().and_then(bytes);
        let wears = values.next().and_then(bytes);
        let after = values.next().and_then(bytes);
        let read = |record: Vec<u8>| to_phone(name.clone(), &record, wears, after);
        let state = record.map(read).transpose().map_err(corrupt(format!("phone {name}")))?;
        found.push((name, state));
    }
    Ok(found)
}

fn to_phone(
    name: PhoneName,
    record: &[u8],
    wears: Option<Vec<u8>>,
    after: Option<Vec<u8>>,
) -> Result<PhoneState, Cause> {
    let other = || Cause::from("the record has a layout that is not known");
    let colon = record.iter().position(|byte| *byte == b':').ok_or_else(other)?;
    let (epoch, rest) = record.split_at_checked(colon).ok_or_else(other)?;
    let epoch = std::str::from_utf8(epoch)?.parse()?;
    let (has_wears, has_after) = match rest.get(1) {
        Some(b'n') => (false, false),
        Some(b'w') => (true, false),
        Some(b'a') => (false, true),
        Some(b'b') => (true, true),
        _ => return Err(other()),
    };
    let renderings = usize::from(has_wears) + usize::from(has_after);
    let packed = rest.get(2 + RENDERING * renderings..).ok_or("the record ends too soon")?;
    let mut state = packed::to_phone(name, epoch, packed)?;
    let there = |has: bool, rendering: Option<Vec<u8>>| match rendering {
        Some(rendering) if has => Ok(Configuration(rendering.into())),
        None if has => Err("a rendering that it refers to is missing"),
        _ => Ok(Configuration::default()),
    };
    state.wears = there(has_wears, wears)?;
    let after = there(has_after, after)?;
    match &mut state.session {
        Some(session) => session.logout_configuration = after,
        None if has_after => return Err("it has a rendering for after a session, and no session".into()),
        None => {}
    }
    Ok(state)
}

/// The holder that a guard watches over.
pub(crate) fn holder(guard: &Guard) -> String {
    match guard {
        Guard::User(user) => format!("u:{user}"),
        Guard::AcdLine(line) => format!("l:{line}"),
    }
}

/// An entry of the stream.
pub(crate) fn to_event(entry: Value) -> Result<StoredEvent, StoreError> {
    let (id, fields): (String, Vec<(String, Vec<u8>)>) =
        redis::from_redis_value(entry).map_err(|error| corrupt("an event")(error.into()))?;
    let field =
        |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_slice());
    let read = || -> Result<StoredEvent, Cause> {
        Ok(StoredEvent {
            sequence: place(&id)?,
            at: to_instant(std::str::from_utf8(field("a").ok_or("it has no instant")?)?)?,
            event: packed::to_event(field("e").ok_or("it has no content")?)?,
        })
    };
    read().map_err(corrupt(format!("event {id}")))
}

/// The place of an entry of the stream.
pub(crate) fn place(id: &str) -> Result<u64, Cause> {
    Ok(id.split('-').next().unwrap_or_default().parse()?)
}

/// A reply: until when, the length of its fingerprint, both.
pub(crate) fn from_reply(reply: &Reply) -> Vec<u8> {
    let mut text = from_instant(reply.expires_at);
    let _ = write!(text, "{}:", reply.fingerprint.len());
    [text.as_bytes(), &reply.fingerprint, &reply.answer].concat()
}

pub(crate) fn to_reply(request: &RequestId, kept: &[u8]) -> Result<Reply, StoreError> {
    let read = || -> Result<Reply, Cause> {
        let broken = || Cause::from("it ends too soon");
        let (expires_at, rest) = kept.split_at_checked(INSTANT).ok_or_else(broken)?;
        let colon = rest.iter().position(|byte| *byte == b':').ok_or_else(broken)?;
        let (length, rest) = rest.split_at_checked(colon).ok_or_else(broken)?;
        let length: usize = std::str::from_utf8(length)?.parse()?;
        let rest = rest.get(1..).ok_or_else(broken)?;
        let (fingerprint, answer) = rest.split_at_checked(length).ok_or_else(broken)?;
        Ok(Reply {
            request: request.clone(),
            fingerprint: fingerprint.to_vec(),
            answer: answer.to_vec(),
            expires_at: to_instant(std::str::from_utf8(expires_at)?)?,
        })
    };
    read().map_err(corrupt(format!("reply {request}")))
}

pub(crate) fn from_instant(instant: Timestamp) -> String {
    format!("{:0INSTANT$}", instant.as_nanosecond() - Timestamp::MIN.as_nanosecond())
}

fn to_instant(digits: &str) -> Result<Timestamp, Cause> {
    let nanos = digits.parse::<i128>()? + Timestamp::MIN.as_nanosecond();
    let seconds = i64::try_from(nanos.div_euclid(1_000_000_000))?;
    Ok(Timestamp::new(seconds, i32::try_from(nanos.rem_euclid(1_000_000_000))?)?)
}

/// The score of a deadline: the first microsecond at which it has come, so that nothing is due before its time. Scores
/// are doubles, which have every microsecond until the year 2255.
pub(crate) fn score_due(deadline: Timestamp) -> String {
    let finer = i64::from(deadline.subsec_nanosecond() % 1_000 > 0);
    let micros = (deadline.as_microsecond() + finer).min(Timestamp::MAX.as_microsecond());
    (micros as f64).to_string()
}

/// The score of what has come at an instant.
pub(crate) fn score(instant: Timestamp) -> String {
    (instant.as_microsecond() as f64).to_string()
}

/// The instant of a deadline's score.
pub(crate) fn from_score(score: &str) -> Result<Timestamp, Cause> {
    let micros = (score.parse::<f64>()? as i64).min(Timestamp::MAX.as_microsecond());
    let nanos = i32::try_from(micros % 1_000_000 * 1_000)?;
    Ok(Timestamp::new(micros / 1_000_000, nanos)?)
}

/// The bytes of a value; `None` for nothing.
pub(crate) fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.into_bytes()),
        Value::Int(number) => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

/// The values of an array.
pub(crate) fn array(value: Option<Value>) -> Option<Vec<Value>> {
    match value {
        Some(Value::Array(values)) => Some(values),
        _ => None,
    }
}

/// A number in decimal digits.
pub(crate) fn number<T: std::str::FromStr>(value: Option<Value>) -> Option<T> {
    std::str::from_utf8(&bytes(value?)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dp_18_names_of_phones_are_six_bytes_in_their_order() {
        let mut names: Vec<PhoneName> =
            ["SEP000000000000", "SEP0000000000FF", "SEP000DEDAB3566", "SEP7FFFFFFFFFFF", "SEPFFFFFFFFFFFF"]
                .map(|name| name.parse().unwrap())
                .to_vec();
        names.sort();
        let short: Vec<_> = names.iter().map(name).collect();
        assert!(short.is_sorted());
        assert_eq!(short[2], [0, 0x0d, 0xed, 0xab, 0x35, 0x66]);
        for (short, name) in short.iter().zip(&names) {
            assert_eq!(to_name(short).unwrap(), *name);
        }
        assert!(to_name(b"SEP000DEDAB3566").is_err() && to_name(b"").is_err());
    }

    #[test]
    fn session_ids_are_short_where_they_come_back_the_same() {
        let short = |id: &str| session(&id.parse().unwrap()).len();
        assert_eq!(short("01JD0000000000000000000001"), 16);
        assert_eq!(short("ZZZZZZZZZZZZZZZZZZZZZZZZZZ"), 26, "more than 128 bits");
        assert_eq!(short("01JD000000000000000000000O"), 26, "an O, which is read as a 0");
    }

    #[test]
    fn renderings_have_names_of_what_they_are() {
        assert_eq!(rendering(b"one").len(), RENDERING);
        assert_ne!(rendering(b"one"), rendering(b"two"));
    }

    #[test]
    fn instants_compare_as_their_digits_and_come_back() {
        let instants =
            [-1, 0, 1, 999, 1_700_000_000_123_456_789].map(|n| Timestamp::from_nanosecond(n).unwrap());
        let all = [&[Timestamp::MIN][..], &instants, &[Timestamp::MAX]].concat();
        let digits: Vec<_> = all.iter().map(|at| from_instant(*at)).collect();
        assert!(digits.is_sorted() && digits.iter().all(|digits| digits.len() == INSTANT));
        for (digits, at) in digits.iter().zip(all) {
            assert_eq!(to_instant(digits).unwrap(), at);
        }
    }

    #[test]
    fn lo_5_a_deadline_is_never_rounded_to_before_its_time() {
        for nanos in [0, 1, 999, 1_000, 1_001, -1, -999, -1_001] {
            let deadline = Timestamp::from_nanosecond(nanos).unwrap();
            let due = from_score(&score_due(deadline)).unwrap();
            assert!(due >= deadline && due.as_nanosecond() - nanos < 1_000, "{nanos}");
        }
        assert_eq!(score_due(Timestamp::MAX), score(Timestamp::MAX));
    }
}
