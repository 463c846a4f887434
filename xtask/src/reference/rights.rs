//! The table of rights: which role reaches how far in which RPC.

use roamline_proto::contract::{PUBLIC, RPCS, Rpc};
use roamline_proto::options::Reach;
use roamline_token::role::{ROLES, name, reach, scopes};

const HEAD: &str = "\
# Rights

Made from `proto/roamline/**/*.proto` and `crates/token/src/role.rs` by `cargo xtask gen`; do not edit. What the words
mean and how rights are given is told in `docs/rights.md`; what was decided stands in `crates/token/tests/rights.txt`.

";

/// The scopes of each role, and then, service by service, how far each role reaches.
pub(super) fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| role | scopes |\n| --- | --- |\n");
    for role in ROLES {
        let given: Vec<_> = scopes(role).iter().map(|scope| format!("`{scope}`")).collect();
        let given = if given.is_empty() { "none".to_owned() } else { given.join(", ") };
        page.push_str(&format!("| {} | {given} |\n", name(role)));
    }
    let mut service = "";
    for rpc in RPCS.values() {
        let of = rpc.path.trim_start_matches('/').split('/').next().unwrap_or_default();
        if of != service {
            service = of;
            let heads = ROLES.map(name).join(" | ");
            page.push_str(&format!(
                "\n## {service}\n\n| RPC | {heads} |\n|{}\n",
                " --- |".repeat(ROLES.len() + 1)
            ));
        }
        page.push_str(&row(rpc));
    }
    page
}

fn row(rpc: &Rpc) -> String {
    let method = rpc.path.rsplit('/').next().unwrap_or_default();
    let cells =
        ROLES.map(|role| if rpc.required_scope == PUBLIC { "public" } else { word(reach(role, rpc)) });
    format!("| {method} | {} |\n", cells.join(" | "))
}

/// How a table says how far somebody reaches.
pub(super) fn word(reach: Option<Reach>) -> &'static str {
    match reach {
        None | Some(Reach::Unspecified) => "no",
        Some(Reach::Own) => "own",
        Some(Reach::Team) => "team",
        Some(Reach::Users) => "users",
        Some(Reach::Associated) => "associated",
        Some(Reach::Everything) => "yes",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_has_a_row_and_every_role_a_line() {
        let page = page();
        for rpc in RPCS.values() {
            assert!(page.contains(&row(rpc)), "{} has no row", rpc.path);
        }
        for role in ROLES {
            assert!(page.contains(&format!("\n| {} | ", name(role))), "{} has no line", name(role));
        }
    }
}
