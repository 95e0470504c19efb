//! Every rule, over the whole registry.

use kernel::limits::per_minute;
use kernel::testkit::settings;

use crate::stage::{Broken, Stage};
use crate::{database, registry, rules};

async fn stage() -> Stage {
    Stage::open(registry(), database().await).await
}

#[tokio::test]
async fn rows_can_be_created() {
    rules::rows_can_be_created(&stage().await).await;
}

#[tokio::test]
async fn nobody_calls_without_a_token() {
    rules::nobody_calls_without_a_token(&stage().await).await;
}

#[tokio::test]
async fn a_missing_grant_is_403() {
    rules::a_missing_grant_is_403(&stage().await).await;
}

#[tokio::test]
async fn a_foreign_row_is_404() {
    rules::a_foreign_row_is_404(&stage().await).await;
}

#[tokio::test]
async fn a_foreign_row_cannot_be_linked_to() {
    rules::a_foreign_row_cannot_be_linked_to(&stage().await).await;
}

#[tokio::test]
async fn pages_are_stable() {
    rules::pages_are_stable(&stage().await).await;
}

#[tokio::test]
async fn a_patch_keeps_absent_fields() {
    rules::a_patch_keeps_absent_fields(&stage().await).await;
}

#[tokio::test]
async fn secrets_never_leave() {
    rules::secrets_never_leave(&stage().await).await;
}

#[tokio::test]
async fn unknown_fields_are_refused() {
    rules::unknown_fields_are_refused(&stage().await).await;
}

#[tokio::test]
async fn the_reference_is_complete() {
    rules::the_reference_is_complete(&stage().await).await;
}

/// With what its group has, a tenth of it for one credential.
#[tokio::test]
async fn every_entity_is_counted_with_its_group() {
    let stage = stage().await;
    let client = stage.client(&stage.ours);
    let percent = settings(database().await).http.rate_percent.get();
    let mut broken = Broken::default();
    let mut groups = std::collections::BTreeSet::new();
    for member in stage.served().into_iter().filter(|member| member.entity.operations.read) {
        let whole = per_minute(member.entity.group) * (percent / 100);
        let policy =
            format!("\"credential\";q={};w=60, \"organization\";q={whole};w=60", whole / 10);
        let reply = client.get(&format!("/api/v1/{}", member.route)).await.unwrap();
        broken.demand(reply.header("ratelimit-policy") == Some(&policy), || {
            format!("{}: {:?} and not {policy}", member.route, reply.header("ratelimit-policy"))
        });
        broken.demand(reply.header("ratelimit").is_some(), || member.route.clone());
        groups.insert(whole);
    }
    broken.none();
    assert!(groups.len() > 1, "one group tells nothing");
}
