//! An organization with an event on sale, made through the engine.

use kernel::entity::Entity;
use kernel::registry::Registry;
use kernel::testkit::{Client, Reply, TestOrg, TestServer};
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub(crate) struct Sale {
    pub(crate) org: TestOrg,
    pub(crate) client: Client,
    pub(crate) event: Uuid,
    pub(crate) number: u32,
    /// 20 places, 42.50 EUR.
    pub(crate) ticket_type: Uuid,
    pub(crate) quota: Uuid,
    pub(crate) zone: Uuid,
}

impl Sale {
    /// A draft with everything that opening needs.
    pub(crate) async fn draft(server: &TestServer) -> Self {
        let org = TestOrg::open(&server.service).await.unwrap();
        let client = server.client.with_bearer(org.token.expose());
        let event = create(&client, "events", &event_body()).await;
        let number = get(&client, "events", event).await["number"].as_u64().unwrap();
        let ticket_type = create(&client, "ticket-types", &ticket_type(event, "Standard")).await;
        let quota = json!({"event_id": event, "name": "All", "size": 20});
        let quota = create(&client, "quotas", &quota).await;
        let pair = json!({"quota_id": quota, "ticket_type_id": ticket_type});
        create(&client, "quota-ticket-types", &pair).await;
        let zone = json!({"event_id": event, "key": "main", "name": "Main"});
        let zone = create(&client, "check-in-zones", &zone).await;
        let number = u32::try_from(number).unwrap();
        Self { org, client, event, number, ticket_type, quota, zone }
    }

    pub(crate) async fn open(server: &TestServer) -> Self {
        let sale = Self::draft(server).await;
        let opened = sale.act("events", sale.event, "open-sales", &json!({})).await;
        assert_eq!((opened.status, &opened.body["status"]), (200, &json!("on_sale")));
        sale
    }

    pub(crate) async fn act(&self, route: &str, id: Uuid, action: &str, body: &Value) -> Reply {
        self.client.post(&format!("/api/v1/{route}/{id}/{action}"), body).await.unwrap()
    }

    /// All rows of a route, oldest first.
    pub(crate) async fn list(&self, route: &str) -> Vec<Value> {
        let path = format!("/api/v1/{route}?limit=200&sort=created_at");
        let reply = self.client.get(&path).await.unwrap();
        assert_eq!(reply.status, 200, "{route}: {}", reply.body);
        reply.body["data"].as_array().unwrap().clone()
    }

    pub(crate) async fn get(&self, route: &str, id: Uuid) -> Value {
        get(&self.client, route, id).await
    }
}

pub(crate) fn event_body() -> Value {
    json!({
        "name": "Concert",
        "starts_at": "2026-11-21T18:00:00Z",
        "ends_at": "2026-11-22T02:00:00Z",
        "time_zone": "Europe/Berlin",
        "currency": "EUR",
    })
}

pub(crate) fn ticket_type(event: Uuid, name: &str) -> Value {
    json!({
        "event_id": event,
        "name": name,
        "price": {"amount": "42.50", "currency": "EUR"},
        "tax_rate": "7.00",
    })
}

/// Creates over the API; answers the id.
#[track_caller]
pub(crate) fn created(reply: &Reply) -> Uuid {
    assert_eq!(reply.status, 201, "{}", reply.body);
    id(&reply.body["id"])
}

pub(crate) async fn create(client: &Client, route: &str, body: &Value) -> Uuid {
    created(&client.post(&format!("/api/v1/{route}"), body).await.unwrap())
}

pub(crate) async fn get(client: &Client, route: &str, id: Uuid) -> Value {
    let reply = client.get(&format!("/api/v1/{route}/{id}")).await.unwrap();
    assert_eq!(reply.status, 200, "{route}: {}", reply.body);
    reply.body
}

#[track_caller]
pub(crate) fn id(value: &Value) -> Uuid {
    value.as_str().unwrap().parse().unwrap()
}

pub(crate) fn entity(registry: &Registry, table: &str) -> &'static Entity {
    registry.entity(table).unwrap()
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}
