//! What a process waits for: in `/readyz` while it lasts, and in the log once.

use roamline_serve::{Hold, Readiness};

/// Something that is not as it must be, or is.
#[derive(Debug)]
pub(crate) struct Waiting {
    readiness: Readiness,
    present: Option<(Hold, String)>,
}

impl Waiting {
    /// Nothing is waited for yet.
    pub(crate) fn new(readiness: &Readiness) -> Self {
        Self { readiness: readiness.clone(), present: None }
    }

    /// It is waited for, for that reason; the process is not ready meanwhile.
    pub(crate) fn because(&mut self, reason: &str) {
        match &mut self.present {
            Some((_, known)) if known == reason => return,
            Some((hold, known)) => {
                hold.because(reason.to_owned());
                reason.clone_into(known);
            }
            None => self.present = Some((self.readiness.hold(reason.to_owned()), reason.to_owned())),
        }
        tracing::warn!("{reason}");
    }

    /// It is waited for no longer; whether it was.
    pub(crate) fn over(&mut self) -> bool {
        self.present.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_not_ready_for_the_newest_reason_and_then_ready() {
        let readiness = Readiness::new();
        let mut waiting = Waiting::new(&readiness);
        assert!(!waiting.over());
        waiting.because("no store");
        waiting.because("no sessions");
        assert_eq!(readiness.reasons(), ["no sessions"]);
        assert!(waiting.over() && readiness.is_ready());
    }
}
