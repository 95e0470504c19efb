//! Rules of identity, events and ticketing that descriptors alone do not say.

use kernel::accounts::operator_set_plan;
use kernel::cx::Actor;
use kernel::entity::Plan;
use kernel::testkit::TestServer;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::sale::{Sale, create, created, event_body, id, ticket_type};
use crate::{database, registry};

async fn house() -> (TestServer, Sale) {
    let server = TestServer::start(registry(), database().await).await.unwrap();
    let sale = Sale::draft(&server).await;
    (server, sale)
}

/// A refusal by code, naming a field.
async fn refused(sale: &Sale, route: &str, body: Value, code: &str, field: &str) {
    let reply = sale.client.post(&format!("/api/v1/{route}"), &body).await.unwrap();
    let faults = reply.body["errors"].as_array().cloned().unwrap_or_default();
    let named = faults.iter().any(|fault| fault["field"] == json!(field));
    let coded = reply.code() == code || faults.iter().any(|fault| fault["code"] == json!(code));
    assert!(named && coded, "{route} {body} gave {}", reply.body);
}

#[tokio::test]
async fn a_tree_has_no_cycle() {
    let (_server, sale) = house().await;
    for (route, extra) in [("units", "code"), ("locations", "city")] {
        let body = |n: u32, parent: Option<Uuid>| json!({"name": format!("{route} {n}"), extra: format!("x{n}"), "parent_id": parent});
        let top = create(&sale.client, route, &body(1, None)).await;
        let middle = create(&sale.client, route, &body(2, Some(top))).await;
        let bottom = create(&sale.client, route, &body(3, Some(middle))).await;
        for (row, parent) in [(top, top), (top, bottom), (middle, bottom)] {
            let path = format!("/api/v1/{route}/{row}");
            let reply = sale.client.patch(&path, &json!({"parent_id": parent})).await.unwrap();
            assert_eq!((reply.status, reply.code()), (422, "cycle"), "{}", reply.body);
            assert_eq!(reply.fields(), ["parent_id"]);
        }
        let path = format!("/api/v1/{route}/{bottom}");
        let moved = sale.client.patch(&path, &json!({"parent_id": top})).await.unwrap();
        assert_eq!(moved.status, 200);
    }
}

#[tokio::test]
async fn two_moves_at_once_close_no_cycle() {
    let (_server, sale) = house().await;
    let unit = async |code: &str| {
        create(&sale.client, "units", &json!({"name": code, "code": code})).await
    };
    let (a, b) = (unit("a").await, unit("b").await);
    let below = async |row: Uuid, parent: Uuid| {
        let path = format!("/api/v1/units/{row}");
        sale.client.patch(&path, &json!({"parent_id": parent})).await.unwrap().status
    };
    let (first, second) = tokio::join!(below(a, b), below(b, a));
    let mut answers = [first, second];
    answers.sort_unstable();
    assert_eq!(answers, [200, 422]);
}

#[tokio::test]
async fn a_number_series_has_no_gap() {
    let (server, sale) = house().await;
    let series = json!({"code": "invoice", "prefix": "R-", "width": 4});
    create(&sale.client, "number-series", &series).await;
    let take = async |keep: bool| {
        let mut cx = server.service.begin(Actor::Service("test"), sale.org.id).await.unwrap();
        let taken = cx.call(contracts::identity::TAKE_NUMBER, json!({"code": "invoice"})).await;
        let number = taken.unwrap()["number"].as_str().unwrap().to_owned();
        match keep {
            true => cx.commit().await.unwrap(),
            false => cx.rollback().await.unwrap(),
        }
        number
    };
    assert_eq!(take(true).await, "R-0001");
    assert_eq!(take(false).await, "R-0002");
    let (a, b, c) = tokio::join!(take(true), take(true), take(true));
    let mut taken = [a, b, c];
    taken.sort_unstable();
    assert_eq!(taken, ["R-0002", "R-0003", "R-0004"]);
}

#[tokio::test]
async fn a_reference_names_a_row_of_ours() {
    let (server, sale) = house().await;
    let stranger = Sale::draft(&server).await;
    for org in [&sale.org, &stranger.org] {
        operator_set_plan(&server.service, org.id, Plan::Enterprise).await.unwrap();
    }
    let body = |table: &str, row: Uuid, key: &str| json!({"system": "legacy", "external_id": key, "table_name": table, "row_id": row});
    create(&sale.client, "external-refs", &body("events", sale.event, "17")).await;
    let foreign = body("events", stranger.event, "18");
    refused(&sale, "external-refs", foreign, "unknown_reference", "row_id").await;
    let nothing = body("events", Uuid::nil(), "18");
    refused(&sale, "external-refs", nothing, "unknown_reference", "row_id").await;
    for table in ["users", "pg_class", "outbox"] {
        let body = body(table, sale.event, "18");
        refused(&sale, "external-refs", body, "unknown_reference", "table_name").await;
    }
    let again = body("events", stranger.event, "17");
    created(&stranger.client.post("/api/v1/external-refs", &again).await.unwrap());
    let twice = body("events", sale.event, "19");
    let reply = sale.client.post("/api/v1/external-refs", &twice).await.unwrap();
    assert_eq!((reply.status, reply.code()), (409, "already_exists"));
}

