//! `doctor`: whether a deployment is as it should be, and what to do where it is not. It asks what the API answers, and
//! the admin port of each process that is named; what neither can tell is said to be unchecked, with the way to check it.

mod admin;
mod api;
mod measured;
mod metrics;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::json;

use crate::client::Client;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::output::{Out, table};

pub(crate) use admin::{Process, ask_all};

/// A certificate that ends sooner is told.
const ENDS_SOON: SignedDuration = SignedDuration::from_hours(14 * 24);
/// What two clocks may differ by.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(2);

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Admin port of a process, `http://HOST:7401`; once for each process
    #[arg(long, value_name = "URL")]
    admin: Vec<String>,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// Nobody could be asked.
    NotChecked,
    /// It works, and something should be done.
    Warning,
    /// It does not work.
    Failed,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotChecked => "not checked",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Check {
    pub(crate) state: State,
    /// The thing: `redis`, `certificate`.
    pub(crate) what: &'static str,
    /// The process, the service or the cluster that it is about.
    pub(crate) place: String,
    pub(crate) found: String,
    /// Empty where nothing need be done.
    pub(crate) todo: String,
}

impl Check {
    fn new(state: State, what: &'static str, place: &str, found: impl Into<String>, todo: &str) -> Self {
        Self { state, what, place: place.to_owned(), found: found.into(), todo: todo.to_owned() }
    }

    fn ok(what: &'static str, place: &str, found: impl Into<String>) -> Self {
        Self::new(State::Ok, what, place, found, "")
    }

    fn warning(what: &'static str, place: &str, found: impl Into<String>, todo: &str) -> Self {
        Self::new(State::Warning, what, place, found, todo)
    }

    fn failed(what: &'static str, place: &str, found: impl Into<String>, todo: &str) -> Self {
        Self::new(State::Failed, what, place, found, todo)
    }

    fn not_checked(what: &'static str, place: &str, found: impl Into<String>, todo: &str) -> Self {
        Self::new(State::NotChecked, what, place, found, todo)
    }
}

pub(crate) async fn run(args: Doctor, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let processes = ask_all(&args.admin).await?;
    let checks = examine(client, &processes).await;
    let worst = worst(&checks);
    if out.is_json() {
        out.value(&report(client.server(), &checks))?;
    } else {
        out.text(&shown(&checks))?;
    }
    match checks.iter().filter(|check| check.state >= State::Warning).count() {
        0 => Ok(()),
        count => {
            Err(Failure::new(Exit::Findings, format!("{}: {count} of {} checks", worst.word(), checks.len())))
        }
    }
}

/// Everything that can be looked at.
pub(crate) async fn examine(client: &Client, processes: &[Process]) -> Vec<Check> {
    let mut checks = api::checks(client).await;
    checks.extend(admin::checks(processes, clock::now()));
    checks
}

/// As JSON.
pub(crate) fn report(server: &str, checks: &[Check]) -> serde_json::Value {
    json!({ "server": server, "state": worst(checks), "checks": checks })
}

/// As a table.
pub(crate) fn shown(checks: &[Check]) -> String {
    table(
        &["STATE", "WHAT", "WHERE", "WHAT WAS FOUND", "WHAT TO DO"],
        checks.iter().map(|check| {
            let Check { state, what, place, found, todo } = check.clone();
            vec![state.word().to_owned(), what.to_owned(), place, found, todo]
        }),
    )
}

fn worst(checks: &[Check]) -> State {
    checks.iter().map(|check| check.state).max().unwrap_or(State::NotChecked)
}

/// What is to be said of something that ends then.
fn ending(what: &'static str, place: &str, ends: Timestamp, now: Timestamp, todo: &str) -> Check {
    let left = ends.duration_since(now);
    let found = format!("until {ends:.0}");
    if left <= SignedDuration::ZERO {
        Check::failed(what, place, format!("ended at {ends:.0}"), todo)
    } else if left < ENDS_SOON {
        Check::warning(what, place, found, todo)
    } else {
        Check::ok(what, place, found)
    }
}

/// Whether another clock shows what ours does; `within` is what it cannot show.
fn clocks(place: &str, theirs: Timestamp, ours: Timestamp, within: SignedDuration) -> Check {
    let apart = theirs.duration_since(ours).abs();
    let found = format!("{} s apart", apart.as_secs());
    if apart <= CLOCKS_DIFFER + within {
        return Check::ok("clock", place, "as ours");
    }
    Check::warning(
        "clock",
        place,
        found,
        "compare both with their time server: tokens and deadlines go by the clock",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn what_ends_is_told_before_and_after() {
        let now = at("2026-03-02T08:00:00Z");
        let state = |ends: &str| ending("certificate", "here", at(ends), now, "renew it").state;
        assert_eq!(state("2026-05-01T00:00:00Z"), State::Ok);
        assert_eq!(state("2026-03-10T00:00:00Z"), State::Warning);
        assert_eq!(state("2026-03-02T08:00:00Z"), State::Failed);
    }

    #[test]
    fn clocks_may_differ_by_what_does_no_harm() {
        let now = at("2026-03-02T08:00:00Z");
        let state = |theirs: &str| clocks("there", at(theirs), now, SignedDuration::from_secs(1)).state;
        assert_eq!(state("2026-03-02T08:00:03Z"), State::Ok);
        assert_eq!(state("2026-03-02T07:59:50Z"), State::Warning);
    }

    #[test]
    fn the_worst_of_all_checks_is_the_answer() {
        let checks = [Check::ok("a", "here", "well"), Check::failed("b", "here", "away", "start it")];
        assert_eq!(worst(&checks), State::Failed);
        assert_eq!(report("s", &checks)["state"], "failed");
        assert!(shown(&checks).contains("start it"));
    }
}
