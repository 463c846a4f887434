//! What every backend is held to: one case for each promise of the traits, named after it. A backend's tests expand
//! [`conformance_suite!`](crate::conformance_suite) with a way to make an empty store.
#![cfg(feature = "conformance")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests that happen to live in a library"
)]

pub mod audit;
pub mod credential;
pub mod directory;
pub mod directory_read;
pub mod federation;
pub mod fixture;
pub mod import;
pub mod import_commit;
pub mod session;
pub mod session_begin;
pub mod session_commit;
pub mod session_event;
pub mod through;
pub mod token;

/// One test for each case of the suite, in a module of that name. `$factory` is an expression, evaluated once a test,
/// whose future gives an empty store in an `Arc` and whatever must live as long as it (a directory, a child process).
///
/// ```ignore
/// conformance_suite!(memory, async { (Arc::new(MemoryStore::new()), ()) });
/// ```
#[macro_export]
macro_rules! conformance_suite {
    ($name:ident, $factory:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "the factory may need nothing from around it")]
            use super::*;

            $crate::session_conformance_cases! { $factory }
            $crate::conformance_cases! { directory, $factory;
                what_is_not_there_is_not_found,
                find_answers_in_the_order_of_the_keys,
                every_kind_is_kept_as_it_was_put,
                a_resource_is_created_at_version_1_and_grows_with_each_change,
                creating_what_is_there_is_moved_and_names_its_version,
                replacing_what_has_another_version_is_moved,
                deleting_what_is_not_there_or_has_another_version_is_moved,
                a_deleted_resource_can_be_created_anew,
                a_key_changed_twice_is_demanded_as_the_first_change_left_it,
                dp_1_a_profile_and_a_phone_cannot_share_a_name,
                self_service_ids_are_unique,
                two_resources_of_one_batch_cannot_take_one_name,
                a_name_given_up_in_the_same_batch_is_free,
                a_reference_to_nothing_is_missing,
                what_is_referred_to_is_in_use,
                a_batch_may_refer_to_its_members_in_any_order,
                a_resource_goes_together_with_what_refers_to_it,
                deleting_what_a_put_of_the_batch_needs_is_refused,
                a_refused_batch_changes_nothing,
                replacing_drops_old_references_and_names,
                used_by_is_in_the_order_of_keys_at_most_the_limit,
                list_is_in_the_byte_order_of_names_and_paged,
                dp_1_of_64_creators_of_one_device_name_one_is_made,
                of_16_changes_from_one_version_one_is_made,
                a_reference_and_the_deletion_of_its_end_do_not_both_happen,
                a_large_batch_is_one_step,
            }
            $crate::conformance_cases! { directory_read, $factory;
                lists_are_paged_in_every_order,
                a_list_goes_on_after_any_place,
                a_prefix_leaves_the_names_that_begin_so,
                dp_1_owners_are_those_who_have_a_name_now,
                used_by_is_paged_without_loss_or_repeat,
                dp_5_the_first_user_is_the_one_who_refers_for_the_longest_time,
                a_guard_keeps_a_batch_from_what_has_changed,
                a_guard_and_a_change_from_one_version_do_not_both_happen,
                a_snapshot_has_everything_kind_by_kind,
                a_snapshot_does_not_see_what_is_written_meanwhile,
                the_revision_grows_with_each_change_and_with_nothing_else,
            }
            $crate::conformance_cases! { import, $factory;
                an_import_is_found_by_its_token_until_it_ends,
                an_id_that_is_in_use_opens_no_other_import,
                an_import_that_is_not_open_is_unknown,
                rows_come_in_their_order,
                what_is_staged_is_seen_by_its_import_alone,
                staged_rows_are_paged_in_their_order,
                a_resource_is_changed_by_one_row,
                dp_1_a_name_is_taken_by_one_row,
                imports_that_nobody_has_used_for_long_are_discarded,
                of_8_that_stage_the_same_rows_one_does,
                a_large_chunk_is_staged_whole,
            }
            $crate::conformance_cases! { import_commit, $factory;
                dp_19_a_commit_makes_all_changes_at_once_and_ends_the_import,
                an_empty_import_is_committed,
                dp_19_a_refused_import_names_every_row_and_changes_nothing,
                a_moved_row_names_the_version_of_now,
                what_others_use_is_not_deleted_by_an_import,
                of_many_errors_the_first_thousand_are_told,
                dp_5_an_import_keeps_the_time_of_references,
                of_8_commits_of_one_import_one_is_made,
                dp_1_of_64_imports_and_commits_of_one_device_name_one_is_made,
                an_import_and_what_it_was_decided_from_do_not_both_change,
                dp_19_a_large_import_is_one_step,
            }
            $crate::conformance_cases! { audit, $factory;
                ev_1_a_trail_that_was_never_fed_is_empty,
                ev_1_a_step_is_read_back_as_it_was_made,
                ev_1_a_step_from_another_place_is_moved_and_changes_nothing,
                ev_1_what_16_processes_feed_is_recorded_once,
                records_are_found_by_user_phone_kind_and_time,
                records_of_clocks_that_disagree_are_all_found,
                records_are_paged_in_the_order_of_their_numbers,
                events_that_are_recorded_are_found_by_their_places,
                a_session_is_live_in_the_trail_until_it_ends,
                sessions_that_are_live_in_the_trail_are_paged_by_phone,
                ev_1_the_oldest_records_are_deleted_by_a_step,
                ev_1_a_step_that_moved_deletes_nothing,
                ev_1_of_many_that_prune_one_does,
                sessions_are_found_among_those_that_are_live_in_the_trail,
                a_large_step_of_the_trail_is_one_step,
            }
            $crate::conformance_cases! { credential, $factory;
                an_unknown_principal_is_none,
                every_field_of_a_principal_is_kept_and_its_version_grows,
                a_principal_that_moved_is_not_written,
                one_that_moved_keeps_all_from_being_written,
                a_name_twice_in_one_step_is_refused,
                of_16_writers_from_one_version_one_writes,
                a_principal_that_is_deleted_is_gone_and_others_are_not,
                a_successor_has_no_version_that_his_predecessor_had,
            }
            $crate::conformance_cases! { federation, $factory;
                settings_are_kept_as_they_were_set,
                a_setting_is_changed_from_its_version_alone,
                of_8_changes_of_a_setting_from_one_version_one_is_made,
                xc_3_every_field_of_a_half_is_kept,
                a_half_whose_id_is_known_is_not_begun_again,
                xc_3_of_16_logins_for_5_base_devices_5_get_one_each,
                xc_3_a_base_device_is_free_again_when_its_half_has_ended,
                xc_4_an_ended_half_keeps_its_time_and_is_told_once_anybody_says_so,
                halves_are_paged_by_peer_and_by_whether_they_are_live,
                ended_halves_are_forgotten_when_the_other_side_knows,
            }
            $crate::conformance_cases! { token, $factory;
                a_sign_in_is_kept_as_it_was_begun_and_refreshed,
                a_sign_in_is_refreshed_from_its_counter_alone,
                of_16_refreshes_from_one_counter_one_is_made,
                of_a_principal_the_latest_sign_ins_are_kept,
                a_principal_that_is_revoked_has_no_sign_in_any_more,
                revocations_are_read_in_their_order_after_any_place,
                trimmed_sign_ins_and_revocations_leave_the_last_place,
                of_revocations_at_once_each_has_its_own_place,
                keys_are_the_oldest_first,
                keys_are_swapped_from_those_that_are_there_alone,
                of_16_processes_that_bring_keys_one_does,
            }
        }
    };
}

