//! What the numbers of a process say: when its certificate ends and its keys change, and how far the audit trail is behind.

use jiff::{SignedDuration, Timestamp};

use super::metrics::Samples;
use super::{Check, ending};

/// Events that the audit trail may lack for a moment.
const BEHIND: f64 = 100.0;
/// How long after its time a rotation of keys may be on its way.
const OVERDUE: SignedDuration = SignedDuration::from_mins(10);

/// What the numbers of a process say.
pub(super) fn measured(place: &str, samples: &Samples, now: Timestamp) -> Vec<Check> {
    let mut checks = Vec::new();
    // A time of 0 is that of a process without TLS.
    let certificates =
        samples.of("roamline_tls_certificate_not_after_seconds").filter(|sample| sample.value > 0.0);
    for ends in certificates.filter_map(|sample| instant(sample.value)) {
        let todo = "renew the certificate of server.tls: it is read again by itself";
        checks.push(ending("certificate", place, ends, now, todo));
    }
    for sample in samples.of("roamline_emcc_trust_not_after_seconds") {
        if let Some(ends) = instant(sample.value) {
            let todo = "docs/federation.md says how an authority is changed";
            checks.push(ending("trust", sample.label("cluster"), ends, now, todo));
        }
    }
    let failed = samples.of("roamline_tls_reloads_total").filter(|sample| sample.label("result") == "failed");
    if failed.map(|sample| sample.value).sum::<f64>() > 0.0 {
        let todo =
            "the log says what is wrong with the files of server.tls; the old certificate is used meanwhile";
        checks.push(Check::warning("certificate", place, "a renewed certificate could not be used", todo));
    }
    for due in samples.of("roamline_auth_signing_key_due_seconds") {
        checks.push(rotation(place, due.value, now));
    }
    if let Some(behind) = samples.greatest("roamline_session_audit_behind") {
        let found = format!("{behind} events behind");
        checks.push(match behind > BEHIND {
            true => Check::warning(
                "audit",
                place,
                found,
                "see whether PostgreSQL is slow or full; the log says what it refuses",
            ),
            false => Check::ok("audit", place, found),
        });
    }
    checks
}

/// When the keys that sign tokens change, by the instant that is told; 0 where they do not by themselves.
fn rotation(place: &str, due: f64, now: Timestamp) -> Check {
    let due = match instant(due) {
        Some(due) if due != Timestamp::UNIX_EPOCH => due,
        _ => return Check::ok("keys", place, "in files, rotated by hand"),
    };
    if now.duration_since(due) < OVERDUE {
        return Check::ok("keys", place, format!("rotated next at {due:.0}"));
    }
    let todo =
        "its log says why it has not: the database may take no changes; roamctl key rotate does it now";
    Check::warning("keys", place, format!("should have been rotated at {due:.0}"), todo)
}

#[allow(clippy::cast_possible_truncation, reason = "an instant of this era in whole seconds")]
fn instant(seconds: f64) -> Option<Timestamp> {
    Timestamp::from_second(seconds as i64).ok()
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_certificate_and_an_audit_trail_are_judged_by_the_numbers_of_the_process() {
        let now: Timestamp = "2026-03-02T08:00:00Z".parse().unwrap();
        let ends = now.as_second() + 3600;
        let text =
            format!("roamline_tls_certificate_not_after_seconds {ends}\nroamline_session_audit_behind 101\n");
        let states: Vec<_> =
            measured("here", &Samples::read(&text), now).iter().map(|c| (c.what, c.state)).collect();
        assert_eq!(states, [("certificate", State::Warning), ("audit", State::Warning)]);
    }

    #[test]
    fn keys_are_rotated_next_or_overdue_or_rotated_by_hand() {
        let now: Timestamp = "2026-03-02T08:00:00Z".parse().unwrap();
        let told = |due: i64| {
            let samples = Samples::read(&format!("roamline_auth_signing_key_due_seconds {due}\n"));
            let checks = measured("here", &samples, now);
            (checks[0].what, checks[0].state, checks[0].found.clone())
        };
        let next = "rotated next at 2026-03-02T08:01:00Z".to_owned();
        assert_eq!(told(now.as_second() + 60), ("keys", State::Ok, next));
        assert_eq!(told(now.as_second() - 60).1, State::Ok, "it may be on its way");
        let late = "should have been rotated at 2026-03-02T07:00:00Z".to_owned();
        assert_eq!(told(now.as_second() - 3600), ("keys", State::Warning, late));
        assert_eq!(told(0), ("keys", State::Ok, "in files, rotated by hand".to_owned()));
    }
}
