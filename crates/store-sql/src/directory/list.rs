//! Lists of resources, each along an index: the table's key, or the one by time.

use roamline_domain::ClusterId;
use roamline_domain::directory::Kind;
use roamline_store::{Cursor, ListQuery};
use sea_orm::sea_query::{Expr, ExprTrait, Order};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use crate::column::micros;
use crate::entity::resource::{Column, Entity};

/// What finds them; `None` where no name can be as asked.
pub(super) fn select(cluster: &ClusterId, kind: Kind, query: &ListQuery) -> Option<Select<Entity>> {
    let mut select = Entity::find()
        .filter(Column::ClusterId.eq(cluster.as_str()))
        .filter(Column::Kind.eq(kind.as_str()))
        .limit(u64::from(query.limit));
    if let Some(prefix) = query.prefix.as_deref().filter(|prefix| !prefix.is_empty()) {
        if prefix.contains('\0') {
            return None;
        }
        select = select.filter(Column::Name.gte(prefix));
        if let Some(end) = end_of(prefix) {
            select = select.filter(Column::Name.lt(end));
        }
    }
    if let Some(after) = &query.after {
        select = select.filter(is_after(after, query));
    }
    let order = if query.order.is_descending() { Order::Desc } else { Order::Asc };
    if query.order.is_by_time() {
        select = select.order_by(Column::UpdatedAt, order.clone());
    }
    Some(select.order_by(Column::Name, order))
}

fn is_after(after: &Cursor, query: &ListQuery) -> Expr {
    // PostgreSQL takes no NUL. No name holds one: forwards, the same names follow what stands before it; backwards,
    // that itself does too.
    let (name, was_cut) = match after.name.split_once('\0') {
        Some((before, _)) => (before, true),
        None => (after.name.as_str(), false),
    };
    let (mut place, mut end) = (vec![Expr::col(Column::Name)], vec![Expr::value(name)]);
    if query.order.is_by_time() {
        place.insert(0, Expr::col(Column::UpdatedAt));
        end.insert(0, Expr::value(after.updated_at.map_or(i64::MIN, micros)));
    }
    let (place, end) = (Expr::tuple(place), Expr::tuple(end));
    match (query.order.is_descending(), was_cut) {
        (false, _) => place.gt(end),
        (true, false) => place.lt(end),
        (true, true) => place.lte(end),
    }
}

/// The first text after all that begin so, in the order of bytes, which is that of characters; `None` where there is
/// none.
fn end_of(prefix: &str) -> Option<String> {
    let mut end: Vec<char> = prefix.chars().collect();
    while let Some(last) = end.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            end.push(next);
            return Some(end.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use roamline_store::ListQuery;
    use sea_orm::{ConnectionTrait, DbBackend, QueryTrait};

    use super::*;
    use crate::{SqlStore, SqliteOptions};

    #[tokio::test]
    async fn every_list_goes_along_an_index() {
        use roamline_store::Order::{Name, NameDescending, Updated, UpdatedDescending};
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("roamline.db");
        let cluster: ClusterId = "main".parse().unwrap();
        let store = SqlStore::open_sqlite(&path, cluster.clone(), SqliteOptions::default()).await.unwrap();
        for order in [Name, NameDescending, Updated, UpdatedDescending] {
            for after in [None, Some(Cursor { updated_at: None, name: "x".into() })] {
                let is_after = after.is_some();
                let query = ListQuery { after, limit: 9, order, prefix: None };
                let mut plan = select(&cluster, Kind::Phone, &query).unwrap().build(DbBackend::Sqlite);
                plan.sql = format!("EXPLAIN QUERY PLAN {}", plan.sql);
                let steps = store.readers.query_all_raw(plan).await.unwrap();
                let steps: Vec<String> =
                    steps.into_iter().map(|row| row.try_get("", "detail").unwrap()).collect();
                assert_eq!(steps.len(), 1, "{steps:?}");
                let index =
                    if order.is_by_time() { "resource_by_time" } else { "sqlite_autoindex_resource_1" };
                assert!(steps[0].contains(index), "{steps:?}");
                let is_range = steps[0].contains('>') || steps[0].contains('<');
                assert_eq!(is_range, is_after, "{steps:?}");
            }
        }
    }

    #[test]
    fn a_prefix_ends_before_the_next_character() {
        assert_eq!(end_of("SEP0").as_deref(), Some("SEP1"));
        assert_eq!(end_of("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(end_of("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(end_of("\u{10ffff}"), None);
    }
}
