//! How a cluster takes part in cross-cluster logins: the EMCC feature parameters, with their ranges.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::base_device::MOST_BASE_DEVICES;
use crate::Violations;
use crate::name::RecordName;

const MINUTE: Duration = Duration::from_secs(60);

/// Which signalling phones use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecurityMode {
    /// None is secured.
    #[default]
    Nonsecure,
    /// Phones may be secure.
    Mixed,
}

/// Whether links between clusters lose packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkLoss {
    /// Few.
    #[default]
    Low,
    /// Many.
    Lossy,
}

/// Whose search space a call to the public network by way of the visiting cluster uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PstnSearchSpace {
    /// The trunk's.
    #[default]
    Trunk,
    /// That of the phone's own record.
    Phone,
}

/// The parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FederationParameters {
    /// Whether cross-cluster logins are taken and made.
    pub activated: bool,
    /// Default TFTP Server for EMCC Login Device.
    pub configuration_server: String,
    /// Backup TFTP Server for EMCC Login Device.
    pub backup_configuration_server: String,
    /// Default Interval for Expired EMCC Device Maintenance.
    pub maintenance_interval: Duration,
    /// Enable All Remote Cluster Services When Adding A New Remote Cluster.
    pub enable_all_services: bool,
    /// CSS for PSTN Access SIP Trunk.
    pub pstn_search_space: PstnSearchSpace,
    /// EMCC Geolocation Filter.
    pub geolocation_filter: Option<RecordName>,
    /// EMCC Region Max Audio Bit Rate, in kbit/s.
    pub region_audio_kbps: u32,
    /// EMCC Region Max Video Call Bit Rate, in kbit/s.
    pub region_video_kbps: u32,
    /// EMCC Region Link Loss Type.
    pub region_link_loss: LinkLoss,
    /// RSVP SIP Trunk KeepAlive Timer.
    pub rsvp_keepalive: Duration,
    /// Remote Cluster Update Interval.
    pub update_interval: Duration,
    /// How many base devices there are.
    pub base_devices: u32,
    /// EMCC device security profile.
    pub base_device_security: SecurityMode,
    /// Which signalling the phones of the cluster use.
    pub security_mode: SecurityMode,
    /// Device pool of phones that no geolocation matches.
    pub default_device_pool: Option<RecordName>,
    /// How often both sides compare what they have (XC-4).
    pub reconcile_interval: Duration,
}

impl Default for FederationParameters {
    fn default() -> Self {
        Self {
            activated: false,
            configuration_server: String::new(),
            backup_configuration_server: String::new(),
            maintenance_interval: MINUTE * 1440,
            enable_all_services: false,
            pstn_search_space: PstnSearchSpace::default(),
            geolocation_filter: None,
            region_audio_kbps: 8,
            region_video_kbps: 384,
            region_link_loss: LinkLoss::default(),
            rsvp_keepalive: Duration::from_secs(15),
            update_interval: MINUTE * 30,
            base_devices: 0,
            base_device_security: SecurityMode::default(),
            security_mode: SecurityMode::default(),
            default_device_pool: None,
            reconcile_interval: Duration::from_secs(30),
        }
    }
}

/// Why cross-cluster logins cannot be activated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotActivated {
    /// SP-3 is 0:00 (XC-8).
    #[error("inter-cluster maximum login time is 0:00, and cross-cluster logins need it (SP-3, CC-8)")]
    NoTimeLimit,
    /// No configuration server.
    #[error("no configuration server is set for phones that log in from other clusters")]
    NoConfigurationServer,
}

