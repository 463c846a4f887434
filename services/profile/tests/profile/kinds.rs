//! What the services of every kind of record have in common, tried on each of them.

use roamline_proto::error::ErrorReason;
use roamline_proto::profile as wire;

use crate::site::{
    IntoResource, Site, default_profile, fact, fields, line, logout_profile, mask, phone, profile, refused,
    user,
};

/// Creates a record, then provokes everything that any of the five methods can refuse about it.
macro_rules! every_method {
    (
        $test:ident, $client:ident, $field:ident, $key:ident, $given:expr, $unknown:expr, $record:expr;
        $create:ident($create_request:ident), $get:ident($get_request:ident),
        $batch:ident($names:ident, $batch_request:ident), $list:ident($list_request:ident), $update:ident($update_request:ident),
        $delete:ident($delete_request:ident)
    ) => {
        #[tokio::test]
        #[allow(clippy::needless_update, reason = "only some deletions can be forced")]
        async fn $test() {
            let site = Site::empty().await;
            let needed = vec![line("2100").into_resource(), logout_profile(1, &["2100"]).into_resource()];
            site.apply(needed).await.unwrap();
            let mut client = site.$client();
            let key = || $given.into();
            let delete =
                |etag: &str| wire::$delete_request { $key: key(), etag: etag.into(), ..Default::default() };
            let update = |etag: &str, paths: &[&str]| wire::$update_request {
                $field: Some({
                    let mut record = $record;
                    *record.description() = "changed".into();
                    record.etag = etag.into();
                    record
                }),
                update_mask: mask(paths),
                validate_only: false,
            };
            let create = || wire::$create_request { $field: Some($record), validate_only: false };

            refused(client.$get(wire::$get_request { $key: key() }).await, ErrorReason::ResourceNotFound);
            refused(client.$update(update("", &[])).await, ErrorReason::ResourceNotFound);
            refused(client.$delete(delete("")).await, ErrorReason::ResourceNotFound);
            let refusal =
                refused(client.$create(wire::$create_request::default()).await, ErrorReason::InvalidRequest);
            assert_eq!(fields(&refusal), [stringify!($field)]);
            let nameless = wire::$create_request { $field: Some(Default::default()), validate_only: false };
            refused(client.$create(nameless).await, ErrorReason::ResourceInvalid);

            let created = client.$create(create()).await.unwrap().into_inner().$field.unwrap();
            assert_eq!(created.etag, "v1");
            refused(client.$create(create()).await, ErrorReason::ResourceExists);
            let stale = refused(client.$update(update("v0", &[])).await, ErrorReason::EtagMismatch);
            assert_eq!(fact(&stale, "etag"), "v1");
            for path in [stringify!($key), "etag", "colour"] {
                let refusal =
                    refused(client.$update(update("", &[path])).await, ErrorReason::FieldMaskInvalid);
                assert_eq!(fact(&refusal, "path"), path);
            }
            refused(client.$delete(delete("v7")).await, ErrorReason::EtagMismatch);
            let token = wire::$list_request { page_token: "aa".into(), ..Default::default() };
            refused(client.$list(token).await, ErrorReason::PageTokenInvalid);
            let found = client.$get(wire::$get_request { $key: key() }).await.unwrap().into_inner();
            assert_eq!(found.$field.unwrap(), created);
            let both = wire::$batch_request { $names: vec![$unknown.into(), key()] };
            let batch = client.$batch(both).await.unwrap().into_inner();
            assert_eq!((batch.not_found.len(), batch.not_found[0].to_string()), (1, $unknown.to_string()));
            let many = wire::$batch_request { $names: vec![key(); 1001] };
            refused(client.$batch(many).await, ErrorReason::InvalidRequest);
            for (filter, order_by) in [("etag", ""), ("colour = x", ""), ("", "colour")] {
                let list = wire::$list_request {
                    filter: filter.into(),
                    order_by: order_by.into(),
                    ..Default::default()
                };
                refused(client.$list(list).await, ErrorReason::ListQueryInvalid);
            }

            let updated = client.$update(update("v1", &[])).await.unwrap().into_inner().$field.unwrap();
            assert_eq!(updated.etag, "v2");
            client.$delete(delete("v2")).await.unwrap();
            refused(client.$get(wire::$get_request { $key: key() }).await, ErrorReason::ResourceNotFound);
        }
    };
}

/// The text of a record that any change may touch.
trait Described {
    fn description(&mut self) -> &mut String;
}

macro_rules! described {
    ($($record:ident.$field:ident),+) => {
        $(impl Described for wire::$record {
            fn description(&mut self) -> &mut String {
                &mut self.$field
            }
        })+
    };
}

described!(
    User.display_name,
    Phone.description,
    UserDeviceProfile.description,
    DefaultDeviceProfile.description,
    LogoutProfile.description,
    Line.description,
    DevicePool.description,
    PhoneTemplate.description,
    LineTemplate.description,
    PresenceGroup.description,
    PhoneServiceDefinition.description
);

