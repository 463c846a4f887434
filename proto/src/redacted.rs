//! `Debug` for messages that carry secrets: they say that one is there, and no more.

use std::fmt;

use crate::auth::{Credential, SignInResponse, credential};
use crate::profile::DeviceSettings;

impl fmt::Debug for credential::Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            credential::Kind::Pin(_) => "Pin(..)",
            credential::Kind::Password(_) => "Password(..)",
        })
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("kind", &self.kind).finish()
    }
}

impl fmt::Debug for SignInResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignInResponse")
            .field("expire_time", &self.expire_time)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DeviceSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceSettings")
            .field("user_locale", &self.user_locale)
            .field("lines", &self.lines)
            .field("speed_dials", &self.speed_dials)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_printed() {
        let credential = Credential { kind: Some(credential::Kind::Pin("271828".into())) };
        let settings = DeviceSettings { call_blocking_pin: "271828".into(), ..Default::default() };
        let answer = SignInResponse { access_token: "271828".into(), ..Default::default() };
        for printed in [format!("{credential:?}"), format!("{settings:?}"), format!("{answer:?}")] {
            assert!(!printed.contains("271828"), "{printed}");
        }
    }
}
