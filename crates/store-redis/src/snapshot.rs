//! Phones with a session, page by page, so that nobody waits long for any of them.
//!
//! A snapshot of all is as of one instant all the same: every change of a phone is counted and its phone remembered, so
//! after the last page those that were changed meanwhile are read again, in the order of their changes, until the last
//! of them are read in one step with the place of the last event. What changes in that step's instant is in it.

use std::collections::BTreeMap;

use redis::Value;
use roamline_domain::phone_state::PhoneState;
use roamline_domain::{PhoneName, UserId};
use roamline_store::{Guard, Sequence, Snapshot, StoreError};

use crate::RedisStore;
use crate::error::{corrupt, strange, unavailable};
use crate::record::{self, array, number, phones};
use crate::session::PAGE;

/// How often it begins anew where more is changed meanwhile than is remembered.
const ATTEMPTS: usize = 3;

/// Changes that are read again in one step.
const CHANGES: u32 = 200;

impl RedisStore {
    /// The next phones with a session; the place of the last event, and the number of changes so far.
    pub(crate) async fn page(
        &self,
        after: Option<&PhoneName>,
        limit: u32,
    ) -> Result<(Vec<PhoneState>, Sequence, u64), StoreError> {
        let from = after.map_or("-".to_owned(), |after| format!("({after}"));
        let answer = self.ask(&self.scripts.list, |cmd| {
            cmd.arg(from).arg(limit);
        });
        let mut answer = answer.await?.into_iter();
        let page = page(answer.next())?;
        let counts = number(answer.next()).zip(number(answer.next()));
        let (last, changes) = counts.ok_or_else(|| strange("the phones"))?;
        Ok((page, last, changes))
    }

    /// The next phones of a user, and the place of the last event.
    pub(crate) async fn page_of(
        &self,
        user: &UserId,
        after: Option<&PhoneName>,
        limit: u32,
    ) -> Result<(Vec<PhoneState>, Sequence), StoreError> {
        let answer = self.ask(&self.scripts.of_user, |cmd| {
            cmd.arg(record::holder(&Guard::User(user.clone())));
            cmd.arg(after.map_or("", PhoneName::as_str)).arg(limit);
        });
        let mut answer = answer.await?.into_iter();
        let page = page(answer.next())?;
        Ok((page, number(answer.next()).ok_or_else(|| strange("the phones of a user"))?))
    }

    pub(crate) async fn snapshot_of_all(&self) -> Result<Snapshot, StoreError> {
        for _ in 0..ATTEMPTS {
            if let Some(snapshot) = self.try_snapshot().await? {
                return Ok(snapshot);
            }
        }
        Err(unavailable("phones change faster than they can be read"))
    }

    async fn try_snapshot(&self) -> Result<Option<Snapshot>, StoreError> {
        let (first, sequence, mut read_to) = self.page(None, PAGE).await?;
        if first.len() < PAGE as usize {
            return Ok(Some(Snapshot { sequence, phones: first }));
        }
        let mut after = first.last().map(|state| state.phone.clone());
        let mut all: BTreeMap<_, _> = first.into_iter().map(|state| (state.phone.clone(), state)).collect();
        while after.is_some() {
            let (page, _, _) = self.page(after.as_ref(), PAGE).await?;
            after = page.last().map(|state| state.phone.clone());
            all.extend(page.into_iter().map(|state| (state.phone.clone(), state)));
        }
        loop {
            let answer = self.ask(&self.scripts.touched, |cmd| {
                cmd.arg(read_to).arg(CHANGES);
            });
            let mut answer = answer.await?.into_iter();
            let Some(changed) = array(answer.next()) else { return Ok(None) };
            for (name, state) in phones(changed)? {
                match state.filter(|state| state.session.is_some()) {
                    Some(state) => all.insert(name, state),
                    None => all.remove(&name),
                };
            }
            let mut count = || number(answer.next()).ok_or_else(|| strange("the changes"));
            let (sequence, to, of) = (count()?, count()?, count()?);
            if to >= of {
                return Ok(Some(Snapshot { sequence, phones: all.into_values().collect() }));
            }
            read_to = to;
        }
    }
}

/// Those that are there; each has a session.
fn page(found: Option<Value>) -> Result<Vec<PhoneState>, StoreError> {
    let found = phones(array(found).ok_or_else(|| strange("phones"))?)?;
    let live = |(name, state): (PhoneName, Option<PhoneState>)| {
        let live = state.filter(|state| state.session.is_some());
        live.ok_or_else(|| corrupt(format!("phone {name}"))("it is listed and has no session".into()))
    };
    found.into_iter().map(live).collect()
}
