//! A phone for programs: an event is one JSON object on a line of standard output, a command one line of standard
//! input.

use std::io;

use serde_json::{Value, json};

use super::face::{Command, Face};
use super::link::{Event, Phone};
use crate::exit::Failure;
use crate::output::{self, Out};

/// Writes events.
pub(super) struct Plain<'a> {
    pub(super) name: String,
    pub(super) out: &'a mut Out,
}

impl Face for Plain<'_> {
    fn show(&mut self, phone: &Phone, event: Event) -> Result<(), Failure> {
        let line = event_line(&self.name, phone, event)?;
        self.out.text(&line.to_string())
    }

    fn redraw(&mut self, _: &Phone) -> Result<(), Failure> {
        Ok(())
    }
}

/// One command; an input that has ended gives no more and is no reason to leave.
pub(super) fn read_command() -> io::Result<Option<Command>> {
    let mut line = String::new();
    if io::stdin().read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(match line.trim() {
        "h" => Some(Command::Toggle),
        "off" => Some(Command::Lift),
        "on" => Some(Command::PutDown),
        "q" => Some(Command::Quit),
        _ => None,
    })
}

/// What happened, and what the phone wears or, before it does, shall wear.
fn event_line(name: &str, phone: &Phone, event: Event) -> Result<Value, Failure> {
    let (word, told) = match event {
        Event::Linked => ("linked", phone.worn()),
        Event::Disconnected => ("disconnected", phone.worn()),
        Event::Updated => ("updated", phone.waiting().or(phone.worn())),
        Event::Restarting => ("restarting", phone.waiting().or(phone.worn())),
        Event::Applied(_) => ("applied", phone.worn()),
        Event::Acknowledged => ("acknowledged", phone.worn()),
        Event::Hook => ("hook", phone.worn()),
    };
    let told = told.map(output::json).transpose()?.unwrap_or_default();
    let field = |path: &str| told.pointer(path).cloned().unwrap_or_default();
    let mut line = json!({
        "event": word,
        "phone": name,
        "hook": if phone.off_hook() { "off" } else { "on" },
        "generation": told.pointer("/generation").cloned().unwrap_or_else(|| json!("0")),
        "user": told.pointer("/configuration/userId").cloned().unwrap_or_else(|| json!("")),
        "model": field("/configuration/model"),
        "wornKind": field("/configuration/wornKind"),
        "wornName": field("/configuration/wornName"),
        "buttons": told.pointer("/configuration/buttons").cloned().unwrap_or_else(|| json!([])),
        "leftOff": told.pointer("/configuration/leftOff").cloned().unwrap_or_else(|| json!([])),
        "session": field("/session"),
        "actions": field("/actions"),
    });
    if let Value::Object(fields) = &mut line {
        if let Event::Applied(done) = event {
            let done = json!({
                "restarted": done.restarted,
                "reset": done.reset,
                "clearedCallHistory": done.cleared_call_history,
                "cancelledCallBack": done.cancelled_call_back,
            });
            fields.insert("done".into(), done);
        }
        if event == Event::Disconnected {
            fields.insert("why".into(), json!(phone.trouble()));
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use roamline_proto::session::PhoneUpdate;

    use super::super::link::Input;
    use super::*;
    use crate::drawing::example;

    #[test]
    fn an_event_says_what_the_phone_wears() {
        let mut phone = Phone::default();
        phone.step(Input::Linked);
        let update = PhoneUpdate { generation: 7, configuration: Some(example()), ..PhoneUpdate::default() };
        phone.step(Input::Update(Box::new(update)));
        let line = event_line("SEP000DEDAB3566", &phone, Event::Applied(Default::default())).unwrap();
        assert_eq!(line["event"], "applied");
        assert_eq!(line["generation"], "7");
        assert_eq!(line["user"], "me");
        assert_eq!(line["buttons"][0]["line"]["lines"][0], "2001");
        assert_eq!(line["leftOff"][0]["rule"], "LL-2");
        assert_eq!(line["hook"], "on");
    }
}