#[tokio::test]
async fn a_party_has_one_primary_address() {
    let (_server, sale) = house().await;
    let party = json!({"kind": "person", "name": "Ada"});
    let party = create(&sale.client, "parties", &party).await;
    let email = |address: &str, primary: bool| json!({"party_id": party, "email": address, "is_primary": primary});
    create(&sale.client, "party-emails", &email("ada@example.org", true)).await;
    create(&sale.client, "party-emails", &email("ada@example.com", false)).await;
    for body in [email("ada@example.net", true), email("ADA@example.org", false)] {
        let reply = sale.client.post("/api/v1/party-emails", &body).await.unwrap();
        assert_eq!((reply.status, reply.code()), (409, "already_exists"), "{body}");
    }
    let legal = json!({"kind": "person", "name": "Bob", "legal_name": "Bob Ltd"});
    refused(&sale, "parties", legal, "invalid_value", "legal_name").await;
}

#[tokio::test]
async fn currencies_and_the_code_agree_on_digits() {
    let admin = database().await.superuser().await.unwrap();
    let rows = admin.query("select code, exponent from currencies", &[]).await.unwrap();
    assert!(rows.len() > 150, "{} currencies", rows.len());
    for row in &rows {
        let (code, exponent): (String, i64) = (row.get(0), row.get(1));
        assert_eq!(i64::from(kernel::money::exponent(&code)), exponent, "{code}");
    }
}

#[tokio::test]
async fn events_are_numbered_over_all_organizations() {
    let (server, sale) = house().await;
    let stranger = Sale::draft(&server).await;
    assert_ne!(sale.number, stranger.number);
    let mut body = event_body();
    body["number"] = json!(7);
    refused(&sale, "events", body, "immutable", "number").await;
    let mut body = event_body();
    body["ends_at"] = json!("2026-11-21T17:00:00Z");
    refused(&sale, "events", body, "invalid_value", "ends_at").await;
}

#[tokio::test]
async fn opening_names_what_is_missing() {
    let (_server, sale) = house().await;
    let event = create(&sale.client, "events", &event_body()).await;
    let open = async || sale.act("events", event, "open-sales", &json!({})).await;
    let reply = open().await;
    assert_eq!((reply.status, reply.code()), (409, "not_ready"));
    for part in ["ticket type", "quota", "zone"] {
        assert!(reply.body["detail"].as_str().unwrap().contains(part), "{part}: {}", reply.body);
    }
    let kind = create(&sale.client, "ticket-types", &ticket_type(event, "Standard")).await;
    let quota = json!({"event_id": event, "name": "All", "size": 5});
    let quota = create(&sale.client, "quotas", &quota).await;
    let zone = json!({"event_id": event, "key": "main", "name": "Main"});
    create(&sale.client, "check-in-zones", &zone).await;
    let reply = open().await;
    assert!(reply.body["detail"].as_str().unwrap().contains("Standard"), "{}", reply.body);
    let pair = json!({"quota_id": quota, "ticket_type_id": kind});
    create(&sale.client, "quota-ticket-types", &pair).await;
    assert_eq!(open().await.status, 200);
    assert_eq!(open().await.code(), "invalid_transition");
    for (action, status) in [("close-sales", "sale_closed"), ("open-sales", "on_sale")] {
        let reply = sale.act("events", event, action, &json!({})).await;
        assert_eq!(reply.body["status"], json!(status));
    }
    // One key and one secret, however often it was opened.
    let keys = sale.list("event-keys").await;
    assert_eq!(keys.iter().filter(|key| id(&key["event_id"]) == event).count(), 1);
    assert!(!keys[0].to_string().contains("sealed"), "{}", keys[0]);
    let path = format!("/api/v1/events/{event}");
    let deleted = sale.client.delete(&path).await.unwrap();
    assert_eq!((deleted.status, deleted.code()), (409, "in_use"));
}

#[tokio::test]
async fn numbers_within_an_event_are_never_reused() {
    let (_server, sale) = house().await;
    let route = format!("events/{}/ticket-types", sale.event);
    let body = |name: &str| json!({"name": name, "price": {"amount": "1.00", "currency": "EUR"}});
    let second = create(&sale.client, &route, &body("Second")).await;
    assert_eq!(sale.get("ticket-types", second).await["number"], json!(2));
    let path = format!("/api/v1/ticket-types/{second}");
    assert!(sale.client.delete(&path).await.unwrap().status < 300);
    let third = create(&sale.client, &route, &body("Second")).await;
    assert_eq!(sale.get("ticket-types", third).await["number"], json!(3));
    let made = async |name: &str| create(&sale.client, &route, &body(name)).await;
    tokio::join!(made("a"), made("b"), made("c"));
    let listed = sale.client.get(&format!("/api/v1/{route}?sort=number")).await.unwrap();
    let rows = listed.body["data"].as_array().unwrap();
    let numbers: Vec<&Value> = rows.iter().map(|row| &row["number"]).collect();
    assert_eq!(numbers, [1, 3, 4, 5, 6].map(|n| json!(n)).iter().collect::<Vec<_>>());
    assert_eq!(sale.get("check-in-zones", sale.zone).await["number"], json!(0));
}

