//! A directory with imports: what is staged is judged by a list of rows that the test wants refused, and answers can be
//! lost or held back on their way.

use std::collections::BTreeMap;
use std::sync::MutexGuard;

use roamline_proto::profile::import_service_server::ImportService;
use roamline_proto::profile::line_service_server::LineService;
use roamline_proto::profile::user_device_profile_service_server::UserDeviceProfileService;

use super::*;

/// An import that is open.
#[derive(Clone, Default)]
pub(crate) struct Open {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) next_row: u64,
    pub(crate) staged: Vec<ImportRow>,
}

/// Resources by kind and name, imports, and what is to go wrong.
#[derive(Default)]
pub(crate) struct Directory {
    pub(crate) resources: BTreeMap<String, Resource>,
    pub(crate) imports: Vec<Open>,
    pub(crate) begun: usize,
    /// Names of resources that are refused while they are staged.
    pub(crate) refused: Vec<String>,
    /// As well, when they are committed.
    pub(crate) refused_at_commit: Vec<String>,
    /// Answers to `StageImport` that get lost.
    pub(crate) lost: usize,
    /// Answers to `CommitImport` that get lost.
    pub(crate) lost_commits: usize,
    /// Imports are gone when such an answer is.
    pub(crate) swept: bool,
    /// Problems that an answer to `CommitImport` has room for, where that is not for all.
    pub(crate) most_problems: Option<usize>,
    /// The row at which staging stops.
    pub(crate) stop_at: Option<u64>,
    /// Whether a commit stops before it is made.
    pub(crate) stop_at_commit: bool,
    /// What was asked, in order.
    pub(crate) calls: Vec<String>,
    /// The last `StageImport`.
    pub(crate) seen: Option<StageImportRequest>,
    /// The last `CommitImport`.
    pub(crate) seen_commit: Option<CommitImportRequest>,
}

/// The kind and the name of a resource.
pub(crate) fn name(resource: &Resource) -> String {
    match &resource.kind {
        Some(resource::Kind::Line(line)) => format!("line {}", line.name),
        Some(resource::Kind::UserDeviceProfile(profile)) => format!("profile {}", profile.name),
        Some(resource::Kind::Phone(phone)) => format!("phone {}", phone.name),
        Some(resource::Kind::User(user)) => format!("user {}", user.user_id),
        Some(resource::Kind::ServiceParameters(_)) => "service parameters".to_owned(),
        other => format!("{other:?}"),
    }
}

impl Open {
    fn message(&self) -> Import {
        Import {
            import_id: self.id.clone(),
            token: self.token.clone(),
            next_row: self.next_row,
            staged_count: self.staged.len() as u64,
            create_time: None,
        }
    }
}

impl Directory {
    fn open(&mut self, id: &str) -> Result<&mut Open, Status> {
        let found = self.imports.iter_mut().find(|import| import.id == id);
        found.ok_or_else(|| Refusal::new(ErrorReason::ImportNotFound, "there is no such import").into())
    }

    fn problem(&self, import_id: &str, row: &ImportRow) -> Option<ImportProblem> {
        let name = name(row.resource.as_ref().unwrap());
        let there = self.resources.contains_key(&name);
        let problem = |field: &str, rule: &str, message: &str| {
            let (field, rule, message) = (field.to_owned(), rule.to_owned(), message.to_owned());
            Some(ImportProblem { row: row.row, field, rule, message })
        };
        let of_import = self.imports.iter().filter(|import| import.id == import_id);
        let staged = of_import.flat_map(|import| &import.staged);
        let first = staged
            .filter(|staged| super::directory::name(staged.resource.as_ref().unwrap()) == name)
            .map(|row| row.row)
            .next();
        match row.action() {
            _ if self.refused.contains(&name) => problem("model", "DP-17", "the catalogue has no such model"),
            _ if first.is_some() => {
                problem("name", "", &format!("{name} is changed by row {} already", first.unwrap()))
            }
            ImportAction::Add if there => problem("name", "DP-1", "is there already"),
            ImportAction::Update | ImportAction::Delete if !there => problem("name", "", "is not there"),
            _ => None,
        }
    }

