//! Group commit. Every commit of sessions waits for the disk, and the disk takes as long for one as for many: one
//! task takes what is waiting, up to [`BATCH`] commits, and makes them in one transaction.
//!
//! It reads the versions that all of them were made from, takes them in their order, and lets each see what those
//! before it changed. A commit whose versions have moved is answered so and writes nothing, without a savepoint;
//! what the others change is written with one statement a table. All are answered after COMMIT; if that fails, all
//! of them are told that the store is unavailable, and nothing was changed. A caller that goes away does not stop
//! what it began.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use roamline_domain::phone_state::SessionEvent;
use roamline_domain::{ClusterId, PhoneName};
use roamline_store::{Commit, CommitError, Guard, Sequence, StoreError};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::column::{big, count, micros};
use crate::entity::{guard, phone_state, reply, session_event};
use crate::error::{Cause, copy, corrupt, failed};
use crate::latest::reach;
use crate::phone::{event_to_row, to_row};
use crate::write::{insert, upsert};
use crate::writer::Writer;

/// Commits in one transaction at most.
const BATCH: usize = 64;
/// Commits that may wait; beyond it, callers wait to be let in.
pub(crate) const QUEUE: usize = 1024;

type GuardKey = (&'static str, String);
type Answer = Result<Sequence, CommitError>;

/// A commit on its way: its rows, and who waits for it.
#[derive(Debug)]
pub(crate) struct Job {
    prepared: Prepared,
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug, Default)]
struct Prepared {
    epochs: Vec<(String, i64)>,
    guards: Vec<(GuardKey, i64)>,
    moves: Vec<GuardKey>,
    phones: Vec<phone_state::Model>,
    events: Vec<session_event::Model>,
    reply: Option<reply::Model>,
    at: i64,
}

/// Brings a commit into rows, queues it, and waits for its answer.
pub(crate) async fn commit(cluster: &ClusterId, queue: &mpsc::Sender<Job>, commit: Commit) -> Answer {
    if !commit.follows_what_it_read() {
        return Err(CommitError::Moved);
    }
    let phone = commit.read.held.phone.phone.clone();
    let prepared = prepare(cluster, commit).map_err(corrupt(format!("phone {phone}")))?;
    wait(queue, prepared).await
}

/// Queues events that come with no change, and waits for their place.
pub(crate) async fn tell(
    cluster: &ClusterId,
    queue: &mpsc::Sender<Job>,
    events: Vec<SessionEvent>,
    at: Timestamp,
) -> Result<Sequence, StoreError> {
    let events = events.into_iter().map(|event| event_to_row(cluster, event, at)).collect::<Result<_, _>>();
    let events = events.map_err(corrupt("an event"))?;
    match wait(queue, Prepared { events, at: micros(at), ..Prepared::default() }).await {
        Ok(last) => Ok(last),
        Err(CommitError::Store(error)) => Err(error),
        Err(CommitError::Moved) => Err(StoreError::Unavailable("events alone cannot move".into())),
    }
}

async fn wait(queue: &mpsc::Sender<Job>, prepared: Prepared) -> Answer {
    let (answer, answered) = oneshot::channel();
    let ended = || StoreError::Unavailable("the store is being closed".into());
    queue.send(Job { prepared, answer }).await.map_err(|_| ended())?;
    answered.await.map_err(|_| ended())?
}

fn prepare(cluster: &ClusterId, commit: Commit) -> Result<Prepared, Cause> {
    let moves = commit.guards_moved().into_iter().map(guard_key).collect();
    let epoch = |(phone, epoch): (&PhoneName, u64)| Ok::<_, Cause>((phone.to_string(), big(epoch)?));
    let epochs = commit.read.phones().map(|read| epoch((&read.phone, read.epoch)));
    let epochs = epochs.collect::<Result<_, _>>()?;
    let guards = commit.read.guards.into_iter().map(|(guard, read)| Ok((guard_key(guard), big(read)?)));
    let guards = guards.collect::<Result<_, Cause>>()?;
    let phones = commit.states.into_iter().map(|state| to_row(cluster, state));
    let events = commit.events.into_iter().map(|event| event_to_row(cluster, event, commit.at));
    let reply = commit.reply.map(|reply| reply::Model {
        cluster_id: cluster.to_string(),
        request: reply.request.into(),
        fingerprint: reply.fingerprint,
        answer: reply.answer,
        expires_at: micros(reply.expires_at),
    });
    Ok(Prepared {
        epochs,
        guards,
        moves,
        phones: phones.collect::<Result<_, _>>()?,
        events: events.collect::<Result<_, _>>()?,
        reply,
        at: micros(commit.at),
    })
}

pub(crate) fn guard_key(guard: Guard) -> GuardKey {
    match guard {
        Guard::User(user) => ("user", user.into()),
        Guard::AcdLine(line) => ("acd-line", line.into()),
    }
}

