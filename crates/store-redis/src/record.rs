//! Phones, events and replies as bytes. A phone's record is `EPOCH:1:JSON`, so that a script compares its epoch without
//! reading the rest; the renderings, which are large and change seldom, stand beside it. Instants before bytes are 21
//! digits of nanoseconds, so that they compare as texts do.

use std::fmt::Write;

use jiff::Timestamp;
use redis::Value;
use roamline_domain::phone_state::{Configuration, PhoneState, SessionEvent};
use roamline_domain::{PhoneName, RequestId};
use roamline_store::{Guard, Reply, StoreError, StoredEvent};

use crate::error::{Cause, corrupt, strange};

/// The format of a record.
const FORMAT: &str = "1";
/// Digits of an instant.
const INSTANT: usize = 21;

/// The record of a phone; its renderings are taken out of it.
pub(crate) fn from_phone(state: &mut PhoneState) -> Result<String, Cause> {
    state.wears = Configuration::default();
    if let Some(session) = &mut state.session {
        session.logout_configuration = Configuration::default();
    }
    Ok(format!("{}:{FORMAT}:{}", state.epoch, serde_json::to_string(state)?))
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
        let name = String::from_utf8(bytes(name).ok_or_else(|| strange("a phone"))?);
        let name = name.map_err(|error| corrupt("a phone")(error.into()))?;
        let record = values.next().and_then(bytes);
        let wears = values.next().and_then(bytes).unwrap_or_default();
        let logout = values.next().and_then(bytes).unwrap_or_default();
        let read = || -> Result<(PhoneName, Option<PhoneState>), Cause> {
            let state = record.map(|record| to_phone(&name, &record, wears, logout)).transpose()?;
            Ok((name.parse()?, state))
        };
        found.push(read().map_err(corrupt(format!("phone {name}")))?);
    }
    Ok(found)
}

fn to_phone(name: &str, record: &[u8], wears: Vec<u8>, logout: Vec<u8>) -> Result<PhoneState, Cause> {
    let mut parts = record.splitn(3, |byte| *byte == b':');
    let (epoch, format, json) = (parts.next(), parts.next(), parts.next());
    if format != Some(FORMAT.as_bytes()) {
        return Err("the record has no format that is known".into());
    }
    let mut state: PhoneState = serde_json::from_slice(json.unwrap_or_default())?;
    if epoch != Some(state.epoch.to_string().as_bytes()) || state.phone.as_str() != name {
        return Err("the record is of another phone or epoch than it is found by".into());
    }
    state.wears = Configuration(wears);
    if let Some(session) = &mut state.session {
        session.logout_configuration = Configuration(logout);
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

pub(crate) fn from_event(event: &SessionEvent) -> Result<String, Cause> {
    Ok(serde_json::to_string(event)?)
}

/// An entry of the stream.
pub(crate) fn to_event(entry: Value) -> Result<StoredEvent, StoreError> {
    let (id, fields): (String, Vec<(String, String)>) =
        redis::from_redis_value(entry).map_err(|error| corrupt("an event")(error.into()))?;
    let field = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
    let read = || -> Result<StoredEvent, Cause> {
        Ok(StoredEvent {
            sequence: place(&id)?,
            at: to_instant(field("a").ok_or("it has no instant")?)?,
            event: serde_json::from_str(field("e").ok_or("it has no content")?)?,
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
