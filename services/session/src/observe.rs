//! What the service counts. No user and no phone is a label.

use jiff::Timestamp;
use roamline_domain::deadline::Deadline;
use roamline_domain::phone_state::EndedSession;
use roamline_proto::refusal::Refusal;
use roamline_serve::metrics::{Counter, Gauge, Histogram};

use crate::convert::reason_word;

pub(crate) struct Observe {
    logins: Counter,
    logouts: Counter,
    lateness: Histogram,
    pub(crate) watchers: Gauge,
    pub(crate) phones_watched: Gauge,
    pub(crate) slow_readers: Counter,
}

impl Observe {
    pub(crate) fn new() -> Self {
        Self {
            logins: Counter::new("roamline_session_logins", "Logins by result and reason of refusal"),
            logouts: Counter::new("roamline_session_logouts", "Logouts by reason"),
            lateness: Histogram::new(
                "roamline_session_deadline_lateness",
                "How long after its instant an automatic logout was made",
                "s",
            ),
            watchers: Gauge::new("roamline_session_watchers", "Open watches by kind"),
            phones_watched: Gauge::new(
                "roamline_session_phones_watched",
                "Phones that are served by open links",
            ),
            slow_readers: Counter::new(
                "roamline_session_slow_readers",
                "Streams that were ended since their readers took nothing",
            ),
        }
    }

    pub(crate) fn login(&self, refused: Option<&Refusal>) {
        match refused {
            None => self.logins.add(1, &[("result", "ok"), ("reason", "")]),
            Some(refused) => {
                let reason = Refusal::reason_name(refused.reason);
                tracing::info!(%reason, message = %refused.message, "login refused");
                self.logins.add(1, &[("result", "refused"), ("reason", reason)]);
            }
        }
    }

    pub(crate) fn logout(&self, ended: &EndedSession) {
        self.logouts.add(1, &[("reason", reason_word(ended.reason))]);
    }

    /// An automatic logout that should have been made at `deadline`: when it fell due, or, where it waited for the
    /// handset, when that was down.
    pub(crate) fn automatic_logout(&self, ended: &EndedSession, deadline: Deadline, now: Timestamp) {
        self.logout(ended);
        self.lateness.record(now.duration_since(deadline.at).as_secs_f64().max(0.0), &[]);
    }
}
