//! A login across clusters is one trace over the processes of both.

use roamline_proto::session::LoginRequest;
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_serve::Tasks;

use crate::collector::{Collector, Seen};
use crate::world::{WITHIN, World, pin};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const REMOTE_LOGIN: &str = "roamline.emcc.v1.FederationService/RemoteLogin";
/// Spans of server and client, by OTLP's numbers.
const SERVER: i32 = 2;
const CLIENT: i32 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn xc_3_a_login_across_clusters_is_one_trace() {
    let (tasks, collector) = (Tasks::new(), Collector::default());
    let endpoint = format!("http://{}", collector.start(&tasks).await);
    let world = World::with(&["berlin", "paris"], &[("TELEMETRY__ENDPOINT", &endpoint)]).await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    let mut request = tonic::Request::new(LoginRequest {
        user_id: berlin.user(0),
        phone: paris.phone(0),
        credential: pin(),
        ..LoginRequest::default()
    });
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    request.metadata_mut().insert("baggage", "who=s3cret".parse().unwrap());
    SessionServiceClient::new(paris.channel()).login(request).await.unwrap();

    let find = |spans: &[Seen], cluster: &str, kind: i32, name: &str| {
        let is_it = |span: &&Seen| span.cluster == cluster && span.kind == kind && span.name == name;
        spans.iter().find(is_it).cloned()
    };
    let login = "roamline.session.v1.SessionService/Login";
    let whole = |spans: &[Seen]| {
        find(spans, "paris", SERVER, login).is_some()
            && find(spans, "paris", CLIENT, REMOTE_LOGIN).is_some()
            && find(spans, "berlin", SERVER, REMOTE_LOGIN).is_some()
            && spans.iter().any(|span| span.cluster == "berlin" && span.name == "session.commit")
    };
    let spans = collector.spans_of(TRACE, whole).await;
    let (asked, answered) = (
        find(&spans, "paris", CLIENT, REMOTE_LOGIN).unwrap(),
        find(&spans, "berlin", SERVER, REMOTE_LOGIN).unwrap(),
    );
    assert_eq!(answered.parent, asked.id);
    assert!(asked.attributes.contains(&("peer".into(), "berlin".into())), "{asked:?}");
    assert_eq!(find(&spans, "paris", SERVER, login).unwrap().parent, "b7ad6b7169203331");
    assert!(!collector.all.lock().unwrap().contains("who=s3cret"), "baggage goes nowhere");
    drop(world);
    tasks.stop(WITHIN).await;
}
