//! What the directory said of things, and when: it is believed for 2 s, so that what is asked for again and again costs
//! it little, and a change is obeyed that soon.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long the directory is believed.
pub(crate) const BELIEVED_FOR: Duration = Duration::from_secs(2);
/// Things of which it is remembered what was said.
const MOST: usize = 200_000;

/// What was said of things.
pub(crate) struct Believed<K, V>(Mutex<HashMap<K, (Instant, V)>>);

impl<K, V> Default for Believed<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Believed<K, V> {
    /// What is still believed of things, and those of which nothing is.
    pub(crate) fn recall(&self, things: impl Iterator<Item = K>, now: Instant) -> (HashMap<K, V>, Vec<K>) {
        let believed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut known, mut missing) = (HashMap::new(), Vec::new());
        for thing in things {
            match believed.get(&thing) {
                Some((at, said)) if now.duration_since(*at) < BELIEVED_FOR => {
                    known.insert(thing, said.clone());
                }
                _ => missing.push(thing),
            }
        }
        (known, missing)
    }

    /// Believes what was said at `now`.
    pub(crate) fn note(&self, said: &[(K, V)], now: Instant) {
        let mut believed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if believed.len() + said.len() > MOST {
            believed.clear();
        }
        believed.extend(said.iter().map(|(thing, said)| (thing.clone(), (now, said.clone()))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_directory_said_is_believed_for_two_seconds() {
        let (believed, said) = (Believed::default(), Instant::now());
        believed.note(&[("agent7", "Sales")], said);
        let almost = said + BELIEVED_FOR - Duration::from_millis(1);
        assert_eq!(believed.recall(["agent7"].into_iter(), almost).0["agent7"], "Sales");
        let (known, missing) = believed.recall(["agent7"].into_iter(), said + BELIEVED_FOR);
        assert!(known.is_empty() && missing == ["agent7"]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let believed = Believed::default();
        for from in (0..2 * MOST).step_by(1000) {
            let some: Vec<_> = (from..from + 1000).map(|number| (number, ())).collect();
            believed.note(&some, Instant::now());
        }
        assert!(believed.0.lock().unwrap().len() <= MOST);
    }
}
