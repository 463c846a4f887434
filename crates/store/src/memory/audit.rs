//! The audit trail in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use roamline_domain::audit::{AuditRecord, EventMark};
use roamline_domain::phone_state::Session;
use roamline_domain::{PhoneName, SessionId};

use super::MemoryStore;
use crate::{AuditError, AuditPlace, AuditQuery, AuditStep, AuditStore, Sequence, StoreError};

#[derive(Debug, Default)]
pub(super) struct Audit {
    place: AuditPlace,
    records: Vec<AuditRecord>,
    live: BTreeMap<PhoneName, Session>,
}

impl Audit {
    fn append(&mut self, step: AuditStep) -> Result<(), AuditError> {
        if self.place != step.from {
            return Err(AuditError::Moved);
        }
        self.live.retain(|_, session| !step.ended.contains(&session.id));
        self.live.extend(step.live.into_iter().map(|session| (session.phone.clone(), session)));
        self.records.extend(step.records);
        self.place = step.to;
        Ok(())
    }
}

fn matches(record: &AuditRecord, query: &AuditQuery) -> bool {
    query.user.as_ref().is_none_or(|user| record.user == *user)
        && query.phone.as_ref().is_none_or(|phone| record.phone == phone.as_str())
        && (query.kinds.is_empty() || query.kinds.contains(&record.kind))
        && query.from.is_none_or(|from| record.at >= from)
        && query.until.is_none_or(|until| record.at < until)
}

#[async_trait]
impl AuditStore for MemoryStore {
    async fn place(&self) -> Result<AuditPlace, StoreError> {
        Ok(self.state().audit.place.clone())
    }

    async fn append(&self, step: AuditStep) -> Result<(), AuditError> {
        self.state().audit.append(step)
    }

    async fn prune(&self, step: AuditStep, until: u64) -> Result<(), AuditError> {
        let mut state = self.state();
        let until = until.min(step.from.number);
        state.audit.append(step)?;
        state.audit.records.retain(|record| record.number > until);
        Ok(())
    }

    async fn records(
        &self,
        query: &AuditQuery,
        after: u64,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        let state = self.state();
        let newer = state.audit.records.iter().filter(|record| record.number > after);
        Ok(newer.filter(|record| matches(record, query)).take(limit as usize).cloned().collect())
    }

    async fn recorded(&self, after: Sequence, until: Sequence) -> Result<Vec<EventMark>, StoreError> {
        let state = self.state();
        let marks = state.audit.records.iter().filter_map(|record| record.event.as_ref());
        let asked = marks.filter(|mark| mark.sequence > after && mark.sequence <= until);
        let mut marks: Vec<_> = asked.cloned().collect();
        marks.sort_by_key(|mark| mark.sequence);
        Ok(marks)
    }

    async fn live(&self, after: Option<&PhoneName>, limit: u32) -> Result<Vec<Session>, StoreError> {
        let state = self.state();
        let rest = state.audit.live.values().filter(|live| after.is_none_or(|after| live.phone > *after));
        Ok(rest.take(limit as usize).cloned().collect())
    }

    async fn live_among(&self, sessions: &[SessionId]) -> Result<Vec<Session>, StoreError> {
        let state = self.state();
        Ok(state.audit.live.values().filter(|live| sessions.contains(&live.id)).cloned().collect())
    }
}
