//! What our crates say they depend on, held against who may know whom.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::rules::{CONFINED, KNOWS, Knows};

/// One of our crates.
pub(super) struct Crate {
    /// Its name.
    pub(super) name: String,
    /// Its folder, relative to the top one.
    pub(super) folder: PathBuf,
    /// What it depends on, of ours and of others, for whatever purpose.
    pub(super) dependencies: Vec<String>,
}

/// Reads our crates from what `cargo metadata --no-deps` answered.
pub(super) fn read(metadata: &Value, root: &Path) -> Result<Vec<Crate>> {
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    packages.iter().map(|package| one(package, root).context("a package without name or manifest")).collect()
}

fn one(package: &Value, root: &Path) -> Option<Crate> {
    let folder = Path::new(package["manifest_path"].as_str()?).parent()?;
    let dependencies = package["dependencies"].as_array()?;
    Some(Crate {
        name: package["name"].as_str()?.to_owned(),
        folder: folder.strip_prefix(root).unwrap_or(folder).to_owned(),
        dependencies: dependencies.iter().filter_map(|d| d["name"].as_str().map(str::to_owned)).collect(),
    })
}

/// Every dependency that is not allowed.
pub(super) fn breaches(crates: &[Crate]) -> Vec<String> {
    let ours: Vec<_> = crates.iter().map(|krate| krate.name.as_str()).collect();
    crates.iter().flat_map(|krate| inward(krate, &ours).into_iter().chain(outward(krate, &ours))).collect()
}

/// Dependencies on our own crates.
fn inward(krate: &Crate, ours: &[&str]) -> Vec<String> {
    let Some((_, knows)) = KNOWS.iter().find(|(name, _)| *name == krate.name) else {
        return vec![format!("{}: has no row in xtask/src/layers/rules.rs", krate.name)];
    };
    let Knows::Only(allowed) = knows else { return Vec::new() };
    // A crate may name itself, to run its tests with a feature that is off otherwise.
    let dependencies = krate.dependencies.iter().map(String::as_str);
    dependencies
        .filter(|name| ours.contains(name) && *name != krate.name && !allowed.contains(name))
        .map(|name| format!("{}: may not depend on {name}", krate.name))
        .collect()
}

/// Dependencies on libraries behind a wall.
fn outward(krate: &Crate, ours: &[&str]) -> Vec<String> {
    let theirs = |name: &str| !ours.contains(&name);
    let mut breaches = Vec::new();
    for wall in CONFINED {
        let mut allowed = wall.anywhere_in.iter().chain(wall.at_the_edge_of);
        if allowed.any(|name| *name == krate.name) {
            continue;
        }
        let behind =
            krate.dependencies.iter().filter(|name| theirs(name) && is_of_family(name, wall.library));
        breaches.extend(behind.map(|name| format!("{}: may not depend on {name}", krate.name)));
    }
    breaches
}

/// Whether the library is the one named or belongs to it: `tonic`, `tonic-types`, `tracing-opentelemetry`.
pub(super) fn is_of_family(library: &str, name: &str) -> bool {
    let library = library.replace('_', "-");
    if library.starts_with("roamline-") {
        // One of ours may be named after the library that it walls in.
        return false;
    }
    library == name || library.starts_with(&format!("{name}-")) || library.ends_with(&format!("-{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_crate(name: &str, dependencies: &[&str]) -> Crate {
        let dependencies = dependencies.iter().map(|d| (*d).to_owned()).collect();
        Crate { name: name.to_owned(), folder: PathBuf::from(name), dependencies }
    }

    fn refused(name: &str, dependency: &str) -> bool {
        let crates = [a_crate(name, &[dependency]), a_crate("roamline-tests", &[])];
        let mut crates = Vec::from(crates);
        if KNOWS.iter().any(|(ours, _)| *ours == dependency) {
            crates.push(a_crate(dependency, &[]));
        }
        breaches(&crates) == [format!("{name}: may not depend on {dependency}")]
    }

    #[test]
    fn crates_are_read_from_what_cargo_says() {
        let metadata = serde_json::json!({ "packages": [{
            "name": "roamline-auth",
            "manifest_path": "/house/services/auth/Cargo.toml",
            "dependencies": [{ "name": "roamline-profile", "kind": "dev" }, { "name": "tokio" }],
        }] });
        let crates = read(&metadata, Path::new("/house")).unwrap();
        assert_eq!(crates[0].folder, Path::new("services/auth"));
        assert_eq!(crates[0].dependencies, ["roamline-profile", "tokio"], "dev-dependencies count");
        assert!(read(&serde_json::json!({}), Path::new("/house")).is_err());
    }

    #[test]
    fn a_crate_without_a_row_is_refused() {
        let breaches = breaches(&[a_crate("roamline-magic", &[])]);
        assert_eq!(breaches, ["roamline-magic: has no row in xtask/src/layers/rules.rs"]);
    }

    #[test]
    fn each_crate_is_refused_every_one_of_ours_that_it_may_not_know() {
        let mut pairs = 0;
        for (name, knows) in KNOWS {
            let Knows::Only(allowed) = knows else { continue };
            for (other, _) in KNOWS.iter().filter(|(other, _)| other != name && !allowed.contains(other)) {
                assert!(refused(name, other), "{name} was allowed {other}");
                pairs += 1;
            }
        }
        assert!(pairs > 100);
    }

    #[test]
    fn no_service_may_know_another_and_the_domain_knows_nobody() {
        assert!(refused("roamline-session", "roamline-profile"));
        assert!(refused("roamline-auth", "roamline-store-sql"));
        assert!(refused("roamline-domain", "roamline-proto"));
        assert!(refused("roamline-gateway", "roamline-store"));
        assert!(refused("roamctl", "roamline-domain"));
    }

    #[test]
    fn libraries_behind_a_wall_are_refused_elsewhere_with_their_families() {
        for (name, library) in [
            ("roamline-profile", "sea-orm"),
            ("roamline-store", "sea-orm-migration"),
            ("roamline-session", "redis"),
            ("roamline-auth", "opentelemetry_sdk"),
            ("roamline-token", "tracing-opentelemetry"),
            ("roamline-domain", "tonic"),
            ("roamline-store", "tonic-types"),
            ("roamline-cme", "tonic"),
        ] {
            assert!(refused(name, library), "{name} was allowed {library}");
        }
    }

    #[test]
    fn what_is_allowed_is_not_refused() {
        let crates = [
            a_crate("roamline-proto", &["tonic", "prost"]),
            a_crate("roamline-serve", &["opentelemetry", "roamline-proto"]),
            a_crate("roamline-session", &["roamline-serve", "tonic", "tokio"]),
            a_crate("roamline-store", &["roamline-store"]),
            a_crate("roamline-store-sql", &["sea-orm"]),
            a_crate("roamline", &["roamline-session", "roamline-store-sql"]),
        ];
        assert_eq!(breaches(&crates), Vec::<String>::new());
    }
}
