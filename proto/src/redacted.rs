//! `Debug` for messages that carry secrets: they say that one is there, and no more.

use std::fmt;

use crate::auth::{
    Credential, IssueServiceTokenRequest, IssueServiceTokenResponse, RefreshTokenRequest,
    RefreshTokenResponse, SignInResponse, SignOutRequest, credential,
};
use crate::emcc::{AcceptInvitationRequest, CreateInvitationResponse, RedeemInvitationRequest};
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

impl fmt::Debug for RefreshTokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshTokenRequest").finish_non_exhaustive()
    }
}

impl fmt::Debug for RefreshTokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshTokenResponse")
            .field("expire_time", &self.expire_time)
            .field("scopes", &self.scopes)
            .field("refresh_expire_time", &self.refresh_expire_time)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SignOutRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignOutRequest").finish_non_exhaustive()
    }
}

impl fmt::Debug for IssueServiceTokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssueServiceTokenRequest").field("service", &self.service).finish_non_exhaustive()
    }
}

impl fmt::Debug for IssueServiceTokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssueServiceTokenResponse")
            .field("expire_time", &self.expire_time)
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

impl fmt::Debug for CreateInvitationResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateInvitationResponse")
            .field("invitation", &self.invitation)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AcceptInvitationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptInvitationRequest").finish_non_exhaustive()
    }
}

impl fmt::Debug for RedeemInvitationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedeemInvitationRequest")
            .field("invitation_id", &self.invitation_id)
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
        let secret = || "271828".to_owned();
        let signed_in =
            SignInResponse { access_token: secret(), refresh_token: secret(), ..Default::default() };
        let refreshed =
            RefreshTokenResponse { access_token: secret(), refresh_token: secret(), ..Default::default() };
        let service = IssueServiceTokenRequest { service: "session".into(), secret: secret() };
        for printed in [
            format!("{credential:?} {settings:?} {signed_in:?} {refreshed:?} {service:?}"),
            format!("{:?}", RefreshTokenRequest { refresh_token: secret() }),
            format!("{:?}", SignOutRequest { refresh_token: secret() }),
            format!("{:?}", CreateInvitationResponse { token: secret(), ..Default::default() }),
            format!("{:?}", AcceptInvitationRequest { token: secret(), services: None }),
            format!("{:?}", RedeemInvitationRequest { secret: b"271828".into(), ..Default::default() }),
            format!("{:?}", IssueServiceTokenResponse { access_token: secret(), ..Default::default() }),
        ] {
            assert!(!printed.contains("271828"), "{printed}");
        }
    }
}
