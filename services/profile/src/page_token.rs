//! Page tokens: the list, its order and filter, and the last place of the page, in hexadecimal, so that a token of
//! another list is known as one and nobody is tempted to build his own.

use roamline_domain::directory::Kind;
use roamline_store::{Cursor, Order};

/// The list that a token belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List<'a> {
    /// What it lists.
    pub(crate) kind: Kind,
    /// In which order.
    pub(crate) order: Order,
    /// Through which filter.
    pub(crate) filter: &'a str,
}

impl List<'_> {
    /// The token that asks for what comes after `last`.
    pub(crate) fn token(&self, last: &Cursor) -> String {
        let time = last.updated_at.map(|time| time.as_microsecond().to_string()).unwrap_or_default();
        let text = format!("{}{time}:{}", self.begin(), last.name);
        text.bytes().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The place that a token asks to go on after; `None` when it is no token of this list.
    pub(crate) fn place(&self, token: &str) -> Option<Cursor> {
        let bytes = token.as_bytes().chunks(2).map(byte).collect::<Option<Vec<u8>>>()?;
        let text = String::from_utf8(bytes).ok()?;
        let (time, name) = text.strip_prefix(&self.begin())?.split_once(':')?;
        let updated_at = match time {
            "" => None,
            time => Some(jiff::Timestamp::from_microsecond(time.parse().ok()?).ok()?),
        };
        let whole = updated_at.is_some() == self.order.is_by_time() && !name.is_empty();
        whole.then(|| Cursor { updated_at, name: name.to_owned() })
    }

    fn begin(&self) -> String {
        let order = match self.order {
            Order::Name => "n",
            Order::NameDescending => "nd",
            Order::Updated => "u",
            Order::UpdatedDescending => "ud",
        };
        format!("{}:{order}:{:016x}:", self.kind, digest(self.filter.trim()))
    }
}

/// FNV-1a: the same on every replica and in every release.
fn digest(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

fn byte(digits: &[u8]) -> Option<u8> {
    let [high, low] = digits else { return None };
    let digit = |digit: u8| char::from(digit).to_digit(16).filter(|_| !digit.is_ascii_uppercase());
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: List<'static> = List { kind: Kind::User, order: Order::Name, filter: "" };

    #[test]
    fn a_token_reads_back_in_its_own_list_and_in_no_other() {
        for name in ["agent7", "2001@floor", "00000012", "a:b"] {
            let last = Cursor { updated_at: None, name: name.to_owned() };
            let token = USERS.token(&last);
            assert_eq!(USERS.place(&token), Some(last));
            for other in [
                List { kind: Kind::Phone, ..USERS },
                List { kind: Kind::UserDeviceProfile, ..USERS },
                List { order: Order::NameDescending, ..USERS },
                List { order: Order::Updated, ..USERS },
                List { filter: "user_id = a", ..USERS },
            ] {
                assert_eq!(other.place(&token), None, "{other:?}");
            }
        }
    }

    #[test]
    fn a_place_in_time_reads_back() {
        let list = List { order: Order::UpdatedDescending, filter: "user_id = a", ..USERS };
        let time = "2026-03-01T08:00:00.000001Z".parse().unwrap();
        let last = Cursor { updated_at: Some(time), name: "x".into() };
        assert_eq!(list.place(&list.token(&last)), Some(last));
    }

    #[test]
    fn what_is_no_token_is_not_read() {
        for text in ["x", "zz", "7", "757365723a", "757365723A61", "ff", "é", "{}"] {
            assert_eq!(USERS.place(text), None, "{text}");
        }
    }
}
