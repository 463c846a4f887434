//! What is made of a file that somebody may replace while the process runs. What cannot be used changes nothing, and is told
//! in the log.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use async_trait::async_trait;

use crate::verifier::{Digest, digest};

/// Makes something of a file's content, or says what is wrong with that.
type Make<T> = Box<dyn Fn(&[u8]) -> Result<T, String> + Send + Sync>;

/// Looks after one file.
#[async_trait]
pub(super) trait Follows: Send + Sync {
    /// Reads it, and uses what is in it if that is new and good.
    async fn look(&self);
}

/// What a file makes, or what needs none.
pub(super) struct Followed<T> {
    present: ArcSwap<T>,
    file: Option<File<T>>,
}

struct File<T> {
    path: PathBuf,
    make: Make<T>,
    /// What was found when it was last looked, or why nothing was.
    seen: Mutex<Result<Digest, String>>,
}

impl<T> Followed<T> {
    /// What stays as it is.
    pub(super) fn fixed(present: T) -> Self {
        Self { present: ArcSwap::from_pointee(present), file: None }
    }

    /// What `make` makes of a file.
    ///
    /// # Errors
    /// What is wrong with the file, with its name.
    pub(super) fn of(
        path: &Path,
        make: impl Fn(&[u8]) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let content = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
        let present = make(&content).map_err(|problem| format!("{} {problem}", path.display()))?;
        let file =
            File { path: path.to_owned(), make: Box::new(make), seen: Mutex::new(Ok(digest(&content))) };
        Ok(Self { present: ArcSwap::from_pointee(present), file: Some(file) })
    }

    /// What it is now.
    pub(super) fn present(&self) -> Arc<T> {
        self.present.load_full()
    }
}

#[async_trait]
impl<T: Send + Sync> Follows for Followed<T> {
    async fn look(&self) {
        let Some(file) = &self.file else { return };
        let read = tokio::fs::read(&file.path).await.map_err(|error| unreadable(&file.path, &error));
        let found = read.as_ref().map(digest).map_err(Clone::clone);
        {
            let mut seen = file.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == found {
                return;
            }
            *seen = found;
        }
        let path = file.path.display();
        let made =
            read.and_then(|content| (file.make)(&content).map_err(|problem| format!("{path} {problem}")));
        match made {
            Ok(made) => {
                self.present.store(Arc::new(made));
                tracing::info!(file = %path, "a file for an issuer of tokens has changed and is used");
            }
            Err(problem) => tracing::error!(
                problem,
                "a file for an issuer of tokens has changed and cannot be used: what it said before holds"
            ),
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be read: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_used_as_it_changes_and_what_is_wrong_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("number");
        let make = |content: &[u8]| {
            let text = String::from_utf8_lossy(content).into_owned();
            text.parse::<u8>().map_err(|_| "has no number".to_owned())
        };
        let refused = |made: Result<Followed<u8>, String>| made.map(drop).unwrap_err();
        assert!(refused(Followed::of(&path, make)).contains("number cannot be read"));
        std::fs::write(&path, "x").unwrap();
        assert!(refused(Followed::of(&path, make)).ends_with("number has no number"));
        std::fs::write(&path, "1").unwrap();
        let followed = Followed::of(&path, make).unwrap();
        for (content, holds) in [(Some("2"), 2), (Some("x"), 2), (None, 2), (Some("2"), 2), (Some("3"), 3)] {
            match content {
                Some(content) => std::fs::write(&path, content).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            followed.look().await;
            followed.look().await;
            assert_eq!(*followed.present(), holds, "{content:?}");
        }
    }
}
