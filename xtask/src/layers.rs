//! `cargo xtask layers`: proves who may know whom. The rules are data in `rules.rs`; what they are checked against is
//! what cargo says about our crates, the tokens of our sources, and the lock file.

mod crates;
mod lock;
mod names;
mod rules;
mod sources;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use self::crates::Crate;
use self::sources::Source;
use crate::workspace::Workspace;

/// Folders that hold nothing of ours.
const FOREIGN: &[&str] = &[".git", "target", "node_modules"];

/// Checks everything, and prints each breach.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let crates = crates::read(&workspace.metadata()?, &workspace.root)?;
    let files = files(&workspace.root)?;
    let mut breaches = crates::breaches(&crates);
    breaches.extend(names::breaches(&crates, &files));
    let mut sources = 0;
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "rs")) {
        let Some(krate) = owner(&crates, file) else { continue };
        let path = workspace.root.join(file);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        breaches.extend(sources::breaches(&Source { krate: &krate.name, path: file, text: &text }));
        sources += 1;
    }
    let lock = workspace.root.join("Cargo.lock");
    let lock = std::fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    breaches.extend(lock::breaches(&lock));

    for breach in &breaches {
        println!("    {breach}");
    }
    match breaches.len() {
        0 => println!("    {} crates, {sources} sources: every layer holds", crates.len()),
        1 => bail!("1 breach of the layers"),
        count => bail!("{count} breaches of the layers"),
    }
    Ok(())
}

/// The crate whose folder holds the file; the innermost where several do.
fn owner<'a>(crates: &'a [Crate], file: &Path) -> Option<&'a Crate> {
    crates
        .iter()
        .filter(|krate| file.starts_with(&krate.folder))
        .max_by_key(|krate| krate.folder.as_os_str().len())
}

/// Every file of the project, relative to its top folder, in order.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() && !FOREIGN.iter().any(|foreign| entry.file_name() == *foreign) {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path().strip_prefix(root)?.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_the_innermost_crate_around_it() {
        let a_crate = |name: &str, folder: &str| Crate {
            name: name.to_owned(),
            folder: PathBuf::from(folder),
            dependencies: Vec::new(),
        };
        let crates = [a_crate("outer", "proto"), a_crate("inner", "proto/gen")];
        let name = |file: &str| owner(&crates, Path::new(file)).map(|krate| krate.name.as_str());
        assert_eq!(name("proto/src/lib.rs"), Some("outer"));
        assert_eq!(name("proto/gen/src/lib.rs"), Some("inner"));
        assert_eq!(name("protocol/src/lib.rs"), None);
    }

    #[test]
    fn sources_are_found_and_what_is_built_is_not() {
        let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = files(xtask.parent().unwrap()).unwrap();
        assert!(files.contains(&PathBuf::from("xtask/src/layers/rules.rs")));
        assert!(!files.iter().any(|file| file.starts_with("target")));
    }
}
