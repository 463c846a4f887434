//! Who asks for something, and what he says of himself beside it: kept with sessions and in the audit trail (EV-1).

use roamline_domain::phone_state::Actor;
use roamline_domain::phone_state::Session;
use roamline_proto::auth::PrincipalKind;
use roamline_token::Caller;

/// The longest name of a program, in characters.
const LONGEST_APPLICATION: usize = 80;
/// Hexadecimal digits of a trace's id.
const TRACE_ID_DIGITS: usize = 32;

/// Who asks, from where, and by way of what.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    /// Who, by his token.
    pub caller: Caller,
    /// Whether the request came through a proxy (SP-9).
    pub proxied: bool,
    application: String,
    trace_id: String,
}

impl Asker {
    /// The caller, with what the metadata of his request says: `user_agent` as far as it is printable and no longer
    /// than 80 characters, and the trace of a well-formed `traceparent`.
    pub(crate) fn new(caller: Caller, proxied: bool, user_agent: &str, traceparent: &str) -> Self {
        let printable = user_agent.chars().filter(|c| c.is_ascii_graphic() || *c == ' ');
        let application = printable.take(LONGEST_APPLICATION).collect::<String>().trim().to_owned();
        let trace_id = trace_id(traceparent).unwrap_or_default().to_owned();
        Self { caller, proxied, application, trace_id }
    }

    /// He himself, as the one who caused something.
    pub(crate) fn actor(&self) -> Actor {
        self.actor_named(&self.caller.name)
    }

    /// As [`Asker::actor`], under the name of the user that he proved to be.
    pub(crate) fn actor_named(&self, name: &str) -> Actor {
        Actor {
            name: name.to_owned(),
            source: self.caller.source.map(|address| address.ip().to_string()).unwrap_or_default(),
            application: self.application.clone(),
            trace_id: self.trace_id.clone(),
        }
    }

    /// As the one for whom a service tells of something: under that name, from that address.
    pub(crate) fn standing_for(self, name: &str, source: &str) -> Self {
        let source = source.parse().ok().map(|ip: std::net::IpAddr| (ip, 0).into());
        Self { caller: Caller { name: name.to_owned(), source, ..self.caller }, ..self }
    }

    /// Whether the session is his own.
    pub(crate) fn owns(&self, session: &Session) -> bool {
        self.caller.kind == PrincipalKind::User && session.user.as_str() == self.caller.name
    }
}

/// The trace's id in `version-trace-parent-flags`.
fn trace_id(traceparent: &str) -> Option<&str> {
    let id = traceparent.split('-').nth(1)?;
    let is_hexadecimal = id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (id.len() == TRACE_ID_DIGITS && is_hexadecimal && id.bytes().any(|byte| byte != b'0')).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(user_agent: &str, traceparent: &str) -> Actor {
        Asker::new(Caller::anonymous(None), false, user_agent, traceparent).actor_named("me")
    }

    #[test]
    fn ev_1_what_a_caller_says_of_himself_is_kept_within_bounds() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let told = actor("desk/1.0 tonic/0.14", &format!("00-{trace}-00f067aa0ba902b7-01"));
        assert_eq!((told.application.as_str(), told.trace_id.as_str()), ("desk/1.0 tonic/0.14", trace));
        assert_eq!(actor(&"x".repeat(1000), "").application.len(), LONGEST_APPLICATION);
        assert_eq!(actor(" a\u{7}b\u{e9} ", "").application, "ab");
        let zeros = "0".repeat(32);
        for wrong in
            ["", "00", "00-xyz-1-01", trace, &format!("00-{zeros}-1-01"), &format!("00-{trace}a-1-01")]
        {
            assert_eq!(actor("", wrong).trace_id, "", "{wrong}");
        }
    }
}
