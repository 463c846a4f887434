//! What any RPC can refuse: callers without a token or scope, empty and oversized requests, a store that is down.

use roamline_proto::error::ErrorReason;
use roamline_proto::profile::rendering_service_client::RenderingServiceClient;
use roamline_proto::profile::user_service_client::UserServiceClient;
use roamline_proto::profile::{
    CreateUserRequest, DeleteUserRequest, GetServiceParametersRequest, GetUserRequest, ListUsersRequest,
    PrepareLoginRequest, PreviewRequest, UpdateUserRequest, User,
};
use roamline_token::Bearer;
use tonic::Code;

use crate::site::{IntoResource, Site, fact, fields, refused, user};

#[tokio::test]
async fn a_caller_without_the_scope_is_refused() {
    let site = Site::example().await;
    let get = || GetUserRequest { user_id: "me".into() };
    let mut anonymous = UserServiceClient::new(site.channel());
    refused(anonymous.get_user(get()).await, ErrorReason::TokenMissing);

    let bearer = Bearer::token(site.token(&["directory.read"]));
    let mut reader = UserServiceClient::with_interceptor(site.channel(), bearer.clone());
    assert!(reader.get_user(get()).await.is_ok());
    let create = CreateUserRequest { user: Some(user("new", &[])), validate_only: false };
    let refusal = refused(reader.create_user(create).await, ErrorReason::ScopeMissing);
    assert_eq!(fact(&refusal, "scope"), "directory.write");
    let mut reader = RenderingServiceClient::with_interceptor(site.channel(), bearer);
    let prepare =
        PrepareLoginRequest { phone: "SEP000DEDAB3566".into(), user_id: "me".into(), ..Default::default() };
    let refusal = refused(reader.prepare_login(prepare).await, ErrorReason::ScopeMissing);
    assert_eq!(fact(&refusal, "scope"), "directory.resolve");
    site.stop().await;
}

#[tokio::test]
async fn an_empty_request_names_what_is_missing() {
    let site = Site::empty().await;
    let refusal =
        refused(site.users().create_user(CreateUserRequest::default()).await, ErrorReason::InvalidRequest);
    assert_eq!(fields(&refusal), ["user"]);
    let refusal =
        refused(site.users().update_user(UpdateUserRequest::default()).await, ErrorReason::InvalidRequest);
    assert_eq!(fields(&refusal), ["user"]);
    refused(site.rendering().preview(PreviewRequest::default()).await, ErrorReason::InvalidRequest);
    assert!(site.apply(Vec::new()).await.unwrap().outcomes.is_empty());
}

#[tokio::test]
async fn an_oversized_request_is_refused() {
    let site = Site::empty().await;
    let huge = User { display_name: "x".repeat(1 << 20), ..user("huge", &[]) };
    let request = CreateUserRequest { user: Some(huge), validate_only: false };
    let status = site.users().create_user(request).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
}

#[tokio::test]
async fn a_long_name_is_refused_in_a_refusal_that_arrives() {
    let site = Site::empty().await;
    let request = GetUserRequest { user_id: "x".repeat(900_000) };
    refused(site.users().get_user(request).await, ErrorReason::InvalidRequest);
    let update_mask = crate::site::mask(&["y".repeat(500_000).as_str()]);
    let request = UpdateUserRequest { user: Some(user("me", &[])), update_mask, validate_only: false };
    refused(site.users().update_user(request).await, ErrorReason::FieldMaskInvalid);
}

#[tokio::test]
async fn a_store_that_is_down_is_said_to_be_and_nothing_more() {
    let site = Site::example().await;
    site.store.break_down();
    let create = CreateUserRequest { user: Some(user("new", &[])), validate_only: false };
    let refusal = refused(site.users().create_user(create).await, ErrorReason::StoreUnavailable);
    assert!(refusal.retry_after.is_some() && !refusal.message.contains("disk"), "{refusal:?}");
    let get = GetUserRequest { user_id: "me".into() };
    refused(site.users().get_user(get).await, ErrorReason::StoreUnavailable);
    refused(site.users().list_users(ListUsersRequest::default()).await, ErrorReason::StoreUnavailable);
    let delete = DeleteUserRequest { user_id: "me".into(), ..Default::default() };
    refused(site.users().delete_user(delete).await, ErrorReason::StoreUnavailable);
    refused(site.apply(vec![user("new", &[]).into_resource()]).await, ErrorReason::StoreUnavailable);
    let get = GetServiceParametersRequest {};
    refused(site.parameters().get_service_parameters(get).await, ErrorReason::StoreUnavailable);
    let prepare =
        PrepareLoginRequest { phone: "SEP000DEDAB3566".into(), user_id: "me".into(), ..Default::default() };
    refused(site.rendering().prepare_login(prepare).await, ErrorReason::StoreUnavailable);
}
