//! `peer create` and `peer update`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use roamline_proto::emcc::federation_administration_service_client::FederationAdministrationServiceClient;
use roamline_proto::emcc::{
    CreateRemoteClusterRequest, RemoteCluster, RemoteServices, UpdateRemoteClusterRequest,
};

use super::one;
use crate::client::Client;
use crate::directory::{ask, record};
use crate::exit::Failure;
use crate::output::Out;

/// What can be shared with a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Service {
    /// Cross-cluster logins, both ways
    Emcc,
    /// Calls to the public network by way of the other cluster
    PstnAccess,
    /// RSVP agents
    RsvpAgent,
    /// Files for phones; not needed for cross-cluster logins
    Tftp,
    /// Location bandwidth
    Lbm,
    /// User data
    Uds,
}

/// What is shared.
#[derive(Debug, Args)]
pub(super) struct Shared {
    /// What is shared with it, and nothing else; may be given several times
    #[arg(long = "service", value_enum, value_name = "SERVICE")]
    services: Vec<Service>,
    /// Share nothing with it
    #[arg(long, conflicts_with = "services")]
    no_services: bool,
}

/// What is shared, and whose certificates are believed.
#[derive(Debug, Args)]
struct Sharing {
    #[command(flatten)]
    shared: Shared,
    /// File of the authorities that its certificate may be signed by, in PEM [default: those of the server's configuration]
    #[arg(long, value_name = "FILE")]
    trust_bundle: Option<PathBuf>,
}

/// Arguments of `peer create`.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The id that it has for itself
    id: String,
    /// Where its federation API is
    #[arg(long, value_name = "URL")]
    address: String,
    /// The id in its certificate: spiffe://example.org/roamline/CLUSTER-ID
    #[arg(long, value_name = "ID")]
    spiffe_id: String,
    /// A few words about it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
    #[command(flatten)]
    sharing: Sharing,
}

/// Arguments of `peer update`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("changes").required(true).multiple(true)
    .args(["address", "spiffe_id", "description", "services", "no_services", "trust_bundle", "no_trust_bundle"]))]
pub(crate) struct Update {
    /// Its id
    id: String,
    /// Where its federation API is
    #[arg(long, value_name = "URL")]
    address: Option<String>,
    /// The id in its certificate
    #[arg(long, value_name = "ID")]
    spiffe_id: Option<String>,
    /// A few words about it
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    sharing: Sharing,
    /// Believe the authorities of the server's configuration
    #[arg(long, conflicts_with = "trust_bundle")]
    no_trust_bundle: bool,
}

impl Shared {
    /// What the options say of what is shared; `None` where they say nothing.
    pub(super) fn chosen(&self) -> Option<RemoteServices> {
        let on = |service| self.services.contains(&service);
        (self.no_services || !self.services.is_empty()).then(|| RemoteServices {
            emcc: on(Service::Emcc),
            pstn_access: on(Service::PstnAccess),
            rsvp_agent: on(Service::RsvpAgent),
            tftp: on(Service::Tftp),
            lbm: on(Service::Lbm),
            uds: on(Service::Uds),
        })
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
}

pub(super) async fn create(args: Create, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let remote_cluster = RemoteCluster {
        services: args.sharing.shared.chosen(),
        trust_bundle: args.sharing.trust_bundle.as_deref().map(read).transpose()?.unwrap_or_default(),
        cluster_id: args.id,
        description: args.description,
        address: args.address,
        spiffe_id: args.spiffe_id,
        ..RemoteCluster::default()
    };
    let request = CreateRemoteClusterRequest { remote_cluster: Some(remote_cluster) };
    record(out, &ask!(client, FederationAdministrationServiceClient::create_remote_cluster, request)?)
}

pub(super) async fn update(args: Update, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let bundle = args.sharing.trust_bundle.as_deref().map(read).transpose()?;
    let mut cluster = one(&args.id, client).await?;
    cluster.address = args.address.unwrap_or(cluster.address);
    cluster.spiffe_id = args.spiffe_id.unwrap_or(cluster.spiffe_id);
    cluster.description = args.description.unwrap_or(cluster.description);
    cluster.services = args.sharing.shared.chosen().or(cluster.services);
    cluster.trust_bundle = match bundle {
        Some(bundle) => bundle,
        None if args.no_trust_bundle => String::new(),
        None => cluster.trust_bundle,
    };
    cluster.health = None;
    let request = UpdateRemoteClusterRequest { remote_cluster: Some(cluster) };
    record(out, &ask!(client, FederationAdministrationServiceClient::update_remote_cluster, request)?)
}
