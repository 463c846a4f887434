//! The directory that holds everything: made private, and used by one process at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// A data directory that this process has, for itself or together with others, until the value is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    lock: File,
}

impl DataDir {
    /// Makes the directory where it is missing, for the user alone, and takes it.
    ///
    /// # Errors
    /// When it cannot be made or written, or another process has it.
    pub(crate) fn take(path: &Path) -> anyhow::Result<Self> {
        let mut data = Self::open(path)?;
        data.own()?;
        Ok(data)
    }

    /// As [`DataDir::take`], but together with others that share it: for those who look at the store or migrate it.
    ///
    /// # Errors
    /// When it cannot be made or written, or another process has it for itself.
    pub(crate) fn share(path: &Path) -> anyhow::Result<Self> {
        let mut data = Self::open(path)?;
        let locked = data.lock.try_lock_shared();
        data.locked(locked)?;
        Ok(data)
    }

    /// Takes a directory that was shared.
    ///
    /// # Errors
    /// When another process has it.
    pub(crate) fn own(&mut self) -> anyhow::Result<()> {
        let locked = self.lock.try_lock();
        self.locked(locked)?;
        self.lock
            .set_len(0)
            .and_then(|()| self.lock.rewind())
            .and_then(|()| write!(self.lock, "{}", std::process::id()))
            .with_context(|| format!("the data directory {} cannot be written", self.path.display()))
    }

    fn open(path: &Path) -> anyhow::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("the data directory {} cannot be made", path.display()))?;
        let path = fs::canonicalize(path)
            .with_context(|| format!("the data directory {} cannot be entered", path.display()))?;
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))
            .with_context(|| format!("the data directory {} cannot be written", path.display()))?;
        Ok(Self { path, lock })
    }

    fn locked(&mut self, locked: Result<(), TryLockError>) -> anyhow::Result<()> {
        match locked {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = self.lock.read_to_string(&mut holder);
                let holder = match holder.trim() {
                    "" => String::new(),
                    id => format!(" (process {id})"),
                };
                bail!(
                    "the data directory {} is in use by another roamline{holder}; stop that one, or choose another \
                     directory with --data",
                    self.path.display(),
                );
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("{} cannot be locked", self.path.join("lock").display()))
            }
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
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
        assert!(DataDir::share(&home.path().join("data")).is_err());
        drop(first);
        assert!(DataDir::take(&home.path().join("data")).is_ok());
    }

    #[test]
    fn a_directory_that_is_shared_is_taken_by_the_last_who_has_it() {
        let home = tempfile::tempdir().unwrap();
        let mut first = DataDir::share(home.path()).unwrap();
        let second = DataDir::share(home.path()).unwrap();
        assert!(DataDir::take(home.path()).is_err() && first.own().is_err());
        drop(second);
        first.own().unwrap();
        assert!(DataDir::share(home.path()).is_err());
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
