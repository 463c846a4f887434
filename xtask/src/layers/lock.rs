//! Packages that nothing may pull in, looked for in the lock file: what any platform and any feature could link.

use super::rules::BANNED;

/// Every banned package, with those that pull it in.
pub(super) fn breaches(lock: &str) -> Vec<String> {
    let packages: Vec<_> = lock.split("[[package]]").filter_map(Package::read).collect();
    let mut breaches = Vec::new();
    for (banned, instead) in BANNED {
        if !packages.iter().any(|package| package.name == *banned) {
            continue;
        }
        let by: Vec<_> =
            packages.iter().filter(|p| p.dependencies.contains(banned)).map(|package| package.name).collect();
        breaches
            .push(format!("Cargo.lock: {banned} is banned (use {instead}); pulled in by {}", by.join(", ")));
    }
    breaches
}

struct Package<'a> {
    name: &'a str,
    dependencies: Vec<&'a str>,
}

impl<'a> Package<'a> {
    fn read(block: &'a str) -> Option<Self> {
        let name = block.lines().find_map(|line| line.strip_prefix("name = "))?.trim_matches('"');
        let listed = block.split_once("dependencies = [").map_or("", |(_, list)| list);
        let entries = listed.lines().map(|line| line.trim().trim_end_matches(',').trim_matches('"'));
        Some(Self { name, dependencies: entries.filter_map(|entry| entry.split(' ').next()).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_banned_package_is_refused_with_those_that_pull_it_in() {
        for (banned, instead) in BANNED {
            let lock = format!(
                "version = 4\n\n[[package]]\nname = \"tls\"\nversion = \"1.0.0\"\ndependencies = [\n \"log\",\n \
                 \"{banned} 0.17.8\",\n]\n\n[[package]]\nname = \"{banned}\"\nversion = \"0.17.8\"\n"
            );
            let wanted = format!("Cargo.lock: {banned} is banned (use {instead}); pulled in by tls");
            assert_eq!(breaches(&lock), [wanted]);
        }
    }

    #[test]
    fn a_package_that_only_sounds_alike_is_not_refused() {
        let lock = "[[package]]\nname = \"openssl-probe\"\nversion = \"0.1.5\"\n";
        assert_eq!(breaches(lock), Vec::<String>::new());
    }
}
