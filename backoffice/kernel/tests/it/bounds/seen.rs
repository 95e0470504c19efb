//! What is seen of rows by other ways than the row itself: changes, and collections below it.

use serde_json::{Value, json};

use super::{Yard, ids, is, refused};

/// Histories and feeds of one row: the same rows in both.
async fn shown(caller: &super::Caller, route: &str, id: &str) -> [bool; 2] {
    let history = caller.get(&format!("/{route}/{id}/history")).await;
    assert!([200, 404].contains(&history.status), "{}", history.body);
    let feed = is(caller.get(&format!("/activity?entity={route}&limit=200")).await, 200);
    [history.status == 200, ids(&feed, "row_id").contains(&id.to_owned())]
}

#[tokio::test]
async fn changes_of_anothers_private_view_are_not_told() {
    let yard = Yard::open().await;
    let reader = json!([{"grant": "lists.saved_views", "rights": ["*"]},
                        {"grant": "yard.files", "rights": ["read"]}]);
    let (one, other) = (yard.person(reader.clone()).await, yard.person(reader).await);
    let view = json!({"entity": "files", "name": "My secret list", "query": {"sort": "name"}});
    let id = one.make("/saved-views", view).await;
    assert_eq!(shown(&one, "saved-views", &id).await, [true, true]);
    assert_eq!(shown(&other, "saved-views", &id).await, [false, false]);
    let feed = is(other.get("/activity").await, 200).body.to_string();
    assert!(!feed.contains("My secret list"), "{feed}");
    let shared = json!({"visibility": "shared"});
    is(one.send("POST", &format!("/saved-views/{id}/share"), shared).await, 200);
    assert_eq!(shown(&other, "saved-views", &id).await, [true, true]);
}

#[tokio::test]
async fn changes_of_deleted_rows_are_told_to_whoever_may_delete_them() {
    let yard = Yard::open().await;
    let line = |rights: &[&str], scope: &str| json!({"grant": "yard.files", "rights": rights, "scope": scope});
    let own = yard.person(json!([line(&["read"], "all"), line(&["delete"], "own")])).await;
    let reader = yard.person(json!([line(&["read"], "all")])).await;
    let mine = yard.file(json!({"owner_id": own.user, "nick": "Mine"})).await;
    let theirs = yard.file(json!({"nick": "Theirs"})).await;
    for id in [&mine, &theirs] {
        assert_eq!(shown(&reader, "files", id).await, [true, true]);
        is(yard.all.send("DELETE", &format!("/files/{id}"), Value::Null).await, 204);
        assert_eq!(shown(&yard.all, "files", id).await, [true, true]);
        assert_eq!(shown(&reader, "files", id).await, [false, false]);
    }
    // Who may delete their own sees their own deleted ones, in the list as in the log.
    assert_eq!(shown(&own, "files", &mine).await, [true, true]);
    assert_eq!(shown(&own, "files", &theirs).await, [false, false]);
    let list = is(own.get("/files?deleted=only").await, 200);
    assert_eq!(ids(&list, "id"), [mine]);
}

#[tokio::test]
async fn the_feed_goes_by_rows_and_fields_in_reach_and_pages_over_the_others() {
    let yard = Yard::open().await;
    let lines = json!([
        {"grant": "yard.files", "rights": ["read"], "scope": "team", "levels": ["open"]},
        {"grant": "yard.files", "rights": ["read"], "scope": "own"},
    ]);
    let one = yard.person(lines).await;
    let team = yard.all.make("/teams", json!({"name": "Red"})).await;
    yard.all.make("/team-members", json!({"team_id": team, "user_id": one.user})).await;
    let mine = yard.file(json!({"owner_id": one.user, "nick": "Uno"})).await;
    let ours = yard.file(json!({"team_id": team, "nick": "Due"})).await;
    // More entries than one look takes, all of them out of reach.
    let hidden = yard.file(json!({"nick": "Tre"})).await;
    let mut cx = yard.org.begin().await.unwrap();
    for n in 0..600 {
        let color = [("color", json!(format!("c{n}")))];
        cx.set(&super::FILE, hidden.parse().unwrap(), &color).await.unwrap();
    }
    cx.commit().await.unwrap();
    let feed = is(one.get("/activity?limit=1").await, 200);
    assert_eq!(ids(&feed, "row_id"), [ours.as_str()]);
    let next = feed.body["page"]["next"].as_str().unwrap();
    let rest = is(one.get(&format!("/activity?cursor={next}")).await, 200);
    assert_eq!(ids(&rest, "row_id"), [mine.as_str()]);
    assert_eq!(rest.body["page"]["next"], Value::Null);
    // A field that shows on own rows only shows there, in the history as in the feed.
    let whole = is(one.get("/activity").await, 200).body.to_string();
    assert!(whole.contains("Uno") && !whole.contains("Due") && !whole.contains("Tre"), "{whole}");
    for (id, nick) in [(&mine, true), (&ours, false)] {
        let history = is(one.get(&format!("/files/{id}/history")).await, 200).body.to_string();
        assert_eq!(history.contains("nick"), nick, "{history}");
    }
    assert_eq!(shown(&one, "files", &hidden).await, [false, false]);
}

#[tokio::test]
async fn a_collection_below_a_row_needs_its_link() {
    let yard = Yard::open().await;
    let file = yard.file(json!({})).await;
    let note = yard.all.make("/notes", json!({"file_id": file, "name": "Note"})).await;
    let below = format!("/files/{file}/notes");
    assert_eq!(ids(&is(yard.all.get(&below).await, 200), "id"), [note]);
    let blind = yard
        .token(json!([
            {"grant": "yard.files", "rights": ["read"]},
            {"grant": "yard.notes", "rights": ["read"], "hidden": ["file_id"]},
        ]))
        .await;
    is(blind.get("/notes").await, 200);
    for query in ["", "?via=file_id", "?count=exact&limit=1", "?group=name"] {
        let reply = blind.get(&format!("{below}{query}")).await;
        refused(&reply, 403, "field_not_permitted", &["via"]);
    }
    let children = |reply: &kernel::testkit::Reply| reply.body["children"].clone();
    assert_eq!(children(&is(blind.get("/meta/files").await, 200)), json!([]));
    let told = children(&is(yard.all.get("/meta/files").await, 200));
    assert_eq!(told[0]["route"], "notes");
}