impl FederationParameters {
    /// What is out of its range.
    pub fn check(&self) -> Violations {
        let mut found = Violations::new();
        for (field, text) in [
            ("configuration_server", &self.configuration_server),
            ("backup_configuration_server", &self.backup_configuration_server),
        ] {
            let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c));
            if text.len() > 255 || !plain {
                found.add(field, "XC-3", "must be a host name or an address");
            }
        }
        let minutes = |from: u32, to: u32| (MINUTE * from, MINUTE * to);
        for (field, length, (from, to), words) in [
            ("maintenance_interval", self.maintenance_interval, minutes(10, 1440), "10 to 1440 minutes"),
            ("update_interval", self.update_interval, minutes(15, 10_080), "15 to 10080 minutes"),
            ("rsvp_keepalive", self.rsvp_keepalive, (MINUTE / 60, MINUTE * 10), "1 to 600 seconds"),
            ("reconcile_interval", self.reconcile_interval, (MINUTE / 60, MINUTE * 60), "1 second to 1 hour"),
        ] {
            if !(from..=to).contains(&length) {
                found.add(field, "XC-4", format!("must be {words}"));
            }
        }
        for (field, number, from, to) in [
            ("region_audio_kbps", self.region_audio_kbps, 8, 256),
            ("region_video_kbps", self.region_video_kbps, 0, 8128),
            ("base_devices", self.base_devices, 0, MOST_BASE_DEVICES),
        ] {
            if !(from..=to).contains(&number) {
                found.add(field, "XC-3", format!("must be {from} to {to}"));
            }
        }
        found
    }

    /// Whether what cross-cluster logins need is set: SP-3 (CC-8, XC-8), then a configuration server.
    ///
    /// # Errors
    /// The first that is missing.
    pub fn may_be_activated(&self, inter_cluster_time: Duration) -> Result<(), NotActivated> {
        if inter_cluster_time.is_zero() {
            return Err(NotActivated::NoTimeLimit);
        }
        if self.configuration_server.is_empty() {
            return Err(NotActivated::NoConfigurationServer);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut FederationParameters)) -> Vec<String> {
        let mut parameters = FederationParameters::default();
        change(&mut parameters);
        parameters.check().into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn parameters_keep_within_their_ranges() {
        assert!(FederationParameters::default().check().is_empty());
        assert_eq!(refused(|p| p.maintenance_interval = MINUTE * 9), ["maintenance_interval"]);
        assert_eq!(refused(|p| p.maintenance_interval = MINUTE * 1441), ["maintenance_interval"]);
        assert_eq!(refused(|p| p.update_interval = MINUTE * 14), ["update_interval"]);
        assert_eq!(refused(|p| p.update_interval = MINUTE * 10_081), ["update_interval"]);
        assert_eq!(refused(|p| p.rsvp_keepalive = Duration::ZERO), ["rsvp_keepalive"]);
        assert_eq!(refused(|p| p.rsvp_keepalive = Duration::from_secs(601)), ["rsvp_keepalive"]);
        assert_eq!(refused(|p| p.reconcile_interval = Duration::from_millis(999)), ["reconcile_interval"]);
        assert_eq!(refused(|p| p.region_video_kbps = 8129), ["region_video_kbps"]);
        assert_eq!(refused(|p| p.region_audio_kbps = 7), ["region_audio_kbps"]);
        assert_eq!(refused(|p| p.base_devices = 60_001), ["base_devices"]);
        assert_eq!(refused(|p| p.configuration_server = "a b".into()), ["configuration_server"]);
    }

    #[test]
    fn xc_8_without_sp_3_nothing_is_activated() {
        let mut parameters = FederationParameters { activated: true, ..FederationParameters::default() };
        let hour = Duration::from_secs(3600);
        assert_eq!(parameters.may_be_activated(Duration::ZERO), Err(NotActivated::NoTimeLimit));
        assert_eq!(parameters.may_be_activated(hour), Err(NotActivated::NoConfigurationServer));
        parameters.configuration_server = "tftp.example.org".into();
        assert_eq!(parameters.may_be_activated(hour), Ok(()));
        assert_eq!(parameters.may_be_activated(Duration::ZERO), Err(NotActivated::NoTimeLimit));
    }
}
