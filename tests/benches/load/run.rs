//! The measurements, one after another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::agents;
use crate::echo::Echo;
use crate::generate::{Measured, Recorder, Span, closed, open};
use crate::logins::{Logins, Proof};
use crate::product::{Directory, Product, Program, Sessions, build};
use crate::redis::Redis;
use crate::report::{Report, Taken};
use crate::watch::Watches;
use crate::{Options, Part, machine, pages, pins, reads};

/// Fractions of what is possible at which it is measured how long one waits.
const FRACTIONS: [f64; 3] = [0.25, 0.5, 0.75];
/// Logins by PIN at once in a storm.
const STORM: usize = 64;
/// Agents with a PIN; the others log in by token meanwhile.
const WITH_PIN: usize = 200;
/// Logins by token a second beside the storm.
const BESIDE_THE_STORM: f64 = 100.0;
/// Events a second that all watchers get, and watchers on a connection.
const FAN_OUT: [(f64, usize); 4] = [(20.0, 20), (100.0, 20), (20.0, 1), (100.0, 1)];

/// What the ratios are made of.
#[derive(Default)]
struct Rates {
    script: Option<f64>,
    fast: Option<f64>,
    durable: Option<f64>,
    postgres: Option<f64>,
}

/// Measures what is wanted, and prints it.
pub(crate) async fn run(options: &Options) {
    let mut report = Report::default();
    let path = options.server.clone().unwrap_or_else(build);
    let program = Program { path, log: options.log.clone() };
    let begun = Instant::now();
    let rates = saturate(options, &program, &mut report).await;
    report.ratio("logins by token / echo with token and script", rates.fast, rates.script, "0.5 to 0.75");
    report.ratio("durable / fast", rates.durable, rates.fast, "0.9");
    report.ratio("directory in PostgreSQL / in SQLite", rates.postgres, rates.fast, "-");
    if options.wants(Part::Pin) {
        Box::pin(with_pins(options, &program, &mut report)).await;
    }
    if options.wants(Part::Reads) {
        Box::pin(with_tokens(options, &program, &mut report)).await;
    }
    if options.wants(Part::Sessions) {
        Box::pin(with_sessions(options, &program, &mut report)).await;
    }
    if options.wants(Part::Watch) {
        Box::pin(fan_out(options, &program, &mut report)).await;
    }
    if options.wants(Part::Idle) {
        Box::pin(idle(options, &program, &mut report)).await;
    }
    report.end();
    println!("\neverything took {:.0} s", begun.elapsed().as_secs_f64());
}

/// Children that are started in `start` are put on the first processor, and what asks is put on the second.
async fn pinned<T>(options: &Options, start: impl Future<Output = T>) -> T {
    let apart = apart(options);
    if apart && !machine::run_on("0") {
        println!("taskset is missing: the kernel chooses the processors");
    }
    let started = start.await;
    if apart {
        machine::run_on("1");
    }
    started
}

fn apart(options: &Options) -> bool {
    !options.unpinned && machine::processors() > 1
}

/// Replicas are on other machines elsewhere: here they are beside what asks.
fn put_replicas_aside(options: &Options, redis: Option<&Redis>) {
    if apart(options) {
        let replicas = redis.map(Redis::replica_ids).unwrap_or_default();
        replicas.into_iter().for_each(|id| _ = machine::put(id, "1"));
    }
}

/// Children may run everywhere from now on, and so may we.
fn unpinned() {
    machine::run_on(&format!("0-{}", machine::processors() - 1));
}

async fn saturate(options: &Options, program: &Program, report: &mut Report) -> Rates {
    let mut rates = Rates::default();
    report.head(&format!("{} logins and logouts at once; then at a rate of that", options.at_once));
    if options.wants(Part::Echo) {
        let echo = pinned(options, async { Echo::start(None) }).await;
        let logins = tokens(options, &echo.api, &echo.token);
        levels("(a) bare echo", &Arc::new(logins), echo.id(), None, options, report).await;
    }
    if options.wants(Part::Script) {
        let started = async {
            let redis = Redis::start(0);
            (Echo::start(Some(redis.url())), redis)
        };
        let (echo, redis) = pinned(options, started).await;
        let logins = Arc::new(tokens(options, &echo.api, &echo.token));
        let what = "(b) echo, token verified, one script";
        rates.script = Some(levels(what, &logins, echo.id(), Some(&redis), options, report).await);
    }
    for (part, what, sessions, directory) in [
        (Part::Fast, "(c) logins by token", Sessions::Fast, Directory::Sqlite),
        (Part::Durable, "(c) durable: a replica has them", Sessions::Durable, Directory::Sqlite),
        (Part::Postgres, "(c) directory in PostgreSQL", Sessions::Fast, Directory::Postgres),
        (Part::Embedded, "(c) embedded: everything in SQLite", Sessions::Sql, Directory::Sqlite),
    ] {
        if !options.wants(part) {
            continue;
        }
        let product = pinned(options, Product::start(program, sessions, directory)).await;
        put_replicas_aside(options, product.redis.as_ref());
        agents::make(&product.link(), options.agents, 0).await.expect("the site is made");
        let logins = Arc::new(tokens(options, &product.api, &product.token));
        let rate = levels(what, &logins, product.id(), product.redis.as_ref(), options, report).await;
        match part {
            Part::Fast => rates.fast = Some(rate),
            Part::Durable => rates.durable = Some(rate),
            Part::Postgres => rates.postgres = Some(rate),
            _ => {}
        }
    }
    rates
}

