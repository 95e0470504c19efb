//! What callers name and give away: rows in inputs, people, roles, teams, answers of actions, links.

use kernel::accounts::refresh_built_in_roles;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Yard, database, ids, is, refused};

#[tokio::test]
async fn an_action_finds_no_row_that_its_caller_does_not_reach() {
    let yard = Yard::open().await;
    let lines = json!([
        {"grant": "yard.files", "rights": ["read"], "scope": "own"},
        {"grant": "yard.notes", "rights": ["*"]},
    ]);
    let one = yard.person(lines).await;
    let mine = yard.file(json!({"owner_id": one.user})).await;
    let theirs = yard.file(json!({})).await;
    let gone = yard.file(json!({"owner_id": one.user})).await;
    is(yard.all.send("DELETE", &format!("/files/{gone}"), Value::Null).await, 204);
    let note = |file: &str| json!({"file_id": file, "name": "Note"});
    is(one.send("POST", "/notes", note(&mine)).await, 201);
    let unknown = one.send("POST", "/notes", note(&Uuid::new_v4().to_string())).await;
    for id in [&theirs, &gone] {
        let reply = one.send("POST", "/notes", note(id)).await;
        refused(&reply, 422, "unknown_reference", &["file_id"]);
        assert_eq!(reply.body["errors"], unknown.body["errors"]);
    }
    // In a bulk, too.
    let body = json!({"mode": "all", "operations": [{"op": "create", "data": note(&theirs)}]});
    let reply = one.send("POST", "/notes/bulk", body).await;
    refused(&reply, 422, "bulk_refused", &["operations[0].data.file_id"]);
    // Whoever may not read files at all learns nothing of any.
    let blind = yard.token(json!([{"grant": "yard.notes", "rights": ["*"]}])).await;
    for id in [&mine, &Uuid::new_v4().to_string()] {
        let reply = blind.send("POST", "/notes", note(id)).await;
        refused(&reply, 403, "forbidden", &["file_id"]);
    }
}

#[tokio::test]
async fn only_members_are_named() {
    let yard = Yard::open().await;
    let member = yard.person(json!([])).await;
    let stranger = Yard::open().await.org.owner;
    let file = yard.file(json!({"owner_id": member.user})).await;
    let path = format!("/files/{file}");
    let team = yard.all.make("/teams", json!({"name": "Blue"})).await;
    for nobody in [stranger, Uuid::new_v4()] {
        let create = json!({"name": "x", "owner_id": nobody});
        for (method, path, body, field) in [
            ("POST", "/files", create.clone(), "owner_id"),
            ("PATCH", &path, json!({"owner_id": nobody}), "owner_id"),
            ("POST", "/team-members", json!({"team_id": team, "user_id": nobody}), "user_id"),
        ] {
            let reply = yard.all.send(method, path, body).await;
            refused(&reply, 422, "unknown_reference", &[field]);
            assert!(reply.body.to_string().contains("member of the organization"));
        }
        let bulk = json!({"mode": "all", "operations": [{"op": "create", "data": create}]});
        let reply = yard.all.send("POST", "/files/bulk", bulk).await;
        refused(&reply, 422, "bulk_refused", &["operations[0].data.owner_id"]);
        let mut cx = yard.org.begin().await.unwrap();
        let rows = vec![create.as_object().unwrap().clone()];
        let many = cx.create_many(&super::FILE, rows).await.unwrap();
        assert_eq!(many[0].as_ref().unwrap_err().list()[0].field, "owner_id");
    }
    // Somebody who has left cannot be named anew; what named them stays.
    let sql = "update memberships set deleted_at = now() where user_id = $1";
    let admin = database().await.superuser().await.unwrap();
    admin.execute(sql, &[&member.user]).await.unwrap();
    is(yard.all.send("PATCH", &path, json!({"name": "Two"})).await, 200);
    let reply = yard.all.send("PATCH", &path, json!({"owner_id": member.user})).await;
    refused(&reply, 422, "unknown_reference", &["owner_id"]);
}

