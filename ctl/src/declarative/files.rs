//! The files that declare resources: which there are, and their text.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::yaml::Problem;
use crate::exit::Failure;

/// What to do about a file that is too large.
pub(super) const SPLIT: &str = "split it, a directory of files is applied as one";
/// No file may be larger.
const LONGEST: u64 = 16 * 1024 * 1024;
/// How a file of a directory is known.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];
/// Directories within directories.
const DEEPEST: usize = 32;

/// The files that were named; of a directory, all that end as they should, in the order of their paths.
///
/// # Errors
/// When one cannot be looked at, or a directory holds none.
pub(super) fn find(named: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for path in named {
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let before = found.len();
        walk(path, 0, &mut found).map_err(|error| cannot_read(path, &error))?;
        if found.len() == before {
            let name = path.display();
            return Err(Failure::usage(format!("{name} holds no .yaml, .yml or .json file")));
        }
        if let Some(new) = found.get_mut(before..) {
            new.sort();
        }
    }
    Ok(found)
}

/// Links to directories are not followed, so that none is read twice and none leads back.
fn walk(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    if depth > DEEPEST {
        return Err(io::Error::other(format!("{} lies too deep", directory.display())));
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            walk(&path, depth + 1, found)?;
        } else if path.is_file() && ends_well(&path) {
            found.push(path);
        }
    }
    Ok(())
}

fn ends_well(path: &Path) -> bool {
    path.extension().and_then(|end| end.to_str()).is_some_and(|end| ENDINGS.contains(&end))
}

/// The bytes of a file, `-` for standard input.
///
/// # Errors
/// When it cannot be read; a file that is too long is the inner error.
pub(super) fn read(path: &Path) -> Result<Result<Vec<u8>, Problem>, Failure> {
    let read =
        if path == Path::new("-") { limited(io::stdin().lock()) } else { File::open(path).and_then(limited) };
    let bytes = read.map_err(|error| cannot_read(path, &error))?;
    if bytes.len() as u64 > LONGEST {
        return Ok(Err((1, format!("the file is larger than 16 MiB: {SPLIT}"))));
    }
    Ok(Ok(bytes))
}

fn limited(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(LONGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {error}", path.display()))
}

/// The bytes as text that a YAML parser understands. JSON is YAML but for its tabs, which mean nothing outside of its
/// strings and cannot stand in them.
///
/// # Errors
/// Where the text stops being UTF-8, or JSON in a file that says it is.
pub(super) fn text(path: &Path, bytes: Vec<u8>) -> Result<String, Problem> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        (line, "the text is not UTF-8".to_owned())
    })?;
    if path.extension().is_none_or(|end| end != "json") {
        return Ok(text);
    }
    serde_json::from_str::<serde::de::IgnoredAny>(&text)
        .map_err(|error| (error.line().max(1), format!("no JSON: {error}")))?;
    Ok(text.replace('\t', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_its_files_with_the_right_ending_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("b");
        fs::create_dir(&inner).unwrap();
        for name in ["z.yml", "a.yaml", "b/c.json", "b/readme.md"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let found = find(&[directory.path().to_owned()]).unwrap();
        let names: Vec<_> =
            found.iter().map(|path| path.strip_prefix(directory.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a.yaml", "b/c.json", "z.yml"]);
        fs::remove_file(inner.join("c.json")).unwrap();
        assert!(find(&[inner]).is_err(), "nothing to read is a mistake");
    }

    #[test]
    fn what_is_not_utf_8_or_no_json_is_told_with_its_line() {
        let yaml = Path::new("a.yaml");
        assert_eq!(text(yaml, b"a: 1\nb: \xff\n".to_vec()).unwrap_err().0, 2);
        let json = Path::new("a.json");
        assert_eq!(text(json, b"{\n\"a\": 1,\n}".to_vec()).unwrap_err().0, 3);
        assert_eq!(text(json, b"{\n\t\"a\": 1}".to_vec()).unwrap(), "{\n \"a\": 1}");
    }

    #[test]
    fn a_file_that_is_too_long_is_not_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("long.yaml");
        File::create(&path).unwrap().set_len(LONGEST + 1).unwrap();
        assert!(read(&path).unwrap().is_err());
        assert!(read(&directory.path().join("none.yaml")).is_err());
    }
}
