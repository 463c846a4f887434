//! The phones of one stream: which of them there may be something new of, and what was refused. And the bells by which
//! the tail of events tells all such streams.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use roamline_domain::PhoneName;
use roamline_domain::phone_state::{PhoneState, SessionEvent};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_serve::inventory::PHONES_WATCHED;
use tokio::sync::Notify;

use crate::Core;
use crate::phone_links::{Named, PhoneRefused};

/// Phones of one stream.
pub(crate) const PHONES_AT_MOST: usize = 10_000;
/// Refusals that wait to be read; what else would be refused waits until there is room.
const REFUSALS_AT_MOST: usize = 1024;

/// A phone whose state shall be read.
#[derive(Debug)]
pub(crate) struct Errand {
    pub phone: PhoneName,
    /// Whether it is new on the stream, and is to be dressed first.
    pub dress: bool,
    turn: u64,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Brought {
    pub errand: Errand,
    pub found: Result<Option<PhoneState>, Refusal>,
}

/// The phones of one stream.
pub(crate) struct Desk {
    core: Weak<Core>,
    board: Mutex<Board>,
    changed: Notify,
    room: Notify,
}

#[derive(Default)]
struct Board {
    phones: HashMap<PhoneName, Link>,
    /// Phones that are to be dressed and told of.
    new: VecDeque<PhoneName>,
    /// Phones of which there may be something newer.
    changed: VecDeque<PhoneName>,
    dressing: usize,
    reading: usize,
    refusals: VecDeque<PhoneRefused>,
    /// Set once nothing more will be said.
    heard_all: Option<Result<(), Refusal>>,
    closed: bool,
    turns: u64,
}

struct Link {
    /// As it was named.
    named: String,
    /// Which watching of it this is: what was begun for an earlier one is no news.
    turn: u64,
    dressed: bool,
    /// Whether its state shall be read (again).
    wanted: bool,
    /// Whether its state is being read: only one reads at a time, so that states come in order.
    busy: bool,
    /// The newest generation that was sent.
    sent: Option<u64>,
}

impl Link {
    fn new(named: String, turn: u64, dressed: bool) -> Self {
        Self { named, turn, dressed, wanted: true, busy: false, sent: None }
    }
}

impl Desk {
    pub(crate) fn new(core: &Arc<Core>) -> Arc<Self> {
        Arc::new(Self {
            core: Arc::downgrade(core),
            board: Mutex::default(),
            changed: Notify::new(),
            room: Notify::new(),
        })
    }

    /// Serves a phone from now on; one that is served already is told of again.
    pub(crate) fn watch(self: &Arc<Self>, named: &Named, dressed: bool) -> Result<(), Refusal> {
        let mut board = self.board();
        if board.closed {
            return Ok(());
        }
        let is_new = !board.phones.contains_key(&named.phone);
        if is_new && board.phones.len() >= PHONES_AT_MOST {
            let text = format!("a stream serves {PHONES_AT_MOST} phones at most");
            return Err(Refusal::new(ErrorReason::InvalidRequest, text));
        }
        board.serve(named, dressed);
        // The bell hangs before the phone can be read, which takes the board: nothing is missed in between.
        if is_new && let Some(core) = self.core.upgrade() {
            core.events.bells.hang(&named.phone, self);
            PHONES_WATCHED.add(1, &[]);
        }
        drop(board);
        self.changed.notify_one();
        Ok(())
    }

    /// Serves a phone no longer.
    pub(crate) fn unwatch(self: &Arc<Self>, phone: &PhoneName) {
        self.leave(&mut self.board(), phone);
    }

    fn leave(self: &Arc<Self>, board: &mut Board, phone: &PhoneName) {
        if board.phones.remove(phone).is_some()
            && let Some(core) = self.core.upgrade()
        {
            core.events.bells.take_down([phone], self);
            PHONES_WATCHED.add(-1, &[]);
        }
    }

    /// Serves no phone any more.
    pub(crate) fn close(self: &Arc<Self>) {
        let mut board = self.board();
        let served = std::mem::replace(&mut *board, Board { closed: true, ..Board::default() }).phones;
        if let Some(core) = self.core.upgrade() {
            core.events.bells.take_down(served.keys(), self);
            let watched = i64::try_from(served.len()).unwrap_or(i64::MAX);
            PHONES_WATCHED.add(-watched, &[]);
        }
    }

    /// Whether a phone is served that may have no record yet.
    pub(crate) fn waits_to_be_dressed(&self, phone: &PhoneName) -> bool {
        self.board().phones.get(phone).is_some_and(|link| !link.dressed)
    }

    /// What to read now, so that at most so many are dressed, and so many read, at once.
    pub(crate) fn errands(&self, at_once: usize) -> Vec<Errand> {
        let board = &mut *self.board();
        let mut errands = Vec::new();
        while board.dressing < at_once
            && let Some(phone) = board.new.pop_front()
        {
            board.begin(phone, true, &mut errands);
        }
        while board.reading < at_once
            && let Some(phone) = board.changed.pop_front()
        {
            board.begin(phone, false, &mut errands);
        }
        errands
    }

    /// Takes back an errand: the state that is to be told, if it is news.
    pub(crate) fn finish(self: &Arc<Self>, brought: Brought) -> Option<PhoneState> {
        let Brought { errand, found } = brought;
        let board = &mut *self.board();
        match errand.dress {
            true => board.dressing = board.dressing.saturating_sub(1),
            false => board.reading = board.reading.saturating_sub(1),
        }
        let link = board.phones.get_mut(&errand.phone).filter(|link| link.turn == errand.turn)?;
        link.busy = false;
        match found {
            Ok(found) => {
                link.dressed = true;
                if link.wanted {
                    board.changed.push_back(errand.phone);
                }
                let news = found.filter(|state| link.sent.is_none_or(|sent| state.generation > sent))?;
                link.sent = Some(news.generation);
                Some(news)
            }
            Err(refusal) => {
                let named = link.named.clone();
                board.refusals.push_back(PhoneRefused { named, refusal });
                self.leave(board, &errand.phone);
                None
            }
        }
    }

