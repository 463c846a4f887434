//! The home half of a cross-cluster session: a user of ours at a phone of another cluster (XC-2, XC-3, XC-5 to XC-8).

use std::collections::BTreeMap;
use std::time::Duration;

use roamline_domain::catalogue::Catalogue;
use roamline_domain::emcc::admission::{Visit, admit_visit, takes_cross_cluster};
use roamline_domain::emcc::base_device::BaseDevice;
use roamline_domain::emcc::calling::{emergency_order, search_order};
use roamline_domain::emcc::half::{Half, Side, is_timely};
use roamline_domain::emcc::parameters::LinkLoss;
use roamline_domain::emcc::remote::RemoteCluster;
use roamline_domain::{PhoneName, SessionId, UserId, Violations};
use roamline_proto::emcc::{RemoteLoginRequest, RemoteLoginResponse, VisitingPhone};
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::button::Carries;
use roamline_proto::profile::{
    CrossCluster, DevicePool, DeviceSettings, EffectiveConfiguration, LineSearchSpaces, Phone,
    PrepareLoginResponse, PrepareRoamingRequest, PrepareRoamingResponse,
};
use roamline_proto::refusal::Refusal;
use roamline_proto::session::{Actor, BeginHomeHalfRequest};
use roamline_store::federation::Begun;

use crate::settings::Recalled;
use crate::{Inner, convert, refusal};

/// A login from another cluster, parsed.
struct Asked {
    session: SessionId,
    user: UserId,
    phone: PhoneName,
    visiting: VisitingPhone,
    request: RemoteLoginRequest,
}

impl Inner {
    /// Logs a user of this cluster in at a phone of a peer's, or only proves him where the phone will refuse him. What is
    /// refused leaves nothing behind (LI-10), and is told to the audit trail (EV-1).
    pub(crate) async fn remote_login(
        &self,
        peer: &RemoteCluster,
        request: RemoteLoginRequest,
    ) -> Result<RemoteLoginResponse, Refusal> {
        let phone = request.phone.as_ref().map(|phone| phone.name.clone()).unwrap_or_default();
        let (user, source) = (request.user_id.clone(), request.source_address.clone());
        let done = Box::pin(self.remote_login_untold(peer, request)).await;
        if let Err(refused) = &done {
            let actor = actor(peer, source);
            self.local.tell_refused(&phone, &user, refused.reason, actor).await;
        }
        done
    }

    async fn remote_login_untold(
        &self,
        peer: &RemoteCluster,
        request: RemoteLoginRequest,
    ) -> Result<RemoteLoginResponse, Refusal> {
        if request.visiting_cluster != peer.cluster.as_str() {
            return Err(refusal::mismatch(&request.visiting_cluster, &peer.cluster));
        }
        let recalled = self.recalled.load_full();
        let secure = request.phone.as_ref().is_some_and(|phone| phone.secure);
        let visit = Visit { version: request.version, secure };
        admit_visit(visit, peer.services, &recalled.parameters, recalled.inter_cluster_time)
            .map_err(refusal::home)?;
        let asked = self.read(request)?;
        if !is_timely(&asked.session, self.clock.now()) {
            return Err(refusal::id_used(asked.session.as_str()));
        }
        let place = asked.visiting.geolocation.as_ref().map(convert::place);
        let pool = recalled.roaming_pool(place.as_ref());
        let mut roaming = self.authenticate(&asked, pool).await?;
        if asked.request.prove_only {
            let refused = roaming.prepared.as_mut().and_then(|prepared| prepared.refusal.take());
            return refused
                .map_or_else(|| Ok(RemoteLoginResponse::default()), |r| Err(convert::deferred(&r)));
        }
        let device = self.begin(&asked, peer, &recalled).await?;
        let done = Box::pin(self.begin_session(&asked, peer, &recalled, (device, pool), roaming)).await;
        if done.is_err() {
            // The session may have begun, and the answer that says so may be lost.
            self.note_failure(self.end_both(&asked.session).await);
        }
        done
    }

    fn read(&self, request: RemoteLoginRequest) -> Result<Asked, Refusal> {
        let mut found = Violations::new();
        let visiting = request.phone.clone().unwrap_or_default();
        let session = found.take("session_id", request.session_id.parse());
        let phone = found.take("phone.name", visiting.name.parse());
        let user = found.take("user_id", request.user_id.parse());
        if request.credential.is_none() {
            found.add("credential", "XC-2", "must be there");
        }
        match (session, phone, user) {
            (Some(session), Some(phone), Some(user)) if found.is_empty() => {
                Ok(Asked { session, user, phone, visiting, request })
            }
            _ => Err(refusal::invalid(found)),
        }
    }

