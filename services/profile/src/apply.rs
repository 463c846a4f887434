//! Many resources at once, all of them or none: what an import and an administrator's files bring.

use std::collections::HashMap;

use roamline_domain::contact_centre::Finding;
use roamline_domain::directory::{
    Claim, DefaultDeviceProfile, Key, Line, LogoutProfile, Phone, Resource, User, UserDeviceProfile,
};
use roamline_domain::parameters::ServiceParameters;
use roamline_domain::{InvalidName, Violations};
use roamline_proto::profile as wire;
use roamline_proto::profile::resource::Kind;
use roamline_proto::refusal::Refusal;
use roamline_store::{Change, DirectoryError, Expect};
use wire::ApplyOutcome;

use crate::claims::taken;
use crate::examine::{Examined, examine, placed};
use crate::record::{Record, keep_pin};
use crate::surroundings::Surroundings;
use crate::{ATTEMPTS, Profile, refusal};

/// How many resources a request may carry.
const MOST_RESOURCES: usize = 10_000;

/// What became of the resources.
pub(crate) struct Applied {
    /// One for each, in their order.
    pub(crate) outcomes: Vec<ApplyOutcome>,
    /// Rules that they bend without being refused (CC-5).
    pub(crate) findings: Vec<Finding>,
}

/// One resource of the request.
struct Member {
    /// The path of its message: `resources[3].phone`.
    field: String,
    /// The field of the message that names it.
    key_field: &'static str,
    /// Its key, if its name is one.
    key: Option<Key>,
    /// What it is, if it could be read.
    resource: Option<Resource>,
    /// What is wrong with it, with full paths.
    found: Violations,
}

impl Profile {
    /// Creates or replaces resources in one step; with `validate_only`, does everything else. Resources that are
    /// stored just so are not written.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, `RESOURCE_INVALID` with every violation of every resource, or a store's failure.
    pub(crate) async fn apply(
        &self,
        resources: &[wire::Resource],
        validate_only: bool,
    ) -> Result<Applied, Refusal> {
        if resources.len() > MOST_RESOURCES {
            let problem = format!("has {} resources, more than {MOST_RESOURCES}", resources.len());
            return Err(refusal::malformed("resources", problem));
        }
        let mut members: Vec<Member> =
            resources.iter().enumerate().map(|(index, resource)| self.member(index, resource)).collect();
        refuse_repeats(&mut members);
        refuse_clashes(&mut members);
        for _ in 0..ATTEMPTS {
            let around = self.around(&members).await?;
            let batch = self.weigh(&members, &around);
            if validate_only || !batch.refused.iter().all(Violations::is_empty) {
                self.refuse_whole(&members, &batch).await?;
                return Ok(batch.applied);
            }
            if batch.changes.is_empty() {
                return Ok(batch.applied);
            }
            match self.store.commit(batch.changes.clone(), self.clock.now()).await {
                Ok(()) => return Ok(batch.applied),
                Err(DirectoryError::Moved { .. } | DirectoryError::Missing { .. }) => {}
                Err(DirectoryError::Taken { .. }) => self.refuse_whole(&members, &batch).await?,
                Err(DirectoryError::Store(error)) => return Err(refusal::store(error)),
                Err(DirectoryError::InUse { .. }) => {
                    return Err(refusal::internal("a put was refused as if it were a deletion"));
                }
            }
        }
        Err(refusal::contended())
    }

    fn member(&self, index: usize, resource: &wire::Resource) -> Member {
        match &resource.kind {
            Some(Kind::Line(line)) => self.read_member::<Line>(index, line),
            Some(Kind::UserDeviceProfile(profile)) => self.read_member::<UserDeviceProfile>(index, profile),
            Some(Kind::DefaultDeviceProfile(profile)) => {
                self.read_member::<DefaultDeviceProfile>(index, profile)
            }
            Some(Kind::LogoutProfile(profile)) => self.read_member::<LogoutProfile>(index, profile),
            Some(Kind::Phone(phone)) => self.read_member::<Phone>(index, phone),
            Some(Kind::User(user)) => self.read_member::<User>(index, user),
            Some(Kind::ServiceParameters(parameters)) => {
                self.read_member::<ServiceParameters>(index, parameters)
            }
            None => {
                let mut found = Violations::new();
                found.add(format!("resources[{index}]"), "", "is of no kind");
                Member { field: String::new(), key_field: "", key: None, resource: None, found }
            }
        }
    }

    fn read_member<R: Record>(&self, index: usize, message: &R::Wire) -> Member {
        let field = format!("resources[{index}].{}", R::FIELD);
        let key: Result<Key, InvalidName> = R::key(R::given(message), self.catalogue);
        let mut found = Violations::new();
        let resource = R::parse(message, self.catalogue)
            .map_err(|wrong| found.extend_under(&field, wrong))
            .ok()
            .map(Record::into_resource);
        Member { field, key_field: R::KEY_FIELD, key: key.ok(), resource, found }
    }

