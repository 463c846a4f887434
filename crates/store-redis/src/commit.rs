//! A commit as the arguments of its script: what it was made from, then what it changes. Renderings that the phone has
//! already are not sent.

use std::collections::BTreeMap;

use jiff::Timestamp;
use redis::Cmd;
use roamline_domain::phone_state::{Configuration, PhoneState, Session};
use roamline_store::{Commit, Guard};

use crate::error::Cause;
use crate::{packed, record};

/// Adds to the script's call what the commit was made from and what it changes.
pub(crate) fn write(cmd: &mut Cmd, commit: &Commit) -> Result<(), Cause> {
    let moved = commit.guards_moved();
    let Commit { read, states, events, reply, at } = commit;
    cmd.arg(record::from_instant(*at)).arg(&*read.history);
    let phones: Vec<_> = read.phones().collect();
    cmd.arg(phones.len());
    for phone in &phones {
        cmd.arg(&record::name(&phone.phone)).arg(record::at_epoch(phone.epoch));
    }
    cmd.arg(read.guards.len());
    for (guard, version) in &read.guards {
        cmd.arg(record::holder(guard)).arg(format!("{version};"));
    }
    cmd.arg(reply.as_ref().map_or("", |reply| reply.request.as_str()));

    let mut holders: BTreeMap<Guard, Holder> = BTreeMap::new();
    for guard in moved {
        holders.entry(guard).or_default().moves = 1;
    }
    for state in states {
        let before = phones.iter().find(|read| read.phone == state.phone);
        state_changes(cmd, &mut holders, before.copied(), state)?;
    }
    write_holders(cmd, &holders);
    for event in events {
        cmd.arg("e").arg(packed::from_event(event));
    }
    if let Some(reply) = reply {
        let until = record::score(reply.expires_at);
        cmd.arg("r").arg(reply.request.as_str()).arg(record::from_reply(reply)).arg(until);
    }
    Ok(())
}

/// The phones of a user or of an ACD line that change.
#[derive(Default)]
pub(crate) struct Holder {
    /// By how much its version grows.
    pub(crate) moves: u64,
    without: Vec<u8>,
    with: Vec<u8>,
}

pub(crate) fn write_holders(cmd: &mut Cmd, holders: &BTreeMap<Guard, Holder>) {
    for (guard, change) in holders {
        cmd.arg("h").arg(record::holder(guard)).arg(change.moves).arg(&change.without).arg(&change.with);
    }
}

/// Adds what makes the phone this one, from what it was.
pub(crate) fn state_changes(
    cmd: &mut Cmd,
    holders: &mut BTreeMap<Guard, Holder>,
    before: Option<&PhoneState>,
    state: &PhoneState,
) -> Result<(), Cause> {
    let phone = record::name(&state.phone);
    let was = before.and_then(|before| before.session.as_ref());
    let is = state.session.as_ref();
    session_changes(cmd, &phone, was, is);
    let (due_before, due) = (before.and_then(PhoneState::due_at), state.due_at());
    if due != due_before {
        match due {
            Some(due) => cmd.arg("d").arg(record::score_due(due)).arg(&phone),
            None => cmd.arg("D").arg(&phone),
        };
    }
    let (old, new) = (was.map(holders_of).unwrap_or_default(), is.map(holders_of).unwrap_or_default());
    for guard in old.iter().filter(|guard| !new.contains(guard)) {
        holders.entry(guard.clone()).or_default().without.extend(phone);
    }
    for guard in new.iter().filter(|guard| !old.contains(guard)) {
        holders.entry(guard.clone()).or_default().with.extend(phone);
    }
    let packed = packed::from_phone(state)?;
    cmd.arg("p").arg(&phone).arg(record::at_epoch(state.epoch));
    rendering(cmd, before, &state.wears);
    rendering(cmd, before, is.map_or(&Configuration::default(), |session| &session.logout_configuration));
    cmd.arg(packed);
    Ok(())
}

/// Adds a rendering as the script takes it: by where the phone had it before, or whole.
fn rendering(cmd: &mut Cmd, before: Option<&PhoneState>, is: &Configuration) {
    let after = before.and_then(|before| before.session.as_ref()).map(|was| &was.logout_configuration);
    if is.0.is_empty() {
        cmd.arg("0");
    } else if before.is_some_and(|before| before.wears == *is) {
        cmd.arg("w");
    } else if after == Some(is) {
        cmd.arg("a");
    } else {
        cmd.arg([b"n", record::rendering(&is.0).as_slice()].concat()).arg(&*is.0);
    }
}

fn session_changes(cmd: &mut Cmd, phone: &[u8; 6], was: Option<&Session>, is: Option<&Session>) {
    if was.map(|session| &session.id) != is.map(|session| &session.id) {
        if let Some(session) = was {
            cmd.arg("S").arg(record::session(&session.id));
        }
        if let Some(session) = is {
            cmd.arg("s").arg(record::session(&session.id)).arg(phone);
        }
    }
    match (was, is) {
        (None, Some(_)) => {
            cmd.arg("v").arg(phone);
        }
        (Some(_), None) => {
            cmd.arg("V").arg(phone);
        }
        _ => {}
    }
}

fn holders_of(session: &Session) -> Vec<Guard> {
    let line = session.acd_line.clone().map(Guard::AcdLine);
    std::iter::once(Guard::User(session.user.clone())).chain(line).collect()
}

/// Adds to the script's call that nothing was read and nothing is answered.
pub(crate) fn from_nothing(cmd: &mut Cmd, at: Timestamp) {
    cmd.arg(record::from_instant(at)).arg("").arg(0).arg(0).arg("");
}
