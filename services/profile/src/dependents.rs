//! Resources that a change of another may break: a line that is an octo-line no more, a template with other limits,
//! fewer phones. They are examined again, and the change is refused with their names.

use std::collections::HashSet;

use roamline_domain::directory::{Key, Kind, Resource};
use roamline_domain::parameters::ServiceParameters;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_store::ListQuery;

use crate::examine::examine;
use crate::surroundings::Surroundings;
use crate::{Profile, refusal};

/// Dependents that are examined at once.
const PAGE: u32 = 500;
/// How many of those that would be broken are named.
const NAMED: usize = 20;

/// A change of a resource that is stored.
pub(crate) struct Revision<'a> {
    pub(crate) stored: &'a Resource,
    pub(crate) wanted: &'a Resource,
}

impl Revision<'_> {
    /// Whether it may break what refers to the resource.
    pub(crate) fn may_break(&self) -> bool {
        match (self.stored, self.wanted) {
            (Resource::Line(old), Resource::Line(new)) => {
                old.capacity != new.capacity || old.intercom_phone != new.intercom_phone
            }
            (Resource::LineTemplate(old), Resource::LineTemplate(new)) => {
                (old.max_calls, old.busy_trigger) != (new.max_calls, new.busy_trigger)
            }
            (Resource::ServiceParameters(old), Resource::ServiceParameters(new)) => {
                new.maximum_phones < old.maximum_phones
            }
            _ => false,
        }
    }
}

/// What happens beside a change.
#[derive(Default)]
pub(crate) struct Coming {
    /// Everything that is about to be stored.
    pub(crate) puts: Vec<Resource>,
    /// What is about to be deleted.
    pub(crate) gone: HashSet<Key>,
    /// Whether a restore takes resources as they were kept.
    pub(crate) as_kept: bool,
}

impl Coming {
    /// These are about to be stored, and nothing else happens.
    pub(crate) fn of(puts: Vec<Resource>) -> Self {
        Self { puts, ..Self::default() }
    }
}

/// What a change begins from: what is stored, or the parameters that hold while none are stored.
pub(crate) fn present(key: &Key, stored: Option<&Resource>) -> Option<Resource> {
    let default = || Resource::ServiceParameters(ServiceParameters::default());
    stored.cloned().or_else(|| (key.kind == Kind::ServiceParameters).then(default))
}

impl Profile {
    /// Refuses revisions under which a stored resource would break a rule that it keeps today. What is about to
    /// be stored or deleted is not looked at.
    ///
    /// What begins to use the resource between this look and the commit is not seen: it was judged by the resource as it
    /// was, and its own guard holds until the change is made. A lint finds what is broken so.
    ///
    /// # Errors
    /// `RESOURCE_INVALID` with the first of those that would be broken, or a store's failure.
    pub(crate) async fn keep_dependents(
        &self,
        revisions: &[Revision<'_>],
        coming: &Coming,
    ) -> Result<(), Refusal> {
        let mut broken: Vec<(Key, String)> = Vec::new();
        for revision in revisions.iter().filter(|revision| revision.may_break()) {
            let mut after = None;
            loop {
                let page = self.dependents(&revision.wanted.key(), after.as_ref()).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.key());
                for (key, why) in self.newly_broken(page, coming).await? {
                    if !broken.iter().any(|(known, _)| *known == key) {
                        broken.push((key, why));
                    }
                }
                if broken.len() >= NAMED {
                    break;
                }
            }
        }
        if broken.is_empty() { Ok(()) } else { Err(refused(&broken)) }
    }

    /// A page of what a resource's change may break.
    pub(crate) async fn dependents(&self, key: &Key, after: Option<&Key>) -> Result<Vec<Resource>, Refusal> {
        if key.kind == Kind::ServiceParameters {
            let query = ListQuery::names_after(after.map(|key| key.name.as_str()), PAGE);
            let page = self.store.list(Kind::LogoutProfile, &query).await.map_err(refusal::store)?;
            return Ok(page.into_iter().map(|stored| stored.resource).collect());
        }
        let mut after = after.cloned();
        loop {
            let users = self.store.used_by(key, after.as_ref(), PAGE).await.map_err(refusal::store)?;
            let found = self.store.find(&users).await.map_err(refusal::store)?;
            let page: Vec<Resource> = found.into_iter().flatten().map(|stored| stored.resource).collect();
            // A page whose every resource was deleted meanwhile is not the end.
            match users.last() {
                Some(last) if page.is_empty() => after = Some(last.clone()),
                _ => return Ok(page),
            }
        }
    }

    /// Those that keep the rules today and would not any more, and which rule each would break first.
    async fn newly_broken(
        &self,
        page: Vec<Resource>,
        coming: &Coming,
    ) -> Result<Vec<(Key, String)>, Refusal> {
        let mut today = Surroundings::of(&*self.store, page.iter()).await.map_err(refusal::store)?;
        let mut then = Surroundings::of(&*self.store, page.iter()).await.map_err(refusal::store)?;
        then.overlay(coming.puts.iter(), std::iter::empty());
        today.take_as_kept(coming.as_kept);
        then.take_as_kept(coming.as_kept);
        let looked_after: HashSet<Key> =
            coming.puts.iter().map(Resource::key).chain(coming.gone.iter().cloned()).collect();
        let mut broken = Vec::new();
        for resource in page.into_iter().filter(|resource| !looked_after.contains(&resource.key())) {
            let key = resource.key();
            let Err(fault) = examine(resource.clone(), &then, self.catalogue) else { continue };
            if examine(resource, &today, self.catalogue).is_ok() {
                let why = fault.into_violations().into_iter().next();
                let why = why.map(|v| format!("{} {} ({})", v.field, v.message, v.rule)).unwrap_or_default();
                broken.push((key, why));
            }
        }
        Ok(broken)
    }
}

fn refused(broken: &[(Key, String)]) -> Refusal {
    let names: Vec<String> = broken.iter().take(NAMED).map(|(key, _)| refusal::read(key)).collect();
    let message = format!("what uses it would break a rule: {}", names.join(", "));
    let refusal = Refusal::new(ErrorReason::ResourceInvalid, message).with("usedBy", names.join(", "));
    broken
        .iter()
        .take(NAMED)
        .fold(refusal, |refusal, (key, why)| refusal.violation("", format!("{}: {why}", refusal::read(key))))
}