/// One test for each case of live sessions alone, as [`conformance_suite!`](crate::conformance_suite) has them too: for
/// a backend that keeps nothing else.
#[macro_export]
macro_rules! session_conformance_suite {
    ($name:ident, $factory:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "the factory may need nothing from around it")]
            use super::*;

            $crate::session_conformance_cases! { $factory }
        }
    };
}

/// One test for each case of beginning a store that can lose everything. `$factory` gives one that is not begun.
#[macro_export]
macro_rules! session_begin_suite {
    ($name:ident, $factory:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "the factory may need nothing from around it")]
            use super::*;

            $crate::conformance_cases! { session_begin, $factory;
                a_store_that_is_not_begun_is_lost,
                a_new_store_begins_at_0,
                a_lost_store_goes_on_with_what_it_is_given,
                a_phone_without_a_record_is_beyond_all_that_a_lost_store_gave,
                a_guard_is_beyond_all_that_a_lost_store_gave,
            }
        }
    };
}

/// The tests of live sessions; the suites alone use it.
#[doc(hidden)]
#[macro_export]
macro_rules! session_conformance_cases {
    ($factory:expr) => {
        $crate::conformance_cases! { session, $factory;
            a_phone_without_a_record_is_new_at_epoch_0,
            load_gives_the_users_other_phones_and_no_ones_else,
            load_gives_the_other_phones_that_wear_the_acd_line,
            load_follows_a_session_to_another_acd_line,
            load_gives_no_phone_twice,
            load_about_one_phone_gives_that_alone,
            every_field_of_a_phone_is_kept,
            large_configurations_are_kept_byte_by_byte,
            a_session_is_found_by_its_id_until_it_ends,
            list_has_phones_with_a_session_in_the_order_of_their_names,
            list_is_paged_without_loss_or_repeat,
            list_of_one_user_has_his_phones_alone,
            a_snapshot_has_phones_with_a_session_and_the_place_of_the_last_event,
            due_has_the_longest_overdue_first_at_most_the_limit,
            a_session_is_due_at_its_instant_and_not_a_nanosecond_before,
            the_next_deadline_is_the_earliest_even_when_it_has_passed,
            a_deadline_moves_with_what_the_session_ends_by,
            a_session_without_limit_is_never_due,
            a_deadline_at_the_end_of_time_is_kept,
        }
        $crate::conformance_cases! { session_commit, $factory;
            each_commit_is_read_back_one_epoch_on,
            guards_move_when_a_session_begins_and_when_it_ends,
            guards_of_both_users_move_at_a_takeover,
            guards_rest_when_no_session_begins_or_ends,
            guards_move_when_a_session_goes_on_with_another_acd_line,
            a_guard_that_nobody_holds_fences_after_a_trim,
            a_stale_phone_is_moved_and_nothing_changes,
            a_stale_other_phone_is_moved_and_nothing_changes,
            a_stale_guard_is_moved_and_nothing_changes,
            a_state_that_was_not_read_is_moved_and_nothing_changes,
            a_state_that_is_not_one_epoch_on_is_moved_and_nothing_changes,
            of_16_commits_from_the_same_versions_one_is_made,
            of_two_users_racing_for_a_phone_one_gets_it,
            a_user_racing_for_two_phones_gets_one,
            an_acd_line_raced_for_is_worn_on_one_phone,
            commits_about_different_phones_are_all_made,
            a_moved_commit_does_not_hold_up_those_beside_it,
            a_reply_is_remembered_until_it_expires,
            a_request_id_that_was_answered_is_moved_and_nothing_changes,
            an_expired_reply_may_be_given_anew,
            trim_forgets_expired_replies_alone,
        }
        $crate::conformance_cases! { session_event, $factory;
            a_commit_returns_the_place_of_its_last_event,
            events_have_places_from_1_without_gaps_in_the_order_of_commits,
            events_keep_every_field,
            events_are_paged_from_any_place,
            there_are_no_events_after_the_last,
            a_place_not_reached_is_ahead,
            events_of_concurrent_commits_have_no_gap,
            a_snapshot_and_the_events_after_it_give_the_present,
            trimmed_events_are_too_old,
            trim_keeps_the_last_event_and_its_place,
            the_place_is_that_of_the_last_event,
            trim_leaves_no_gap_where_clocks_disagree,
            trim_keeps_what_is_behind_nobody,
            events_are_told_without_a_change,
            a_store_that_is_begun_is_not_begun_again,
            latest_changes_with_each_event,
        }
    };
}

/// The tests of one group of cases; the suites alone use it.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    ($group:ident, $factory:expr; $($case:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (store, _alive) = $factory.await;
                $crate::conformance::$group::$case(store).await;
            }
        )+
    };
}
