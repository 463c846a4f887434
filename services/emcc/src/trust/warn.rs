//! What expires: our certificate and authorities, and those of other clusters. It is told in the log once, in what
//! administrators ask for, and in a metric.

use roamline_domain::ClusterId;
use roamline_domain::emcc::remote::RemoteCluster;
use roamline_domain::emcc::trust::{Expiry, Validity};
use roamline_serve::CertificateFacts;
use roamline_serve::inventory::TRUST_NOT_AFTER;

use super::{Heard, Own, Service, authorities_of};

/// How things stand with a remote cluster.
pub(crate) struct PeerState {
    /// The cluster.
    pub remote: RemoteCluster,
    /// Its authorities.
    pub authorities: Vec<CertificateFacts>,
    /// How its bundle was last heard of.
    pub heard: Heard,
    /// What an administrator should know.
    pub warning: String,
}

impl Service {
    /// How things stand with a remote cluster.
    pub(crate) fn state_of(&self, remote: &RemoteCluster) -> PeerState {
        let authorities = authorities_of(remote);
        let warning = match self.judge(&authorities) {
            Some(expiry) => expiry.warning("the last of its authorities"),
            None if remote.trust_bundle.is_empty() => String::new(),
            None => "its authorities cannot be read: it is not believed".into(),
        };
        let heard = self.heard().get(&remote.cluster).cloned().unwrap_or_default();
        PeerState { remote: remote.clone(), authorities, heard, warning }
    }

    /// How things stand with all of them.
    pub(crate) async fn states(&self) -> Result<Vec<PeerState>, roamline_proto::refusal::Refusal> {
        Ok(self.kept().await?.remotes().map(|(remote, _)| self.state_of(remote)).collect())
    }

    /// What an administrator should know of this cluster's own.
    pub(crate) fn warning_of(&self, own: &Own) -> String {
        let shown = self.judge(std::slice::from_ref(&own.shown));
        let texts = [
            shown.map(|expiry| expiry.warning("our certificate")),
            self.judge(&own.authorities).map(|expiry| expiry.warning("the last of our authorities")),
        ];
        let texts: Vec<_> = texts.into_iter().flatten().filter(|text| !text.is_empty()).collect();
        texts.join("; ")
    }

    fn judge(&self, certificates: &[CertificateFacts]) -> Option<Expiry> {
        let valid =
            |one: &CertificateFacts| Validity { begins_at: one.begins_at, expires_at: one.expires_at };
        let all: Vec<_> = certificates.iter().map(valid).collect();
        Validity::judge_bundle(&all, self.clock.now(), self.config.warn_before)
    }

    /// Warns of everything that expires soon, or has.
    pub(crate) async fn warn_of_all(&self) {
        if self.remotes.load().is_empty() && self.config.address.is_empty() {
            return;
        }
        match self.own().await {
            Ok(own) => {
                measure(&self.cluster, std::slice::from_ref(&own.shown));
                self.say("our certificates", self.warning_of(&own));
            }
            Err(refused) => self.say("our certificates", refused.message),
        }
        for (remote, _) in self.remotes.load_full().iter() {
            let state = self.state_of(remote);
            measure(&remote.cluster, &state.authorities);
            let text = [state.heard.problem, state.warning].into_iter().find(|text| !text.is_empty());
            self.say(&format!("trust in cluster {}", remote.cluster), text.unwrap_or_default());
        }
    }
}

fn measure(cluster: &ClusterId, certificates: &[CertificateFacts]) {
    if let Some(last) = certificates.iter().map(|one| one.expires_at).max() {
        TRUST_NOT_AFTER.set_for(last.as_second(), &[("cluster", cluster.as_str())]);
    }
}
