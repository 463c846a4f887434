//! Who asks, and refusals of other clusters, on their way out and to the audit trail.

use roamline_proto::refusal::Refusal;
use roamline_serve::PeerIdentity;
use roamline_token::Caller;
use tonic::{Request, Status};

use crate::audit::{Audit, By, Refused};

impl Refused {
    pub(crate) fn of<T>(request: &Request<T>, name: &'static str) -> Self {
        let id = match request.extensions().get() {
            Some(PeerIdentity::Spiffe(id)) => id.to_string(),
            _ => String::new(),
        };
        let source = Caller::of(request).source.map(|source| source.ip().to_string()).unwrap_or_default();
        Self { id, source, request: name }
    }
}

impl By {
    pub(crate) fn of<T>(request: &Request<T>) -> Self {
        let caller = Caller::of(request);
        let from = caller.source.map(|source| source.ip().to_string()).unwrap_or_default();
        Self { name: caller.name, from }
    }
}

impl Audit {
    /// As [`Audit::refused`], and gives the refusal's status.
    pub(crate) fn refuse(&self, who: Refused, refusal: Refusal) -> Status {
        self.refused(who, &refusal);
        refusal.into()
    }
}
