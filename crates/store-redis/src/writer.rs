//! How changes are sent: those that wait at the same time go together, in the order in which they came, and the next
//! ones when these are answered. A change that comes alone goes at once. Where replicas must have them, one `WAIT` stands
//! behind them on the same connection, and so all wait for the replicas once.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Pipeline, RedisError, ServerError, Value};
use roamline_store::StoreError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::error::{is_wrong_server, outcome, refused, unavailable};
use crate::link::{Link, Links};
use crate::options::Durability;

/// Changes that are sent together at most.
const BATCH: usize = 128;
/// Changes that may wait; beyond it, callers wait to be let in.
const QUEUE: usize = 1024;

type Answer = Result<Value, StoreError>;

pub(crate) struct Job {
    cmd: Cmd,
    answer: oneshot::Sender<Answer>,
}

/// Who sends changes.
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
    is_durable: bool,
}

/// How long one `WAIT` is at most: whoever it waits for may turn out to be dead, or somebody else the master.
const MOMENT: Duration = Duration::from_millis(100);

/// Fewer replicas have it than must.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{have} replicas have it in time, and {need} must")]
struct TooFewReplicas {
    have: u32,
    need: u32,
}

impl Writer {
    pub(crate) fn start(links: Arc<Links>, durability: Durability, tasks: &mut JoinSet<()>) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        tasks.spawn(run(links, durability.timeout, queue));
        Self { jobs, is_durable: durability.is_asked() }
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.is_durable
    }

    /// Calls a script that changes something, and waits until its change is acknowledged.
    pub(crate) async fn call(&self, cmd: Cmd) -> Answer {
        let ended = || unavailable("the store is being closed");
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job { cmd, answer }).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

/// What came of one command. One that was sent and has no answer may have been done.
fn judge(link: &Link, answer: Result<Value, RedisError>) -> Answer {
    match answer {
        Ok(value) => outcome(value).map_err(|error| {
            if is_wrong_server(error.code()) {
                link.fail();
            }
            refused(error)
        }),
        Err(error) => {
            link.fail();
            Err(StoreError::InDoubt(Box::new(error)))
        }
    }
}

async fn run(links: Arc<Links>, within: Duration, mut queue: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut jobs, BATCH).await > 0 {
        // Nobody learns what came of a change whose caller has gone away: it is not begun.
        jobs.retain(|job| !job.answer.is_closed());
        let (cmds, waiting): (Vec<_>, Vec<_>) = jobs.drain(..).map(|job| (job.cmd, job.answer)).unzip();
        let answers = match links.up().await {
            Ok(link) => send(&link, within, &cmds).await,
            Err(error) => cmds.iter().map(|_| Err(copy(&error))).collect(),
        };
        for (waiting, answer) in waiting.into_iter().zip(answers) {
            // The caller may have gone away meanwhile.
            let _ = waiting.send(answer);
        }
    }
}

/// One answer for each of them.
async fn send(link: &Link, within: Duration, cmds: &[Cmd]) -> Vec<Answer> {
    let (answers, waited) = match exchange(link, within, cmds).await {
        Ok(exchanged) => exchanged,
        Err(error) => {
            link.fail();
            return cmds.iter().map(|_| Err(StoreError::InDoubt(error.to_string().into()))).collect();
        }
    };
    let acknowledge = |value: Value| match &waited {
        Waited::Short(short) if is_made(&value) => Err(StoreError::InDoubt(Box::new(*short))),
        Waited::Refused(error) if is_made(&value) => Err(StoreError::InDoubt(error.to_string().into())),
        _ => judge(link, Ok(value)),
    };
    answers.into_iter().map(acknowledge).collect()
}

/// What came of waiting for replicas.
enum Waited {
    /// As many have it as must.
    Enough,
    Short(TooFewReplicas),
    /// The server does not wait: it is no master any more.
    Refused(ServerError),
}

/// What the server answers to each of them, and whether replicas have it when the time is over.
async fn exchange(link: &Link, within: Duration, cmds: &[Cmd]) -> Result<(Vec<Value>, Waited), RedisError> {
    let deadline = Instant::now() + within;
    let (mut answers, mut waited) = pass(link, within, cmds.iter()).await?;
    let is_missing = |value: &Value| matches!(value, Value::ServerError(error) if error.code() == "NOSCRIPT");
    if answers.iter().any(is_missing) {
        link.load_scripts().await?;
        let missing = cmds.iter().zip(&answers).filter(|(_, answer)| is_missing(answer)).map(|(cmd, _)| cmd);
        let (again, now) = pass(link, within, missing).await?;
        waited = now;
        let mut again = again.into_iter();
        for answer in answers.iter_mut().filter(|answer| is_missing(answer)) {
            *answer = again.next().unwrap_or_default();
        }
    }
    while !matches!(waited, Waited::Enough) {
        // One of them may be dead, or the server the master no more.
        link.look();
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || matches!(waited, Waited::Refused(_)) {
            break;
        }
        (_, waited) = pass(link, left, std::iter::empty()).await?;
    }
    Ok((answers, waited))
}

/// Sends them, and waits for a moment until enough replicas have them, if any must.
async fn pass(
    link: &Link,
    within: Duration,
    cmds: impl Iterator<Item = &Cmd>,
) -> Result<(Vec<Value>, Waited), RedisError> {
    let mut pipeline = Pipeline::new();
    for cmd in cmds {
        pipeline.add_command(cmd.clone());
    }
    let need = link.needed();
    if need > 0 {
        let moment = u64::try_from(within.min(MOMENT).as_millis()).unwrap_or(u64::MAX).max(1);
        pipeline.cmd("WAIT").arg(need).arg(moment);
    }
    let count = pipeline.len();
    let mut answers = link.writes().send_packed_commands(&pipeline, 0, count).await?;
    if need == 0 {
        return Ok((answers, Waited::Enough));
    }
    let have = match answers.pop() {
        Some(Value::Int(have)) => u32::try_from(have).unwrap_or_default(),
        Some(Value::ServerError(error)) => return Ok((answers, Waited::Refused(error))),
        _ => 0,
    };
    let is_enough = have >= need;
    Ok((answers, if is_enough { Waited::Enough } else { Waited::Short(TooFewReplicas { have, need }) }))
}

/// Whether a script says that it has changed something.
fn is_made(value: &Value) -> bool {
    matches!(value, Value::Array(parts) if matches!(parts.first(), Some(Value::BulkString(word)) if word == b"ok"))
}

/// A second copy, for another of those who wait for the same link.
fn copy(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(source) => {
            let why = source.source().map(|why| format!(": {why}")).unwrap_or_default();
            unavailable(format!("{source}{why}"))
        }
        other => unavailable(other.to_string()),
    }
}