fn tokens(options: &Options, api: &str, token: &str) -> Logins {
    Logins::new(api, token, options.connections, 0..options.agents, Proof::Token)
}

/// As many as possible, which is answered, and then fractions of it.
async fn levels(
    what: &str,
    logins: &Arc<Logins>,
    server: u32,
    redis: Option<&Redis>,
    options: &Options,
    report: &mut Report,
) -> f64 {
    let taken = || Taken {
        server: machine::time_of(server),
        redis: redis.map_or(Duration::ZERO, |redis| machine::time_of(redis.id())),
    };
    let (most, before) = closed(logins, options.at_once, options.span(), taken).await;
    let after = taken();
    let taken = Taken { server: after.server - before.server, redis: after.redis - before.redis };
    both(what, &most, Some(taken), report);
    for fraction in FRACTIONS {
        let rounds = most.rate() / 2.0 * fraction;
        if rounds < 1.0 {
            continue;
        }
        let measured = open(logins, rounds, options.span()).await;
        both(&format!("    at {:.0} % of that", fraction * 100.0), &measured, None, report);
    }
    most.rate()
}

fn both(what: &str, measured: &Measured, taken: Option<Taken>, report: &mut Report) {
    report.row(&format!("{what}: logins"), "login", measured, taken);
    let errors = Measured { times: measured.times.clone(), errors: Default::default(), took: measured.took };
    report.row("                          logouts", "logout", &errors, None);
}

async fn with_pins(options: &Options, program: &Program, report: &mut Report) {
    unpinned();
    report.head(&format!("PINs, on all {} processors", machine::processors()));
    let alone = pins::hashes_per_second(machine::processors(), options.span().measured);
    report.line(&format!("{:<44} {alone:>9.0}", "argon2 alone, a thread a processor"));

    let product = Product::start(program, options.sessions_in(), Directory::Sqlite).await;
    agents::make(&product.link(), options.agents.max(2 * WITH_PIN), WITH_PIN)
        .await
        .expect("the site is made");
    let (api, token) = (&product.api, &product.token);
    let with_pin = Arc::new(Logins::new(api, token, options.connections, 0..WITH_PIN, Proof::Pin));
    let others = WITH_PIN..options.agents.max(2 * WITH_PIN);
    let with_token = Arc::new(Logins::new(api, token, options.connections, others, Proof::Token));

    let calm = open(&with_token, BESIDE_THE_STORM, options.span()).await;
    let storm = closed(&with_pin, STORM, options.span(), || ());
    let ((storm, ()), meanwhile) = tokio::join!(storm, open(&with_token, BESIDE_THE_STORM, options.span()));
    let (most, ()) = closed(&with_pin, STORM, options.span(), || ()).await;
    report.row("(d) logins by PIN", "login", &most, None);
    report.row("    and beside logins by token", "login", &storm, None);
    report.row("logins by token, calm", "login", &calm, None);
    report.row("    and beside the storm of PINs", "login", &meanwhile, None);
    report.ratio("logins by PIN / argon2 alone", Some(most.rate_of("login")), Some(alone), "0.9");
    let p99 = |measured: &Measured| Some(measured.at("login", 0.99));
    report.ratio("p99 of logins by token, in a storm / calm", p99(&meanwhile), p99(&calm), "at most 3");
}

/// Reads with one token and with one each; the first of them, of each kind, is not counted.
async fn with_tokens(options: &Options, program: &Program, report: &mut Report) {
    let product = pinned(options, Product::start(program, options.sessions_in(), Directory::Sqlite)).await;
    let mut fresh = reads::tokens(&product, 2 * options.reads).await.expect("tokens are refreshed");
    let new = fresh.split_off(options.reads);
    let remembered = vec![product.token.clone(); options.reads];
    report.line(&format!("\n{} reads of an empty page, 8 at once", options.reads));
    for (what, warm_up, measured) in
        [("a remembered token", remembered.clone(), remembered), ("a token that was never seen", fresh, new)]
    {
        reads::read(&product, warm_up).await.expect("pages are read");
        let (before, number) = (machine::time_of(product.id()), measured.len() as f64);
        let took = reads::read(&product, measured).await.expect("pages are read");
        let each = (machine::time_of(product.id()) - before).as_secs_f64() * 1e6 / number;
        report.line(&format!(
            "{what:<44} {:>9.0} a second, {each:.0} us of the server each",
            number / took.as_secs_f64()
        ));
    }
}