    /// Whether he is one of ours, who he says he is, and may be elsewhere; and whether the phone's model will do. What the
    /// directory makes of his login is asked meanwhile, and told to nobody before he has proven himself.
    async fn authenticate(
        &self,
        asked: &Asked,
        pool: Option<&DevicePool>,
    ) -> Result<PrepareRoamingResponse, Refusal> {
        let Some(user) = self.local.user(&asked.user).await? else {
            return Err(refusal::not_at_home(asked.user.as_str()));
        };
        let (credential, source) = (asked.request.credential.clone(), asked.request.source_address.clone());
        let request = PrepareRoamingRequest {
            phone: Some(as_phone(&asked.visiting, pool)),
            user_id: asked.user.to_string(),
            profile: asked.request.profile.clone(),
        };
        let (proven, roaming) = tokio::join!(
            self.local.verify(&asked.user, credential, source, &asked.phone),
            self.local.prepare_roaming(request),
        );
        proven?;
        if !user.cross_cluster_enabled {
            return Err(refusal::not_enabled(&asked.user));
        }
        let model = asked.visiting.model.parse().ok();
        let model = model.and_then(|model| Catalogue::builtin().get(&model));
        if !model.is_some_and(takes_cross_cluster) {
            return Err(refusal::model(&asked.visiting.model));
        }
        roaming
    }

    /// Writes the half down, with a base device of its own.
    async fn begin(
        &self,
        asked: &Asked,
        peer: &RemoteCluster,
        recalled: &Recalled,
    ) -> Result<BaseDevice, Refusal> {
        let pool = recalled.parameters.base_devices;
        let Some(first) = BaseDevice::first_choice(&asked.session, pool) else {
            return Err(refusal::pool_empty(pool));
        };
        let half = Half {
            session: asked.session.clone(),
            side: Side::Home,
            peer: peer.cluster.clone(),
            user: asked.user.clone(),
            visiting_phone: asked.phone.clone(),
            base_device: None,
            begun_at: self.clock.now(),
            ended_at: None,
            told: false,
        };
        let begun = self.store.begin_half(half, Some((first, pool))).await;
        match begun.map_err(|error| refusal::store(&error))? {
            Begun::Begun(half) => {
                let device = half.base_device.and_then(BaseDevice::new);
                device.ok_or_else(|| Refusal::new(ErrorReason::Internal, "a base device has no number"))
            }
            Begun::Known(_) => Err(refusal::id_used(asked.session.as_str())),
            Begun::PoolEmpty => Err(refusal::pool_empty(pool)),
        }
    }

    /// Renders for the phone, and begins the session on the base device.
    async fn begin_session(
        &self,
        asked: &Asked,
        peer: &RemoteCluster,
        recalled: &Recalled,
        (device, pool): (BaseDevice, Option<&DevicePool>),
        roaming: PrepareRoamingResponse,
    ) -> Result<RemoteLoginResponse, Refusal> {
        let mut prepared = self.dress(&asked.visiting, peer, recalled, (device, pool), roaming)?;
        let base =
            device.phone().map_err(|_| Refusal::new(ErrorReason::Internal, "a base device has no name"))?;
        let begin = BeginHomeHalfRequest {
            session_id: asked.session.to_string(),
            base_device: base.to_string(),
            prepared: Some(prepared.clone()),
            duration: asked.request.duration,
            actor: Some(actor(peer, asked.request.source_address.clone())),
        };
        let begun = match self.local.begin_home_half(begin).await {
            Ok(session) => session,
            Err(refused) => return Err(self.at_the_phone(refused).await),
        };
        // Its end may have come while it was being begun.
        let half = self.store.half(&asked.session).await.map_err(|error| refusal::store(&error))?;
        if !half.is_some_and(|half| half.is_live()) {
            self.local.end(&asked.session).await?;
            return Err(refusal::id_used(asked.session.as_str()));
        }
        prepared.service_parameters = None;
        let length = match (begun.expire_time, begun.login_time) {
            (Some(end), Some(start)) => convert::between(start, end),
            _ => None,
        };
        tracing::info!(session = %asked.session, user = %asked.user, peer = %peer.cluster, %device, "a user of ours is logged in elsewhere");
        Ok(RemoteLoginResponse {
            own_limit: prepared.user_maximum_login_time.is_some(),
            prepared: Some(prepared),
            maximum_login_time: length.and_then(|length: Duration| length.try_into().ok()),
            base_device: base.to_string(),
            roaming_device_pool: pool.map(|pool| pool.name.clone()).unwrap_or_default(),
            login_time: begun.login_time,
        })
    }

