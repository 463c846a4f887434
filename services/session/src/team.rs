//! Teams: whose sessions a caller reaches who may neither read nor end everybody's. Who is in which team, and who looks
//! after it, is the directory's to say; what it said is believed for 2 s.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roamline_domain::{PhoneName, RecordName, UserId};
use roamline_proto::auth::PrincipalKind;
use roamline_proto::refusal::Refusal;
use roamline_token::{Caller, scope};
use tokio::time::Instant;

use crate::{Core, refusal};

/// How long the directory is believed.
const BELIEVED_FOR: Duration = Duration::from_secs(2);
/// Users that the directory is asked about at once.
const AT_ONCE: usize = 1000;
/// Users whose teams are remembered.
const MOST: usize = 200_000;

/// The teams of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Teams {
    /// Those that he is in.
    pub of: Vec<RecordName>,
    /// Those that he looks after.
    pub supervised: Vec<RecordName>,
}

/// What the directory said of users, and when.
#[derive(Default)]
pub(crate) struct Recalled(Mutex<HashMap<UserId, (Instant, Arc<Teams>)>>);

impl Recalled {
    /// What is still believed of users, and those of whom nothing is.
    fn recall<'a>(
        &self,
        users: impl Iterator<Item = &'a UserId>,
        now: Instant,
    ) -> (HashMap<UserId, Arc<Teams>>, Vec<UserId>) {
        let recalled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut known, mut missing) = (HashMap::new(), Vec::new());
        for user in users {
            match recalled.get(user) {
                Some((at, teams)) if now.duration_since(*at) < BELIEVED_FOR => {
                    known.insert(user.clone(), Arc::clone(teams));
                }
                _ => missing.push(user.clone()),
            }
        }
        (known, missing)
    }

    fn note(&self, told: &[(UserId, Arc<Teams>)], now: Instant) {
        let mut recalled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if recalled.len() + told.len() > MOST {
            recalled.clear();
        }
        recalled.extend(told.iter().map(|(user, teams)| (user.clone(), (now, Arc::clone(teams)))));
    }
}

/// Whose sessions a request is about, within what its caller reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Within {
    /// One user's; `None` for everybody's.
    pub user: Option<UserId>,
    /// Of those, such as this supervisor looks after, or are his own; `None` for all.
    pub led_by: Option<UserId>,
}

/// Of some users those whom a supervisor looks after, or all where there is no supervisor.
pub(crate) struct Led(Option<HashSet<UserId>>);

impl Led {
    pub(crate) fn takes(&self, user: &UserId) -> bool {
        self.0.as_ref().is_none_or(|led| led.contains(user))
    }
}

/// The user that the caller is, if he is one.
pub(crate) fn himself(caller: &Caller) -> Option<UserId> {
    caller.name.parse().ok().filter(|_| caller.kind == PrincipalKind::User)
}

/// The supervisor that the caller is, if he is one.
fn supervisor(caller: &Caller) -> Option<UserId> {
    himself(caller).filter(|_| caller.has(scope::SESSION_TEAM))
}

impl Core {
    /// What the caller reaches of the sessions that are asked for: of one user, or of anybody. With the scope `wide`
    /// that is all of them, as a supervisor those of his teams and his own, else his own.
    ///
    /// # Errors
    /// The user who is asked for is out of his reach, or the directory cannot say.
    pub(crate) async fn within(
        &self,
        asked: Option<UserId>,
        caller: &Caller,
        wide: &str,
    ) -> Result<Within, Refusal> {
        if caller.has(wide) {
            return Ok(Within { user: asked, led_by: None });
        }
        let Some(himself) = himself(caller) else { return Err(refusal::scope_missing(wide)) };
        match (asked, supervisor(caller)) {
            (Some(asked), _) if asked == himself => Ok(Within { user: Some(himself), led_by: None }),
            (Some(asked), Some(supervisor)) => {
                let led = self.led_by(&supervisor, vec![&asked]).await?;
                match led.contains(&asked) {
                    true => Ok(Within { user: Some(asked), led_by: Some(supervisor) }),
                    false => Err(refusal::scope_missing(wide)),
                }
            }
            (Some(_), None) => Err(refusal::scope_missing(wide)),
            (None, Some(supervisor)) => Ok(Within { user: None, led_by: Some(supervisor) }),
            (None, None) => Ok(Within { user: Some(himself), led_by: None }),
        }
    }

