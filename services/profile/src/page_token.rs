//! Page tokens: the kind of the list and the last key of the page, in hexadecimal, so that a token of another list is
//! known as one and nobody is tempted to build his own.

use roamline_domain::directory::Kind;

/// The token that asks for what comes after `last`.
pub(crate) fn make(kind: Kind, last: &str) -> String {
    format!("{kind}:{last}").bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// The key that a token asks to go on after; `None` when it is no token of that list.
pub(crate) fn read(kind: Kind, token: &str) -> Option<String> {
    let digits = token.as_bytes().chunks(2);
    let bytes = digits.map(byte).collect::<Option<Vec<u8>>>()?;
    let text = String::from_utf8(bytes).ok()?;
    let last = text.strip_prefix(kind.as_str())?.strip_prefix(':')?;
    (!last.is_empty()).then(|| last.to_owned())
}

fn byte(digits: &[u8]) -> Option<u8> {
    let [high, low] = digits else { return None };
    let digit = |digit: u8| char::from(digit).to_digit(16).filter(|_| !digit.is_ascii_uppercase());
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_in_its_own_list_and_in_no_other() {
        for last in ["agent7", "2001@floor", "00000012"] {
            let token = make(Kind::User, last);
            assert_eq!(read(Kind::User, &token).as_deref(), Some(last));
            assert_eq!(read(Kind::Phone, &token), None);
            assert_eq!(read(Kind::UserDeviceProfile, &token), None);
        }
    }

    #[test]
    fn what_is_no_token_is_not_read() {
        for text in ["x", "zz", "7", "757365723a", "757365723A61", "ff", "é", "{}"] {
            assert_eq!(read(Kind::User, text), None, "{text}");
        }
    }
}
