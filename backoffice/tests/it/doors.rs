//! What staff say of doors, on its way to the gate: refused with the field where it is wrong, and
//! shown in the catalogue as the gate reads it.

use inventory::command::{Command, Reply};
use inventory::config::{
    EventConfig, LaneConfig, LaneMode, LeaseEnd, Passback, QuestionConfig, QuestionKind,
    RotatingOffline, ZoneConfig, ZonePolicy, ZoneWindow,
};
use inventory::decide::decide;
use inventory::fact::Fact;
use inventory::state::State;
use inventory::time::Millis;
use kernel::testkit::TestServer;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::sale::{Sale, create, event_body, id, ticket_type};
use crate::walk::House;
use crate::{database, registry};

/// 2026-11-21T18:00:00Z.
const START: Millis = Millis(1_795_284_000_000);

#[tokio::test]
async fn what_staff_say_of_doors_is_what_the_gate_is_shown() {
    let house = House::open("doors").await;
    let sale = &house.sale;
    let (client, event) = (&sale.client, sale.event);
    let Doors { lounge, lane, served, question } = set_doors(sale).await;

    let document = house
        .event_document(|body| body["config"]["ticket_types"][0].get("windows").is_some())
        .await;
    let config: EventConfig = serde_json::from_value(document["body"]["config"].clone()).unwrap();
    assert_eq!(config.day_starts_min, 300);
    assert_eq!(config.zones, zones_as_set(sale.zone, lounge));
    assert_eq!(
        config.lanes,
        [LaneConfig {
            key: "North 3".to_owned(),
            types: vec![1],
            two_phase: true,
            lease_s: 20,
            lease_end: LeaseEnd::NotPassed,
            mode: LaneMode::Secure,
            rotating_offline: RotatingOffline::StaticOk,
        }]
    );
    assert_eq!(
        config.questions,
        [QuestionConfig {
            id: question,
            text: "Meal".to_owned(),
            kind: QuestionKind::Choice,
            options: vec!["fish".to_owned(), "none".to_owned()],
            types: vec![1],
        }]
    );
    let window = ZoneWindow { zone: 1, from: Some(START), until: None };
    assert_eq!(config.ticket_types[0].windows, [window]);
    // And the gate's own rules take it over.
    let command = Command::Configure { cursor: 1, config: Box::new(config) };
    let state = State::new(event);
    let reply = decide(&state, START, &command).outcome.reply(&state);
    assert_eq!(reply, Reply::Configured { cursor: 1 });

    // What is taken away is gone there too, and so is what named it.
    let gone =
        [("check-in-lane-types", served), ("check-in-lanes", lane), ("check-in-zones", sale.zone)];
    for (route, row) in gone {
        let deleted = client.delete(&format!("/api/v1/{route}/{row}")).await.unwrap();
        assert!(deleted.status < 300, "{route}: {}", deleted.body);
    }
    let document = house.event_document(|b| b["config"]["zones"][1].is_null()).await;
    let config: EventConfig = serde_json::from_value(document["body"]["config"].clone()).unwrap();
    assert_eq!((config.lanes, config.zones[0].id), (vec![], lounge));
    assert_eq!((&config.zones[0].leaves, config.zones[0].exit_to), (&vec![], None));
    house.end().await;
}

/// What `set_doors` made.
struct Doors {
    lounge: Uuid,
    lane: Uuid,
    served: Uuid,
    question: Uuid,
}

/// Says of each kind of door something that is not its default.
async fn set_doors(sale: &Sale) -> Doors {
    let (client, event) = (&sale.client, sale.event);
    let main = json!({"policy": "interval", "interval_min": 30, "passback": "soft",
                      "opens_at": "2026-11-21T17:00:00Z", "closes_at": "2026-11-21T23:00:00Z",
                      "exit_all_at_min": 360, "capacity": 500});
    patch(sale, "check-in-zones", sale.zone, &main).await;
    let lounge = json!({"event_id": event, "key": "lounge", "name": "Lounge", "policy": "days",
                        "policy_max": 2, "passback": "hard", "leaves": ["main"],
                        "exit_to": "main"});
    let lounge = create(client, "check-in-zones", &lounge).await;
    patch(sale, "events", event, &json!({"day_starts_min": 300})).await;
    let lane = json!({"event_id": event, "name": "North 3", "two_phase": true, "lease_s": 20,
                      "lease_end": "not_passed", "mode": "secure",
                      "rotating_offline": "static_ok"});
    let lane = create(client, "check-in-lanes", &lane).await;
    let pair = json!({"lane_id": lane, "ticket_type_id": sale.ticket_type});
    let served = create(client, "check-in-lane-types", &pair).await;
    let question = json!({"event_id": event, "text": "Meal", "kind": "choice",
                          "options": ["fish", "none"]});
    let question = create(client, "check-in-questions", &question).await;
    let pair = json!({"question_id": question, "ticket_type_id": sale.ticket_type});
    create(client, "check-in-question-types", &pair).await;
    let window = json!({"ticket_type_id": sale.ticket_type, "zone_id": lounge,
                        "opens_at": "2026-11-21T18:00:00Z"});
    create(client, "ticket-type-windows", &window).await;
    Doors { lounge, lane, served, question }
}

