//! What the directory asks of the auth service: a user who is deleted leaves no PIN behind, which whoever has his id later
//! would be let in with.
//!
//! Credentials go first, then the user, so that a deletion that is cut short leaves a user without a PIN rather than a PIN
//! without a user: it is done again, and nothing is left.

use async_trait::async_trait;
use roamline_domain::directory::{Key, Kind};
use roamline_proto::refusal::Refusal;
use roamline_store::Change;

use crate::{Profile, refusal};

/// Rows of an import that are looked through at once.
const PAGE: u32 = 500;

/// The credentials of the cluster, as this service sees them.
#[async_trait]
pub trait Credentials: Send + Sync + 'static {
    /// Deletes the credentials of these users, and ends their sign-ins. Who has none is as good.
    ///
    /// # Errors
    /// Some may be there still.
    async fn remove(&self, users: &[String]) -> Result<(), Refusal>;
}

/// A cluster in which nobody has a credential: the directory alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCredentials;

#[async_trait]
impl Credentials for NoCredentials {
    async fn remove(&self, _: &[String]) -> Result<(), Refusal> {
        Ok(())
    }
}

impl Profile {
    /// Removes the credential of a user who is about to be deleted.
    ///
    /// # Errors
    /// The auth service has not done it; nobody is to be deleted then.
    pub(crate) async fn remove_credential(&self, key: &Key) -> Result<(), Refusal> {
        if key.kind != Kind::User {
            return Ok(());
        }
        self.credentials.remove(std::slice::from_ref(&key.name)).await
    }

    /// Removes the credentials of all users whom an import is about to delete, if it can be committed as it is. What stands
    /// in its way is for the commit to tell.
    ///
    /// # Errors
    /// The auth service has not done it, or a store's failure.
    pub(crate) async fn remove_credentials_of_import(&self, id: &str) -> Result<(), Refusal> {
        let mut users = Vec::new();
        let mut after = 0;
        loop {
            let page = self.imports.staged(id, after, PAGE).await.map_err(refusal::store)?;
            let Some(last) = page.last() else { break };
            after = last.row;
            users.extend(page.into_iter().filter_map(|staged| match staged.change {
                Change::Delete { key, .. } if key.kind == Kind::User => Some(key.name),
                _ => None,
            }));
        }
        if users.is_empty() || self.imports.commit_import(id, self.clock.now(), true).await.is_err() {
            return Ok(());
        }
        self.credentials.remove(&users).await
    }
}
