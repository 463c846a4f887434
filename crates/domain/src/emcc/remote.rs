//! Another cluster, as this one has it.

use serde::{Deserialize, Serialize};

use crate::Violations;
use crate::name::ClusterId;

/// The longest trust bundle, in bytes.
const LONGEST_BUNDLE: usize = 64 * 1024;
/// The longest address and description, in characters.
const LONGEST_ADDRESS: usize = 255;
const LONGEST_DESCRIPTION: usize = 128;

/// What is shared with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RemoteServices {
    /// Cross-cluster logins.
    pub emcc: bool,
    /// Calls to the public network.
    pub pstn_access: bool,
    /// RSVP agents.
    pub rsvp_agent: bool,
    /// Files for phones.
    pub tftp: bool,
    /// Location bandwidth.
    pub lbm: bool,
    /// User data.
    pub uds: bool,
}

impl RemoteServices {
    /// All of them, but files for phones, which cross-cluster logins do not take from there.
    pub const ALL: Self =
        Self { emcc: true, pstn_access: true, rsvp_agent: true, tftp: false, lbm: true, uds: true };
}

/// Another cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteCluster {
    /// The id that it has for itself.
    pub cluster: ClusterId,
    /// For people.
    pub description: String,
    /// Where its federation API is.
    pub address: String,
    /// Whom its certificate names (XC-10).
    pub spiffe_id: String,
    /// What is shared with it.
    pub services: RemoteServices,
    /// The authorities of its certificate (PEM); empty for those of the configuration.
    #[serde(default)]
    pub trust_bundle: String,
}

impl RemoteCluster {
    /// What is wrong with it. `own` is this cluster.
    pub fn check(&self, own: &ClusterId) -> Violations {
        let mut found = Violations::new();
        if self.cluster == *own {
            found.add("cluster_id", "XC-10", "is this cluster's own");
        }
        if self.description.chars().count() > LONGEST_DESCRIPTION {
            found.add("description", "", format!("has more than {LONGEST_DESCRIPTION} characters"));
        }
        if !is_address(&self.address) {
            found.add("address", "XC-10", "must be such as https://emcc.example.org:7440");
        }
        if !is_spiffe_id(&self.spiffe_id) {
            found.add("spiffe_id", "XC-10", "must be such as spiffe://example.org/roamline/berlin");
        }
        if self.trust_bundle.len() > LONGEST_BUNDLE {
            found.add("trust_bundle", "XC-10", format!("has more than {LONGEST_BUNDLE} bytes"));
        }
        found
    }
}

/// Only TLS: a peer proves itself by its certificate. Host and port, and nothing after them.
pub(super) fn is_address(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://") else { return false };
    let Some((host, port)) = rest.rsplit_once(':') else { return false };
    let in_host = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
    text.len() <= LONGEST_ADDRESS
        && !host.is_empty()
        && host.chars().all(in_host)
        && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// A trust domain and a path: SPIFFE-ID, section 2.
fn is_spiffe_id(text: &str) -> bool {
    let Some((domain, path)) = text.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    let in_domain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
    let in_segment = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let segment =
        |part: &str| !part.is_empty() && part != "." && part != ".." && part.chars().all(in_segment);
    text.len() <= 2048
        && (1..=255).contains(&domain.len())
        && domain.chars().all(in_domain)
        && path.split('/').all(segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(address: &str, spiffe_id: &str) -> Vec<String> {
        let remote = RemoteCluster {
            cluster: "berlin".parse().unwrap(),
            description: String::new(),
            address: address.into(),
            spiffe_id: spiffe_id.into(),
            services: RemoteServices::default(),
            trust_bundle: String::new(),
        };
        remote.check(&"here".parse().unwrap()).into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn xc_10_a_peer_has_a_tls_address_and_a_spiffe_id() {
        let id = "spiffe://example.org/roamline/berlin";
        for good in ["https://emcc.example.org:7440", "https://127.0.0.1:1", "https://[::1]:7440"] {
            assert!(remote(good, id).is_empty(), "{good}");
        }
        for bad in
            ["", "http://a:1", "https://a", "https://:1", "https://a:0", "https://a:1/x", "https://u@a:1"]
        {
            assert_eq!(remote(bad, id), ["address"], "{bad}");
        }
        for bad in [
            "",
            "spiffe://a",
            "spiffe://A/b",
            "spiffe://a/",
            "spiffe://a/../b",
            "spiffe://a/b?c",
            "https://a/b",
        ] {
            assert_eq!(remote("https://a:1", bad), ["spiffe_id"], "{bad}");
        }
    }

    #[test]
    fn a_cluster_is_not_remote_to_itself() {
        let mut own = RemoteCluster {
            cluster: "here".parse().unwrap(),
            description: "x".repeat(129),
            address: "https://a:1".into(),
            spiffe_id: "spiffe://a/b".into(),
            services: RemoteServices::ALL,
            trust_bundle: "x".repeat(LONGEST_BUNDLE + 1),
        };
        let fields = |remote: &RemoteCluster| -> Vec<String> {
            remote.check(&"here".parse().unwrap()).into_iter().map(|violation| violation.field).collect()
        };
        assert_eq!(fields(&own), ["cluster_id", "description", "trust_bundle"]);
        own.cluster = "there".parse().unwrap();
        assert_eq!(fields(&own), ["description", "trust_bundle"]);
    }
}
