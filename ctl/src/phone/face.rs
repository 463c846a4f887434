//! How a phone shows itself and takes commands: on a screen, or as lines of JSON.

use tokio::sync::mpsc;

use super::link::{Event, Phone};
use crate::exit::Failure;

/// What its user does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Lifts the handset, or puts it down.
    Toggle,
    /// Lifts it.
    Lift,
    /// Puts it down.
    PutDown,
    /// Draws everything again.
    Redraw,
    /// Leaves.
    Quit,
}

/// A way to show a phone.
pub(crate) trait Face {
    /// Shows that something happened.
    fn show(&mut self, phone: &Phone, event: Event) -> Result<(), Failure>;

    /// Shows the phone as it is now.
    fn redraw(&mut self, phone: &Phone) -> Result<(), Failure>;
}

/// Reads commands on a thread of its own, which ends with the process or with its input.
pub(crate) fn commands(
    read: impl Fn() -> std::io::Result<Option<Command>> + Send + 'static,
) -> mpsc::UnboundedReceiver<Command> {
    let (send, receive) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        loop {
            match read() {
                Ok(Some(command)) if send.send(command).is_ok() => {}
                Ok(Some(_)) | Err(_) => return,
                Ok(None) => {}
            }
        }
    });
    receive
}
