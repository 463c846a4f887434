//! The directory that holds everything: made private, and used by one process at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// A data directory that this process owns until the value is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory where it is missing, for the user alone, and takes it.
    ///
    /// # Errors
    /// When it cannot be made or written, or another process has it.
    pub(crate) fn take(path: &Path) -> anyhow::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("the data directory {} cannot be made", path.display()))?;
        let path = fs::canonicalize(path)
            .with_context(|| format!("the data directory {} cannot be entered", path.display()))?;
        let lock_path = path.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .with_context(|| format!("the data directory {} cannot be written", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = lock.read_to_string(&mut holder);
                bail!(
                    "the data directory {} is in use by another roamline (process {}); stop that one, or choose \
                     another directory with --data",
                    path.display(),
                    holder.trim()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("{} cannot be locked", lock_path.display()));
            }
        }
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| write!(lock, "{}", std::process::id()))
            .with_context(|| format!("the data directory {} cannot be written", path.display()))?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The database.
    pub(crate) fn database(&self) -> PathBuf {
        self.path.join("roamline.db")
    }

    /// Replaces a file whole, readable by the user alone: it is there as it was or as it shall be, never in between.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write_private(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let (path, draft) = (self.path.join(name), self.path.join(format!("{name}.new")));
        let write = || -> std::io::Result<()> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            File::open(&self.path)?.sync_all()
        };
        write().with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(path)
    }
}

/// The user's data directory, where nothing else is asked for.
///
/// # Errors
/// When the user has no home.
pub(crate) fn default_path() -> anyhow::Result<PathBuf> {
    let dirs = directories::ProjectDirs::from("", "", "roamline")
        .context("there is no home directory to keep state in; name a directory with --data")?;
    Ok(dirs.data_dir().to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_in_use_is_refused_with_the_process_that_has_it() {
        let home = tempfile::tempdir().unwrap();
        let first = DataDir::take(&home.path().join("data")).unwrap();
        let refused = DataDir::take(&home.path().join("data")).unwrap_err().to_string();
        assert!(refused.contains("in use") && refused.contains(&std::process::id().to_string()), "{refused}");
        drop(first);
        assert!(DataDir::take(&home.path().join("data")).is_ok());
    }

    #[test]
    fn what_is_written_is_for_the_user_alone() {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::take(&home.path().join("data")).unwrap();
        let file = data.write_private("admin.toml", "secret").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(data.path()), 0o700);
        assert_eq!(fs::read_to_string(file).unwrap(), "secret");
    }
}
