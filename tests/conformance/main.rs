//! What the API promises of sessions, held up to every store: one list of cases, each on a cluster of its own with two
//! replicas that are called over gRPC. The stores' own suite holds each of them to the promises of its trait; here it is
//! what a client can rely on, whichever replica he calls and whoever else calls at the same moment.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what it expects"
)]

#[path = "../model/backend.rs"]
#[allow(dead_code, reason = "the model has broken stores, too")]
mod backend;
mod cluster;
#[path = "../model/daily.rs"]
#[allow(dead_code, reason = "the model knows daily times")]
mod daily;
mod deadlines;
#[path = "../model/directory.rs"]
#[allow(dead_code, reason = "the model sets more parameters")]
mod directory;
#[path = "../model/gate.rs"]
#[allow(dead_code, reason = "the model breaks stores on purpose")]
mod gate;
mod kept;
mod once;
#[path = "../../crates/store-sql/tests/postgres/starter.rs"]
#[allow(dead_code, reason = "the tests of the store use all of it")]
mod postgres;
#[path = "../../crates/store-redis/tests/redis/starter.rs"]
mod redis;
#[path = "../model/replica.rs"]
#[allow(dead_code, reason = "the model changes daily times")]
mod replica;
#[path = "../model/site.rs"]
#[allow(dead_code, reason = "the model knows what the directory says")]
mod site;
#[path = "../model/state.rs"]
#[allow(dead_code, reason = "the model has a state")]
mod state;
#[path = "../model/step.rs"]
#[allow(dead_code, reason = "the model has steps")]
mod step;
mod watches;
mod winners;

/// One test for each case.
macro_rules! cases {
    ($backend:ty; $($group:ident: $case:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let mut cluster = crate::cluster::Cluster::<$backend>::start().await;
                crate::$group::$case(&mut cluster).await;
                cluster.stop().await;
            }
        )+
    };
}

/// One test for each promise, on that store.
macro_rules! over_grpc {
    ($name:ident, $backend:ty) => {
        mod $name {
            cases! { $backend;
                winners: of_all_who_log_in_to_one_phone_at_once_one_is_let_in,
                winners: li_9_a_user_who_logs_in_at_four_phones_at_once_gets_one,
                winners: li_9_with_auto_logout_every_session_but_the_last_ends_once,
                winners: cc_7_an_acd_line_that_is_raced_for_is_worn_on_one_phone,
                winners: sp_13_of_those_who_take_a_phone_over_at_once_each_ends_the_one_before,
                winners: of_sixteen_logouts_of_one_session_at_once_one_is_made,
                winners: the_epoch_of_a_phone_grows_and_a_logout_from_before_the_session_is_stale,
                once: li_11_a_login_that_is_sent_sixteen_times_at_once_happens_once,
                once: li_11_a_logout_that_is_sent_sixteen_times_at_once_happens_once,
                once: li_11_of_two_requests_with_one_id_one_is_told_that_it_is_used,
                once: li_11_an_answer_is_remembered_for_ten_minutes_by_every_replica,
                once: li_11_a_refusal_is_not_remembered,
                deadlines: lo_5_a_session_ends_at_its_instant_and_once_whichever_replica_sweeps,
                deadlines: lo_5_what_fell_due_while_nobody_looked_ends_at_the_next_look,
                deadlines: lo_6_a_handset_that_goes_up_moves_the_deadline,
                watches: ev_2_every_watch_is_told_every_change_once_and_in_one_order,
                watches: ev_2_a_watch_that_resumes_anywhere_misses_nothing_and_repeats_nothing,
                watches: ev_2_a_snapshot_and_what_follows_it_give_the_present,
                kept: li_10_a_login_that_is_refused_leaves_nothing_behind,
                kept: list_sessions_is_paged_in_the_order_of_phones_without_loss_or_repeat,
                kept: ev_3_what_a_phone_must_do_adds_up_until_it_acknowledges_the_newest,
                kept: what_was_acknowledged_is_there_after_all_replicas_have_begun_anew,
            }
        }
    };
}

over_grpc!(memory, crate::backend::Memory);
over_grpc!(sqlite, crate::backend::Sqlite);
over_grpc!(postgresql, crate::backend::PostgreSql);
over_grpc!(redis_standalone, crate::backend::Standalone);
over_grpc!(redis_sentinel, crate::backend::Sentinel);
over_grpc!(redis_cluster, crate::backend::Cluster);
