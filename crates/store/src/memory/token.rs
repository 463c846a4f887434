//! Sign-ins, revocations and signing keys in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use super::MemoryStore;
use crate::{KeyRecord, Revocation, RevocationPage, Revoked, SignIn, StoreError, TokenStore};

#[derive(Debug, Default)]
pub(super) struct Tokens {
    sign_ins: BTreeMap<String, SignIn>,
    revocations: BTreeMap<u64, Revocation>,
    keys: Vec<KeyRecord>,
}

impl Tokens {
    fn revision(&self) -> u64 {
        self.revocations.last_key_value().map_or(0, |(place, _)| *place)
    }

    fn begin(&mut self, sign_in: SignIn, most: u32, now: Timestamp) -> Option<Timestamp> {
        let principal = sign_in.principal.clone();
        self.sign_ins.retain(|_, other| other.principal != principal || other.expires_at > now);
        let mut others: Vec<_> = self
            .sign_ins
            .values()
            .filter(|other| other.principal == principal)
            .map(|other| (other.begun_at, other.id.clone()))
            .collect();
        others.sort_by(|a, b| b.cmp(a));
        for (_, id) in others.into_iter().skip((most as usize).saturating_sub(1)) {
            self.sign_ins.remove(&id);
        }
        self.sign_ins.insert(sign_in.id.clone(), sign_in);
        let about = |revocation: &&Revocation| revocation.of == Revoked::Principal(principal.clone());
        self.revocations.values().filter(about).map(|revocation| revocation.signed_until).max()
    }

    fn refresh(&mut self, next: SignIn) -> bool {
        match self.sign_ins.get_mut(&next.id) {
            Some(held) if held.counter.checked_add(1) == Some(next.counter) => {
                *held = next;
                true
            }
            _ => false,
        }
    }

    fn revoke(&mut self, revocations: Vec<Revocation>) -> u64 {
        for revocation in revocations {
            let of = revocation.of.clone();
            self.put(revocation.clone());
            let ended = self.sign_ins.extract_if(.., |id, sign_in| match &of {
                Revoked::SignIn(ended) => id == ended,
                Revoked::Principal(name) => sign_in.principal == *name,
                Revoked::Key(_) => false,
            });
            let ended: Vec<_> = ended.map(|(id, _)| id).collect();
            if matches!(of, Revoked::Principal(_)) {
                for id in ended {
                    self.put(Revocation { of: Revoked::SignIn(id), ..revocation.clone() });
                }
            }
        }
        self.revision()
    }

    fn put(&mut self, revocation: Revocation) {
        let place = self.revision() + 1;
        self.revocations.insert(place, revocation);
    }

    fn page(&self, after: u64, now: Timestamp, limit: u32) -> RevocationPage {
        let after = if after > self.revision() { 0 } else { after };
        let newer = self.revocations.range(after..).filter(|(place, _)| **place > after);
        let mut page = RevocationPage { revocations: Vec::new(), revision: after };
        for (place, revocation) in newer.take(limit as usize) {
            page.revision = *place;
            if revocation.expires_at > now {
                page.revocations.push(revocation.clone());
            }
        }
        page
    }
}

#[async_trait]
impl TokenStore for MemoryStore {
    async fn begin_sign_in(
        &self,
        sign_in: SignIn,
        most: u32,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.state().tokens.begin(sign_in, most, now))
    }

    async fn sign_in(&self, id: &str) -> Result<Option<SignIn>, StoreError> {
        Ok(self.state().tokens.sign_ins.get(id).cloned())
    }

    async fn refresh_sign_in(&self, next: SignIn) -> Result<bool, StoreError> {
        Ok(self.state().tokens.refresh(next))
    }

    async fn revoke(&self, revocations: Vec<Revocation>) -> Result<u64, StoreError> {
        Ok(self.state().tokens.revoke(revocations))
    }

    async fn revocations(
        &self,
        after: u64,
        now: Timestamp,
        limit: u32,
    ) -> Result<RevocationPage, StoreError> {
        Ok(self.state().tokens.page(after, now, limit))
    }

    async fn trim_tokens(&self, now: Timestamp) -> Result<(), StoreError> {
        let tokens = &mut self.state().tokens;
        let last = tokens.revision();
        tokens.sign_ins.retain(|_, sign_in| sign_in.expires_at > now);
        tokens.revocations.retain(|place, revocation| *place == last || revocation.expires_at > now);
        Ok(())
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        Ok(self.state().tokens.keys.clone())
    }

    async fn swap_keys(&self, from: &[KeyRecord], mut to: Vec<KeyRecord>) -> Result<bool, StoreError> {
        let keys = &mut self.state().tokens.keys;
        let swapped = keys == from;
        if swapped {
            to.sort_by(|a, b| (a.created_at, &a.kid).cmp(&(b.created_at, &b.kid)));
            *keys = to;
        }
        Ok(swapped)
    }
}
