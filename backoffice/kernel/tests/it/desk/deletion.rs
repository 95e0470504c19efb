//! What goes along with a deletion, and what stands in its way.

use kernel::error::Code;
use serde_json::{Value, json};

use super::{Desk, id, is, refused};

#[tokio::test]
async fn who_still_refers_is_told() {
    let desk = Desk::open().await;
    let label = desk.label("used").await;
    let cases = [desk.case(&label, "one").await, desk.case(&label, "two").await];
    let path = format!("/labels/{label}");
    let seen = desk.send("DELETE", &path, Value::Null).await;
    refused(&seen, Code::InUse, &["cases.label_id"]);
    let told = &seen.body["errors"][0]["message"];
    assert_eq!(told, "2 rows in cases still refer to it by label_id");
    // Whoever may not read them all learns that there are some.
    let grants = json!([{"grant": "desk.labels", "rights": ["delete"]}]);
    let token = desk.org.issue(grants).await.unwrap();
    let other = desk.server.client.with_bearer(token.expose());
    let seen = other.delete(&format!("/api/v1{path}")).await.unwrap();
    let told = &seen.body["errors"][0]["message"];
    assert_eq!(told, "rows in cases still refer to it by label_id");
    for case in cases {
        is(desk.send("DELETE", &format!("/cases/{case}"), Value::Null).await, 204);
    }
    is(desk.send("DELETE", &path, Value::Null).await, 204);
}

/// Rows that link to each other in a ring go along once, and the deletion ends.
#[tokio::test]
async fn a_ring_of_rows_goes_along_whole() {
    let desk = Desk::open().await;
    let label = desk.label("ring").await;
    let mut ring = Vec::new();
    for n in 0..4 {
        ring.push(desk.case(&label, &format!("case {n}")).await);
    }
    for (n, case) in ring.iter().enumerate() {
        let next = &ring[(n + 1) % ring.len()];
        let path = format!("/cases/{case}");
        is(desk.send("PATCH", &path, json!({"part_of_id": next})).await, 200);
    }
    is(desk.send("DELETE", &format!("/cases/{}", ring[2]), Value::Null).await, 204);
    for case in &ring {
        refused(&desk.get(&format!("/cases/{case}")).await, Code::NotFound, &[]);
        assert_eq!(desk.traces(case).await, (3, 3), "made, changed, deleted once");
    }
}

/// A row that goes along stands in nobody's way, whichever link is met first.
#[tokio::test]
async fn what_goes_along_stands_in_no_way() {
    let desk = Desk::open().await;
    let label = desk.label("steps").await;
    let top = desk.case(&label, "top").await;
    let body = json!({"label_id": label, "title": "below", "part_of_id": top});
    let below = id(&is(desk.send("POST", "/cases", body).await, 201));
    // The lower one goes along with the upper one, and the upper one cannot go without it.
    let body = json!({"twin_id": below});
    is(desk.send("PATCH", &format!("/cases/{top}"), body).await, 200);
    let seen = desk.send("DELETE", &format!("/cases/{below}"), Value::Null).await;
    refused(&seen, Code::InUse, &["cases.twin_id"]);
    is(desk.send("DELETE", &format!("/cases/{top}"), Value::Null).await, 204);
    refused(&desk.get(&format!("/cases/{below}")).await, Code::NotFound, &[]);
}