fn zones_as_set(main: Uuid, lounge: Uuid) -> [ZoneConfig; 2] {
    [
        ZoneConfig {
            id: main,
            policy: ZonePolicy::Interval { minutes: 30 },
            capacity: Some(500),
            passback: Passback::Soft,
            opens_at: Some(START.plus_ms(-3_600_000)),
            closes_at: Some(START.plus_ms(5 * 3_600_000)),
            exit_all_at_min: Some(360),
            ..zone(0, "main", "Main")
        },
        ZoneConfig {
            id: lounge,
            policy: ZonePolicy::Days { max: 2 },
            passback: Passback::Hard,
            leaves: vec![0],
            exit_to: Some(0),
            ..zone(1, "lounge", "Lounge")
        },
    ]
}

fn zone(number: u8, key: &str, name: &str) -> ZoneConfig {
    ZoneConfig {
        id: Uuid::nil(),
        number,
        key: key.to_owned(),
        name: name.to_owned(),
        policy: ZonePolicy::SingleEntry,
        capacity: None,
        passback: Passback::Off,
        leaves: vec![],
        exit_to: None,
        opens_at: None,
        closes_at: None,
        exit_all_at_min: None,
    }
}

async fn patch(sale: &Sale, route: &str, row: Uuid, body: &Value) {
    let reply = sale.client.patch(&format!("/api/v1/{route}/{row}"), body).await.unwrap();
    assert_eq!(reply.status, 200, "{route}: {}", reply.body);
}

#[tokio::test]
async fn doors_name_what_is_wrong_with_them() {
    let server = TestServer::start(registry(), database().await).await.unwrap();
    let sale = Sale::draft(&server).await;
    let other = create(&sale.client, "events", &event_body()).await;
    let foreign_type = create(&sale.client, "ticket-types", &ticket_type(other, "Other")).await;
    let foreign_zone = json!({"event_id": other, "key": "far", "name": "Far"});
    create(&sale.client, "check-in-zones", &foreign_zone).await;
    let lane = json!({"event_id": sale.event, "name": "North 1"});
    let lane = create(&sale.client, "check-in-lanes", &lane).await;
    let question = json!({"event_id": sale.event, "text": "Over 18?"});
    let question = create(&sale.client, "check-in-questions", &question).await;
    let cases = [
        wrong_zones(&sale),
        wrong_lanes(&sale, lane, foreign_type),
        wrong_questions(&sale, question, foreign_type),
        wrong_times(&sale, foreign_type),
    ];
    for (route, body, code, field) in cases.concat() {
        let reply = sale.client.post(&format!("/api/v1/{route}"), &body).await.unwrap();
        let faults = reply.body["errors"].as_array().cloned().unwrap_or_default();
        let told = faults.iter().any(|f| f["field"] == json!(field));
        let coded = reply.code() == code || faults.iter().any(|f| f["code"] == json!(code));
        assert!(told && coded, "{route} {body} gave {}", reply.body);
    }
    let evacuate = json!({"event_id": sale.event, "on": true});
    let early = sale.client.post("/api/v1/check-in-zones/evacuate", &evacuate).await.unwrap();
    assert_eq!((early.code(), early.fields()), ("not_ready", vec!["event_id"]));
}

