//! Work that waits for a hashing thread. Sources take turns, and none takes all the places, so that whoever floods waits
//! behind himself.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where work comes from; none is this process and those that say nothing.
pub(super) type Source = Option<IpAddr>;

/// What a thread does in its turn, with memory of its own.
pub(super) type Job<M> = Box<dyn FnOnce(&mut M) + Send>;

/// Work that waits. Clones share it.
pub(super) struct Queue<M>(Arc<Inner<M>>);

struct Inner<M> {
    places: usize,
    state: Mutex<State<M>>,
    ready: Condvar,
}

struct State<M> {
    /// Places that are taken, in all and by source.
    taken: usize,
    by_source: BTreeMap<Source, usize>,
    /// Work of each source; a source is in `turns` once while it has any.
    jobs: BTreeMap<Source, VecDeque<Job<M>>>,
    turns: VecDeque<Source>,
    closed: bool,
}

/// A place among those that wait or are at work, until the last clone is dropped.
pub(crate) struct Place<M>(Arc<Seat<M>>);

struct Seat<M> {
    queue: Queue<M>,
    source: Source,
}

/// What a thread is told to do.
pub(super) enum Turn<M> {
    /// Work.
    Work(Job<M>),
    /// There has been nothing for the time that was said.
    Idle,
    /// The queue is closed.
    End,
}

impl<M> Clone for Queue<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M> Clone for Place<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M> Queue<M> {
    /// Room for so many.
    pub(super) fn new(places: usize) -> Self {
        let state = State {
            taken: 0,
            by_source: BTreeMap::new(),
            jobs: BTreeMap::new(),
            turns: VecDeque::new(),
            closed: false,
        };
        Self(Arc::new(Inner { places, state: Mutex::new(state), ready: Condvar::new() }))
    }

    /// A place, if there is one left of all, and of the three in four that one source may have.
    pub(super) fn take(&self, source: Source) -> Option<Place<M>> {
        let mut state = self.state();
        let most = self.0.places - self.0.places / 4;
        let held = state.by_source.get(&source).copied().unwrap_or(0);
        if state.taken >= self.0.places || held >= most {
            return None;
        }
        state.taken += 1;
        state.by_source.insert(source, held + 1);
        Some(Place(Arc::new(Seat { queue: self.clone(), source })))
    }

    /// Places that are taken.
    pub(super) fn taken(&self) -> usize {
        self.state().taken
    }

    /// What is next, waiting for it at most so long.
    pub(super) fn next(&self, at_most: Duration) -> Turn<M> {
        let state = self.state();
        let waits = |state: &mut State<M>| state.turns.is_empty() && !state.closed;
        let waited = self.0.ready.wait_timeout_while(state, at_most, waits);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Turn::End;
        }
        state.next().map_or(Turn::Idle, Turn::Work)
    }

    /// Ends every thread; what waits is dropped.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let dropped = (std::mem::take(&mut state.jobs), std::mem::take(&mut state.turns));
        drop(state);
        drop(dropped);
        self.0.ready.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State<M>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M> State<M> {
    fn next(&mut self) -> Option<Job<M>> {
        let source = self.turns.pop_front()?;
        let jobs = self.jobs.get_mut(&source)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.jobs.remove(&source);
        } else {
            self.turns.push_back(source);
        }
        job
    }
}

impl<M> Place<M> {
    /// Puts work into the queue, behind that of the same source.
    pub(super) fn put(&self, job: Job<M>) {
        let Seat { queue, source } = &*self.0;
        let mut state = queue.state();
        if state.closed {
            return;
        }
        let jobs = state.jobs.entry(*source).or_default();
        let is_first = jobs.is_empty();
        jobs.push_back(job);
        if is_first {
            state.turns.push_back(*source);
        }
        drop(state);
        queue.0.ready.notify_one();
    }
}

impl<M> Drop for Seat<M> {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state.taken = state.taken.saturating_sub(1);
        let left = state.by_source.get(&self.source).map_or(0, |held| held.saturating_sub(1));
        match left {
            0 => state.by_source.remove(&self.source),
            left => state.by_source.insert(self.source, left),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(n: u8) -> Source {
        Some(IpAddr::from([192, 0, 2, n]))
    }

    fn say(what: &'static str) -> Job<Vec<&'static str>> {
        Box::new(move |said| said.push(what))
    }

    fn work(queue: &Queue<Vec<&'static str>>) -> Vec<&'static str> {
        let mut said = Vec::new();
        while let Turn::Work(job) = queue.next(Duration::ZERO) {
            job(&mut said);
        }
        said
    }

    #[test]
    fn sources_take_turns_however_much_one_of_them_wants() {
        let queue = Queue::new(100);
        let (flood, honest, late) = (queue.take(source(1)), queue.take(source(2)), queue.take(source(3)));
        for what in ["a", "b", "c", "d"] {
            flood.as_ref().unwrap().put(say(what));
        }
        honest.as_ref().unwrap().put(say("honest"));
        late.as_ref().unwrap().put(say("late"));
        honest.as_ref().unwrap().put(say("again"));
        assert_eq!(work(&queue), ["a", "honest", "late", "b", "again", "c", "d"]);
        flood.unwrap().put(say("later"));
        assert_eq!(work(&queue), ["later"]);
    }

    #[test]
    fn one_source_leaves_a_quarter_of_the_places_to_others() {
        let queue: Queue<()> = Queue::new(8);
        let flood: Vec<_> = std::iter::from_fn(|| queue.take(source(1))).collect();
        assert_eq!(flood.len(), 6);
        let (two, three) = (queue.take(source(2)).unwrap(), queue.take(None).unwrap());
        assert!(queue.take(source(3)).is_none(), "all are taken");
        drop((flood, two));
        assert_eq!(queue.taken(), 1);
        assert!(queue.take(source(1)).is_some());
        drop(three);
        assert_eq!(queue.taken(), 0);
        assert!(queue.state().by_source.is_empty());
    }

    #[test]
    fn a_place_is_kept_by_work_that_is_still_to_be_done() {
        let queue: Queue<()> = Queue::new(1);
        let place = queue.take(None).unwrap();
        let kept = place.clone();
        place.put(Box::new(move |()| drop(kept)));
        drop(place);
        assert_eq!(queue.taken(), 1);
        let Turn::Work(job) = queue.next(Duration::ZERO) else { panic!("there is work") };
        job(&mut ());
        assert_eq!(queue.taken(), 0);
    }

    #[test]
    fn a_closed_queue_drops_what_waits_and_ends_threads() {
        let queue: Queue<()> = Queue::new(1);
        let place = queue.take(None).unwrap();
        let kept = place.clone();
        place.put(Box::new(move |()| drop(kept)));
        queue.close();
        assert!(matches!(queue.next(Duration::from_secs(60)), Turn::End));
        place.put(Box::new(|()| panic!("nobody works any more")));
        drop(place);
        assert_eq!(queue.taken(), 0);
    }
}
