//! `cargo xtask layers`: proves who may know whom. The rules are data in `rules.rs`; what they are checked against is
//! what cargo says about our crates and what it would build, and the tokens of our sources.

mod crates;
mod graph;
mod names;
mod rules;
mod sources;

use std::path::Path;

use anyhow::{Context, Result, bail};

use self::crates::Crate;
use self::sources::Source;
use crate::workspace::Workspace;

/// Checks everything, and prints each breach.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let crates = crates::read(&workspace.metadata()?, &workspace.root)?;
    let files = workspace.files()?;
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
    breaches.extend(graph::breaches(&graph::read(workspace)?));

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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

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
}
