//! A commit as the arguments of its script: what it was made from, then what it changes. Renderings that did not change
//! are not sent.

use std::collections::BTreeMap;

use jiff::Timestamp;
use redis::Cmd;
use roamline_domain::PhoneName;
use roamline_domain::phone_state::{PhoneState, Session};
use roamline_store::{Commit, Guard};

use crate::error::Cause;
use crate::record;

/// Adds to the script's call what the commit was made from and what it changes.
pub(crate) fn write(cmd: &mut Cmd, commit: Commit) -> Result<(), Cause> {
    let moved = commit.guards_moved();
    let Commit { read, states, events, reply, at } = commit;
    cmd.arg(record::from_instant(at));
    let phones: Vec<_> = read.phones().collect();
    cmd.arg(phones.len());
    for phone in &phones {
        cmd.arg(phone.phone.as_str()).arg(record::at_epoch(phone.epoch));
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
    for event in &events {
        cmd.arg("e").arg(record::from_event(event)?);
    }
    if let Some(reply) = reply {
        let until = record::score(reply.expires_at);
        cmd.arg("r").arg(reply.request.as_str()).arg(record::from_reply(&reply)).arg(until);
    }
    Ok(())
}

/// The phones of a user or of an ACD line that change.
#[derive(Default)]
pub(crate) struct Holder {
    /// By how much its version grows.
    pub(crate) moves: u64,
    without: String,
    with: String,
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
    mut state: PhoneState,
) -> Result<(), Cause> {
    let phone = state.phone.clone();
    if before.map_or(!state.wears.0.is_empty(), |before| before.wears != state.wears) {
        cmd.arg("w").arg(phone.as_str()).arg(&state.wears.0);
    }
    let was = before.and_then(|before| before.session.as_ref());
    session_changes(cmd, &phone, was, state.session.as_ref());
    let (due_before, due) = (before.and_then(PhoneState::due_at), state.due_at());
    if due != due_before {
        match due {
            Some(due) => cmd.arg("d").arg(record::score_due(due)).arg(phone.as_str()),
            None => cmd.arg("D").arg(phone.as_str()),
        };
    }
    let (old, new) = (was.map(holders_of).unwrap_or_default(), state.session.as_ref().map(holders_of));
    let new = new.unwrap_or_default();
    for guard in old.iter().filter(|guard| !new.contains(guard)) {
        holders.entry(guard.clone()).or_default().without += &format!("{phone};");
    }
    for guard in new.iter().filter(|guard| !old.contains(guard)) {
        holders.entry(guard.clone()).or_default().with += &format!("{phone};");
    }
    let record = record::from_phone(&mut state)?;
    cmd.arg("p").arg(phone.as_str()).arg(record);
    Ok(())
}

fn session_changes(cmd: &mut Cmd, phone: &PhoneName, was: Option<&Session>, is: Option<&Session>) {
    let phone = phone.as_str();
    if was.map(|session| &session.id) != is.map(|session| &session.id) {
        if let Some(session) = was {
            cmd.arg("S").arg(session.id.as_str());
        }
        if let Some(session) = is {
            cmd.arg("s").arg(session.id.as_str()).arg(phone);
        }
    }
    match (was, is) {
        (None, Some(_)) => {
            cmd.arg("v").arg(phone);
        }
        (Some(_), None) => {
            cmd.arg("V").arg(phone).arg("L").arg(phone);
        }
        _ => {}
    }
    if let Some(session) = is
        && was.is_none_or(|was| was.logout_configuration != session.logout_configuration)
    {
        cmd.arg("l").arg(phone).arg(&session.logout_configuration.0);
    }
}

fn holders_of(session: &Session) -> Vec<Guard> {
    let line = session.acd_line.clone().map(Guard::AcdLine);
    std::iter::once(Guard::User(session.user.clone())).chain(line).collect()
}

/// Adds to the script's call that nothing was read and nothing is answered.
pub(crate) fn from_nothing(cmd: &mut Cmd, at: Timestamp) {
    cmd.arg(record::from_instant(at)).arg(0).arg(0).arg("");
}
