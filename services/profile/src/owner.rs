//! Owners: the user who has had a profile longest (DP-5). They are shown with the profile and kept nowhere.

use roamline_domain::directory::{Key, Kind};
use roamline_proto::refusal::Refusal;
use roamline_store::Stored;

use crate::read::message;
use crate::record::Record;
use crate::{Profile, refusal};

impl Profile {
    /// The messages of records, in one read for all owners.
    pub(crate) async fn messages<R: Record>(&self, stored: &[Stored]) -> Result<Vec<R::Wire>, Refusal> {
        let mut messages = stored
            .iter()
            .map(|stored| message::<R>(&stored.resource, stored.version))
            .collect::<Result<Vec<_>, _>>()?;
        let keys: Vec<Key> = stored.iter().map(|stored| stored.resource.key()).collect();
        self.own::<R>(&keys, &mut messages).await?;
        Ok(messages)
    }

    /// A message with its owner.
    pub(crate) async fn owned<R: Record>(&self, key: Key, message: R::Wire) -> Result<R::Wire, Refusal> {
        let mut messages = [message];
        self.own::<R>(std::slice::from_ref(&key), &mut messages).await?;
        let [message] = messages;
        Ok(message)
    }

    async fn own<R: Record>(&self, keys: &[Key], messages: &mut [R::Wire]) -> Result<(), Refusal> {
        if R::KIND != Kind::UserDeviceProfile || keys.is_empty() {
            return Ok(());
        }
        let owners = self.store.first_users(keys, Kind::User).await.map_err(refusal::store)?;
        for (key, message) in keys.iter().zip(messages) {
            if let Some(owner) = owners.get(key) {
                R::set_owner(message, &owner.name);
            }
        }
        Ok(())
    }
}