/// Route, body, and the code and field of the refusal.
type Wrong = (&'static str, Value, &'static str, &'static str);

const UNKNOWN: &str = "unknown_reference";

fn wrong_zones(sale: &Sale) -> Vec<Wrong> {
    let zone = |more: Value| with(json!({"event_id": sale.event, "key": "z", "name": "Z"}), more);
    vec![
        ("check-in-zones", zone(json!({"policy": "often"})), "not_an_option", "policy"),
        ("check-in-zones", zone(json!({"policy": "entries"})), "invalid_value", "policy_max"),
        ("check-in-zones", zone(json!({"policy_max": 2})), "invalid_value", "policy_max"),
        ("check-in-zones", zone(json!({"policy": "interval"})), "invalid_value", "interval_min"),
        (
            "check-in-zones",
            zone(json!({"exit_all_at_min": 1_440})),
            "out_of_range",
            "exit_all_at_min",
        ),
        ("check-in-zones", zone(json!({"leaves": ["far"]})), UNKNOWN, "leaves"),
        ("check-in-zones", zone(json!({"leaves": ["z"]})), UNKNOWN, "leaves"),
        ("check-in-zones", zone(json!({"exit_to": "nowhere"})), UNKNOWN, "exit_to"),
        (
            "check-in-zones",
            zone(json!({"opens_at": "2026-11-21T18:00:00Z", "closes_at": "2026-11-21T18:00:00Z"})),
            "invalid_value",
            "closes_at",
        ),
    ]
}

fn wrong_lanes(sale: &Sale, lane: Uuid, foreign_type: Uuid) -> Vec<Wrong> {
    let lane_with = |more: Value| with(json!({"event_id": sale.event, "name": "North 2"}), more);
    vec![
        ("check-in-lanes", lane_with(json!({"lease_s": 601})), "out_of_range", "lease_s"),
        ("check-in-lanes", lane_with(json!({"mode": "loose"})), "not_an_option", "mode"),
        ("check-in-lanes", lane_with(json!({"name": "x".repeat(65)})), "too_long", "name"),
        ("check-in-lanes", lane_with(json!({"name": "North 1"})), "already_exists", "event_id"),
        (
            "check-in-lane-types",
            json!({"lane_id": lane, "ticket_type_id": foreign_type}),
            UNKNOWN,
            "ticket_type_id",
        ),
    ]
}

fn wrong_questions(sale: &Sale, question: Uuid, foreign_type: Uuid) -> Vec<Wrong> {
    let ask = |more: Value| with(json!({"event_id": sale.event, "text": "Meal"}), more);
    vec![
        ("check-in-questions", ask(json!({"kind": "choice"})), "invalid_value", "options"),
        ("check-in-questions", ask(json!({"options": ["a"]})), "invalid_value", "options"),
        (
            "check-in-question-types",
            json!({"question_id": question, "ticket_type_id": foreign_type}),
            UNKNOWN,
            "ticket_type_id",
        ),
    ]
}

fn wrong_times(sale: &Sale, foreign_type: Uuid) -> Vec<Wrong> {
    let window =
        |more: Value| with(json!({"ticket_type_id": sale.ticket_type, "zone_id": sale.zone}), more);
    vec![
        ("ticket-type-windows", window(json!({})), "required", "opens_at"),
        (
            "ticket-type-windows",
            window(
                json!({"opens_at": "2026-11-21T19:00:00Z", "closes_at": "2026-11-21T18:00:00Z"}),
            ),
            "invalid_value",
            "closes_at",
        ),
        (
            "ticket-type-windows",
            window(json!({"ticket_type_id": foreign_type, "opens_at": "2026-11-21T19:00:00Z"})),
            UNKNOWN,
            "zone_id",
        ),
        (
            "events",
            with(event_body(), json!({"day_starts_min": 1_440})),
            "out_of_range",
            "day_starts_min",
        ),
    ]
}

fn with(mut body: Value, more: Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn staff_clear_the_place_and_say_how_many_are_inside() {
    let house = House::open("clear").await;
    let sale = &house.sale;
    let evacuate = json!({"event_id": sale.event, "on": true});
    let (reply, ()) = tokio::join!(
        sale.client.post("/api/v1/check-in-zones/evacuate", &evacuate),
        obey(&house, "event.evacuate", json!({"on": true, "by": sale.org.owner}))
    );
    let reply = reply.unwrap();
    assert!(reply.status < 300, "{} {}", reply.status, reply.body);
    let counted = json!({"inside": 7});
    let (reply, ()) = tokio::join!(
        sale.act("check-in-zones", sale.zone, "count", &counted),
        obey(
            &house,
            "occupancy.correct",
            json!({"zone": "main", "inside": 7, "by": sale.org.owner})
        )
    );
    assert_eq!((reply.status, &reply.body["key"]), (200, &json!("main")), "{}", reply.body);
    let negative = sale.act("check-in-zones", sale.zone, "count", &json!({"inside": -1})).await;
    assert_eq!(negative.fields(), ["inside"], "{}", negative.body);
    house.end().await;
}

/// Plays the gate for one instruction, which has to be this.
async fn obey(house: &House, kind: &str, body: Value) {
    let told = house.instruction(kind).await;
    assert_eq!(told["body"]["instruction"]["body"], body);
    house.gate.write(house.sale.event, |journal| {
        journal.push(&Fact::InstructionDone { id: id(&told["id"]), refused: None });
    });
}
