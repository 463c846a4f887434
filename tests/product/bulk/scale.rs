//! A site grows: a page of a list and a preview stay as quick as they were, and the server stays as small.

use std::time::{Duration, Instant};

use roamline_proto::profile::rendering_service_client::RenderingServiceClient;
use roamline_proto::profile::user_device_profile_service_client::UserDeviceProfileServiceClient;
use roamline_proto::profile::{ListUserDeviceProfilesRequest, PreviewRequest};

use super::files::{self, KINDS};
use super::full;
use crate::clients::{administrator, link};
use crate::postgres::starter::Server as Database;
use crate::process::{Server, Site, text};

/// Calls of each kind that are timed.
const CALLS: usize = 200;

/// Medians of the next page of a list, of its last one, and of a preview.
struct Times {
    page: Duration,
    last_page: Duration,
    preview: Duration,
}

/// A site's small and its large number of everything.
fn sizes() -> (usize, usize) {
    if full() { (1_000, 60_000) } else { (100, 1_500) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dp_19_a_site_of_real_size_is_imported_and_stays_quick_on_sqlite() {
    grows("SQLite", &Site::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dp_19_a_site_of_real_size_is_imported_and_stays_quick_on_postgresql() {
    Database::of_all().create("a_growing_site");
    grows("PostgreSQL", &Site::on_postgres(&Database::of_all().url("a_growing_site"))).await;
}

async fn grows(store: &str, site: &Site) {
    let server = site.start();
    let (small, large) = sizes();
    import(site, &server, 0..small, small);
    let before = times(site, &server, small).await;
    import(site, &server, small..large, large);
    let after = times(site, &server, large).await;
    for (what, before, after) in [
        ("a page of 100 profiles", before.page, after.page),
        ("the last page", before.last_page, after.last_page),
        ("a preview", before.preview, after.preview),
    ] {
        let ratio = after.as_secs_f64() / before.as_secs_f64();
        eprintln!(
            "{store}: {what}: {before:?} with {small} of each kind, {after:?} with {large}: ratio {ratio:.2}"
        );
    }
    eprintln!("{store}: peak memory of the server: {} MiB", server.peak_memory() >> 20);
    let exported = site.home().join("all.csv");
    for kind in KINDS {
        let output = site.roamctl(&["export", "csv", kind, exported.to_str().expect("a plain path")]);
        assert!(output.status.success(), "{}", text(&output));
        let rows = std::fs::read_to_string(&exported).expect("it is there").lines().count();
        assert_eq!(rows, large + 1, "every {kind} is there once, below the header");
    }
}

/// Imports the members of a range, each kind by itself.
fn import(site: &Site, server: &Server, range: std::ops::Range<usize>, number: usize) {
    for kind in KINDS {
        let file = files::write(site, kind, range.clone(), number);
        let began = Instant::now();
        let output = site.roamctl(&["import", "csv", kind, file.to_str().expect("a plain path")]);
        assert!(output.status.success(), "{}", text(&output));
        let took = began.elapsed();
        eprintln!(
            "{} {kind}s in {took:.1?}: {:.0}/s; the server's peak is {} MiB",
            range.len(),
            range.len() as f64 / took.as_secs_f64(),
            server.peak_memory() >> 20
        );
    }
}

async fn times(site: &Site, server: &Server, number: usize) -> Times {
    let token = administrator(site, server).await;
    let mut profiles = UserDeviceProfileServiceClient::new(link(server, &token));
    let mut renderings = RenderingServiceClient::new(link(server, &token));
    let mut pages = Vec::new();
    let mut page_token = String::new();
    let mut last_pages = Vec::new();
    let mut previews = Vec::new();
    for call in 0..CALLS {
        let request = ListUserDeviceProfilesRequest {
            page_size: 100,
            page_token: page_token.clone(),
            ..Default::default()
        };
        let began = Instant::now();
        let page = profiles.list_user_device_profiles(request).await.expect("a page").into_inner();
        pages.push(began.elapsed());
        page_token = page.next_page_token;

        let request = ListUserDeviceProfilesRequest {
            page_size: 100,
            order_by: "name desc".into(),
            ..Default::default()
        };
        let began = Instant::now();
        profiles.list_user_device_profiles(request).await.expect("a page");
        last_pages.push(began.elapsed());

        let n = call * 7919 % number;
        let request =
            PreviewRequest { phone: files::phone(n), user_id: files::user(n), ..Default::default() };
        let began = Instant::now();
        let preview = renderings.preview(request).await.expect("a preview").into_inner();
        previews.push(began.elapsed());
        assert_eq!(preview.configuration.expect("a configuration").buttons.len(), 7);
    }
    Times { page: median(pages), last_page: median(last_pages), preview: median(previews) }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
