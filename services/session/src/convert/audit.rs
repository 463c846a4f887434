//! The audit trail on the wire.

use jiff::Timestamp;
use roamline_domain::audit::{AuditKind, AuditRecord};
use roamline_domain::{PhoneName, Violations};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_proto::session as wire;
use roamline_store::AuditQuery;

use super::{actor, timestamp};
use crate::audit::Told;
use crate::refusal;

/// A name has at most that many characters in the trail.
const NAME: usize = 200;

pub(crate) fn query(filter: Option<&wire::AuditFilter>) -> Result<AuditQuery, Refusal> {
    let Some(filter) = filter else { return Ok(AuditQuery::default()) };
    let mut found = Violations::new();
    let user = (!filter.user_id.is_empty()).then(|| filter.user_id.clone());
    if filter.user_id.chars().count() > NAME || filter.user_id.contains('\0') {
        found.add("filter.user_id", "", format!("must have at most {NAME} characters, none of them NUL"));
    }
    let phone: Option<PhoneName> = match filter.phone.as_str() {
        "" => None,
        text => found.take("filter.phone", text.parse()),
    };
    let kinds = filter.kinds.iter().enumerate().filter_map(|(place, number)| {
        let known = wire::AuditKind::try_from(*number).ok().and_then(kind_of);
        if known.is_none() {
            found.add(format!("filter.kinds[{place}]"), "", "must be a kind of audit records");
        }
        known
    });
    let kinds = kinds.collect();
    let from = instant("filter.from", filter.from.as_ref(), &mut found);
    let until = instant("filter.until", filter.until.as_ref(), &mut found);
    if let (Some(from), Some(until)) = (from, until)
        && from >= until
    {
        found.add("filter.until", "", "must be after `from`");
    }
    found.none_or(AuditQuery { user, phone, kinds, from, until }).map_err(refusal::invalid)
}

fn instant(field: &str, sent: Option<&prost_types::Timestamp>, found: &mut Violations) -> Option<Timestamp> {
    let sent = sent?;
    let whole = (0..1_000_000_000).contains(&sent.nanos);
    let instant = whole.then(|| Timestamp::new(sent.seconds, sent.nanos).ok()).flatten();
    if instant.is_none() {
        found.add(field, "", "must be an instant of the years 1 to 9999");
    }
    instant
}

const PAGES: &str = "audit-after-";

pub(crate) fn page_token(text: &str) -> Result<u64, Refusal> {
    if text.is_empty() {
        return Ok(0);
    }
    text.strip_prefix(PAGES).and_then(|number| number.parse().ok()).ok_or_else(|| {
        Refusal::new(ErrorReason::PageTokenInvalid, "the page token was not made by this call")
    })
}

pub(crate) fn next_page_token(last: u64) -> String {
    format!("{PAGES}{last}")
}

pub(crate) fn record(record: AuditRecord) -> wire::AuditRecord {
    let told = Told::by(&record.body);
    wire::AuditRecord {
        number: record.number,
        time: Some(timestamp(record.at)),
        kind: kind(record.kind).into(),
        phone: record.phone,
        user_id: record.user,
        profile: told.profile,
        session_id: told.session_id,
        reason: told.reason,
        actor: told.actor.as_ref().map(actor),
        body: record.body,
        hash: record.hash.0.to_vec(),
    }
}

fn kind(kind: AuditKind) -> wire::AuditKind {
    match kind {
        AuditKind::Login => wire::AuditKind::Login,
        AuditKind::Logout => wire::AuditKind::Logout,
        AuditKind::LoginRefused => wire::AuditKind::LoginRefused,
        AuditKind::LogoutRefused => wire::AuditKind::LogoutRefused,
        AuditKind::LogoutPending => wire::AuditKind::LogoutPending,
        AuditKind::Refresh => wire::AuditKind::Refresh,
        AuditKind::StoreCut => wire::AuditKind::StoreCut,
        AuditKind::StoreRebuilt => wire::AuditKind::StoreRebuilt,
        AuditKind::RebuildBegun => wire::AuditKind::RebuildBegun,
        AuditKind::Pruned => wire::AuditKind::Pruned,
        AuditKind::LoginKept => wire::AuditKind::LoginKept,
        AuditKind::RefreshTokenReused => wire::AuditKind::RefreshTokenReused,
        AuditKind::PeerRefused => wire::AuditKind::PeerRefused,
        AuditKind::PeerChanged => wire::AuditKind::PeerChanged,
        AuditKind::SignInRefused => wire::AuditKind::SignInRefused,
    }
}

fn kind_of(kind: wire::AuditKind) -> Option<AuditKind> {
    Some(match kind {
        wire::AuditKind::Unspecified => return None,
        wire::AuditKind::Login => AuditKind::Login,
        wire::AuditKind::Logout => AuditKind::Logout,
        wire::AuditKind::LoginRefused => AuditKind::LoginRefused,
        wire::AuditKind::LogoutRefused => AuditKind::LogoutRefused,
        wire::AuditKind::LogoutPending => AuditKind::LogoutPending,
        wire::AuditKind::Refresh => AuditKind::Refresh,
        wire::AuditKind::StoreCut => AuditKind::StoreCut,
        wire::AuditKind::StoreRebuilt => AuditKind::StoreRebuilt,
        wire::AuditKind::RebuildBegun => AuditKind::RebuildBegun,
        wire::AuditKind::Pruned => AuditKind::Pruned,
        wire::AuditKind::LoginKept => AuditKind::LoginKept,
        wire::AuditKind::RefreshTokenReused => AuditKind::RefreshTokenReused,
        wire::AuditKind::PeerRefused => AuditKind::PeerRefused,
        wire::AuditKind::PeerChanged => AuditKind::PeerChanged,
        wire::AuditKind::SignInRefused => AuditKind::SignInRefused,
    })
}
