//! Sign-ins and the tokens that come of them: begun with a credential, refreshed with a token that is good once, ended by
//! whoever has it, by an administrator, or by another secret.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use roamline_domain::PrincipalName;
use roamline_domain::credential::SecretKind;
use roamline_store::{Principal, Revocation, RevocationPage, Revoked, SignIn};
use roamline_token::{NewToken, SignedToken, role, scopes_of_roles};

use crate::Service;
use crate::config::TOKEN_LIVES_AT_MOST;
use crate::convert::{kind_to_proto, revocations_to_proto, roles_to_proto};
use crate::error::AuthError;
use crate::refresh_token::{RefreshToken, Worth};
use crate::sign_in::{COMMITS, must_change, secret_of};

/// Revocations in one answer.
pub(crate) const REVOCATIONS: u32 = 5_000;
/// A key that others know is refused for so long: for as long as any verifier may have it.
const KEY_REVOKED_FOR: SignedDuration = SignedDuration::from_hours(10 * 366 * 24);

/// What somebody gets who has proven who he is.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) access: SignedToken,
    pub(crate) scopes: Vec<&'static str>,
    pub(crate) roles: Vec<roamline_proto::auth::Role>,
    pub(crate) refresh: RefreshToken,
    pub(crate) refresh_expires_at: Timestamp,
}

impl Service {
    /// Begins a sign-in of somebody who has just proven who he is with that secret.
    pub(crate) async fn begin(&self, proven: &Principal, kind: SecretKind) -> Result<Issued, AuthError> {
        let now = self.clock.now();
        let secret = secret_of(proven, kind).ok_or(AuthError::Refused)?;
        let id = self.ids.opaque();
        let (refresh, seed) = RefreshToken::first(&id).ok_or(AuthError::Fault("no randomness"))?;
        let ends_at = after(now, self.config.tokens.sign_in_lives_for);
        let sign_in = SignIn {
            id,
            principal: proven.name.clone(),
            secret_kind: kind,
            secret_set_at: secret.set_at,
            seed,
            counter: 0,
            current: refresh.hash(),
            previous: None,
            refreshed_at: now,
            begun_at: now,
            ends_at,
            expires_at: self.refreshable_until(now, ends_at),
        };
        let revoked = self.store.begin_sign_in(sign_in.clone(), self.config.tokens.max_sign_ins, now).await?;
        // Who changes the secret ends the sign-ins after that. One that began after that, by the old one, is seen here.
        let held = self.store.principal(&proven.name).await?;
        let holds =
            held.as_ref().and_then(|held| secret_of(held, kind)).is_some_and(|s| s.set_at == secret.set_at);
        match held.filter(|_| holds) {
            Some(principal) => self.issue(&principal, &sign_in, refresh, revoked),
            None => {
                self.end(&sign_in.id).await?;
                Err(AuthError::Refused)
            }
        }
    }

    /// The next tokens of a sign-in.
    pub(crate) async fn refresh(
        &self,
        presented: &RefreshToken,
        from: Option<IpAddr>,
    ) -> Result<Issued, AuthError> {
        for _ in 0..COMMITS {
            let now = self.clock.now();
            let Some(held) = self.store.sign_in(presented.sign_in()).await? else { break };
            let worth = presented.worth(&held, now);
            match worth {
                Worth::None => break,
                // Who else came with it at once, or came before and did not get that far, tells of it.
                Worth::Spent if held.current.is_empty() => {
                    self.end(&held.id).await?;
                    break;
                }
                Worth::Spent => {
                    // Of many that come with it at once, one tells of it: the one that puts the sign-in out of use.
                    let out_of_use = SignIn {
                        counter: held.counter.saturating_add(1),
                        current: Vec::new(),
                        previous: None,
                        ..held.clone()
                    };
                    if !self.store.refresh_sign_in(out_of_use).await? {
                        continue;
                    }
                    tracing::warn!(principal = %held.principal, sign_in = held.id, "a refresh token was used again; its sign-in is ended");
                    self.end(&held.id).await?;
                    if let Err(error) = self.record_reuse(&held, from).await {
                        let cause = &error as &dyn std::error::Error;
                        tracing::error!(cause, principal = %held.principal, "the reuse of a refresh token is not in the audit trail");
                    }
                    break;
                }
                Worth::Good | Worth::Repeated => {}
            }
            let principal = self.entitled(&held, now).await?;
            let next = presented.successor(&held.seed);
            if worth == Worth::Repeated {
                return self.issue(&principal, &held, next, None);
            }
            let refreshed = SignIn {
                counter: held.counter.saturating_add(1),
                current: next.hash(),
                previous: Some(held.current.clone()),
                refreshed_at: now,
                expires_at: self.refreshable_until(now, held.ends_at),
                ..held
            };
            if self.store.refresh_sign_in(refreshed.clone()).await? {
                return self.issue(&principal, &refreshed, next, None);
            }
        }
        Err(AuthError::RefreshRefused)
    }

