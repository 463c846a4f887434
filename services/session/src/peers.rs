//! What the session service asks of the others: the directory (profile service) and credentials (auth service).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use roamline_domain::directory::UserLoginTime;
use roamline_domain::login::Rendering;
use roamline_domain::parameters::ServiceParameters;
use roamline_domain::phone_state::Configuration;
use roamline_domain::{LineName, PhoneName, PrincipalName, ProfileName, SessionId, UserId};
use roamline_proto::auth::Credential;
use roamline_proto::profile::Finding;
use roamline_proto::refusal::Refusal;

use crate::team::Teams;

/// What a login would bring, as the directory made it.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// The profile chosen (LI-3), rendered for the phone.
    pub rendering: Rendering,
    /// Set when the contact-centre policy refuses the profile; it is given last of all refusals (LI-2).
    pub contact_centre: Option<Refusal>,
    /// Contact-centre rules that the profile bends.
    pub findings: Vec<Finding>,
}

/// Everything the directory knows about a login.
#[derive(Clone, Debug, PartialEq)]
pub struct LoginFacts {
    /// The phone.
    pub phone: PhoneName,
    /// The user id; whether there is such a user is told by `prepared`.
    pub user: UserId,
    /// The rendering, or why there is none. The refusal is given only once the user is authenticated.
    pub prepared: Result<Box<Prepared>, Refusal>,
    /// The user's own maximum login time (SP-20).
    pub user_login_time: UserLoginTime,
    /// The parameters in force (SP-21).
    pub policy: Arc<ServiceParameters>,
    /// Set when the phone's owner keeps it to himself; given before what is live is looked at (LI-13).
    pub owner: Option<Refusal>,
    /// Whether the login is refused while the handset is up (LI-8).
    pub refuse_off_hook: bool,
}

/// Where somebody proves who he is: guesses are counted by it (SP-14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginPlace {
    /// The address he comes from, where it is known.
    pub source: Option<IpAddr>,
    /// The phone that he wants to log in to.
    pub phone: PhoneName,
}

/// Everything the directory knows about a logout.
#[derive(Clone, Debug, PartialEq)]
pub struct LogoutFacts {
    /// What the phone wears with nobody logged in.
    pub configuration: Configuration,
    /// The parameters in force (SP-21).
    pub policy: Arc<ServiceParameters>,
}

/// The login of a user who is unknown here.
#[derive(Clone, Debug)]
pub struct RoamAsk {
    /// The phone, one of this cluster.
    pub phone: PhoneName,
    /// The user.
    pub user: UserId,
    /// His proof.
    pub credential: Credential,
    /// As what.
    pub profile: Option<ProfileName>,
    /// How long he asks for.
    pub duration: Option<Duration>,
    /// The address he comes from, where it is known.
    pub source: Option<IpAddr>,
}

/// What the home of a user made of his login.
#[derive(Clone, Debug, PartialEq)]
pub struct Roamed {
    /// The id of the session in both clusters.
    pub session: SessionId,
    /// What the phone shall wear.
    pub prepared: Box<Prepared>,
    /// How long the session may last; `None` without end.
    pub at_most: Option<Duration>,
}

/// The other services, as this one sees them.
#[async_trait]
pub trait Peers: Send + Sync + 'static {
    /// What the directory knows about the login of a user at a phone.
    ///
    /// # Errors
    /// Refusals that come before authentication in LI-2, or that the directory cannot be reached.
    async fn prepare_login(
        &self,
        phone: &PhoneName,
        user_id: &str,
        profile: Option<&ProfileName>,
    ) -> Result<LoginFacts, Refusal>;

    /// What a phone wears with nobody logged in.
    ///
    /// # Errors
    /// The phone is unknown, or the directory cannot be reached.
    async fn prepare_logout(&self, phone: &PhoneName) -> Result<LogoutFacts, Refusal>;

    /// As [`Peers::prepare_logout`], of phones whose sessions end together: one answer for each, in their order.
    async fn prepare_logouts(&self, phones: &[PhoneName]) -> Vec<Result<LogoutFacts, Refusal>> {
        let mut answers = Vec::with_capacity(phones.len());
        for phone in phones {
            answers.push(self.prepare_logout(phone).await);
        }
        answers
    }

    /// The parameters in force.
    ///
    /// # Errors
    /// The directory cannot be reached.
    async fn service_parameters(&self) -> Result<ServiceParameters, Refusal>;

    /// Takes a change of do-not-disturb over into a profile (LI-12).
    ///
    /// # Errors
    /// There is no such profile, or the directory cannot be reached.
    async fn set_do_not_disturb(&self, profile: &ProfileName, on: bool) -> Result<(), Refusal>;

    /// That the directory has the line.
    ///
    /// # Errors
    /// It has not, or cannot be reached.
    async fn line_exists(&self, line: &LineName) -> Result<(), Refusal>;

    /// The teams of users: an answer for each, in their order. Whom the directory does not have is in none. At most
    /// 1,000 users at once.
    ///
    /// # Errors
    /// The directory cannot be reached.
    async fn teams(&self, users: &[UserId]) -> Result<Vec<Teams>, Refusal> {
        Ok(vec![Teams::default(); users.len()])
    }

    /// Those of the profiles that the application is associated with (EV-4). At most 1,000 profiles at once.
    ///
    /// # Errors
    /// The directory cannot be reached.
    async fn associated(
        &self,
        _application: &PrincipalName,
        _profiles: &[ProfileName],
    ) -> Result<Vec<ProfileName>, Refusal> {
        Ok(Vec::new())
    }

    /// Logs a user who is unknown here in at his home, if he has one among other clusters; `None` otherwise (XC-1).
    ///
    /// # Errors
    /// His home refuses him, or does not answer.
    async fn roam(&self, _ask: RoamAsk) -> Result<Option<Roamed>, Refusal> {
        Ok(None)
    }

    /// As [`Peers::roam`], for a login that the phone will refuse: his home refuses first or lets him pass, and begins
    /// nothing (LI-2, LI-10). Whether he has a home.
    ///
    /// # Errors
    /// His home refuses him, or does not answer.
    async fn prove_at_home(&self, _ask: RoamAsk) -> Result<bool, Refusal> {
        Ok(false)
    }

    /// The session that [`Peers::roam`] gave is not begun here: its other half ends.
    async fn abandon(&self, _session: &SessionId) {}

    /// A session of a user of this cluster at another one's phone is brought up to date with his profile, in both. Whether
    /// the phone wore something else before (DP-10).
    ///
    /// # Errors
    /// There is no such session, or the other cluster does not answer.
    async fn refresh_there(&self, session: &SessionId) -> Result<bool, Refusal> {
        Err(crate::refusal::session_not_found(session.as_str()))
    }

    /// What the home of a user of another cluster renders for his session now; `None` where the session is none of such a
    /// user's (DP-10).
    ///
    /// # Errors
    /// His home refuses it, or does not answer.
    async fn render_visit(&self, _session: &SessionId) -> Result<Option<Box<Prepared>>, Refusal> {
        Ok(None)
    }

    /// Whether the credential is the user's.
    ///
    /// # Errors
    /// It is not, or the auth service cannot be reached.
    async fn verify(&self, user_id: &str, credential: Credential, at: &LoginPlace) -> Result<(), Refusal>;
}
