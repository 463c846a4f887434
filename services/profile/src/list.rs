//! Listing records of one kind, page by page, through a filter and in an order.

use std::collections::{BTreeMap, HashSet};

use prost::Name;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use roamline_domain::directory::{Key, Kind, Resource};
use roamline_proto::contract::POOL;
use roamline_proto::refusal::Refusal;
use roamline_store::{Cursor, ListQuery, Order, Stored};

use crate::filter::Filter;
use crate::page_token::List;
use crate::record::Record;
use crate::{Profile, refusal};

const USUAL_PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 1000;
/// Records that a filter is asked about at once.
const SCANNED_AT_ONCE: u32 = 500;
/// Records that a filter is asked about for one page; the page may be short then, even empty.
const MOST_SCANNED: usize = 5000;

/// What a list is asked for.
pub(crate) struct Wanted<'a> {
    /// Records at most.
    pub(crate) size: u32,
    /// The page token.
    pub(crate) token: &'a str,
    /// Which ones.
    pub(crate) filter: &'a str,
    /// In which order.
    pub(crate) order: &'a str,
}

/// A page of records.
pub(crate) struct Page<M> {
    /// The records.
    pub(crate) records: Vec<M>,
    /// Asks for the next page; empty on the last.
    pub(crate) next: String,
}

/// A filter of messages, and whose lines are asked for.
struct Sieve {
    filter: Filter,
    message: MessageDescriptor,
    lines: BTreeMap<String, HashSet<String>>,
}

impl Profile {
    /// A page of at most `size` records; 0 is taken as 100, more than 1000 as 1000.
    ///
    /// # Errors
    /// `PAGE_TOKEN_INVALID`, `LIST_QUERY_INVALID`, or a store's failure.
    pub(crate) async fn list<R: Record>(&self, wanted: Wanted<'_>) -> Result<Page<R::Wire>, Refusal> {
        let order = order(wanted.order)?;
        let sieve = self.sieve::<R>(wanted.filter).await?;
        let list = List { kind: R::KIND, order, filter: wanted.filter };
        let mut after = match wanted.token {
            "" => None,
            token => Some(list.place(token).ok_or_else(refusal::page_token)?),
        };
        let size = if wanted.size == 0 { USUAL_PAGE } else { wanted.size.min(LARGEST_PAGE) };
        let limit = if sieve.is_some() { SCANNED_AT_ONCE } else { size + 1 };
        let full = |count: usize, of: u32| count >= usize::try_from(of).unwrap_or(usize::MAX);
        let (mut records, mut scanned) = (Vec::new(), 0);
        loop {
            let query = ListQuery { after: after.clone(), limit, order, prefix: None };
            let chunk = self.store.list(R::KIND, &query).await.map_err(refusal::store)?;
            for (stored, record) in chunk.iter().zip(self.messages::<R>(&chunk).await?) {
                let next = || after.as_ref().map(|last| list.token(last)).unwrap_or_default();
                if full(records.len(), size) {
                    return Ok(Page { next: next(), records });
                }
                after = Some(Cursor::of(stored, order));
                if sieve.as_ref().is_none_or(|sieve| sieve.allows::<R>(stored, &record)) {
                    records.push(record);
                }
            }
            scanned += chunk.len();
            if !full(chunk.len(), limit) {
                return Ok(Page { records, next: String::new() });
            }
            if scanned >= MOST_SCANNED || full(records.len(), size) {
                let next = after.as_ref().map(|last| list.token(last)).unwrap_or_default();
                return Ok(Page { records, next });
            }
        }
    }

    async fn sieve<R: Record>(&self, filter: &str) -> Result<Option<Sieve>, Refusal> {
        if filter.trim().is_empty() {
            return Ok(None);
        }
        let message = POOL
            .get_message_by_name(&R::Wire::full_name())
            .ok_or_else(|| refusal::internal("the contract has no such message"))?;
        let filter = Filter::read(filter, message.clone(), R::KIND == Kind::Line)
            .map_err(|problem| refusal::list_query("filter", problem.at, &problem.message))?;
        let mut lines = BTreeMap::new();
        for user in filter.owners() {
            lines.insert(user.to_owned(), self.lines_of(user).await?);
        }
        Ok(Some(Sieve { filter, message, lines }))
    }

    /// The lines of the profiles that a user owns (DP-5).
    async fn lines_of(&self, user: &str) -> Result<HashSet<String>, Refusal> {
        let Ok(user_id) = user.parse::<roamline_domain::UserId>() else { return Ok(HashSet::new()) };
        let owner = Key::new(Kind::User, user_id.as_str());
        let Some((Resource::User(user), _)) = self.current(&owner).await? else { return Ok(HashSet::new()) };
        let profiles: Vec<Key> =
            user.profiles.iter().map(|name| Key::new(Kind::UserDeviceProfile, name.as_str())).collect();
        let owners = self.store.first_users(&profiles, Kind::User).await.map_err(refusal::store)?;
        let owned: Vec<Key> =
            profiles.into_iter().filter(|profile| owners.get(profile) == Some(&owner)).collect();
        let found = self.store.find(&owned).await.map_err(refusal::store)?;
        let settings = found.iter().flatten().filter_map(|stored| stored.resource.settings());
        let entries = settings.flat_map(|settings| &settings.lines);
        Ok(entries.flat_map(|entry| &entry.lines).map(ToString::to_string).collect())
    }
}

impl Sieve {
    fn allows<R: Record>(&self, stored: &Stored, record: &R::Wire) -> bool {
        let mut message = DynamicMessage::new(self.message.clone());
        let name = stored.resource.key().name;
        let owned_by = |user: &str| self.lines.get(user).is_some_and(|lines| lines.contains(&name));
        message.transcode_from(record).is_ok() && self.filter.allows(&message, &owned_by)
    }
}

/// The order that a request asks for.
fn order(text: &str) -> Result<Order, Refusal> {
    match text.split_whitespace().collect::<Vec<_>>().as_slice() {
        [] | ["name"] | ["name", "asc"] => Ok(Order::Name),
        ["name", "desc"] => Ok(Order::NameDescending),
        ["update_time"] | ["update_time", "asc"] => Ok(Order::Updated),
        ["update_time", "desc"] => Ok(Order::UpdatedDescending),
        _ => {
            let told = "must be `name`, `name desc`, `update_time` or `update_time desc`";
            Err(refusal::list_query("order_by", 1, told))
        }
    }
}
