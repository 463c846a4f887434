//! Names of crates, folders and files that say nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::crates::Crate;
use super::rules::EMPTY_NAMES;

/// Every crate, source file and folder of sources with such a name.
pub(super) fn breaches(crates: &[Crate], files: &[PathBuf]) -> Vec<String> {
    let named = crates.iter().filter(|krate| says_nothing(&krate.name));
    let mut breaches: Vec<_> =
        named.map(|krate| format!("{}: no crate is called that", krate.name)).collect();
    let sources = files.iter().filter(|file| file.extension().is_some_and(|e| e == "rs" || e == "proto"));
    let paths: BTreeSet<&Path> = sources.flat_map(|file| file.ancestors()).collect();
    let named =
        paths.into_iter().filter(|path| path.file_stem().is_some_and(|s| says_nothing(&s.to_string_lossy())));
    breaches.extend(named.map(|path| format!("{}: no file or folder is called that", path.display())));
    breaches
}

fn says_nothing(name: &str) -> bool {
    name.rsplit(['-', '_']).next().is_some_and(|last| EMPTY_NAMES.contains(&last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(crates: &[&str], files: &[&str]) -> Vec<String> {
        let crates: Vec<_> = crates
            .iter()
            .map(|name| Crate { name: (*name).to_owned(), folder: PathBuf::new(), dependencies: Vec::new() })
            .collect();
        breaches(&crates, &files.iter().map(PathBuf::from).collect::<Vec<_>>())
    }

    #[test]
    fn every_empty_name_is_refused_as_crate_file_and_folder() {
        for name in EMPTY_NAMES {
            let krate = format!("roamline-{name}");
            assert_eq!(found(&[&krate], &[]), [format!("{krate}: no crate is called that")]);
            for path in [format!("ctl/src/{name}.rs"), format!("ctl/src/line_{name}.rs")] {
                assert_eq!(found(&[], &[&path]), [format!("{path}: no file or folder is called that")]);
            }
            let folder = format!("ctl/src/{name}");
            let inside = format!("{folder}/table.rs");
            assert_eq!(found(&[], &[&inside]), [format!("{folder}: no file or folder is called that")]);
        }
    }

    #[test]
    fn a_name_that_says_something_is_not_refused() {
        let files =
            ["crates/domain/src/shared_logout_profile.rs", "docs/common/readme.md", "ctl/src/output.rs"];
        assert_eq!(found(&["roamline-store"], &files), Vec::<String>::new());
    }
}
