//! The reference of RPCs.

use roamline_proto::contract::{RPCS, Rpc};
use roamline_proto::refusal::Refusal;

use super::rights;

const HEAD: &str = "\
# RPCs

Made from `proto/roamline/**/*.proto` by `cargo xtask gen`; do not edit.

*Scope* is what the caller's token must carry to reach everything; `public` needs no token. Other scopes that let him in
stand behind it, with how far each reaches (`rights.md` has it by role). *Reasons* are those of `errors.md` that the RPC
can give beyond the ones that any RPC can. `NO_SIDE_EFFECTS` and `IDEMPOTENT` RPCs may be sent again when no answer came.
";

/// The page, service by service.
pub(super) fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut service = "";
    for rpc in RPCS.values() {
        let of = rpc.path.trim_start_matches('/').split('/').next().unwrap_or_default();
        if of != service {
            service = of;
            page.push_str(&format!("\n## {service}\n"));
        }
        page.push_str(&section(rpc));
    }
    page
}

fn section(rpc: &Rpc) -> String {
    let name = rpc.path.rsplit('/').next().unwrap_or_default();
    let reasons: Vec<_> =
        rpc.reasons.iter().map(|reason| format!("`{}`", Refusal::reason_name(*reason))).collect();
    let reasons = if reasons.is_empty() { "none of its own".to_owned() } else { reasons.join(", ") };
    let others: Vec<_> = rpc
        .admits
        .iter()
        .map(|(scope, reach)| format!("`{scope}` ({})", rights::word(Some(*reach))))
        .collect();
    let others = if others.is_empty() { String::new() } else { format!("- or: {}\n", others.join(", ")) };
    format!(
        "\n### {name}\n\n{comment}\n\n- path: `{path}`\n- scope: `{scope}`\n{others}- idempotency: `{idempotency}`\n- reasons: {reasons}\n",
        comment = rpc.comment,
        path = rpc.path,
        scope = rpc.required_scope,
        idempotency = rpc.idempotency,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_has_its_section_with_its_scope() {
        let page = page();
        for rpc in RPCS.values() {
            let lines = format!("- path: `{}`\n- scope: `{}`\n", rpc.path, rpc.required_scope);
            assert!(page.contains(&lines), "{} has no section", rpc.path);
        }
    }
}