#[tokio::test]
async fn a_lesser_role_takes_no_greater_one() {
    let yard = Yard::open().await;
    let (owner, administrator) = (yard.role("owner").await, yard.role("administrator").await);
    let second = yard.member(&owner).await;
    let admin = yard.member(&administrator).await;
    let membership = async |user: Uuid| {
        let list = is(yard.all.get(&format!("/memberships?filter[user_id]={user}")).await, 200);
        ids(&list, "id").remove(0)
    };
    let theirs = membership(second.user).await;
    let path = format!("/memberships/{theirs}");
    let reply = admin.send("DELETE", &path, Value::Null).await;
    assert_eq!((reply.status, reply.code()), (403, "forbidden"), "{}", reply.body);
    let bulk = json!({"mode": "all", "operations": [{"op": "delete", "id": theirs}]});
    let reply = admin.send("POST", "/memberships/bulk", bulk).await;
    refused(&reply, 422, "bulk_refused", &["operations[0].grants"]);
    // Nor by ending the program that has it.
    let program = yard.all.make("/service-accounts", json!({"name": "Robot"})).await;
    let body = json!({"service_account_id": program, "role_id": owner});
    yard.all.make("/memberships", body).await;
    let program = format!("/service-accounts/{program}");
    is(admin.send("DELETE", &program, Value::Null).await, 403);
    is(yard.all.get(&program).await, 200);
    // One's equals, and whoever has less.
    let clerk = yard.member(&yard.role("box_office").await).await;
    for (caller, user) in [(&admin, clerk.user), (&yard.all, second.user), (&yard.all, admin.user)]
    {
        let path = format!("/memberships/{}", membership(user).await);
        is(caller.send("DELETE", &path, Value::Null).await, 204);
    }
    is(second.get("/roles").await, 401);
}

/// Rows of one's own are in the scope `own`: that lets nobody into a team.
#[tokio::test]
async fn nobody_lets_anybody_into_a_team_that_they_are_not_in() {
    let yard = Yard::open().await;
    let (red, blue) = (
        yard.all.make("/teams", json!({"name": "Red"})).await,
        yard.all.make("/teams", json!({"name": "Blue"})).await,
    );
    let in_reach =
        |scope: &str| json!([{"grant": "accounts.reach", "rights": ["*"], "scope": scope}]);
    let friend = yard.person(json!([])).await;
    for scope in ["own", "team", "unit"] {
        let one = yard.person(in_reach(scope)).await;
        let mine = json!({"team_id": red, "user_id": one.user});
        yard.all.make("/team-members", mine).await;
        for user in [one.user, friend.user] {
            let body = json!({"team_id": blue, "user_id": user});
            let reply = one.send("POST", "/team-members", body).await;
            assert_eq!((reply.status, reply.code()), (403, "forbidden"), "{scope}: {}", reply.body);
        }
        // Into one's own team, where the scope reaches it.
        let body = json!({"team_id": red, "user_id": friend.user});
        let reply = one.send("POST", "/team-members", body).await;
        assert_eq!(reply.status, if scope == "own" { 403 } else { 201 }, "{}", reply.body);
        if reply.status == 201 {
            let path = format!("/team-members/{}", reply.body["id"].as_str().unwrap());
            is(one.send("DELETE", &path, Value::Null).await, 204);
            is(one.send("POST", &format!("{path}/restore"), json!({})).await, 200);
            is(yard.all.send("DELETE", &path, Value::Null).await, 204);
        }
    }
    // Taken out, nobody restores themselves.
    let one = yard.person(in_reach("own")).await;
    let body = json!({"team_id": blue, "user_id": one.user});
    let path = format!("/team-members/{}", yard.all.make("/team-members", body).await);
    is(yard.all.send("DELETE", &path, Value::Null).await, 204);
    refused(
        &one.send("POST", &format!("{path}/restore"), json!({})).await,
        403,
        "forbidden",
        &["team_id"],
    );
    // Structure is another grant.
    let lines = json!([{"grant": "identity.*", "rights": ["*"]}, {"grant": "accounts.teams", "rights": ["*"]}]);
    let reply = yard
        .all
        .send("POST", "/roles", json!({"key": "old", "name": "Old", "grants": lines}))
        .await;
    assert_eq!(reply.status, 422, "there is no grant accounts.teams any more: {}", reply.body);
}

