//! A refusal as a status that every client can receive. A status travels in headers, and clients refuse headers of
//! more than 8 KiB (gRPC for Java) or 16 KiB (hyper) before anybody reads them; so a long refusal is cut, and says so.

use roamline_proto::refusal::Refusal;
use tonic::{Response, Status};

/// Bytes of texts in a refusal: with what encoding adds, and in base64, less than 8 KiB.
const MOST_BYTES: usize = 5000;
/// What encoding adds to a violation or a fact.
const OVERHEAD: usize = 8;
/// Characters of a message, and of each text of a violation.
const LONGEST_TEXT: usize = 300;
/// Characters of a fact: the names of all profiles that a user may have.
const LONGEST_FACT: usize = 2600;
/// The fact that says how many violations there are, when not all of them are listed.
const ALL_VIOLATIONS: &str = "violations";

/// The answer, or the refusal as a status.
pub(super) fn answer<T>(result: Result<T, Refusal>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(status)
}

/// The refusal as a status.
pub(super) fn status(refusal: Refusal) -> Status {
    cut(refusal).into()
}

fn cut(mut refusal: Refusal) -> Refusal {
    refusal.message = shortened(&refusal.message, LONGEST_TEXT);
    // The message travels twice: in the clear and among the details.
    let mut bytes = 2 * refusal.message.len();
    for fact in refusal.metadata.values_mut() {
        *fact = shortened(fact, LONGEST_FACT);
        bytes += fact.len() + OVERHEAD;
    }
    let all = refusal.violations.len();
    refusal.violations = refusal
        .violations
        .into_iter()
        .map(|(field, text)| (shortened(&field, LONGEST_TEXT), shortened(&text, LONGEST_TEXT)))
        .take_while(|(field, text)| {
            bytes += field.len() + text.len() + OVERHEAD;
            bytes <= MOST_BYTES
        })
        .collect();
    if refusal.violations.len() < all {
        refusal.message = format!("{}; the first {} are listed", refusal.message, refusal.violations.len());
        return refusal.with(ALL_VIOLATIONS, all.to_string());
    }
    refusal
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use roamline_proto::error::ErrorReason;

    use super::*;

    #[test]
    fn a_refusal_of_any_length_stays_below_eight_kibibytes() {
        let mut refusal =
            Refusal::new(ErrorReason::ResourceInvalid, "x".repeat(1 << 20)).with("path", "y".repeat(1 << 20));
        for index in 0..10_000 {
            refusal = refusal.violation(format!("resources[{index}].line.name"), "ü".repeat(index));
        }
        let status = Status::from(cut(refusal));
        let details = status.details().len() * 4 / 3;
        assert!(details + status.message().len() < 8 * 1024, "{details}");
        let read = Refusal::from_status(&status).unwrap();
        assert!(!read.violations.is_empty());
        assert_eq!(read.metadata.get(ALL_VIOLATIONS).map(String::as_str), Some("10000"));
    }

    #[test]
    fn a_short_refusal_is_left_as_it_is() {
        let refusal =
            Refusal::new(ErrorReason::ResourceInvalid, "wrong").violation("user.user_id", "is empty");
        assert_eq!(cut(refusal.clone()), refusal);
    }
}
