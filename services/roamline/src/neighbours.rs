//! `roamline up --demo --clusters N`: several clusters in one process, each with its own ports, directory and site, that
//! know each other. What they say to each other goes through a pipe in memory, which proves the caller as a certificate
//! would.

use std::net::SocketAddr;

use anyhow::Context;
use roamline_domain::ClusterId;
use roamline_emcc::Neighbours;
use roamline_proto::emcc::federation_administration_service_client::FederationAdministrationServiceClient;
use roamline_proto::emcc::{
    CreateRemoteClusterRequest, FederationParameters, RemoteCluster, RemoteServices,
    UpdateFederationParametersRequest,
};
use roamline_serve::{Inside, Listeners};
use tonic::Code;

use crate::cli::{Place, UpOptions};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::demo::Directory;
use crate::life::live;
use crate::sessions::Sessions;
use crate::store::Store;
use crate::stores::Places;
use crate::up;

/// From the ports of one cluster to those of the next.
const PORTS_APART: u16 = 100;

/// Another cluster of the process.
#[derive(Clone)]
struct Near {
    cluster: ClusterId,
    address: SocketAddr,
    inside: Inside,
}

/// The other clusters of the process, as one of them has them; none, as a rule.
#[derive(Default)]
pub(crate) struct Neighbourhood {
    /// Which one it is, from 0, where there are others.
    pub own: Option<u16>,
    cluster: Option<ClusterId>,
    others: Vec<Near>,
}

impl Neighbourhood {
    /// How they are called.
    pub(crate) fn ways(&self) -> Neighbours {
        let Some(own) = &self.cluster else { return Neighbours::default() };
        self.others.iter().fold(Neighbours::default(), |ways, near| {
            ways.with(near.cluster.clone(), near.inside.clone().proving(&spiffe(own)).into())
        })
    }

    /// Makes them known to this one, and takes part; a second start changes nothing.
    ///
    /// # Errors
    /// When that is refused.
    pub(crate) async fn introduce(&self, site: &Directory) -> anyhow::Result<()> {
        if self.others.is_empty() {
            return Ok(());
        }
        let mut client = FederationAdministrationServiceClient::new(site.link.clone());
        for near in &self.others {
            let remote = RemoteCluster {
                cluster_id: near.cluster.to_string(),
                description: "In the same process".into(),
                address: format!("https://{}", near.address),
                spiffe_id: spiffe(&near.cluster),
                services: Some(RemoteServices { emcc: true, ..RemoteServices::default() }),
                ..RemoteCluster::default()
            };
            let request = CreateRemoteClusterRequest { remote_cluster: Some(remote) };
            match client.create_remote_cluster(request).await {
                Ok(_) => {}
                Err(status) if status.code() == Code::AlreadyExists => return Ok(()),
                Err(status) => return Err(status.into()),
            }
        }
        let parameters = FederationParameters {
            activated: true,
            configuration_server: "127.0.0.1".into(),
            base_devices: 10,
            ..FederationParameters::default()
        };
        let request = UpdateFederationParametersRequest { federation_parameters: Some(parameters) };
        client.update_federation_parameters(request).await?;
        Ok(())
    }
}

fn spiffe(cluster: &ClusterId) -> String {
    format!("spiffe://demo.roamline/roamline/{cluster}")
}

/// Runs all of them until the process is told to stop.
///
/// # Errors
/// When one cannot begin.
pub(crate) async fn run(options: &UpOptions, config: &Config, places: &Places) -> anyhow::Result<()> {
    let mut members = Vec::new();
    for number in 0..options.clusters {
        members.push(member(options, config, places, number).await?);
    }
    let near: Vec<_> = members
        .iter()
        .map(|(options, _, listeners)| Near {
            cluster: options.cluster_id.clone(),
            address: listeners.api_addr(),
            inside: listeners.inside(),
        })
        .collect();
    let lives = (0..).zip(members).map(|(number, (options, places, listeners))| {
        let cluster = options.cluster_id.clone();
        let others = near.iter().filter(|near| near.cluster != cluster).cloned().collect();
        let around = Neighbourhood { own: Some(number), cluster: Some(cluster), others };
        async move {
            let data = DataDir::take(&places.data)?;
            let begin = |start| up::begin(&options, config, &places, &around, data, start);
            Box::pin(live(listeners, &config.server, begin)).await
        }
    });
    futures::future::try_join_all(lives).await.map(|_| ())
}

/// One of them: the first as if it were alone.
async fn member(
    options: &UpOptions,
    config: &Config,
    places: &Places,
    number: u16,
) -> anyhow::Result<(UpOptions, Places, Listeners)> {
    let further = |address: SocketAddr| {
        let port = if address.port() == 0 { 0 } else { address.port().saturating_add(number * PORTS_APART) };
        SocketAddr::new(address.ip(), port)
    };
    let (cluster_id, data) = match number {
        0 => (options.cluster_id.clone(), places.data.clone()),
        _ => {
            let id = format!("{}-{}", options.cluster_id, number + 1);
            (id.parse().context("--cluster-id is too long for several clusters")?, places.data.join(id))
        }
    };
    let own = UpOptions {
        demo: options.demo,
        clusters: options.clusters,
        listen: further(options.listen),
        admin_listen: further(options.admin_listen),
        cluster_id,
        place: Place { data: Some(data.clone()), config: None },
    };
    let listeners = Listeners::bind(own.listen, own.admin_listen).await?;
    let store = Store::new(&config.store, &data)?;
    Ok((own, Places { data, store, sessions: Sessions::new(&config.redis)? }, listeners))
}
