//! Every rule, over the whole registry.

use crate::stage::Stage;
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