#[tokio::test]
async fn what_belongs_to_one_event_stays_there() {
    let (_server, sale) = house().await;
    let other = create(&sale.client, "events", &event_body()).await;
    let kind = create(&sale.client, "ticket-types", &ticket_type(other, "Other")).await;
    let pair = json!({"quota_id": sale.quota, "ticket_type_id": kind});
    refused(&sale, "quota-ticket-types", pair, "unknown_reference", "ticket_type_id").await;
    let pair = json!({"zone_id": sale.zone, "ticket_type_id": kind});
    refused(&sale, "ticket-type-zones", pair, "unknown_reference", "zone_id").await;
    let mut dollars = ticket_type(sale.event, "Dollars");
    dollars["price"]["currency"] = json!("USD");
    refused(&sale, "ticket-types", dollars, "invalid_value", "price").await;
    let mut negative = ticket_type(sale.event, "Negative");
    negative["price"]["amount"] = json!("-1.00");
    refused(&sale, "ticket-types", negative, "out_of_range", "price").await;
}

#[tokio::test]
async fn amounts_fit_their_currency_and_the_gate() {
    let (_server, sale) = house().await;
    for (currency, fits, finer) in
        [("JPY", "1200", "1200.5"), ("BHD", "1.234", "1.2345"), ("EUR", "1.20", "1.201")]
    {
        let mut body = event_body();
        body["currency"] = json!(currency);
        let event = create(&sale.client, "events", &body).await;
        let priced = |amount: &str| {
            let price = json!({"amount": amount, "currency": currency});
            json!({"event_id": event, "name": amount, "price": price})
        };
        create(&sale.client, "ticket-types", &priced(fits)).await;
        let field = "price.amount";
        refused(&sale, "ticket-types", priced(finer), "invalid_format", field).await;
        create(&sale.client, "ticket-types", &priced("1000000000")).await;
        refused(&sale, "ticket-types", priced("1000000001"), "out_of_range", "price").await;
    }
}

#[tokio::test]
async fn admission_ends_after_it_began() {
    let (_server, sale) = house().await;
    for (doors_at, admission_ends_at) in [
        (Value::Null, "2026-11-21T17:00:00Z"),
        (json!("2026-11-21T21:00:00Z"), "2026-11-21T20:00:00Z"),
    ] {
        let mut body = event_body();
        body["doors_at"] = doors_at;
        body["admission_ends_at"] = json!(admission_ends_at);
        refused(&sale, "events", body, "invalid_value", "admission_ends_at").await;
    }
}

#[tokio::test]
async fn an_event_has_32_zones() {
    let (_server, sale) = house().await;
    let zone = |n: u32| json!({"event_id": sale.event, "key": format!("z{n}"), "name": "Zone"});
    for n in 1..32 {
        let made = create(&sale.client, "check-in-zones", &zone(n)).await;
        assert_eq!(sale.get("check-in-zones", made).await["number"], json!(n));
    }
    refused(&sale, "check-in-zones", zone(32), "invalid_value", "number").await;
}

#[tokio::test]
async fn registering_names_what_is_wrong() {
    let (server, sale) = house().await;
    let stranger = Sale::draft(&server).await;
    let body = |more: Value| {
        let mut body = json!({"event_id": sale.event, "ticket_type_id": sale.ticket_type});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let route = "registrations";
    refused(&sale, route, body(json!({})), "not_ready", "event_id").await;
    let opened = sale.act("events", sale.event, "open-sales", &json!({})).await;
    assert_eq!(opened.status, 200);
    for (more, code, field) in [
        (json!({"event_id": stranger.event}), "unknown_reference", "event_id"),
        (json!({"ticket_type_id": stranger.ticket_type}), "unknown_reference", "ticket_type_id"),
        (json!({"ticket_type_id": "x"}), "invalid_format", "ticket_type_id"),
        (json!({"quantity": 0}), "out_of_range", "quantity"),
        (json!({"quantity": 501}), "out_of_range", "quantity"),
        (json!({"quantity": "2"}), "wrong_type", "quantity"),
        (json!({"items": [{"ticket_type_id": sale.ticket_type}]}), "invalid_value", "items"),
        (json!({"attendees": [{"name": "A"}, {"name": "B"}]}), "invalid_value", "attendees"),
        (json!({"channel": "shop"}), "not_an_option", "channel"),
        (json!({"buyer_email": "nobody"}), "invalid_format", "buyer_email"),
        (json!({"price": "0"}), "unknown_field", "price"),
    ] {
        refused(&sale, route, body(more), code, field).await;
    }
    let nothing = json!({"event_id": sale.event});
    refused(&sale, route, nothing, "required", "ticket_type_id").await;
    assert!(sale.list("gate-instructions").await.is_empty(), "nothing is half done");
}
