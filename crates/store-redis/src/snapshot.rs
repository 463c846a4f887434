//! Phones with a session, page by page, so that nobody waits long for any of them.
//!
//! A snapshot of all is as of one instant all the same: every change of a phone is counted and its phone remembered, so
//! after the last page those that were changed meanwhile are read again, in the order of their changes, until the last
//! of them are read in one step with the place of the last event. What changes in that step's instant is in it.
//!
//! A server that takes over may lack changes that the one before it had, and count others as the same. So each page
//! tells of which history it is, and pages of two of them make no snapshot: it begins anew.

use std::collections::BTreeMap;

use redis::Value;
use roamline_domain::phone_state::PhoneState;
use roamline_domain::{PhoneName, UserId};
use roamline_store::{Guard, Sequence, Snapshot, StoreError};

use crate::RedisStore;
use crate::error::{corrupt, strange, unavailable};
use crate::record::{self, array, bytes, number, phones};
use crate::session::PAGE;

/// How often it begins anew where more is changed meanwhile than is remembered, or servers change.
const ATTEMPTS: usize = 3;

/// Changes that are read again in one step.
const CHANGES: u32 = 200;

/// Phones with a session, and as of when.
pub(crate) struct Page {
    pub(crate) phones: Vec<PhoneState>,
    /// The place of the last event.
    pub(crate) sequence: Sequence,
    /// The number of changes so far.
    changes: u64,
    /// Changes when the server is another, or begins anew.
    history: String,
}

impl RedisStore {
    /// The next phones with a session.
    pub(crate) async fn page(&self, after: Option<&PhoneName>, limit: u32) -> Result<Page, StoreError> {
        let from = after.map_or(b"-".to_vec(), |after| [b"(", record::name(after).as_slice()].concat());
        let answer = self.ask(&self.scripts.list, |cmd| {
            cmd.arg(from).arg(limit);
        });
        let mut answer = answer.await?.into_iter();
        let phones = page(answer.next())?;
        let counts = number(answer.next()).zip(number(answer.next()));
        let (sequence, changes) = counts.ok_or_else(|| strange("the phones"))?;
        Ok(Page { phones, sequence, changes, history: history(answer.next())? })
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
            cmd.arg(after.map(record::name).map_or(Vec::new(), Vec::from)).arg(limit);
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
        Err(unavailable("phones or servers change faster than phones can be read"))
    }

    async fn try_snapshot(&self) -> Result<Option<Snapshot>, StoreError> {
        let Page { phones: first, sequence, changes: mut read_to, history: of } =
            self.page(None, PAGE).await?;
        if first.len() < PAGE as usize {
            return Ok(Some(Snapshot { sequence, phones: first }));
        }
        let mut after = first.last().map(|state| state.phone.clone());
        let mut all: BTreeMap<_, _> = first.into_iter().map(|state| (state.phone.clone(), state)).collect();
        while after.is_some() {
            let page = self.page(after.as_ref(), PAGE).await?;
            if page.history != of || page.changes < read_to {
                return Ok(None);
            }
            after = page.phones.last().map(|state| state.phone.clone());
            all.extend(page.phones.into_iter().map(|state| (state.phone.clone(), state)));
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
            let (sequence, to, changes) = (count()?, count()?, count()?);
            if history(answer.next())? != of {
                return Ok(None);
            }
            if to >= changes {
                return Ok(Some(Snapshot { sequence, phones: all.into_values().collect() }));
            }
            read_to = to;
        }
    }
}

/// Of which history a server tells.
pub(crate) fn history(value: Option<Value>) -> Result<String, StoreError> {
    let history = value.and_then(bytes).and_then(|bytes| String::from_utf8(bytes).ok());
    history.ok_or_else(|| strange("the history"))
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