/// Who makes the commits.
pub(crate) struct Committer {
    cluster: ClusterId,
    writer: Writer,
}

impl Committer {
    pub(crate) fn new(cluster: ClusterId, writer: Writer) -> Self {
        Self { cluster, writer }
    }

    /// The place of the last event.
    pub(crate) async fn last(&self) -> Result<Sequence, StoreError> {
        let last = last(&self.cluster, self.writer.connection()).await.map_err(failed("an event"))?;
        count(last).map_err(corrupt("an event"))
    }

    /// Makes commits until nobody can send one.
    pub(crate) async fn run(self, mut queue: mpsc::Receiver<Job>, latest: watch::Sender<Sequence>) {
        let mut jobs = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut jobs, BATCH).await > 0 {
            let (commits, waiting): (Vec<_>, Vec<_>) =
                jobs.drain(..).map(|job| (job.prepared, job.answer)).unzip();
            let answers = self.answers(&commits).await;
            let last = answers.iter().filter_map(|answer| answer.as_ref().ok()).max();
            if let Some(last) = last.copied() {
                reach(&latest, last);
            }
            for (waiting, answer) in waiting.into_iter().zip(answers) {
                // Nobody waits where the caller has gone away.
                let _ = waiting.send(answer);
            }
        }
    }

    /// One answer for each commit, in their order. A record that cannot be read fails those alone that need it.
    async fn answers(&self, commits: &[Prepared]) -> Vec<Answer> {
        match self.make(commits).await {
            Ok(answers) => answers,
            Err(StoreError::Corrupt { .. }) if commits.len() > 1 => {
                let mut answers = Vec::with_capacity(commits.len());
                for commit in commits {
                    match self.make(std::slice::from_ref(commit)).await {
                        Ok(alone) => answers.extend(alone),
                        Err(error) => answers.push(Err(error.into())),
                    }
                }
                answers
            }
            Err(error) => commits.iter().map(|_| Err(copy(&error).into())).collect(),
        }
    }

    async fn make(&self, commits: &[Prepared]) -> Result<Vec<Answer>, StoreError> {
        let what = failed("what a commit was made from");
        let tx = self.writer.begin().await.map_err(&what)?;
        let mut step = Step::load(&self.cluster, &tx, commits).await.map_err(&what)?;
        let made: Vec<_> = commits.iter().map(|commit| step.take(commit)).collect();
        step.write(&self.cluster, &tx).await.map_err(&what)?;
        tx.commit().await.map_err(&what)?;
        let answer = |made: Option<i64>| match made {
            Some(last) => count(last).map_err(corrupt("an event")).map_err(CommitError::from),
            None => Err(CommitError::Moved),
        };
        Ok(made.into_iter().map(answer).collect())
    }
}

/// The present versions that a batch is about, and what it changes so far.
struct Step<'a> {
    epochs: BTreeMap<String, i64>,
    guards: BTreeMap<GuardKey, i64>,
    replies: BTreeMap<String, i64>,
    last: i64,
    phones: BTreeMap<&'a str, &'a phone_state::Model>,
    moved: BTreeSet<&'a GuardKey>,
    answered: BTreeMap<&'a str, &'a reply::Model>,
    events: Vec<session_event::Model>,
}

impl<'a> Step<'a> {
    async fn load(
        cluster: &ClusterId,
        tx: &DatabaseTransaction,
        commits: &'a [Prepared],
    ) -> Result<Self, DbErr> {
        let phones: BTreeSet<_> = commits.iter().flat_map(|c| &c.epochs).map(|(phone, _)| phone).collect();
        let read = commits.iter().flat_map(|c| &c.guards).map(|(key, _)| key);
        let keys: BTreeSet<_> = read.chain(commits.iter().flat_map(|c| &c.moves)).collect();
        let requests: BTreeSet<_> =
            commits.iter().filter_map(|c| c.reply.as_ref()).map(|reply| &reply.request).collect();
        Ok(Self {
            epochs: epochs(cluster, tx, phones).await?,
            guards: guards(cluster, tx, keys).await?,
            replies: replies(cluster, tx, requests).await?,
            last: last(cluster, tx).await?,
            phones: BTreeMap::new(),
            moved: BTreeSet::new(),
            answered: BTreeMap::new(),
            events: Vec::new(),
        })
    }

    /// Takes a commit into the step, and returns the place of the last event then; `None` when it has moved.
    fn take(&mut self, commit: &'a Prepared) -> Option<i64> {
        if self.has_moved(commit) {
            return None;
        }
        for phone in &commit.phones {
            self.epochs.insert(phone.phone.clone(), phone.epoch);
            self.phones.insert(&phone.phone, phone);
        }
        for key in &commit.moves {
            *self.guards.entry(key.clone()).or_default() += 1;
            self.moved.insert(key);
        }
        for event in &commit.events {
            self.last += 1;
            self.events.push(session_event::Model { sequence: self.last, ..event.clone() });
        }
        if let Some(reply) = &commit.reply {
            self.replies.insert(reply.request.clone(), reply.expires_at);
            self.answered.insert(&reply.request, reply);
        }
        Some(self.last)
    }