    fn stage(&mut self, asked: &StageImportRequest) -> Result<StageImportResponse, Status> {
        let next_row = self.open(&asked.import_id)?.next_row;
        if next_row != asked.from_row {
            let refusal = Refusal::new(ErrorReason::ImportRowUnexpected, "another row comes next");
            return Err(refusal.with("nextRow", next_row.to_string()).into());
        }
        let problems: Vec<ImportProblem> =
            asked.rows.iter().filter_map(|row| self.problem(&asked.import_id, row)).collect();
        if problems.is_empty() || !asked.all_or_none {
            let bad: Vec<u64> = problems.iter().map(|problem| problem.row).collect();
            let import = self.open(&asked.import_id)?;
            import.staged.extend(asked.rows.iter().filter(|row| !bad.contains(&row.row)).cloned());
            import.next_row = asked.next_row;
        }
        let import = Some(self.open(&asked.import_id)?.message());
        Ok(StageImportResponse { problems, warnings: Vec::new(), unchanged_count: 0, import })
    }

    fn commit(&mut self, asked: &CommitImportRequest) -> Result<CommitImportResponse, Status> {
        let staged = self.open(&asked.import_id)?.staged.clone();
        let refused =
            |row: &&ImportRow| self.refused_at_commit.contains(&name(row.resource.as_ref().unwrap()));
        let problems: Vec<ImportProblem> = staged
            .iter()
            .filter(refused)
            .map(|row| ImportProblem {
                row: row.row,
                message: "was changed by others".into(),
                ..ImportProblem::default()
            })
            .collect();
        let refused_count = problems.len() as u64;
        let mut answer = CommitImportResponse { problems, refused_count, ..CommitImportResponse::default() };
        if !answer.problems.is_empty() && !asked.skip_refused {
            return Ok(answer);
        }
        let bad: Vec<u64> = answer.problems.iter().map(|problem| problem.row).collect();
        let mut after = if asked.prune { BTreeMap::new() } else { self.resources.clone() };
        for row in staged.into_iter().filter(|row| !bad.contains(&row.row)) {
            let resource = row.resource.clone().unwrap();
            let name = name(&resource);
            let there = self.resources.contains_key(&name);
            if row.action() == ImportAction::Delete {
                after.remove(&name);
                answer.deleted_count += 1;
            } else {
                answer.created_count += u64::from(!there);
                answer.updated_count += u64::from(there);
                after.insert(name, resource);
            }
        }
        if !asked.validate_only {
            self.resources = after;
            self.imports.retain(|import| import.id != asked.import_id);
            answer.committed = true;
        }
        answer.problems.truncate(self.most_problems.unwrap_or(usize::MAX));
        Ok(answer)
    }
}

impl Fake {
    pub(crate) fn directory(&self) -> MutexGuard<'_, Directory> {
        self.directory.lock().unwrap()
    }
}

fn lost() -> Status {
    Status::unavailable("the answer was lost")
}

#[tonic::async_trait]
impl ImportService for Fake {
    async fn start_import(&self, request: Request<StartImportRequest>) -> Answer<StartImportResponse> {
        self.authorize(&request)?;
        let token = request.into_inner().token;
        assert!(token.len() <= 128, "{token}");
        let mut directory = self.directory();
        directory.calls.push("start".to_owned());
        if !directory.imports.iter().any(|import| import.token == token) {
            directory.begun += 1;
            let id = format!("import-{}", directory.begun);
            directory.imports.push(Open { id, token: token.clone(), next_row: 1, staged: Vec::new() });
        }
        let import = directory.imports.iter().find(|import| import.token == token).map(Open::message);
        Ok(Response::new(StartImportResponse { import }))
    }

    async fn stage_import(&self, request: Request<StageImportRequest>) -> Answer<StageImportResponse> {
        self.authorize(&request)?;
        let asked = request.into_inner();
        assert!(!asked.rows.is_empty() && asked.rows.len() <= 1_000);
        self.directory().seen = Some(asked.clone());
        let stop = self.directory().stop_at.is_some_and(|row| asked.from_row >= row);
        if stop {
            self.stopped.notify_one();
            self.go_on.notified().await;
        }
        let mut directory = self.directory();
        directory.calls.push(format!("stage {}..{}", asked.from_row, asked.next_row));
        let answer = directory.stage(&asked)?;
        if directory.lost > 0 {
            directory.lost -= 1;
            return Err(lost());
        }
        Ok(Response::new(answer))
    }

    async fn commit_import(&self, request: Request<CommitImportRequest>) -> Answer<CommitImportResponse> {
        self.authorize(&request)?;
        let asked = request.into_inner();
        let stop = self.directory().stop_at_commit;
        if stop {
            self.stopped.notify_one();
            self.go_on.notified().await;
        }
        let mut directory = self.directory();
        directory.seen_commit = Some(asked.clone());
        directory.calls.push(if asked.validate_only { "check" } else { "commit" }.to_owned());
        let answer = directory.commit(&asked)?;
        if directory.lost_commits > 0 {
            directory.lost_commits -= 1;
            if directory.swept {
                directory.imports.clear();
            }
            return Err(lost());
        }
        Ok(Response::new(answer))
    }

