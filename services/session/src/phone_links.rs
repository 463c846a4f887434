//! What phones shall be, for streams that serve one phone or thousands of them (EV-3).
//!
//! A stream holds the names of its phones, and of each whether there may be something new; what a phone shall be is
//! read when it can be told. So a reader that is slow is told the newest state of each phone, and costs no memory.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt, unfold};
use futures::{FutureExt, Stream};
use roamline_domain::PhoneName;
use roamline_domain::phone_state::PhoneState;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_serve::inventory::WATCHERS;
use roamline_serve::metrics::Label;
use tokio::sync::oneshot;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout, timeout_at};

use crate::desk::{Brought, Desk, Errand};
use crate::phone_link::Report;
use crate::watch::server_stops;
use crate::{Core, refusal};

/// Phones that are dressed at once for a stream, and phones whose state is read at once.
const AT_ONCE: usize = 32;
/// Between two tries to read a phone while the store cannot be had.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Messages of a call control that are in work at once.
const SAID_AT_ONCE: usize = 64;

/// One message of a stream.
#[allow(clippy::large_enum_variant, reason = "messages live one at a time")]
pub(crate) enum ToPhones {
    Update(PhoneState),
    Refused(PhoneRefused),
    Heartbeat,
}

/// What was said of a phone is refused.
#[derive(Debug)]
pub(crate) struct PhoneRefused {
    /// The phone, as it was named.
    pub named: String,
    pub refusal: Refusal,
}

/// A phone, and as it was named.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub phone: PhoneName,
    pub text: String,
}

/// One thing that a call control says.
#[derive(Debug)]
pub(crate) enum Said {
    Watch(Named),
    Unwatch(Named),
    Acknowledge(Named, u64),
    Report(Named, Report),
    /// Something that cannot be read.
    Refused(PhoneRefused),
}

struct Links {
    core: Arc<Core>,
    desk: Arc<Desk>,
    errands: FuturesUnordered<BoxFuture<'static, Brought>>,
    silent_since: Instant,
    kind: Label<'static>,
    ended: bool,
    /// Goes with the stream: what listens for the other half ends then.
    _open: Option<oneshot::Sender<()>>,
}

/// Follows what one phone shall be: its present state at once, then each newer one.
pub(crate) async fn one(
    core: Arc<Core>,
    phone: PhoneName,
) -> Result<impl Stream<Item = Result<ToPhones, Refusal>> + Send, Refusal> {
    core.dress_if_idle(&phone).await?;
    let desk = Desk::new(&core);
    desk.watch(&Named { text: phone.to_string(), phone }, true)?;
    Ok(stream(core, desk, "phone", None))
}

/// Follows what the phones shall be that a call control says it serves.
pub(crate) fn many(
    core: Arc<Core>,
    said: impl Stream<Item = Result<Vec<Said>, Refusal>> + Send + 'static,
) -> impl Stream<Item = Result<ToPhones, Refusal>> + Send {
    let desk = Desk::new(&core);
    let (open, closed) = oneshot::channel();
    let listener = listen(Arc::clone(&core), Arc::clone(&desk), said);
    let stopping = core.tasks.stopping();
    core.tasks.spawn("phone links", async move {
        tokio::select! {
            () = listener => {}
            _ = closed => {}
            () = stopping.cancelled() => {}
        }
    });
    stream(core, desk, "phones", Some(open))
}

fn stream(
    core: Arc<Core>,
    desk: Arc<Desk>,
    kind: &'static str,
    open: Option<oneshot::Sender<()>>,
) -> impl Stream<Item = Result<ToPhones, Refusal>> + Send {
    let kind = ("kind", kind);
    WATCHERS.add(1, &[kind]);
    let (errands, silent_since) = (FuturesUnordered::new(), Instant::now());
    let links = Links { core, desk, errands, silent_since, kind, ended: false, _open: open };
    unfold(links, |mut links| async move {
        let told = links.next().await?;
        links.ended = told.is_err();
        links.silent_since = Instant::now();
        Some((told, links))
    })
}

impl Drop for Links {
    fn drop(&mut self) {
        self.desk.close();
        WATCHERS.add(-1, &[self.kind]);
    }
}

