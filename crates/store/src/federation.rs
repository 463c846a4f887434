//! What a cluster keeps of others: who they are, how it takes part, and its halves of the sessions between them.

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::emcc::base_device::BaseDevice;
use roamline_domain::emcc::geolocation::{Geolocation, GeolocationFilter};
use roamline_domain::emcc::half::Half;
use roamline_domain::emcc::parameters::FederationParameters;
use roamline_domain::emcc::remote::RemoteCluster;
use roamline_domain::emcc::trust::Invitation;
use roamline_domain::{ClusterId, SessionId};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// Kinds of setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SettingKind {
    /// Another cluster, by its id.
    RemoteCluster,
    /// A geolocation, by its name.
    Geolocation,
    /// A geolocation filter, by its name.
    GeolocationFilter,
    /// The parameters; there is one, whose name is empty.
    Parameters,
    /// An invitation, by its id.
    Invitation,
}

/// A setting of the federation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    /// Another cluster.
    RemoteCluster(RemoteCluster),
    /// A geolocation.
    Geolocation(Geolocation),
    /// A geolocation filter.
    GeolocationFilter(GeolocationFilter),
    /// The parameters.
    Parameters(FederationParameters),
    /// An invitation of another cluster.
    Invitation(Invitation),
}

impl Setting {
    /// Its kind.
    pub fn kind(&self) -> SettingKind {
        match self {
            Self::RemoteCluster(_) => SettingKind::RemoteCluster,
            Self::Geolocation(_) => SettingKind::Geolocation,
            Self::GeolocationFilter(_) => SettingKind::GeolocationFilter,
            Self::Parameters(_) => SettingKind::Parameters,
            Self::Invitation(_) => SettingKind::Invitation,
        }
    }

    /// Its name among those of its kind.
    pub fn name(&self) -> &str {
        match self {
            Self::RemoteCluster(remote) => remote.cluster.as_str(),
            Self::Geolocation(geolocation) => geolocation.name.as_str(),
            Self::GeolocationFilter(filter) => filter.name.as_str(),
            Self::Parameters(_) => "",
            Self::Invitation(invitation) => &invitation.id,
        }
    }
}

/// A setting with its version, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSetting {
    /// Grows with each change; a setting that was deleted and made anew begins again.
    pub version: u64,
    /// The setting.
    pub setting: Setting,
}

/// Which version a change is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Any, or none.
    Any,
    /// There must be none.
    Nothing,
    /// There must be one.
    Something,
    /// This one.
    Version(u64),
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It was made; the version of the setting now, 0 where it is gone.
    Made(u64),
    /// It was not made: the version is another one than asked for, 0 where there is none.
    Moved(u64),
}

/// Whether a half was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It was; with its base device, if it has one.
    Begun(Half),
    /// There is a half of that id already, live or ended.
    Known(Half),
    /// No base device is free.
    PoolEmpty,
}

/// A page of halves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HalfQuery {
    /// Only those with this cluster.
    pub peer: Option<ClusterId>,
    /// Only live ones (`true`), or only those whose end the other side has not heard of (`false`).
    pub live: Option<bool>,
    /// Only those after this id.
    pub after: Option<SessionId>,
    /// At most this many.
    pub limit: u32,
}

/// What a cluster keeps of others.
#[async_trait]
pub trait FederationStore: Send + Sync + 'static {
    /// All settings, by kind and then by name, as of one instant.
    async fn settings(&self) -> Result<Vec<StoredSetting>, StoreError>;

    /// Sets a setting, if the one that is there has that version. Of two changes from one version, one is made.
    async fn set_setting(&self, setting: Setting, from: From) -> Result<Changed, StoreError>;

    /// Removes a setting, if the one that is there has that version.
    async fn remove_setting(&self, kind: SettingKind, name: &str, from: From) -> Result<Changed, StoreError>;

    /// Writes down a half that is about to be, in one step: unless its id is known, and, where a base device is to be
    /// taken, unless all of `1..=pool` are held by halves that are live. `device` names the first choice of a pool; where
    /// it is held, any other is taken. No base device is ever held by two.
    async fn begin_half(&self, half: Half, device: Option<(BaseDevice, u32)>) -> Result<Begun, StoreError>;

    /// The half of that id, live or ended.
    async fn half(&self, session: &SessionId) -> Result<Option<Half>, StoreError>;

    /// Ends a half, which gives its base device back; `told` says that the other side knows. One that has ended keeps its
    /// time, and is told as soon as anybody says so. Returns the half as it was before, if it is known.
    async fn end_half(
        &self,
        session: &SessionId,
        at: Timestamp,
        told: bool,
    ) -> Result<Option<Half>, StoreError>;

    /// Halves in the order of their ids.
    async fn halves(&self, query: &HalfQuery) -> Result<Vec<Half>, StoreError>;

    /// How many base devices are held.
    async fn base_devices_held(&self) -> Result<u32, StoreError>;

    /// Forgets halves that ended before that time and whose end the other side knows.
    async fn forget_halves(&self, before: Timestamp) -> Result<(), StoreError>;
}
