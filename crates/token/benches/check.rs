//! What it costs a call that its token is checked: with the signature, remembered, and remembered among many revocations.
#![allow(clippy::expect_used, missing_docs, reason = "a benchmark: what it is made of must be there")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use criterion::{Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use roamline_proto::auth::revocation::Of;
use roamline_proto::auth::{JsonWebKey, ListRevocationsResponse, PrincipalKind, Revocation};
use roamline_token::{FetchError, KeySource, Revocations, Signer, Verifier, generate_key, scopes_of};

const CLUSTER: &str = "roamline:bench";
/// More than are ever remembered, so that each one is verified anew.
const TOKENS: usize = 50_000;
const REVOKED: usize = 10_000;

struct Published(JsonWebKey);

#[async_trait]
impl KeySource for Published {
    async fn fetch(&self) -> Result<Vec<JsonWebKey>, FetchError> {
        Ok(vec![self.0.clone()])
    }
}

fn checks(criterion: &mut Criterion) {
    let now = Timestamp::from_second(1_800_000_000).expect("an instant");
    let signer = Signer::new(CLUSTER, CLUSTER, "a", &generate_key().expect("a key")).expect("a signer");
    let scopes = scopes_of(PrincipalKind::User);
    let sign = |name: &str| {
        let signed = signer.sign(name, PrincipalKind::User, scopes, now, Duration::from_secs(3600));
        signed.expect("a token").token
    };
    let verifier = || Verifier::new(CLUSTER, CLUSTER, Arc::new(Published(signer.public_key())));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut group = criterion.benchmark_group("check");

    let many: Vec<_> = (0..TOKENS).map(|number| sign(&format!("agent{number}"))).collect();
    let anew = verifier();
    let mut next = many.iter().cycle();
    group.bench_function("signature", |bench| {
        bench.iter(|| {
            let token = next.next().expect("a token");
            black_box(runtime.block_on(anew.caller(token, now, None)).expect("a caller"))
        });
    });

    let token = sign("agent");
    let remembering = verifier();
    group.bench_function("remembered", |bench| {
        bench.iter(|| black_box(runtime.block_on(remembering.caller(&token, now, None)).expect("a caller")));
    });

    let revocations = Revocations::new();
    let revoked = (0..REVOKED).map(|number| {
        let of = Some(Of::SignIn(format!("{number:032x}")));
        Revocation { of, signed_until: None, expire_time: None }
    });
    revocations.add(&ListRevocationsResponse { revocations: revoked.collect(), revision: 1 }, now);
    let obeying = verifier().with_revocations(revocations);
    group.bench_function("remembered, 10000 revocations", |bench| {
        bench.iter(|| black_box(runtime.block_on(obeying.caller(&token, now, None)).expect("a caller")));
    });
    group.finish();
}

criterion_group!(benches, checks);
criterion_main!(benches);