impl Links {
    async fn next(&mut self) -> Option<Result<ToPhones, Refusal>> {
        if self.ended {
            return None;
        }
        let stopping = self.core.tasks.stopping();
        let heartbeat_at = self.silent_since + self.core.config.heartbeat();
        // A store that answers at once must not let one stream keep all others waiting.
        consume_budget().await;
        loop {
            for errand in self.desk.errands(AT_ONCE) {
                self.errands.push(run(Arc::clone(&self.core), errand).boxed());
            }
            if let Some(refused) = self.desk.take_refusal() {
                return Some(Ok(ToPhones::Refused(refused)));
            }
            if self.errands.is_empty()
                && let Some(end) = self.desk.end()
            {
                return end.err().map(Err);
            }
            let something = async {
                tokio::select! {
                    () = stopping.cancelled() => Some(Err(server_stops())),
                    () = self.desk.changed() => None,
                    Some(brought) = self.errands.next(), if !self.errands.is_empty() => {
                        self.desk.finish(brought).map(|state| Ok(ToPhones::Update(state)))
                    }
                }
            };
            match timeout_at(heartbeat_at, something).await {
                Err(_elapsed) => return Some(Ok(ToPhones::Heartbeat)),
                Ok(Some(told)) => return Some(told),
                Ok(None) => {}
            }
        }
    }
}

/// Reads what a phone shall be, after dressing it if it is idle and new on the stream. A store that cannot be had is
/// tried again until it can.
async fn run(core: Arc<Core>, errand: Errand) -> Brought {
    let stopping = core.tasks.stopping();
    loop {
        let found = match bring(&core, &errand).await {
            Err(refused) if refused.reason == ErrorReason::StoreUnavailable => {
                if timeout(RETRY_AFTER, stopping.cancelled()).await.is_err() {
                    continue;
                }
                Ok(None)
            }
            found => found,
        };
        return Brought { errand, found };
    }
}

async fn bring(core: &Core, errand: &Errand) -> Result<Option<PhoneState>, Refusal> {
    if errand.dress {
        core.dress_if_idle(&errand.phone).await?;
    }
    core.store.phone(&errand.phone).await.map_err(|error| refusal::store(&error))
}

/// Does what the call control says: of each phone in the order in which it was said.
async fn listen(core: Arc<Core>, desk: Arc<Desk>, said: impl Stream<Item = Result<Vec<Said>, Refusal>>) {
    let mut chunks = std::pin::pin!(said.ready_chunks(SAID_AT_ONCE));
    while let Some(chunk) = chunks.next().await {
        let mut of_phones: Vec<(Named, Vec<Said>)> = Vec::new();
        for message in chunk {
            let message = match message {
                Ok(message) => message,
                Err(refused) => return desk.heard_all(Err(refused)),
            };
            for said in message {
                match said {
                    Said::Watch(named) => {
                        if let Err(refusal) = desk.watch(&named, false) {
                            desk.refuse(PhoneRefused { named: named.text, refusal }).await;
                        }
                    }
                    Said::Unwatch(named) => desk.unwatch(&named.phone),
                    Said::Refused(refused) => desk.refuse(refused).await,
                    Said::Acknowledge(ref named, _) | Said::Report(ref named, _) => {
                        match of_phones.iter_mut().find(|(known, _)| known.phone == named.phone) {
                            Some((_, more)) => more.push(said),
                            None => of_phones.push((named.clone(), vec![said])),
                        }
                    }
                }
            }
        }
        futures::stream::iter(of_phones)
            .for_each_concurrent(AT_ONCE, |(named, said)| do_all(&core, &desk, named, said))
            .await;
    }
    desk.heard_all(Ok(()));
}

async fn do_all(core: &Core, desk: &Desk, named: Named, said: Vec<Said>) {
    for said in said {
        let phone = named.phone.clone();
        let done = match said {
            Said::Acknowledge(_, generation) => core.acknowledge(phone, generation).await.map(drop),
            Said::Report(_, report) => {
                // A phone that was never told anything has no record before it is dressed.
                let dressed = match desk.waits_to_be_dressed(&phone) {
                    true => core.dress_if_idle(&phone).await,
                    false => Ok(()),
                };
                match dressed {
                    Ok(()) => core.report(phone, report).await,
                    Err(refused) => Err(refused),
                }
            }
            Said::Watch(_) | Said::Unwatch(_) | Said::Refused(_) => Ok(()),
        };
        if let Err(refusal) = done {
            desk.refuse(PhoneRefused { named: named.text.clone(), refusal }).await;
        }
    }
}