async fn with_sessions(options: &Options, program: &Program, report: &mut Report) {
    let product = pinned(options, Product::start(program, options.sessions_in(), Directory::Sqlite)).await;
    let begun = Instant::now();
    agents::make(&product.link(), options.sessions, 0).await.expect("the site is made");
    report.line(&format!("\n{} agents made in {:.0} s", options.sessions, begun.elapsed().as_secs_f64()));
    let used = || product.redis.as_ref().map_or(0, Redis::used_memory);
    let (before, begun) = (used(), Instant::now());
    pages::log_in(&product.link(), 0..options.sessions, options.at_once).await.expect("they log in");
    let (bytes, took) = (used() - before, begun.elapsed().as_secs_f64());
    report.line(&format!(
        "{} sessions made in {took:.0} s: {:.0} bytes of each in Redis, its event included; the server has {} MiB",
        options.sessions,
        bytes as f64 / options.sessions as f64,
        machine::memory_of(product.id()) >> 20
    ));
    for (key, bytes) in product.redis.iter().flat_map(Redis::keys) {
        let name = key.rsplit(':').next().unwrap_or_default();
        report.line(&format!("    {:>6.0} of them in {name}", bytes as f64 / options.sessions as f64));
    }
    report.head(&format!("(e) pages of {} live sessions, 4 at once", options.sessions));
    for page_size in [100, 1000] {
        let pages = Arc::new(pages::Pages::new(|| product.link(), 4, page_size));
        let (measured, ()) = closed(&pages, 4, options.span(), || ()).await;
        report.row(&format!("pages of {page_size}"), "page", &measured, None);
    }
    let recorder = Recorder::new();
    let open = |number| Watches::open(&product.api, &product.token, number, 1, &recorder);
    let _first = open(1).await.expect("the watch opens");
    let before = machine::memory_of(product.id());
    let _watches = open(options.watchers).await.expect("the watches open");
    let bytes = machine::memory_of(product.id()).saturating_sub(before);
    let each = bytes as f64 / 1000.0 / options.watchers as f64;
    report.line(&format!(
        "{} watchers beside them, each on a connection: {each:.1} kB of each",
        options.watchers
    ));
}

async fn fan_out(options: &Options, program: &Program, report: &mut Report) {
    let product = pinned(options, Product::start(program, options.sessions_in(), Directory::Sqlite)).await;
    agents::make(&product.link(), options.agents, 0).await.expect("the site is made");
    report.head(&format!("(e) events to {} watchers, from their instant to their receipt", options.watchers));
    for (events, on_each) in FAN_OUT {
        let recorder = Recorder::new();
        let (api, token) = (&product.api, &product.token);
        let watches = Watches::open(api, token, options.watchers, on_each, &recorder).await;
        let _watches = watches.expect("the watches open");
        let logins = Arc::new(tokens(options, api, token));
        // A round makes two events. Those of the warm-up are received, too, and not wanted.
        let span = options.span();
        open(&logins, events / 2.0, Span { measured: span.warm_up, warm_up: Duration::ZERO }).await;
        recorder.take(Duration::ZERO);
        let begun = Instant::now();
        let made = open(&logins, events / 2.0, Span { warm_up: Duration::ZERO, ..span }).await;
        let got = recorder.take(begun.elapsed());
        report.row(&format!("{events} events/s, {on_each} watchers a connection"), "event", &got, None);
        report.row("    logins meanwhile", "login", &made, None);
    }
}

async fn idle(options: &Options, program: &Program, report: &mut Report) {
    report.line("\nWatchers that wait: the server's memory");
    for on_each in [1, 100] {
        for number in [options.idle / 10, options.idle] {
            let product =
                pinned(options, Product::start(program, options.sessions_in(), Directory::Sqlite)).await;
            let recorder = Recorder::new();
            let open = |number| Watches::open(&product.api, &product.token, number, on_each, &recorder);
            // What the first ones cost once is not theirs.
            let _first = open(on_each).await.expect("the watches open");
            let before = machine::memory_of(product.id());
            let _watches = open(number).await.expect("the watches open");
            let bytes = machine::memory_of(product.id()).saturating_sub(before);
            report.line(&format!(
                "{number:>7} watchers, {on_each:>3} on a connection: {:.1} kB of each",
                bytes as f64 / 1000.0 / number as f64
            ));
        }
    }
}
