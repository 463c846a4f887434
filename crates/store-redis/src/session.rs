//! Live sessions in Redis: each method is one script, or a few of them.

use async_trait::async_trait;
use jiff::Timestamp;
use redis::Value;
use roamline_domain::login::Held;
use roamline_domain::phone_state::{PhoneState, SessionEvent};
use roamline_domain::{PhoneName, RequestId, SessionId, UserId};
use roamline_store::{
    About, Commit, CommitError, EventPage, EventsError, Keep, Loaded, Reply, Sequence, SessionStore,
    Snapshot, StoreError, without_record,
};
use tokio::sync::watch;

use crate::error::{corrupt, strange, unavailable};
use crate::recalled::Coming;
use crate::record::{array, bytes, number, phones};
use crate::snapshot::history;
use crate::{RedisStore, commit, packed, record};

/// Phones that are read in one step, so that nobody waits long for it.
pub(crate) const PAGE: u32 = 200;
/// Events that are read in one step.
const EVENTS: u32 = 1_000;
/// Replies, and events, that are forgotten in one step.
const TRIM: u32 = 200;

impl RedisStore {
    async fn change(&self, cmd: redis::Cmd) -> Result<Option<Sequence>, StoreError> {
        let mut answer = match self.writer.call(cmd).await? {
            Value::Array(parts) if parts.first() == Some(&Value::BulkString(b"moved".to_vec())) => {
                return Ok(None);
            }
            answer => self.judge(answer).await?,
        };
        let last = number(answer.pop()).ok_or_else(|| strange("a commit"))?;
        self.places.see(last);
        Ok(Some(last))
    }

    /// The next events after a place: with the place of the last of all, those that are there.
    async fn next_events(&self, after: Sequence, limit: u32) -> Result<EventPage, EventsError> {
        let answer = self.ask(&self.scripts.events_after, |cmd| {
            cmd.arg(after).arg(after.saturating_add(1)).arg(limit);
        });
        let mut answer = answer.await?.into_iter();
        let strange = || strange("the events");
        let last: Sequence = number(answer.next()).ok_or_else(strange)?;
        let oldest = answer.next().and_then(bytes).ok_or_else(strange)?;
        let gap = array(answer.next()).ok_or_else(strange)?;
        let entries = array(answer.next()).ok_or_else(strange)?;
        if after > last {
            return Err(EventsError::Ahead { after });
        }
        let oldest = match oldest.as_slice() {
            [] => last.saturating_add(1),
            id => record::place(&String::from_utf8_lossy(id)).map_err(corrupt("an event"))?,
        };
        if after.saturating_add(1) < oldest {
            return Err(EventsError::TooOld { after, oldest });
        }
        let mut gap = gap.into_iter();
        if let (Some(from), Some(to)) = (number::<Sequence>(gap.next()), number::<f64>(gap.next()))
            && from < after
        {
            return Err(EventsError::TooOld { after, oldest: to as Sequence });
        }
        Ok(EventPage { events: entries.into_iter().map(record::to_event).collect::<Result<_, _>>()? })
    }
}

/// Those that are there.
fn present(found: Option<Value>) -> Result<Vec<PhoneState>, StoreError> {
    let found = array(found).ok_or_else(|| strange("phones"))?;
    let read = phones(found)?;
    read.into_iter()
        .map(|(name, state)| state.ok_or_else(|| corrupt(format!("phone {name}"))("it has no record".into())))
        .collect()
}

/// Whether a trim would be cut short, and must be called again.
fn has_more(answer: Vec<Value>) -> bool {
    number::<u64>(answer.into_iter().next()).is_some_and(|more| more > 0)
}

#[async_trait]
impl SessionStore for RedisStore {
    async fn is_begun(&self) -> Result<bool, StoreError> {
        let answer = self.read(&self.scripts.begun.bare()).await?;
        let mut answer = array(Some(answer)).ok_or_else(|| strange("the mark"))?;
        Ok(number(answer.pop()) == Some(1))
    }

    async fn begin(&self, phones: Vec<PhoneState>, after: Sequence) -> Result<bool, StoreError> {
        self.begin_with(phones, after).await
    }

