//! The reference of reasons.

use std::fmt::Write;

use anyhow::{Context, Result};
use roamline_proto::contract::{POOL, RPCS, facts, meaning};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;

use super::short;

const HEAD: &str = "\
# Reasons of refusals

Made from `proto/roamline/error/v1/reason.proto` by `cargo xtask gen`; do not edit.

A refusal is a gRPC status with a `google.rpc.ErrorInfo`. Its `reason` is a name below, its `domain` is `roamline`, its
`metadata` carries the facts, and `emApiCode` among them the numeric code of the extension mobility API where there is
one. *Retry* says whether the same request may succeed later without a change. No reason has the code 47 (a login by a
directory number that several users have as their primary one): logins name users by their ids.

| reason | gRPC code | EM API code | retry | meaning |
| --- | --- | --- | --- | --- |
";

/// The names of the canonical gRPC codes, by number.
const GRPC_CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The page, with every reason in the order of the proto.
pub(super) fn page() -> Result<String> {
    let reasons = reasons()?;
    let mut page = HEAD.to_owned();
    for reason in &reasons {
        let facts = facts(*reason);
        let name = Refusal::reason_name(*reason);
        let code = usize::try_from(facts.grpc_code).ok().and_then(|code| GRPC_CODES.get(code));
        let code = code.with_context(|| format!("{name} has no gRPC code"))?;
        let em_api = facts.em_api_code.map(|code| code.to_string()).unwrap_or_default();
        let retry = if facts.retryable { "yes" } else { "no" };
        let meaning = meaning(*reason).replace('|', "\\|");
        writeln!(page, "| `{name}` | {code} | {em_api} | {retry} | {meaning} |")?;
    }
    page.push_str("\n## Which RPC gives which\n\n");
    for reason in &reasons {
        writeln!(page, "- `{}`: {}", Refusal::reason_name(*reason), given_by(*reason))?;
    }
    Ok(page)
}

fn reasons() -> Result<Vec<ErrorReason>> {
    let list =
        POOL.get_enum_by_name("roamline.error.v1.ErrorReason").context("the protos hold no reasons")?;
    let reasons = list.values().filter_map(|value| ErrorReason::try_from(value.number()).ok());
    Ok(reasons.filter(|reason| *reason != ErrorReason::Unspecified).collect())
}

fn given_by(reason: ErrorReason) -> String {
    let declared = RPCS.values().filter(|rpc| rpc.reasons.contains(&reason));
    let rpcs: Vec<_> = declared.map(|rpc| format!("`{}`", short(&rpc.path))).collect();
    if rpcs.is_empty() { "any RPC".to_owned() } else { rpcs.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_in_the_table_and_in_the_list() {
        let page = page().unwrap();
        for reason in reasons().unwrap() {
            let name = Refusal::reason_name(reason);
            assert!(page.contains(&format!("| `{name}` |")), "{name} has no row");
            assert!(page.contains(&format!("- `{name}`: ")), "{name} is not in the list");
        }
        assert!(page.contains("| `PHONE_OCCUPIED` | FAILED_PRECONDITION | 18 | no |"));
        assert!(
            page.contains(
                "- `PHONE_OCCUPIED`: `RoamingSessionService.BeginHomeHalf`, `SessionService.Login`\n"
            )
        );
        assert!(!page.contains("UNSPECIFIED"));
    }
}
