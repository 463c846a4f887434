//! Other clusters, and halves of the sessions with them, in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::SessionId;
use roamline_domain::emcc::base_device::BaseDevice;
use roamline_domain::emcc::half::Half;

use super::MemoryStore;
use crate::StoreError;
use crate::federation::{
    Begun, Changed, FederationStore, From, HalfQuery, Setting, SettingKind, StoredSetting,
};

#[derive(Debug, Default)]
pub(super) struct Federation {
    settings: BTreeMap<(SettingKind, String), StoredSetting>,
    halves: BTreeMap<SessionId, Half>,
}

impl Federation {
    fn version(&self, key: &(SettingKind, String)) -> u64 {
        self.settings.get(key).map_or(0, |stored| stored.version)
    }

    fn begin(&mut self, mut half: Half, device: Option<(BaseDevice, u32)>) -> Begun {
        if let Some(known) = self.halves.get(&half.session) {
            return Begun::Known(known.clone());
        }
        if let Some((first, pool)) = device {
            let held = |number: u32| {
                self.halves.values().any(|half| half.is_live() && half.base_device == Some(number))
            };
            let first = Some(first.number()).filter(|number| (1..=pool).contains(number) && !held(*number));
            let Some(free) = first.or_else(|| (1..=pool).find(|number| !held(*number))) else {
                return Begun::PoolEmpty;
            };
            half.base_device = Some(free);
        }
        self.halves.insert(half.session.clone(), half.clone());
        Begun::Begun(half)
    }
}

/// Whether a change from there may be made to what has that version now.
fn allows(from: From, version: u64) -> bool {
    match from {
        From::Any => true,
        From::Nothing => version == 0,
        From::Something => version > 0,
        From::Version(expected) => version == expected,
    }
}

#[async_trait]
impl FederationStore for MemoryStore {
    async fn settings(&self) -> Result<Vec<StoredSetting>, StoreError> {
        Ok(self.state().federation.settings.values().cloned().collect())
    }

    async fn set_setting(&self, setting: Setting, from: From) -> Result<Changed, StoreError> {
        let federation = &mut self.state().federation;
        let key = (setting.kind(), setting.name().to_owned());
        let version = federation.version(&key);
        if !allows(from, version) {
            return Ok(Changed::Moved(version));
        }
        federation.settings.insert(key, StoredSetting { version: version + 1, setting });
        Ok(Changed::Made(version + 1))
    }

    async fn remove_setting(&self, kind: SettingKind, name: &str, from: From) -> Result<Changed, StoreError> {
        let federation = &mut self.state().federation;
        let key = (kind, name.to_owned());
        let version = federation.version(&key);
        if version == 0 || !allows(from, version) {
            return Ok(Changed::Moved(version));
        }
        federation.settings.remove(&key);
        Ok(Changed::Made(0))
    }

    async fn begin_half(&self, half: Half, device: Option<(BaseDevice, u32)>) -> Result<Begun, StoreError> {
        Ok(self.state().federation.begin(half, device))
    }

    async fn half(&self, session: &SessionId) -> Result<Option<Half>, StoreError> {
        Ok(self.state().federation.halves.get(session).cloned())
    }

    async fn end_half(
        &self,
        session: &SessionId,
        at: Timestamp,
        told: bool,
    ) -> Result<Option<Half>, StoreError> {
        let mut state = self.state();
        let Some(half) = state.federation.halves.get_mut(session) else { return Ok(None) };
        let before = half.clone();
        half.ended_at = half.ended_at.or(Some(at));
        half.told |= told;
        Ok(Some(before))
    }

    async fn halves(&self, query: &HalfQuery) -> Result<Vec<Half>, StoreError> {
        let state = self.state();
        let wanted = |half: &&Half| {
            query.peer.as_ref().is_none_or(|peer| half.peer == *peer)
                && query.after.as_ref().is_none_or(|after| half.session > *after)
                && match query.live {
                    None => true,
                    Some(true) => half.is_live(),
                    Some(false) => !half.is_live() && !half.told,
                }
        };
        let found = state.federation.halves.values().filter(wanted);
        Ok(found.take(query.limit as usize).cloned().collect())
    }

    async fn base_devices_held(&self) -> Result<u32, StoreError> {
        let state = self.state();
        let held = |half: &&Half| half.is_live() && half.base_device.is_some();
        Ok(u32::try_from(state.federation.halves.values().filter(held).count()).unwrap_or(u32::MAX))
    }

    async fn forget_halves(&self, before: Timestamp) -> Result<(), StoreError> {
        let halves = &mut self.state().federation.halves;
        halves.retain(|_, half| !half.told || half.ended_at.is_none_or(|ended| ended >= before));
        Ok(())
    }
}