    async fn discard_import(&self, request: Request<DiscardImportRequest>) -> Answer<DiscardImportResponse> {
        self.authorize(&request)?;
        let id = request.into_inner().import_id;
        let mut directory = self.directory();
        directory.calls.push("discard".to_owned());
        directory.imports.retain(|import| import.id != id);
        Ok(Response::new(DiscardImportResponse {}))
    }
}

#[tonic::async_trait]
impl LineService for Fake {
    async fn batch_get_lines(&self, request: Request<BatchGetLinesRequest>) -> Answer<BatchGetLinesResponse> {
        self.authorize(&request)?;
        let names = request.into_inner().names;
        assert!(names.len() <= 1_000);
        let directory = self.directory();
        let missing = |name: &String| !directory.resources.contains_key(&format!("line {name}"));
        let not_found = names.into_iter().filter(missing).collect();
        Ok(Response::new(BatchGetLinesResponse { lines: Vec::new(), not_found }))
    }

    async fn create_line(&self, _: Request<CreateLineRequest>) -> Answer<CreateLineResponse> {
        Err(Status::unimplemented(""))
    }

    async fn get_line(&self, _: Request<GetLineRequest>) -> Answer<GetLineResponse> {
        Err(Status::unimplemented(""))
    }

    async fn list_lines(&self, _: Request<ListLinesRequest>) -> Answer<ListLinesResponse> {
        Err(Status::unimplemented(""))
    }

    async fn update_line(&self, _: Request<UpdateLineRequest>) -> Answer<UpdateLineResponse> {
        Err(Status::unimplemented(""))
    }

    async fn delete_line(&self, _: Request<DeleteLineRequest>) -> Answer<DeleteLineResponse> {
        Err(Status::unimplemented(""))
    }
}

#[tonic::async_trait]
impl UserDeviceProfileService for Fake {
    async fn list_user_device_profiles(
        &self,
        request: Request<ListUserDeviceProfilesRequest>,
    ) -> Answer<ListUserDeviceProfilesResponse> {
        self.authorize(&request)?;
        let asked = request.into_inner();
        let skipped: usize = asked.page_token.parse().unwrap_or_default();
        let directory = self.directory();
        let profiles = directory.resources.values().filter_map(|resource| match &resource.kind {
            Some(resource::Kind::UserDeviceProfile(profile)) => Some(profile),
            _ => None,
        });
        let fits =
            |profile: &&UserDeviceProfile| asked.filter.is_empty() || asked.filter.contains(&profile.name);
        // Two a page, and what only a server writes.
        let page: Vec<UserDeviceProfile> = profiles
            .filter(fits)
            .skip(skipped)
            .take(3)
            .map(|profile| UserDeviceProfile {
                etag: "v1".into(),
                owner_user_id: "1001".into(),
                ..profile.clone()
            })
            .collect();
        let next_page_token = if page.len() > 2 { (skipped + 2).to_string() } else { String::new() };
        let user_device_profiles = page.into_iter().take(2).collect();
        Ok(Response::new(ListUserDeviceProfilesResponse { user_device_profiles, next_page_token }))
    }

    async fn create_user_device_profile(
        &self,
        _: Request<CreateUserDeviceProfileRequest>,
    ) -> Answer<CreateUserDeviceProfileResponse> {
        Err(Status::unimplemented(""))
    }

    async fn get_user_device_profile(
        &self,
        _: Request<GetUserDeviceProfileRequest>,
    ) -> Answer<GetUserDeviceProfileResponse> {
        Err(Status::unimplemented(""))
    }

    async fn batch_get_user_device_profiles(
        &self,
        _: Request<BatchGetUserDeviceProfilesRequest>,
    ) -> Answer<BatchGetUserDeviceProfilesResponse> {
        Err(Status::unimplemented(""))
    }

    async fn update_user_device_profile(
        &self,
        _: Request<UpdateUserDeviceProfileRequest>,
    ) -> Answer<UpdateUserDeviceProfileResponse> {
        Err(Status::unimplemented(""))
    }

    async fn delete_user_device_profile(
        &self,
        _: Request<DeleteUserDeviceProfileRequest>,
    ) -> Answer<DeleteUserDeviceProfileResponse> {
        Err(Status::unimplemented(""))
    }
}