    /// Refuses something, as soon as there is room for one more refusal.
    pub(crate) async fn refuse(&self, refused: PhoneRefused) {
        loop {
            let room = self.room.notified();
            {
                let mut board = self.board();
                if board.refusals.len() < REFUSALS_AT_MOST {
                    board.refusals.push_back(refused);
                    break;
                }
            }
            room.await;
        }
        self.changed.notify_one();
    }

    pub(crate) fn take_refusal(&self) -> Option<PhoneRefused> {
        let refused = self.board().refusals.pop_front()?;
        self.room.notify_waiters();
        Some(refused)
    }

    /// Nothing more will be said.
    pub(crate) fn heard_all(&self, how: Result<(), Refusal>) {
        self.board().heard_all = Some(how);
        self.changed.notify_one();
    }

    /// How the stream ends, once nothing more will be said and everything is told.
    pub(crate) fn end(&self) -> Option<Result<(), Refusal>> {
        let board = self.board();
        let end = board.heard_all.clone()?;
        let is_told = board.new.is_empty() && board.changed.is_empty() && board.refusals.is_empty();
        (is_told || end.is_err()).then_some(end)
    }

    /// Waits until there is something to do.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn ring(&self, phone: &PhoneName) {
        let board = &mut *self.board();
        if let Some(link) = board.phones.get_mut(phone)
            && !std::mem::replace(&mut link.wanted, true)
            && !link.busy
        {
            board.changed.push_back(phone.clone());
            self.changed.notify_one();
        }
    }

    /// The store may hold something else now than it held: all phones are dressed and told of again.
    fn begin_anew(&self) {
        let board = &mut *self.board();
        board.new.clear();
        board.changed.clear();
        for (phone, link) in &mut board.phones {
            board.turns += 1;
            *link = Link::new(std::mem::take(&mut link.named), board.turns, false);
            board.new.push_back(phone.clone());
        }
        self.changed.notify_one();
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn serve(&mut self, named: &Named, dressed: bool) {
        let waits = |link: &Link| link.wanted && !link.busy && link.dressed == dressed;
        if self.phones.get(&named.phone).is_some_and(waits) {
            return;
        }
        self.turns += 1;
        let link = Link::new(named.text.clone(), self.turns, dressed);
        self.phones.insert(named.phone.clone(), link);
        let queue = if dressed { &mut self.changed } else { &mut self.new };
        queue.push_back(named.phone.clone());
        // Phones that are watched and unwatched again and again leave their names behind.
        if self.new.len() > 2 * PHONES_AT_MOST {
            let is_new = |(_, link): &(&PhoneName, &Link)| !link.dressed && link.wanted && !link.busy;
            self.new = self.phones.iter().filter(is_new).map(|(phone, _)| phone.clone()).collect();
        }
    }

    fn begin(&mut self, phone: PhoneName, dress: bool, errands: &mut Vec<Errand>) {
        let Some(link) = self.phones.get_mut(&phone) else { return };
        // A phone that was unwatched and watched again may stand in a queue twice, or in the wrong one.
        if link.busy || !link.wanted || link.dressed == dress {
            return;
        }
        link.wanted = false;
        link.busy = true;
        match dress {
            true => self.dressing += 1,
            false => self.reading += 1,
        }
        errands.push(Errand { phone, dress, turn: link.turn });
    }
}

/// Tells the streams that serve a phone when something happened to it. A bell hangs for each phone on a board and for no
/// other: both change together, while the board is held.
#[derive(Default)]
pub(crate) struct Bells(Mutex<HashMap<PhoneName, Vec<Weak<Desk>>>>);

impl Bells {
    fn hang(&self, phone: &PhoneName, desk: &Arc<Desk>) {
        self.bells().entry(phone.clone()).or_default().push(Arc::downgrade(desk));
    }

    fn take_down<'a>(&self, phones: impl IntoIterator<Item = &'a PhoneName>, desk: &Arc<Desk>) {
        let mut bells = self.bells();
        for phone in phones {
            if let Some(desks) = bells.get_mut(phone) {
                desks.retain(|known| !std::ptr::eq(known.as_ptr(), Arc::as_ptr(desk)));
                if desks.is_empty() {
                    bells.remove(phone);
                }
            }
        }
    }

    /// Something happened. What was refused changed nothing.
    pub(crate) fn ring<'a>(&self, events: impl Iterator<Item = &'a SessionEvent>) {
        let told = events.filter(|event| !matches!(event, SessionEvent::Refused(_)));
        for phone in told.map(SessionEvent::phone) {
            // Desks hang bells while they hold their boards, so none is rung while the bells are held.
            let desks: Vec<_> =
                self.bells().get(phone).into_iter().flatten().filter_map(Weak::upgrade).collect();
            desks.iter().for_each(|desk| desk.ring(phone));
        }
    }

    /// Anything may have happened.
    pub(crate) fn begin_anew(&self) {
        let mut desks: Vec<_> = self.bells().values().flatten().filter_map(Weak::upgrade).collect();
        desks.sort_by_key(Arc::as_ptr);
        desks.dedup_by_key(|desk| Arc::as_ptr(desk));
        desks.iter().for_each(|desk| desk.begin_anew());
    }

    fn bells(&self) -> MutexGuard<'_, HashMap<PhoneName, Vec<Weak<Desk>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
