//! Files that are there whole or not at all: they are written beside their place and put there when they are complete.
//! Only regular files are replaced; a device, a pipe or a directory is left alone.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file on its way.
pub(crate) struct Place(PathBuf);

impl Place {
    /// The place that a path names, behind its symbolic links.
    ///
    /// # Errors
    /// Where something is that is no regular file.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(about) if about.is_file() => fs::canonicalize(path).map(Self),
            Ok(_) => Err(io::Error::other("it is no regular file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self(path.to_owned())),
            Err(error) => Err(error),
        }
    }

    /// An empty file beside it that its owner alone can read, gone unless it is put there.
    pub(crate) fn begin(&self) -> io::Result<NamedTempFile> {
        let folder = self.0.parent().filter(|folder| !folder.as_os_str().is_empty());
        NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))
    }

    /// Puts a complete file there.
    pub(crate) fn put(&self, file: NamedTempFile) -> io::Result<()> {
        file.as_file().sync_all()?;
        file.persist(&self.0).map(drop).map_err(|error| error.error)
    }
}

/// Whether two paths name one file that is there, by links as well.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path| fs::metadata(path).map(|about| (about.dev(), about.ino()));
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn dp_19_a_file_is_put_where_a_link_points_and_nothing_else_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("file"), "old").unwrap();
        symlink(path("file"), path("link")).unwrap();
        fs::hard_link(path("file"), path("twin")).unwrap();
        assert!(is_same(&path("file"), &path("link")) && is_same(&path("file"), &path("twin")));
        assert!(!is_same(&path("file"), &path("none")) && !is_same(&path("none"), &path("none")));
        let place = Place::new(&path("link")).unwrap();
        let file = place.begin().unwrap();
        fs::write(file.path(), "new").unwrap();
        assert_eq!(fs::read_to_string(path("file")).unwrap(), "old");
        place.put(file).unwrap();
        assert_eq!(fs::read_to_string(path("file")).unwrap(), "new");
        assert!(fs::symlink_metadata(path("link")).unwrap().is_symlink());
        for other in [Path::new("/dev/null"), directory.path()] {
            assert!(Place::new(other).is_err());
        }
        Place::new(&path("none")).unwrap();
    }
}