    async fn load(&self, about: &About) -> Result<Loaded, StoreError> {
        let guards = about.guards();
        let answer = self.ask(&self.scripts.load, |cmd| {
            cmd.arg(&record::name(&about.phone));
            for guard in &guards {
                cmd.arg(record::holder(guard));
            }
        });
        let mut answer = answer.await?.into_iter();
        let versions = array(answer.next()).ok_or_else(|| strange("guards"))?;
        let found = array(answer.next()).ok_or_else(|| strange("phones"))?;
        let mut found = phones(found)?.into_iter();
        let phone = found.next().and_then(|(_, state)| state);
        let floor = number(answer.next()).ok_or_else(|| strange("the floor of epochs"))?;
        let phone = phone.unwrap_or_else(|| without_record(about.phone.clone(), floor));
        let history = history(answer.next())?;
        let mut others: Vec<_> = found.filter_map(|(_, state)| state).collect();
        others.sort_by(|one, other| one.phone.cmp(&other.phone));
        let version =
            |(guard, version)| Ok((guard, number(Some(version)).ok_or_else(|| strange("a guard"))?));
        let guards = guards.into_iter().zip(versions).map(version).collect::<Result<_, StoreError>>()?;
        Ok(Loaded { held: Held { phone, others }, guards, history: history.into() })
    }

    fn recall(&self, about: &About) -> Option<Loaded> {
        self.recalled.recall(about, self.links.number()?)
    }

    async fn commit(&self, commit: Commit) -> Result<Sequence, CommitError> {
        if !commit.follows_what_it_read() {
            return Err(CommitError::Moved);
        }
        let mut cmd = self.scripts.commit.call(&*self.born().await?);
        let phone = &commit.read.held.phone.phone;
        commit::write(&mut cmd, &commit).map_err(|cause| corrupt(format!("phone {phone}"))(cause))?;
        let link = self.links.number();
        let Some(last) = self.change(cmd).await? else {
            self.recalled.refused(&commit.read);
            return Err(CommitError::Moved);
        };
        if let Some(link) = link {
            self.recalled.committed(Coming::of(&commit), link, last);
        }
        if !commit.events.is_empty() {
            self.places.reach(last);
        }
        Ok(last)
    }

    async fn tell(&self, events: Vec<SessionEvent>, at: Timestamp) -> Result<Sequence, StoreError> {
        let mut cmd = self.scripts.commit.call(&*self.born().await?);
        commit::from_nothing(&mut cmd, at);
        for event in &events {
            cmd.arg("e").arg(packed::from_event(event));
        }
        let last = self.change(cmd).await?.ok_or_else(|| unavailable("events alone cannot move"))?;
        if !events.is_empty() {
            self.places.reach(last);
        }
        Ok(last)
    }

    async fn phone(&self, phone: &PhoneName) -> Result<Option<PhoneState>, StoreError> {
        let answer = self.ask(&self.scripts.load, |cmd| {
            cmd.arg(&record::name(phone));
        });
        let found = array(answer.await?.into_iter().nth(1)).ok_or_else(|| strange("a phone"))?;
        Ok(phones(found)?.into_iter().next().and_then(|(_, state)| state))
    }

    async fn session(&self, id: &SessionId) -> Result<Option<PhoneState>, StoreError> {
        let answer = self.ask(&self.scripts.session, |cmd| {
            cmd.arg(record::session(id));
        });
        let holder = present(answer.await?.pop())?.pop();
        let is_it = |state: &PhoneState| state.session.as_ref().is_some_and(|session| session.id == *id);
        match holder {
            Some(state) if !is_it(&state) => Err(corrupt(format!("phone {}", state.phone))(
                "its session is not the one it is found by".into(),
            )),
            holder => Ok(holder),
        }
    }

