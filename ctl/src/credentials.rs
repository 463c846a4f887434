//! Files that say who is asking: the credential file that `roamline up` writes, and the tokens this program keeps. All
//! of them are for their owner's eyes alone; one that others can read is refused.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use directories::ProjectDirs;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Failure};

/// A token is not used any more this long before it ends.
const BEFORE_THE_END: SignedDuration = SignedDuration::from_secs(60);
/// No file of ours is longer.
const LONGEST: u64 = 64 * 1024;

/// Who is asking, with his password. It has no `Debug`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CredentialFile {
    /// The server it is for.
    pub(crate) server: Option<String>,
    /// The principal.
    pub(crate) name: String,
    /// His password.
    pub(crate) password: String,
}

impl CredentialFile {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        Self::find(path)?
            .ok_or_else(|| Failure::usage(format!("there is no credential file {}", path.display())))
    }

    /// Reads a file that may be missing.
    pub(crate) fn find(path: &Path) -> Result<Option<Self>, Failure> {
        let Some(text) = read_private(path)? else { return Ok(None) };
        // A parse error would quote the line, and with it the password.
        toml::from_str(&text).map(Some).map_err(|_| {
            Failure::usage(format!(
                "{} is no credential file: it holds name, password and maybe server",
                path.display()
            ))
        })
    }
}

/// A token and what it is for. It has no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StoredToken {
    pub(crate) server: String,
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) expires_at: Timestamp,
    /// What it is traded for the next one with, for whoever signed in without leaving his password.
    #[serde(default)]
    pub(crate) refresh_token: String,
    #[serde(default)]
    pub(crate) refresh_expires_at: Timestamp,
}

impl StoredToken {
    /// Whether it can be sent.
    pub(crate) fn is_good(&self, now: Timestamp) -> bool {
        now + BEFORE_THE_END < self.expires_at
    }

    /// Whether another one can be had for it.
    pub(crate) fn is_refreshable(&self, now: Timestamp) -> bool {
        !self.refresh_token.is_empty() && now < self.refresh_expires_at
    }
}

/// The tokens that are kept for one server.
#[derive(Clone, Debug)]
pub(crate) struct TokenFiles {
    /// `None` where the machine has no place for them.
    directory: Option<PathBuf>,
}

impl TokenFiles {
    /// In the user's configuration directory.
    pub(crate) fn of_user() -> Self {
        Self { directory: ProjectDirs::from("", "", "roamline").map(|dirs| dirs.config_dir().to_owned()) }
    }

    /// What `sign-in` stored for the server, unless it has ended and cannot be refreshed.
    pub(crate) fn signed_in(&self, server: &str, now: Timestamp) -> Result<Option<StoredToken>, Failure> {
        let found = self.find(&self.path("sign-in", server, ""), server)?;
        Ok(found.filter(|token| token.is_good(now) || token.is_refreshable(now)))
    }

    /// Drops what `sign-in` stored.
    pub(crate) fn sign_out(&self, server: &str) -> Result<(), Failure> {
        let Some(path) = self.path("sign-in", server, "") else { return Ok(()) };
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Failure::other(format!("cannot remove {}: {error}", path.display())))
            }
            _ => Ok(()),
        }
    }

    /// Stores what `sign-in` got.
    pub(crate) fn sign_in(&self, token: &StoredToken) -> Result<(), Failure> {
        let path = self.path("sign-in", &token.server, "");
        let path = path.ok_or_else(|| Failure::other("this machine has no directory to keep a token in"))?;
        write(&path, token)
            .map_err(|error| Failure::other(format!("cannot keep the token in {}: {error}", path.display())))
    }

    /// A token that `name` got with a credential file.
    pub(crate) fn cached(
        &self,
        server: &str,
        name: &str,
        now: Timestamp,
    ) -> Result<Option<StoredToken>, Failure> {
        let found = self.find(&self.path("cache", server, name), server)?;
        Ok(found.filter(|token| token.name == name && token.is_good(now)))
    }

    /// Keeps it, where that is possible: without, every command signs in.
    pub(crate) fn cache(&self, token: &StoredToken) {
        if let Some(path) = self.path("cache", &token.server, &token.name) {
            let _ = write(&path, token);
        }
    }

    /// Drops it.
    pub(crate) fn forget(&self, server: &str, name: &str) {
        if let Some(path) = self.path("cache", server, name) {
            let _ = fs::remove_file(path);
        }
    }

    fn find(&self, path: &Option<PathBuf>, server: &str) -> Result<Option<StoredToken>, Failure> {
        let Some(path) = path else { return Ok(None) };
        let Some(text) = read_private(path)? else { return Ok(None) };
        // A file that cannot be read is as good as none.
        let token: Option<StoredToken> = toml::from_str(&text).ok();
        Ok(token.filter(|token| token.server == server))
    }

    fn path(&self, kind: &str, server: &str, name: &str) -> Option<PathBuf> {
        let plain = |text: &str| -> String {
            text.chars().take(100).map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
        };
        let file =
            if name.is_empty() { plain(server) } else { format!("{}--{}", plain(server), plain(name)) };
        Some(self.directory.as_ref()?.join(kind).join(format!("{file}.toml")))
    }
}