#[tokio::test]
async fn an_action_answers_what_it_declares() {
    let yard = Yard::open().await;
    let file = yard.file(json!({"color": "red"})).await;
    let path = format!("/files/{file}/tell");
    for what in ["more", "less", "wrong", "row"] {
        let reply = yard.all.send("POST", &path, json!({"what": what})).await;
        assert_eq!(reply.status, 500, "{what}: {}", reply.body);
        assert!(!reply.body.to_string().contains("undeclared"));
        let row = is(yard.all.get(&format!("/files/{file}")).await, 200);
        assert_eq!(row.body["color"], "red", "{what}: nothing is half done");
    }
    let reply = is(yard.all.send("POST", &path, json!({"what": "all"})).await, 200);
    assert_eq!(reply.body, json!({"name": "One", "nick": "Uno", "pay": 7}));
    for (levels, expected) in [
        (json!(["open", "personal"]), json!({"name": "One", "nick": "Uno"})),
        (json!(["open"]), json!({"name": "One"})),
        (json!([]), json!({"name": "One"})),
    ] {
        let line = json!([{"grant": "yard.files", "rights": ["tell"], "levels": levels}]);
        let reply = yard.token(line).await.send("POST", &path, json!({"what": "all"})).await;
        assert_eq!(is(reply, 200).body, expected, "{levels}");
    }
}

/// A link shows every open field, so nobody makes one who does not see them all.
#[tokio::test]
async fn a_link_shows_no_more_than_its_maker_sees() {
    let yard = Yard::open().await;
    let file = yard.file(json!({"color": "secret red"})).await;
    let body = json!({"entity": "files", "row_id": file, "purpose": "read",
                      "expires_at": (yard.server.service.now() + jiff::SignedDuration::from_hours(1))});
    let line = |hidden: &[&str], levels: &[&str]| {
        json!([{"grant": "accounts.links", "rights": ["create"]},
               {"grant": "yard.files", "rights": ["read"], "hidden": hidden, "levels": levels}])
    };
    let every = ["open", "personal"];
    for (hidden, levels) in [(&["color"][..], &every[..]), (&[], &["personal"])] {
        let maker = yard.token(line(hidden, levels)).await;
        let reply = maker.send("POST", "/links", body.clone()).await;
        assert_eq!((reply.status, reply.code()), (403, "field_not_permitted"), "{}", reply.body);
    }
    let maker = yard.token(line(&["nick"], &["open"])).await;
    let made = is(maker.send("POST", "/links", body).await, 201);
    let link = yard.server.client.with_bearer(made.body["token"].as_str().unwrap());
    let row = is(link.get(&format!("/api/v1/files/{file}")).await.unwrap(), 200);
    assert_eq!(row.body["color"], "secret red");
    assert!(row.body.get("nick").is_none());
}

#[tokio::test]
async fn built_in_roles_follow_the_release_and_others_stay() {
    let yard = Yard::open().await;
    let own = json!([{"grant": "yard.files", "rights": ["read"], "scope": "all"}]);
    let custom =
        yard.all.make("/roles", json!({"key": "mine", "name": "Mine", "grants": own})).await;
    let (finance, crew) = (yard.role("finance").await, yard.role("crew_member").await);
    let before = is(yard.all.get(&format!("/roles/{finance}")).await, 200).body;
    let admin = database().await.superuser().await.unwrap();
    let stale = json!([{"grant": "*", "rights": ["*"]}]);
    let sql = "update roles set grants = $2 where org_id = $1 and key = 'finance'";
    admin.execute(sql, &[&yard.org.id, &stale]).await.unwrap();
    // A release before there were crew members; meanwhile somebody made a role of a key to come.
    let sql = "delete from roles where org_id = $1 and key = 'crew_member'";
    admin.execute(sql, &[&yard.org.id]).await.unwrap();
    let sql =
        "update roles set built_in = false, grants = $2 where org_id = $1 and key = 'box_office'";
    admin.execute(sql, &[&yard.org.id, &own]).await.unwrap();
    let changed = refresh_built_in_roles(&database().await.migrate_url).await.unwrap();
    assert!(2 <= changed, "{changed}");
    let after = is(yard.all.get(&format!("/roles/{finance}")).await, 200).body;
    assert_eq!((&after["grants"], &after["name"]), (&before["grants"], &before["name"]));
    assert!(before["version"].as_i64() < after["version"].as_i64());
    assert_ne!(yard.role("crew_member").await, crew);
    for role in [custom, yard.role("box_office").await] {
        assert_eq!(is(yard.all.get(&format!("/roles/{role}")).await, 200).body["grants"], own);
    }
    // It is told, and done once.
    let log = is(yard.all.get(&format!("/roles/{finance}/history?limit=1")).await, 200).body;
    assert_eq!(log["data"][0]["actor"]["kind"], "system");
    assert_eq!(log["data"][0]["reason"], "a new release");
    let version = &after["version"];
    refresh_built_in_roles(&database().await.migrate_url).await.unwrap();
    assert_eq!(&is(yard.all.get(&format!("/roles/{finance}")).await, 200).body["version"], version);
}