    /// What the directory made of the login, with what the visiting side has to say laid over it (XC-7).
    pub(crate) fn dress(
        &self,
        visiting: &VisitingPhone,
        peer: &RemoteCluster,
        recalled: &Recalled,
        (device, pool): (BaseDevice, Option<&DevicePool>),
        roaming: PrepareRoamingResponse,
    ) -> Result<PrepareLoginResponse, Refusal> {
        let mut prepared = roaming.prepared.unwrap_or_default();
        if let Some(refused) = prepared.refusal.take().or(prepared.contact_centre_refusal.take()) {
            return Err(convert::deferred(&refused));
        }
        let geolocation = pool.and_then(|pool| recalled.geolocation_of(pool));
        let adjunct = geolocation.map_or("", |place| place.adjunct_search_space.as_str());
        let base = device.phone().map(|phone| phone.to_string()).unwrap_or_default();
        let (parameters, emcc) = (&recalled.parameters, &roaming.cross_cluster_calling_search_space);
        if let Some(worn) = &mut prepared.configuration {
            let theirs = visiting.emergency_numbers.iter().map(String::as_str);
            let ordered = emergency_order(theirs, worn.emergency_numbers.iter().map(String::as_str));
            worn.emergency_numbers = ordered;
            let of_lines = spaces_of_lines(worn, &roaming.line_calling_search_spaces);
            let of_lines = of_lines.map(|(line, space)| LineSearchSpaces {
                line: line.clone(),
                search_spaces: search_order(adjunct, [space.as_str()], emcc),
            });
            let line_search_spaces = of_lines.collect();
            worn.cross_cluster = Some(CrossCluster {
                home_cluster: self.cluster.to_string(),
                visiting_cluster: peer.cluster.to_string(),
                base_device: base,
                search_spaces: search_order(adjunct, [], emcc),
                line_search_spaces,
                // The gateways of the visiting side, as it calls them; ours where it says nothing.
                local_route_group: match &visiting.geolocation {
                    Some(place) if !place.local_route_group.is_empty() => place.local_route_group.clone(),
                    _ => geolocation.map(|place| place.local_route_group.clone()).unwrap_or_default(),
                },
                configuration_server: parameters.configuration_server.clone(),
                backup_configuration_server: parameters.backup_configuration_server.clone(),
                roaming_device_pool: pool.map(|pool| pool.name.clone()).unwrap_or_default(),
                audio_kbps: parameters.region_audio_kbps,
                video_kbps: parameters.region_video_kbps,
                links_are_lossy: parameters.region_link_loss == LinkLoss::Lossy,
                pstn_by_phone: false,
            });
        }
        Ok(prepared)
    }

    /// A refusal that names a base device, with the phone and the cluster that it stands for (XC-5).
    async fn at_the_phone(&self, refused: Refusal) -> Refusal {
        let named = refused.metadata.get("phone").and_then(|phone| phone.parse().ok());
        let Some(device) = named.as_ref().and_then(BaseDevice::of_phone) else { return refused };
        match self.half_on(device).await {
            Some(half) => refusal::elsewhere(refused, &half.visiting_phone, &half.peer),
            None => refused,
        }
    }

    async fn half_on(&self, device: BaseDevice) -> Option<Half> {
        let session = self.local.session_on(&device.phone().ok()?).await?;
        self.store.half(&session).await.ok()?
    }
}

/// The lines that are worn and have a search space, in the order of the buttons.
fn spaces_of_lines<'a>(
    worn: &'a EffectiveConfiguration,
    spaces: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = (&'a String, &'a String)> {
    let lines = worn.buttons.iter().flat_map(|button| match &button.carries {
        Some(Carries::Line(line)) => line.lines.as_slice(),
        _ => &[],
    });
    lines.filter_map(|line| spaces.get_key_value(line))
}

pub(crate) fn actor(peer: &RemoteCluster, source_address: String) -> Actor {
    Actor {
        name: format!("cluster {}", peer.cluster),
        source_address,
        application: "emcc".into(),
        trace_id: String::new(),
    }
}

/// The phone as if it were one of ours.
pub(crate) fn as_phone(visiting: &VisitingPhone, pool: Option<&DevicePool>) -> Phone {
    Phone {
        name: visiting.name.clone(),
        model: visiting.model.clone(),
        protocol: visiting.protocol,
        extension_mobility_enabled: true,
        settings: Some(DeviceSettings {
            expansion_modules: visiting.expansion_modules.clone(),
            ..DeviceSettings::default()
        }),
        device_pool: pool.map(|pool| pool.name.clone()).unwrap_or_default(),
        ..Phone::default()
    }
}
