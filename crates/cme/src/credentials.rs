//! Names and passwords into credentials. They are unique over all kinds (DP-16).

use std::collections::BTreeMap;

use roamline_proto::auth::{Credential, NewCredential, PrincipalKind, credential::Kind};

use crate::model::{At, Config, Login};
use crate::parse::shortened;
use crate::problem::Found;
use crate::site::{Site, Sourced};

/// Adds the credentials of users, logout profiles and applications, in this order.
pub(crate) fn translate(config: &Config, site: &mut Site, found: &mut Found) {
    let users = config.user_profiles.iter().filter_map(|profile| profile.user.as_ref());
    let logout = config.logout_profiles.iter().filter_map(|profile| profile.user.as_ref());
    let all = users
        .map(|login| (PrincipalKind::User, login))
        .chain(logout.map(|login| (PrincipalKind::LogoutProfile, login)))
        .chain(config.system.applications.iter().map(|login| (PrincipalKind::Application, login)));
    let mut seen: BTreeMap<&str, (PrincipalKind, &At<Login>)> = BTreeMap::new();
    for (kind, login) in all {
        match seen.get(login.value.name.as_str()) {
            // Both sections of a site with phones of both protocols may name the same application.
            Some((PrincipalKind::Application, first))
                if kind == PrincipalKind::Application && first.value.password == login.value.password => {}
            Some((_, first)) => {
                let (line, other) = (first.line.max(login.line), first.line.min(login.line));
                let name = shortened(&login.value.name);
                found.problem(line, "DP-16", format!("credential name {name} is already on line {other}"));
            }
            None => {
                seen.insert(&login.value.name, (kind, login));
                site.credentials.push(credential(kind, login));
            }
        }
    }
}

fn credential(kind: PrincipalKind, login: &At<Login>) -> Sourced<NewCredential> {
    let credential = NewCredential {
        name: login.value.name.clone(),
        principal_kind: kind.into(),
        credential: Some(Credential { kind: Some(Kind::Password(login.value.password.clone())) }),
        ..Default::default()
    };
    Sourced::new(login.line, credential)
}