    /// What is stored around the members, with the members laid over it.
    async fn around(&self, members: &[Member]) -> Result<Surroundings, Refusal> {
        let readable = || members.iter().filter_map(|member| member.resource.as_ref());
        let mut around = Surroundings::of(&*self.store, readable()).await.map_err(refusal::store)?;
        let unreadable = members
            .iter()
            .filter(|member| member.resource.is_none())
            .filter_map(|member| member.key.as_ref());
        around.overlay(readable(), unreadable);
        Ok(around)
    }

    /// What is wrong with each member, and what would be done.
    fn weigh(&self, members: &[Member], around: &Surroundings) -> Batch {
        let mut batch = Batch::default();
        for member in members {
            let mut refused = member.found.clone();
            let mut outcome = ApplyOutcome::Unspecified;
            if let Some(resource) = &member.resource {
                let stored = around.stored(&resource.key());
                let mut resource = resource.clone();
                if let Some(stored) = stored {
                    keep_pin(&mut resource, &stored.resource);
                }
                match examine(resource, around, self.catalogue) {
                    Ok(Examined { resource, findings }) => {
                        batch.applied.findings.extend(placed(findings, &member.field));
                        let (what, expect) = match stored {
                            None => (ApplyOutcome::Created, Some(Expect::Absent)),
                            Some(stored) if stored.resource == resource => (ApplyOutcome::Unchanged, None),
                            Some(stored) => (ApplyOutcome::Updated, Some(Expect::Version(stored.version))),
                        };
                        outcome = what;
                        batch.changes.extend(expect.map(|expect| Change::Put { resource, expect }));
                    }
                    Err(fault) => refused.extend_under(&member.field, fault.into_violations()),
                }
            }
            batch.applied.outcomes.push(outcome);
            batch.refused.push(refused);
        }
        batch
    }

    /// Refuses a batch, if anything is wrong with it, with all that is: names that stored resources have included.
    async fn refuse_whole(&self, members: &[Member], batch: &Batch) -> Result<(), Refusal> {
        let mut refused = batch.refused.clone();
        let readable: Vec<(usize, &Resource)> = members
            .iter()
            .enumerate()
            .filter_map(|(i, member)| Some((i, member.resource.as_ref()?)))
            .collect();
        for clash in taken(&*self.store, &readable).await.map_err(refusal::store)? {
            if let (Some(found), Some(member)) = (refused.get_mut(clash.index), members.get(clash.index)) {
                *found = noted(std::mem::take(found), member, &clash.claim, &refusal::read(&clash.by));
            }
        }
        let mut all = Violations::new();
        for violation in refused.into_iter().flatten() {
            all.add(violation.field, violation.rule, violation.message);
        }
        if all.is_empty() { Ok(()) } else { Err(refusal::invalid(all)) }
    }
}

/// What an examination of all members came to.
struct Batch {
    applied: Applied,
    /// What is wrong with each member.
    refused: Vec<Violations>,
    changes: Vec<Change>,
}

impl Default for Batch {
    fn default() -> Self {
        let applied = Applied { outcomes: Vec::new(), findings: Vec::new() };
        Self { applied, refused: Vec::new(), changes: Vec::new() }
    }
}

/// Notes every member that names the same resource as one before it.
fn refuse_repeats(members: &mut [Member]) {
    let mut first: HashMap<Key, String> = HashMap::new();
    for member in members {
        let Some(key) = &member.key else { continue };
        match first.get(key) {
            Some(other) => {
                let problem = format!("is {}, which {other} is already", refusal::read(key));
                let field = key_path(member);
                member.found.add(field, "", problem);
            }
            None => {
                first.insert(key.clone(), member.field.clone());
            }
        }
    }
}

/// Notes every member that claims a name which one before it claims: a profile named like a phone (DP-1).
fn refuse_clashes(members: &mut [Member]) {
    let mut first: HashMap<Claim, (Key, String)> = HashMap::new();
    for member in members {
        let Some(key) = member.resource.as_ref().map(Resource::key) else { continue };
        for claim in member.resource.iter().flat_map(Resource::claims).collect::<Vec<_>>() {
            match first.get(&claim) {
                Some((by, _)) if *by == key => {}
                Some((by, other)) => {
                    let holder = format!("{} in {other}", refusal::read(by));
                    member.found = noted(std::mem::take(&mut member.found), member, &claim, &holder);
                }
                None => {
                    first.insert(claim, (key.clone(), member.field.clone()));
                }
            }
        }
    }
}

/// What is wrong with a member, and that it claims a name which `holder` has.
fn noted(mut found: Violations, member: &Member, claim: &Claim, holder: &str) -> Violations {
    let (field, rule) = match claim.space {
        "device" => (key_path(member), "DP-1"),
        _ => (format!("{}.self_service_id", member.field), ""),
    };
    found.add(field, rule, format!("the name {:?} is taken by {holder}", claim.name));
    found
}

fn key_path(member: &Member) -> String {
    match member.key_field {
        "" => member.field.clone(),
        key_field => format!("{}.{key_field}", member.field),
    }
}