/// The text of a file that only its owner can read; `None` when there is none.
fn read_private(path: &Path) -> Result<Option<String>, Failure> {
    let failed = |error: io::Error| Failure::other(format!("cannot read {}: {error}", path.display()));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        let message = format!("others can read or write the credential file {}", path.display());
        return Err(Failure::new(Exit::Denied, message).hint(format!("chmod 600 {}", path.display())));
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).map_err(failed)?;
    Ok(Some(text))
}

/// Replaces the file as a whole; nobody else can read it at any moment.
fn write(path: &Path, token: &StoredToken) -> io::Result<()> {
    let text = toml::to_string(token).map_err(io::Error::other)?;
    if let Some(directory) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}

/// The directory of the local `roamline up`, when none is named.
pub(crate) fn default_data_directory() -> Option<PathBuf> {
    ProjectDirs::from("", "", "roamline").map(|dirs| dirs.data_dir().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: &str, expires_at: Timestamp) -> StoredToken {
        StoredToken {
            server: "http://s:1".into(),
            name: name.into(),
            token: "t".into(),
            expires_at,
            refresh_token: String::new(),
            refresh_expires_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn tokens_are_kept_for_their_server_until_shortly_before_they_end() {
        let directory = tempfile::tempdir().unwrap();
        let files = TokenFiles { directory: Some(directory.path().to_owned()) };
        files.cache(&token("admin", at(1000)));
        files.sign_in(&token("agent7", at(1000))).unwrap();
        let name = |found: Result<Option<StoredToken>, Failure>| found.unwrap().map(|token| token.name);
        assert_eq!(name(files.cached("http://s:1", "admin", at(900))).as_deref(), Some("admin"));
        assert_eq!(name(files.cached("http://s:1", "admin", at(950))), None);
        assert_eq!(name(files.cached("http://s:1", "other", at(900))), None);
        assert_eq!(name(files.signed_in("http://s:1", at(0))).as_deref(), Some("agent7"));
        assert_eq!(name(files.signed_in("http://s:2", at(0))), None);
        files.forget("http://s:1", "admin");
        assert_eq!(name(files.cached("http://s:1", "admin", at(900))), None);
    }

    #[test]
    fn a_token_that_can_be_refreshed_is_kept_until_that_ends_and_one_without_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let files = TokenFiles { directory: Some(directory.path().to_owned()) };
        let refreshable = StoredToken {
            refresh_token: "r".into(),
            refresh_expires_at: at(5000),
            ..token("agent7", at(1000))
        };
        files.sign_in(&refreshable).unwrap();
        let there = |second| files.signed_in("http://s:1", at(second)).unwrap().is_some();
        assert!(there(900) && there(4999) && !there(5000));
        files.sign_out("http://s:1").unwrap();
        files.sign_out("http://s:1").unwrap();
        assert!(!there(900));
    }

    #[test]
    fn a_credential_file_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.toml");
        fs::write(&path, "name = \"admin\"\npassword = \"secret\"\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = CredentialFile::read(&path).err().unwrap();
        assert_eq!(refused.exit, Exit::Denied);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(CredentialFile::read(&path).ok().unwrap().name, "admin");
    }

    #[test]
    fn a_broken_credential_file_does_not_show_its_password() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.toml");
        fs::write(&path, "name = admin\npassword = \"271828\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let refused = CredentialFile::read(&path).err().unwrap();
        assert!(!format!("{refused:?}").contains("271828"));
    }
}