every_method!(
    dp_20_users, users, user, user_id, "agent7", "agent8", user("agent7", &[]);
    create_user(CreateUserRequest), get_user(GetUserRequest), batch_get_users(user_ids, BatchGetUsersRequest), list_users(ListUsersRequest),
    update_user(UpdateUserRequest), delete_user(DeleteUserRequest)
);
every_method!(
    dp_20_phones, phones, phone, name, "00:1b:54:ca:fe:01", "SEP001B54CAFE02", phone("SEP001B54CAFE01", "7960");
    create_phone(CreatePhoneRequest), get_phone(GetPhoneRequest), batch_get_phones(names, BatchGetPhonesRequest), list_phones(ListPhonesRequest),
    update_phone(UpdatePhoneRequest), delete_phone(DeletePhoneRequest)
);
every_method!(
    dp_20_user_device_profiles, profiles, user_device_profile, name, "p", "q", profile("p", Default::default());
    create_user_device_profile(CreateUserDeviceProfileRequest),
    get_user_device_profile(GetUserDeviceProfileRequest),
    batch_get_user_device_profiles(names, BatchGetUserDeviceProfilesRequest),
    list_user_device_profiles(ListUserDeviceProfilesRequest),
    update_user_device_profile(UpdateUserDeviceProfileRequest),
    delete_user_device_profile(DeleteUserDeviceProfileRequest)
);
every_method!(
    dp_20_default_device_profiles, defaults, default_device_profile, model, "7960", "7970", default_profile("7960");
    create_default_device_profile(CreateDefaultDeviceProfileRequest),
    get_default_device_profile(GetDefaultDeviceProfileRequest),
    batch_get_default_device_profiles(models, BatchGetDefaultDeviceProfilesRequest),
    list_default_device_profiles(ListDefaultDeviceProfilesRequest),
    update_default_device_profile(UpdateDefaultDeviceProfileRequest),
    delete_default_device_profile(DeleteDefaultDeviceProfileRequest)
);
every_method!(
    dp_20_logout_profiles, logout_profiles, logout_profile, tag, 2_u32, 3_u32, logout_profile(2, &["2100"]);
    create_logout_profile(CreateLogoutProfileRequest), get_logout_profile(GetLogoutProfileRequest),
    batch_get_logout_profiles(tags, BatchGetLogoutProfilesRequest),
    list_logout_profiles(ListLogoutProfilesRequest), update_logout_profile(UpdateLogoutProfileRequest),
    delete_logout_profile(DeleteLogoutProfileRequest)
);
every_method!(
    dp_20_lines, lines, line, name, "2001@floor", "2002", line("2001@floor");
    create_line(CreateLineRequest), get_line(GetLineRequest), batch_get_lines(names, BatchGetLinesRequest), list_lines(ListLinesRequest),
    update_line(UpdateLineRequest), delete_line(DeleteLineRequest)
);
every_method!(
    dp_20_device_pools, device_pools, device_pool, name, "a", "b",
    wire::DevicePool { name: "a".into(), ..Default::default() };
    create_device_pool(CreateDevicePoolRequest), get_device_pool(GetDevicePoolRequest),
    batch_get_device_pools(names, BatchGetDevicePoolsRequest), list_device_pools(ListDevicePoolsRequest),
    update_device_pool(UpdateDevicePoolRequest), delete_device_pool(DeleteDevicePoolRequest)
);
every_method!(
    dp_20_phone_templates, phone_templates, phone_template, name, "a", "b",
    wire::PhoneTemplate { name: "a".into(), ..Default::default() };
    create_phone_template(CreatePhoneTemplateRequest), get_phone_template(GetPhoneTemplateRequest),
    batch_get_phone_templates(names, BatchGetPhoneTemplatesRequest), list_phone_templates(ListPhoneTemplatesRequest),
    update_phone_template(UpdatePhoneTemplateRequest), delete_phone_template(DeletePhoneTemplateRequest)
);
every_method!(
    dp_20_line_templates, line_templates, line_template, name, "a", "b",
    wire::LineTemplate { name: "a".into(), ..Default::default() };
    create_line_template(CreateLineTemplateRequest), get_line_template(GetLineTemplateRequest),
    batch_get_line_templates(names, BatchGetLineTemplatesRequest), list_line_templates(ListLineTemplatesRequest),
    update_line_template(UpdateLineTemplateRequest), delete_line_template(DeleteLineTemplateRequest)
);
every_method!(
    dp_20_presence_groups, presence_groups, presence_group, name, "a", "b",
    wire::PresenceGroup { name: "a".into(), ..Default::default() };
    create_presence_group(CreatePresenceGroupRequest), get_presence_group(GetPresenceGroupRequest),
    batch_get_presence_groups(names, BatchGetPresenceGroupsRequest), list_presence_groups(ListPresenceGroupsRequest),
    update_presence_group(UpdatePresenceGroupRequest), delete_presence_group(DeletePresenceGroupRequest)
);
every_method!(
    dp_20_phone_service_definitions, phone_services, phone_service_definition, name, "a", "b",
    wire::PhoneServiceDefinition { name: "a".into(), url: "http://x/".into(), ..Default::default() };
    create_phone_service_definition(CreatePhoneServiceDefinitionRequest), get_phone_service_definition(GetPhoneServiceDefinitionRequest),
    batch_get_phone_service_definitions(names, BatchGetPhoneServiceDefinitionsRequest), list_phone_service_definitions(ListPhoneServiceDefinitionsRequest),
    update_phone_service_definition(UpdatePhoneServiceDefinitionRequest), delete_phone_service_definition(DeletePhoneServiceDefinitionRequest)
);