    async fn list(
        &self,
        user: Option<&UserId>,
        after: Option<&PhoneName>,
        limit: u32,
    ) -> Result<Vec<PhoneState>, StoreError> {
        let mut after = after.cloned();
        let mut all = Vec::new();
        while let rest @ 1.. = limit.saturating_sub(u32::try_from(all.len()).unwrap_or(u32::MAX)) {
            let step = rest.min(PAGE);
            let (page, _) = match user {
                Some(user) => self.page_of(user, after.as_ref(), step).await?,
                None => self.page(after.as_ref(), step).await.map(|page| (page.phones, page.sequence))?,
            };
            let is_last = page.len() < step as usize;
            after = page.last().map(|state| state.phone.clone());
            all.extend(page);
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    async fn count(&self) -> Result<u64, StoreError> {
        let counted = self.ask(&self.scripts.count, |_| {}).await?.pop();
        number(counted).ok_or_else(|| strange("a count"))
    }

    async fn snapshot(&self, user: Option<&UserId>) -> Result<Snapshot, StoreError> {
        let snapshot = match user {
            Some(user) => {
                let (phones, sequence) = self.page_of(user, None, u32::MAX).await?;
                Snapshot { sequence, phones }
            }
            None => self.snapshot_of_all().await?,
        };
        self.places.see(snapshot.sequence);
        Ok(snapshot)
    }

    async fn place(&self) -> Result<Sequence, StoreError> {
        let place = number(self.ask(&self.scripts.place, |_| {}).await?.pop());
        let place = place.ok_or_else(|| strange("the last event"))?;
        self.places.see(place);
        Ok(place)
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<PhoneName>, StoreError> {
        let answer = self.ask(&self.scripts.due, |cmd| {
            cmd.arg(record::score(now)).arg(limit);
        });
        let names = array(answer.await?.pop()).ok_or_else(|| strange("deadlines"))?;
        let read = |name| record::to_name(&bytes(name).unwrap_or_default()).map_err(corrupt("a deadline"));
        names.into_iter().map(read).collect()
    }

    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        let mut answer = self.ask(&self.scripts.next_deadline, |_| {}).await?;
        let mut first = array(answer.pop()).ok_or_else(|| strange("deadlines"))?;
        let Some(score) = first.pop().and_then(bytes) else { return Ok(None) };
        let score = String::from_utf8_lossy(&score);
        Ok(Some(record::from_score(&score).map_err(corrupt("a deadline"))?))
    }

    async fn events(&self, after: Sequence, limit: u32) -> Result<EventPage, EventsError> {
        let mut page = self.next_events(after, limit.min(EVENTS)).await?;
        loop {
            let have = u32::try_from(page.events.len()).unwrap_or(u32::MAX);
            let Some(last) = page.events.last().map(|event| event.sequence) else { break };
            // A step that was not full had all there is.
            if have >= limit || have % EVENTS > 0 {
                break;
            }
            let more = self.next_events(last, (limit - have).min(EVENTS)).await?;
            if more.events.is_empty() {
                break;
            }
            page.events.extend(more.events);
        }
        self.places.see(page.events.last().map_or(0, |event| event.sequence));
        self.recalled.heard(&page.events);
        Ok(page)
    }

    fn latest(&self) -> watch::Receiver<Sequence> {
        self.places.latest()
    }

    /// What is found is on as many replicas as a commit is when this returns, and in the history that is used then: it may
    /// have been found on a master that another one has taken over from meanwhile, without it.
    async fn reply(&self, request: &RequestId, now: Timestamp) -> Result<Option<Reply>, StoreError> {
        loop {
            let answer = self.ask(&self.scripts.reply, |cmd| {
                cmd.arg(request.as_str());
            });
            let mut answer = answer.await?.into_iter();
            let Some(kept) = answer.next().and_then(bytes) else { return Ok(None) };
            let found_in = history(answer.next())?;
            let reply = record::to_reply(request, &kept)?;
            if reply.expires_at <= now {
                return Ok(None);
            }
            if !self.writer.is_durable() {
                return Ok(Some(reply));
            }
            let mut barrier = self.scripts.barrier.call(&*self.born().await?);
            barrier.arg(found_in);
            if self.change(barrier).await?.is_some() {
                return Ok(Some(reply));
            }
        }
    }

    async fn trim(&self, now: Timestamp, keep: Keep) -> Result<(), StoreError> {
        loop {
            let answer = self.ask(&self.scripts.trim, |cmd| {
                cmd.arg(record::from_instant(now)).arg(record::score(now));
                cmd.arg(record::from_instant(keep.since)).arg(keep.after).arg(TRIM);
            });
            if !has_more(answer.await?) {
                return Ok(());
            }
        }
    }
}
