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
        $test:ident, $client:ident, $field:ident, $key:ident, $given:expr, $record:expr;
        $create:ident($create_request:ident), $get:ident($get_request:ident),
        $list:ident($list_request:ident), $update:ident($update_request:ident),
        $delete:ident($delete_request:ident)
    ) => {
        #[tokio::test]
        async fn $test() {
            let site = Site::empty().await;
            site.apply(vec![logout_profile(1, &[]).into_resource()]).await.unwrap();
            let mut client = site.$client();
            let key = || $given.into();
            let delete = |etag: &str| wire::$delete_request { $key: key(), etag: etag.into() };
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
    Line.description
);

every_method!(
    dp_20_users, users, user, user_id, "agent7", user("agent7", &[]);
    create_user(CreateUserRequest), get_user(GetUserRequest), list_users(ListUsersRequest),
    update_user(UpdateUserRequest), delete_user(DeleteUserRequest)
);
every_method!(
    dp_20_phones, phones, phone, name, "00:1b:54:ca:fe:01", phone("SEP001B54CAFE01", "7960");
    create_phone(CreatePhoneRequest), get_phone(GetPhoneRequest), list_phones(ListPhonesRequest),
    update_phone(UpdatePhoneRequest), delete_phone(DeletePhoneRequest)
);
every_method!(
    dp_20_user_device_profiles, profiles, user_device_profile, name, "p", profile("p", Default::default());
    create_user_device_profile(CreateUserDeviceProfileRequest),
    get_user_device_profile(GetUserDeviceProfileRequest),
    list_user_device_profiles(ListUserDeviceProfilesRequest),
    update_user_device_profile(UpdateUserDeviceProfileRequest),
    delete_user_device_profile(DeleteUserDeviceProfileRequest)
);
every_method!(
    dp_20_default_device_profiles, defaults, default_device_profile, model, "7960", default_profile("7960");
    create_default_device_profile(CreateDefaultDeviceProfileRequest),
    get_default_device_profile(GetDefaultDeviceProfileRequest),
    list_default_device_profiles(ListDefaultDeviceProfilesRequest),
    update_default_device_profile(UpdateDefaultDeviceProfileRequest),
    delete_default_device_profile(DeleteDefaultDeviceProfileRequest)
);
every_method!(
    dp_20_logout_profiles, logout_profiles, logout_profile, tag, 2_u32, logout_profile(2, &[]);
    create_logout_profile(CreateLogoutProfileRequest), get_logout_profile(GetLogoutProfileRequest),
    list_logout_profiles(ListLogoutProfilesRequest), update_logout_profile(UpdateLogoutProfileRequest),
    delete_logout_profile(DeleteLogoutProfileRequest)
);
every_method!(
    dp_20_lines, lines, line, name, "2001@floor", line("2001@floor");
    create_line(CreateLineRequest), get_line(GetLineRequest), list_lines(ListLinesRequest),
    update_line(UpdateLineRequest), delete_line(DeleteLineRequest)
);
