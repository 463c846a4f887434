//! Packages that nothing may pull in, looked for in what cargo would build for the platforms that we serve: every crate
//! of ours, with every feature. The lock file says more than that: it names what an optional dependency could pull in,
//! wanted or not, and so ring, which rustls offers beside aws-lc-rs.

use anyhow::{Context, Result, ensure};

use super::rules::BANNED;
use crate::workspace::Workspace;

/// Where the server runs.
const PLATFORMS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// What cargo would build: a package in each line, after its depth; those below it are what it depends on.
pub(super) fn read(workspace: &Workspace) -> Result<String> {
    let mut tree = workspace.cargo();
    tree.args(["tree", "--workspace", "--all-features", "--prefix", "depth", "--format", "{p}"]);
    for platform in PLATFORMS {
        tree.args(["--target", platform]);
    }
    let output = tree.output().context("cannot run cargo tree")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr).trim());
    String::from_utf8(output.stdout).context("cargo tree did not answer in UTF-8")
}

/// Every banned package, with those that pull it in.
pub(super) fn breaches(tree: &str) -> Vec<String> {
    let mut found = vec![Vec::new(); BANNED.len()];
    let mut above: Vec<&str> = Vec::new();
    for (depth, name) in tree.lines().filter_map(package) {
        above.truncate(depth);
        for ((banned, _), by) in BANNED.iter().zip(&mut found) {
            let parent = above.last().copied().unwrap_or_default();
            if *banned == name && !by.contains(&parent) {
                by.push(parent);
            }
        }
        above.push(name);
    }
    let found = BANNED.iter().zip(found).filter(|(_, by)| !by.is_empty());
    found
        .map(|((banned, instead), by)| {
            format!("{banned} is banned (use {instead}); pulled in by {}", by.join(", "))
        })
        .collect()
}

/// Depth and name of a line such as `12ring v0.17.14`.
fn package(line: &str) -> Option<(usize, &str)> {
    let digits = line.find(|letter: char| !letter.is_ascii_digit())?;
    let (depth, rest) = line.split_at_checked(digits)?;
    Some((depth.parse().ok()?, rest.split(' ').next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_banned_package_is_refused_with_those_that_pull_it_in() {
        for (banned, instead) in BANNED {
            let tree = format!(
                "0server v1.0.0 (/server)\n1tls v1.0.0\n2{banned} v0.17.8\n3untrusted v0.9.0\n1web v2.0.0\n2log v0.4.0\n\
                 2tls v1.0.0 (*)\n2{banned} v0.17.8 (*)\n\n0other v1.0.0 (/other)\n1tls v1.0.0 (*)\n"
            );
            assert_eq!(
                breaches(&tree),
                [format!("{banned} is banned (use {instead}); pulled in by tls, web")]
            );
        }
    }

    #[test]
    fn a_package_that_only_sounds_alike_is_not_refused() {
        assert_eq!(breaches("0openssl-probe v0.1.5\n1spring v1.0.0\n"), Vec::<String>::new());
    }

    /// What stands in the lock file and is never built is no breach; what is built is found.
    #[test]
    fn the_platforms_are_built_with_aws_lc_rs_alone() {
        let tree = read(&Workspace::find().unwrap()).unwrap();
        let built = |name: &str| tree.lines().filter_map(package).any(|(_, built)| built == name);
        assert!(built("rustls") && built("aws-lc-rs") && built("xtask"));
        assert_eq!(breaches(&tree), Vec::<String>::new());
        let poisoned = format!("{tree}\n0server v1.0.0 (/server)\n1ring v0.17.14\n");
        assert_eq!(breaches(&poisoned).len(), 1, "one that is there is found");
    }
}