    fn has_moved(&self, commit: &Prepared) -> bool {
        let epoch = |phone: &String| self.epochs.get(phone).copied().unwrap_or(0);
        let guard = |key: &GuardKey| self.guards.get(key).copied().unwrap_or(0);
        let answered =
            |reply: &reply::Model| self.replies.get(&reply.request).is_some_and(|until| *until > commit.at);
        commit.epochs.iter().any(|(phone, read)| epoch(phone) != *read)
            || commit.guards.iter().any(|(key, read)| guard(key) != *read)
            || commit.reply.as_ref().is_some_and(answered)
    }

    async fn write(self, cluster: &ClusterId, tx: &DatabaseTransaction) -> Result<(), DbErr> {
        let guards = self.moved.iter().map(|(kind, name)| guard::Model {
            cluster_id: cluster.to_string(),
            kind: (*kind).to_owned(),
            name: name.clone(),
            version: self.guards.get(&(*kind, name.clone())).copied().unwrap_or(0),
        });
        upsert::<phone_state::Entity>(tx, self.phones.into_values().cloned().collect()).await?;
        upsert::<guard::Entity>(tx, guards.collect()).await?;
        upsert::<reply::Entity>(tx, self.answered.into_values().cloned().collect()).await?;
        insert::<session_event::Entity>(tx, self.events).await
    }
}

async fn epochs(
    cluster: &ClusterId,
    tx: &DatabaseTransaction,
    phones: BTreeSet<&String>,
) -> Result<BTreeMap<String, i64>, DbErr> {
    use phone_state::Column;
    let rows: Vec<(String, i64)> = phone_state::Entity::find()
        .select_only()
        .columns([Column::Phone, Column::Epoch])
        .filter(Column::ClusterId.eq(cluster.as_str()))
        .filter(Column::Phone.is_in(phones))
        .into_tuple()
        .all(tx)
        .await?;
    Ok(rows.into_iter().collect())
}

async fn guards(
    cluster: &ClusterId,
    tx: &DatabaseTransaction,
    keys: BTreeSet<&GuardKey>,
) -> Result<BTreeMap<GuardKey, i64>, DbErr> {
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    Ok(guard_versions(cluster, tx, keys).await?.into_iter().collect())
}

/// The versions of those guards that ever moved, and, since kinds and names are asked for apart, of some others.
pub(crate) async fn guard_versions(
    cluster: &ClusterId,
    db: &impl ConnectionTrait,
    keys: impl IntoIterator<Item = &GuardKey>,
) -> Result<Vec<(GuardKey, i64)>, DbErr> {
    use guard::Column;
    let (kinds, names): (BTreeSet<&'static str>, BTreeSet<&str>) =
        keys.into_iter().map(|(kind, name)| (*kind, name.as_str())).unzip();
    let rows: Vec<(String, String, i64)> = guard::Entity::find()
        .select_only()
        .columns([Column::Kind, Column::Name, Column::Version])
        .filter(Column::ClusterId.eq(cluster.as_str()))
        .filter(Column::Kind.is_in(kinds.iter().copied()))
        .filter(Column::Name.is_in(names))
        .into_tuple()
        .all(db)
        .await?;
    let key = |kind: &str| kinds.iter().copied().find(|known| *known == kind);
    Ok(rows.into_iter().filter_map(|(kind, name, version)| Some(((key(&kind)?, name), version))).collect())
}

async fn replies(
    cluster: &ClusterId,
    tx: &DatabaseTransaction,
    requests: BTreeSet<&String>,
) -> Result<BTreeMap<String, i64>, DbErr> {
    use reply::Column;
    if requests.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows: Vec<(String, i64)> = reply::Entity::find()
        .select_only()
        .columns([Column::Request, Column::ExpiresAt])
        .filter(Column::ClusterId.eq(cluster.as_str()))
        .filter(Column::Request.is_in(requests))
        .into_tuple()
        .all(tx)
        .await?;
    Ok(rows.into_iter().collect())
}

/// The place of the last event, 0 where there is none.
pub(crate) async fn last(cluster: &ClusterId, db: &impl ConnectionTrait) -> Result<i64, DbErr> {
    use session_event::Column;
    let last: Option<i64> = session_event::Entity::find()
        .select_only()
        .column(Column::Sequence)
        .filter(Column::ClusterId.eq(cluster.as_str()))
        .order_by_desc(Column::Sequence)
        .limit(1)
        .into_tuple()
        .one(db)
        .await?;
    Ok(last.unwrap_or(0))
}