    /// Whether the caller may see the user's sessions.
    pub(crate) async fn sees(&self, caller: &Caller, user: &UserId) -> Result<bool, Refusal> {
        if caller.has(scope::SESSION_READ) || himself(caller).as_ref() == Some(user) {
            return Ok(true);
        }
        match supervisor(caller) {
            Some(supervisor) => Ok(self.led_by(&supervisor, vec![user]).await?.contains(user)),
            None => Ok(false),
        }
    }

    /// The user whose session on the phone the caller may end as his supervisor, without more rights than that.
    pub(crate) async fn led_at(&self, phone: &PhoneName, caller: &Caller) -> Result<Option<UserId>, Refusal> {
        if caller.has(scope::SESSION_MANAGE) || caller.has(scope::SESSION_END) {
            return Ok(None);
        }
        let Some(supervisor) = supervisor(caller) else { return Ok(None) };
        let state = self.store.phone(phone).await.map_err(|error| refusal::store(&error))?;
        match state.and_then(|state| state.session).map(|session| session.user) {
            Some(user) if user != supervisor => Ok(self.led_by(&supervisor, vec![&user]).await?.take(&user)),
            _ => Ok(None),
        }
    }

    /// Those of the users who are in a team that the supervisor looks after, and he himself.
    pub(crate) async fn led_by(
        &self,
        supervisor: &UserId,
        users: Vec<&UserId>,
    ) -> Result<HashSet<UserId>, Refusal> {
        let asked: HashSet<&UserId> = users.into_iter().chain([supervisor]).collect();
        let known = self.teams(&asked).await?;
        let supervised: HashSet<&RecordName> =
            known.get(supervisor).into_iter().flat_map(|teams| &teams.supervised).collect();
        let is_led = |user: &UserId| {
            let in_one = |teams: &Arc<Teams>| teams.of.iter().any(|team| supervised.contains(team));
            user == supervisor || known.get(user).is_some_and(in_one)
        };
        Ok(asked.into_iter().filter(|user| is_led(user)).cloned().collect())
    }

    /// As [`Core::led_by`]; all where there is no supervisor.
    pub(crate) async fn led(&self, supervisor: Option<&UserId>, users: Vec<&UserId>) -> Result<Led, Refusal> {
        match supervisor {
            Some(supervisor) => Ok(Led(Some(self.led_by(supervisor, users).await?))),
            None => Ok(Led(None)),
        }
    }

    /// The teams of users, as the directory had them at most 2 s ago.
    async fn teams(&self, users: &HashSet<&UserId>) -> Result<HashMap<UserId, Arc<Teams>>, Refusal> {
        let now = Instant::now();
        let (mut known, missing) = self.recalled_teams.recall(users.iter().copied(), now);
        for some in missing.chunks(AT_ONCE) {
            let told = self.peers.teams(some).await?;
            let told: Vec<_> = some.iter().cloned().zip(told.into_iter().map(Arc::new)).collect();
            self.recalled_teams.note(&told, now);
            known.extend(told);
        }
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_directory_said_of_teams_is_believed_for_two_seconds() {
        let recalled = Recalled::default();
        let user: UserId = "agent7".parse().unwrap();
        let said = Instant::now();
        let teams = Arc::new(Teams { of: vec!["Sales".parse().unwrap()], supervised: Vec::new() });
        recalled.note(&[(user.clone(), Arc::clone(&teams))], said);
        let almost = said + BELIEVED_FOR - Duration::from_millis(1);
        assert_eq!(recalled.recall([&user].into_iter(), almost).0[&user], teams);
        let (known, missing) = recalled.recall([&user].into_iter(), said + BELIEVED_FOR);
        assert!(known.is_empty() && missing == [user]);
    }

    #[test]
    fn what_is_remembered_of_teams_is_bounded() {
        let recalled = Recalled::default();
        let some = |from: usize| -> Vec<_> {
            let user = |number| format!("user{number}").parse().unwrap();
            (from..from + AT_ONCE).map(|number| (user(number), Arc::default())).collect()
        };
        for from in (0..2 * MOST).step_by(AT_ONCE) {
            recalled.note(&some(from), Instant::now());
        }
        assert!(recalled.0.lock().unwrap().len() <= MOST);
    }
}