    /// The principal of a sign-in, whose credential must be the one it began with, and good. Another one ends the sign-in;
    /// a lockout does nothing here: strangers can bring one about, and a refresh token guesses nothing.
    async fn entitled(&self, held: &SignIn, now: Timestamp) -> Result<Principal, AuthError> {
        let principal = self.store.principal(&held.principal).await?;
        let secret = principal.as_ref().and_then(|principal| secret_of(principal, held.secret_kind));
        let Some((principal, secret)) = principal.as_ref().zip(secret) else {
            self.end(&held.id).await?;
            return Err(AuthError::RefreshRefused);
        };
        let must_change = must_change(principal, held.secret_kind, &self.policy_of(principal), now).is_some();
        if secret.set_at != held.secret_set_at || must_change {
            self.end(&held.id).await?;
            return Err(AuthError::RefreshRefused);
        }
        Ok(principal.clone())
    }

    /// Signs an access token as the principal is now.
    fn issue(
        &self,
        principal: &Principal,
        sign_in: &SignIn,
        refresh: RefreshToken,
        revoked: Option<Timestamp>,
    ) -> Result<Issued, AuthError> {
        let roles = roles_to_proto(principal);
        let names: Vec<_> = roles.iter().copied().map(role::name).collect();
        let scopes = scopes_of_roles(roles.iter().copied());
        let access = self
            .keys
            .signer()
            .sign_new(&NewToken {
                subject: principal.name.as_str(),
                kind: kind_to_proto(principal.kind),
                roles: &names,
                scopes: &scopes,
                sign_in: Some(&sign_in.id),
                services: &[],
                now: self.clock.now(),
                after: revoked.max(self.revocations.signed_until(principal.name.as_str())),
                lives_for: self.config.token_lives_for,
            })
            .map_err(|_| AuthError::Fault("a token cannot be signed"))?;
        Ok(Issued { access, scopes, roles, refresh, refresh_expires_at: sign_in.expires_at })
    }

    /// Ends the sign-in that a refresh token is of, spent or not.
    pub(crate) async fn sign_out(&self, token: &RefreshToken) -> Result<(), AuthError> {
        match self.store.sign_in(token.sign_in()).await? {
            Some(held) if token.is_of(&held) => self.end(&held.id).await,
            _ => Ok(()),
        }
    }

    async fn end(&self, sign_in: &str) -> Result<(), AuthError> {
        self.revoke(vec![self.revocation(Revoked::SignIn(sign_in.to_owned()))]).await
    }

    /// Ends all sign-ins of these principals, and every token of theirs.
    pub(crate) async fn end_all(&self, names: Vec<PrincipalName>) -> Result<(), AuthError> {
        self.revoke(names.into_iter().map(|name| self.revocation(Revoked::Principal(name))).collect()).await
    }

    /// Refuses what a key has signed.
    pub(crate) async fn revoke_key(&self, kid: &str) -> Result<(), AuthError> {
        let revocation = self.revocation(Revoked::Key(kid.to_owned()));
        let expires_at = self.clock.now().checked_add(KEY_REVOKED_FOR).unwrap_or(Timestamp::MAX);
        self.revoke(vec![Revocation { expires_at, ..revocation }]).await
    }

    /// Whatever was signed until now; it has expired by itself after the longest life that a token may be given, as
    /// another replica, or this one before it was restarted, may have given a longer one than is set here.
    fn revocation(&self, of: Revoked) -> Revocation {
        let now = self.clock.now();
        let longest = TOKEN_LIVES_AT_MOST.saturating_add(self.config.tokens.leeway.saturating_mul(2));
        Revocation { of, signed_until: now, expires_at: after(now, longest) }
    }

    async fn revoke(&self, revocations: Vec<Revocation>) -> Result<(), AuthError> {
        if revocations.is_empty() {
            return Ok(());
        }
        self.store.revoke(revocations).await?;
        self.catch_up().await
    }

    /// Takes note of what this or another replica has revoked.
    pub(crate) async fn catch_up(&self) -> Result<(), AuthError> {
        loop {
            let (before, now) = (self.revocations.revision(), self.clock.now());
            let page = self.store.revocations(before, now, REVOCATIONS).await?;
            let is_last = page.revision <= before;
            self.revocations.add(&revocations_to_proto(page), now);
            if is_last {
                return Ok(());
            }
        }
    }

    /// What was revoked after a place.
    pub(crate) async fn revoked_after(&self, revision: u64) -> Result<RevocationPage, AuthError> {
        Ok(self.store.revocations(revision, self.clock.now(), REVOCATIONS).await?)
    }

    /// For how long a token may be believed at most after it was signed.
    pub(crate) fn tokens_live_for(&self) -> std::time::Duration {
        let longest = self.config.token_lives_for.max(crate::service_tokens::LIVES_FOR);
        longest.saturating_add(self.config.tokens.leeway.saturating_mul(2))
    }

    fn refreshable_until(&self, now: Timestamp, ends_at: Timestamp) -> Timestamp {
        after(now, self.config.tokens.refresh_token_lives_for).min(ends_at)
    }
}

/// An instant later, or the end of time.
fn after(now: Timestamp, time: std::time::Duration) -> Timestamp {
    SignedDuration::try_from(time).ok().and_then(|time| now.checked_add(time).ok()).unwrap_or(Timestamp::MAX)
}
