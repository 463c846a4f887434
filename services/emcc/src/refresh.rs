//! Bringing a live session up to date with its user's profile, in both clusters (DP-10). The visiting side asks for what
//! its phone shall wear, by itself or because the home has it do so, and the home dresses its own half with that, too.

use roamline_domain::SessionId;
use roamline_domain::emcc::base_device::BaseDevice;
use roamline_domain::emcc::half::{Half, Side};
use roamline_domain::emcc::remote::RemoteCluster;
use roamline_proto::emcc::VisitingPhone;
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::{PrepareLoginResponse, PrepareRoamingRequest};
use roamline_proto::refusal::Refusal;
use roamline_proto::session::RefreshHalfRequest;

use crate::home::{actor, as_phone};
use crate::visit::{fits, laid_over};
use crate::{Inner, convert, refusal};

impl Inner {
    /// A user of ours is logged in elsewhere: has the other side put on what his profile is now. Whether the phone wore
    /// something else before.
    pub(crate) async fn refresh_there(&self, session: &SessionId) -> Result<bool, Refusal> {
        let half = self.live_half(session, Side::Home).await?;
        let half = half.ok_or_else(|| refusal::no_session(session))?;
        let peer = self.peer(&half.peer).ok_or_else(|| refusal::unavailable(&half.peer))?;
        peer.refreshing()?.refresh(session, self.config.login_within()).await
    }

    /// What a phone of ours shall wear now, by its user's home; `None` where the session is none with another cluster.
    pub(crate) async fn render_visit(
        &self,
        session: &SessionId,
    ) -> Result<Option<PrepareLoginResponse>, Refusal> {
        let Some(half) = self.live_half(session, Side::Visiting).await? else { return Ok(None) };
        let recalled = self.recalled.load_full();
        let visiting = self.visiting_phone(&half.visiting_phone, &recalled).await?;
        let home = self.peer(&half.peer).ok_or_else(|| refusal::unavailable(&half.peer))?;
        let within = self.config.login_within();
        let prepared = home.refreshing()?.render(session, visiting, within).await?;
        if !fits(&prepared, &half.visiting_phone, &half.user) {
            tracing::error!(peer = %half.peer, %session, "the rendering is for another phone or user");
            return Err(refusal::unavailable(&half.peer));
        }
        Ok(Some(laid_over(prepared, &recalled)))
    }

    /// A peer asks what its phone shall wear now: renders it, and dresses our half.
    pub(crate) async fn render_anew(
        &self,
        peer: &RemoteCluster,
        session: &SessionId,
        visiting: &VisitingPhone,
    ) -> Result<PrepareLoginResponse, Refusal> {
        let half = self.live_half(session, Side::Home).await?;
        let of_peer =
            |half: &Half| half.peer == peer.cluster && half.visiting_phone.as_str() == visiting.name;
        let half = half.filter(of_peer).ok_or_else(|| refusal::no_session(session))?;
        let device = half.base_device.and_then(BaseDevice::new);
        let device = device.ok_or_else(|| refusal::no_session(session))?;
        // Of two at once, the later one has the last word in both clusters.
        let _turn = self.rendering.lock().await;
        let held = self.local.live(session).await?.ok_or_else(|| refusal::no_session(session))?;
        let recalled = self.recalled.load_full();
        let place = visiting.geolocation.as_ref().map(convert::place);
        let pool = recalled.roaming_pool(place.as_ref());
        let request = PrepareRoamingRequest {
            phone: Some(as_phone(visiting, pool)),
            user_id: half.user.to_string(),
            profile: held.profile,
        };
        let roaming = self.local.prepare_roaming(request).await?;
        let mut prepared = self.dress(visiting, peer, &recalled, (device, pool), roaming)?;
        let refreshed = RefreshHalfRequest {
            session_id: session.to_string(),
            prepared: Some(prepared.clone()),
            actor: Some(actor(peer, String::new())),
        };
        self.local.refresh_half(refreshed, self.config.login_within()).await?;
        prepared.service_parameters = None;
        Ok(prepared)
    }

    /// The home of a user at a phone of ours has it put on what his profile is now.
    pub(crate) async fn refresh_here(
        &self,
        peer: &RemoteCluster,
        session: &SessionId,
    ) -> Result<bool, Refusal> {
        let half = self.live_half(session, Side::Visiting).await?;
        if half.is_none_or(|half| half.peer != peer.cluster) {
            return Err(refusal::no_session(session));
        }
        let message = RefreshHalfRequest {
            session_id: session.to_string(),
            prepared: None,
            actor: Some(actor(peer, String::new())),
        };
        self.local.refresh_half(message, self.config.login_within()).await
    }

    async fn live_half(&self, session: &SessionId, side: Side) -> Result<Option<Half>, Refusal> {
        let half = self.store.half(session).await.map_err(|error| refusal::store(&error))?;
        Ok(half.filter(|half| half.is_live() && half.side == side))
    }
}

impl crate::peers::Peer {
    /// The link, if the peer can be called and knows what is asked of it.
    ///
    /// # Errors
    /// `PEER_UNAVAILABLE`, or `PEER_VERSION_UNSUPPORTED` where its release is older than this.
    fn refreshing(&self) -> Result<&crate::grpc::Remote, Refusal> {
        let link = self.callable()?;
        if self.health().capabilities.contains(&roamline_proto::emcc::Capability::Refresh) {
            return Ok(link);
        }
        let text =
            format!("the release of cluster {} brings no live session up to date", self.remote.cluster);
        let refused = Refusal::new(ErrorReason::PeerVersionUnsupported, text);
        Err(refused.with("peer", self.remote.cluster.as_str()))
    }
}
