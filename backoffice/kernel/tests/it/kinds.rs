//! Every kind there and back: what is written over the API is what is read, what is read can be
//! written again and reads the same, and what does not fit is refused by name.

use jiff::{SpanRelativeTo, Timestamp};
use kernel::entity::{
    Entity, Field, boolean, bytes, choice, country, currency, date, decimal, duration, email, file,
    geo, id, instant, integer, json as json_field, language, long_text, money, percent, phone,
    price, quantity, rate, rrule, slug, text, text_list, time_zone, url,
};
use kernel::error::Code;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::strategy::{BoxedStrategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::hall::House;

pub(crate) const FIELDS: &[Field] = &[
    text("text"),
    long_text("long_text"),
    slug("slug"),
    email("email"),
    phone("phone"),
    url("url"),
    boolean("boolean"),
    integer("integer", -1_000, i64::MAX),
    money("money"),
    price("price"),
    decimal("decimal", 6),
    percent("percent"),
    rate("rate"),
    quantity("quantity", 3),
    duration("duration"),
    currency("currency"),
    country("country"),
    language("language"),
    time_zone("time_zone"),
    date("date"),
    instant("instant"),
    choice("choice", &["one", "it's", "three"]),
    id("outside"),
    file("file"),
    geo("geo"),
    rrule("rrule"),
    json_field("json"),
    bytes("bytes", 32),
    text_list("text_list", 3),
];

pub(crate) static SPECIMEN: Entity = Entity::new("specimens")
    .grant("hall.specimens")
    .about("One field of each kind.")
    .fields(FIELDS);

/// Rows that the property is tried with; each has a value for most of its fields.
const ROWS: usize = 48;

fn exact(whole: &'static str, digits: usize) -> BoxedStrategy<String> {
    (whole, vec(0_u8..10, 0..=digits), any::<bool>())
        .prop_map(|(whole, digits, minus)| {
            let minus = if minus { "-" } else { "" };
            let part: String = digits.iter().map(|digit| char::from(b'0' + digit)).collect();
            if part.is_empty() {
                format!("{minus}{whole}")
            } else {
                format!("{minus}{whole}.{part}")
            }
        })
        .boxed()
}

/// A good value of a field, as the API takes it.
fn value(field: &'static str) -> BoxedStrategy<Value> {
    let text = |pattern: &'static str| pattern.prop_map(Value::from).boxed();
    let some_id = any::<u128>().prop_map(|bits| json!(Uuid::from_u128(bits))).boxed();
    let sum = |digits| {
        (exact("0|[1-9][0-9]{0,14}", digits), "EUR|USD|CHF")
            .prop_map(|(amount, currency)| json!({"amount": amount, "currency": currency}))
            .boxed()
    };
    match field {
        "text" => text("[^\\p{C}]{0,100}"),
        "long_text" => text("([^\\p{C}]|\n|\t){0,400}"),
        "slug" => text("[a-z0-9][a-z0-9_-]{0,62}"),
        "email" => text("[a-z0-9.+ü]{1,20}@[a-z0-9]{1,10}\\.[a-z]{2,5}"),
        "phone" => text("\\+[1-9][0-9]{6,14}"),
        "url" => text("https?://[a-z]{1,9}\\.example/[a-zA-Z0-9?&=%_-]{0,50}"),
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        "integer" => (-1_000..=i64::MAX).prop_map(Value::from).boxed(),
        "money" => sum(2),
        "price" => sum(4),
        "decimal" => exact("0|[1-9][0-9]{0,21}", 6).prop_map(Value::from).boxed(),
        "percent" => {
            exact("[0-9]{1,2}", 4).prop_map(|text| json!(text.trim_start_matches('-'))).boxed()
        }
        "rate" => exact("0|[1-9][0-9]{0,17}", 10).prop_map(Value::from).boxed(),
        "quantity" => exact("0|[1-9][0-9]{0,24}", 3).prop_map(Value::from).boxed(),
        "duration" => text(
            "-?P([1-9][0-9]{0,2}W)?([0-9]{1,3}D)?T([0-9]{1,4}H)?([0-9]{1,4}M)?[0-9]{1,4}S|P[0-9]{1,3}D",
        ),
        "currency" => text("[A-Z]{3}"),
        "country" => text("[A-Z]{2}"),
        "language" => text("[a-z]{2,3}(-[A-Z]{2})?"),
        "time_zone" => text("Europe/Berlin|UTC|America/Argentina/Ushuaia|Etc/GMT\\+5"),
        "date" => text("[0-9]{3}[1-9]-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"),
        "instant" => text(
            "[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]0[0-9]:30)",
        ),
        "choice" => text("one|it's|three"),
        "outside" | "file" => some_id,
        "geo" => (exact("[0-8]?[0-9]", 7), exact("1[0-7][0-9]|[0-9]{1,2}", 7))
            .prop_map(|(latitude, longitude)| json!({"latitude": latitude, "longitude": longitude}))
            .boxed(),
        "rrule" => text(
            "FREQ=(MONTHLY|YEARLY)(;COUNT=[1-9][0-9]{0,2})?(;INTERVAL=[1-9])?(;BYDAY=(-?[1-4])?(MO|SU))?(;BYMONTHDAY=-?[1-9])?",
        ),
        "json" => (any::<i64>(), "[^\\p{C}]{0,30}", any::<bool>())
            .prop_map(|(number, text, yes)| json!({"a": [number, null, {"b": text}], "": yes}))
            .boxed(),
        "bytes" => vec(any::<u8>(), 0..32)
            .prop_map(|bytes| json!(data_encoding::BASE64.encode(&bytes)))
            .boxed(),
        "text_list" => vec("[^\\p{C}]{0,30}", 0..=3).prop_map(Value::from).boxed(),
        other => panic!("no values are known for {other}"),
    }
}

/// A body with a value, or null, or nothing for every field.
fn body() -> BoxedStrategy<Map<String, Value>> {
    let fields: Vec<BoxedStrategy<(String, Option<Value>)>> = FIELDS
        .iter()
        .map(|field| {
            let choice = proptest::prop_oneof![
                8 => value(field.name).prop_map(Some),
                1 => Just(Some(Value::Null)),
                1 => Just(None),
            ];
            choice.prop_map(|value| (field.name.to_owned(), value)).boxed()
        })
        .collect();
    fields
        .prop_map(|members| {
            members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
        })
        .boxed()
}

/// Whether what was read is what was written, judged without the product's own readers.
fn same(field: &str, read: &Value, written: &Value) -> bool {
    let plain = |value: &Value| -> String {
        let text = value.as_str().unwrap_or_default();
        let text = if text.contains('.') { text.trim_end_matches('0') } else { text };
        let text = text.trim_end_matches('.');
        let (minus, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
        let digits = match digits.trim_start_matches('0') {
            "" => return "0".to_owned(),
            rest if rest.starts_with('.') => format!("0{rest}"),
            rest => rest.to_owned(),
        };
        format!("{minus}{digits}")
    };
    let seconds = |value: &Value| {
        let span: jiff::Span = value.as_str().unwrap().parse().unwrap();
        span.to_duration(SpanRelativeTo::days_are_24_hours()).unwrap().as_secs()
    };
    let instant = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
    if written.is_null() || read.is_null() {
        return written.is_null() && read.is_null();
    }
    match field {
        "money" | "price" => {
            plain(&read["amount"]) == plain(&written["amount"])
                && read["currency"] == written["currency"]
        }
        "geo" => {
            ["latitude", "longitude"].iter().all(|part| plain(&read[part]) == plain(&written[part]))
        }
        "decimal" | "percent" | "rate" | "quantity" => plain(read) == plain(written),
        "duration" => seconds(read) == seconds(written),
        "instant" => instant(read) == instant(written),
        _ => read == written,
    }
}

#[tokio::test]
async fn every_kind_there_and_back() {
    let house = House::open().await;
    let seed: [u8; 32] = std::array::from_fn(|_| Uuid::new_v4().as_bytes()[0]);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for _ in 0..ROWS {
        let written = body().new_tree(&mut runner).unwrap().current();
        let seen = house.post("/specimens", Value::Object(written.clone())).await;
        assert_eq!(seen.status, 201, "seed {seed:?}: {} for {}", seen.body, json!(written));
        for field in FIELDS {
            let (read, written) = (&seen.body[field.name], written.get(field.name));
            let holds = same(field.name, read, written.unwrap_or(&Value::Null));
            assert!(holds, "seed {seed:?}: {} reads {read}, was written {written:?}", field.name);
        }
        // What was read is the one form of the value: written again it stays as it is.
        let shown = |body: &Value| -> Map<String, Value> {
            FIELDS.iter().map(|f| (f.name.to_owned(), body[f.name].clone())).collect()
        };
        let first = shown(&seen.body);
        let path = format!("/specimens/{}", seen.id());
        let again = house.patch(&path, Value::Object(first.clone())).await.is(200);
        assert_eq!(shown(&again.body), first, "seed {seed:?}");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_by_name() {
    let house = House::open().await;
    let cases = [
        ("integer", json!(-1_001), "integer", Code::OutOfRange),
        (
            "money",
            json!({"amount": "1.005", "currency": "EUR"}),
            "money.amount",
            Code::InvalidFormat,
        ),
        (
            "price",
            json!({"amount": "1.00005", "currency": "EUR"}),
            "price.amount",
            Code::OutOfRange,
        ),
        ("decimal", json!("1.0000001"), "decimal", Code::InvalidFormat),
        ("percent", json!("100.1"), "percent", Code::OutOfRange),
        ("rate", json!("1000000000000000000"), "rate", Code::OutOfRange),
        ("quantity", json!("0.0001"), "quantity", Code::InvalidFormat),
        ("duration", json!("P1M"), "duration", Code::InvalidFormat),
        ("duration", json!("P100000D"), "duration", Code::OutOfRange),
        ("geo", json!({"latitude": "91", "longitude": "0"}), "geo.latitude", Code::OutOfRange),
        ("geo", json!({"latitude": "1"}), "geo.longitude", Code::Required),
        ("rrule", json!("FREQ=NEVER"), "rrule", Code::InvalidFormat),
        ("file", json!("report.pdf"), "file", Code::InvalidFormat),
        ("phone", json!("030 1234567"), "phone", Code::InvalidFormat),
        ("bytes", json!(data_encoding::BASE64.encode(&[0; 33])), "bytes", Code::TooLong),
    ];
    for (field, value, named, code) in cases {
        let seen = house.post("/specimens", json!({ field: value })).await;
        let seen = seen.refuses(Code::ValidationFailed, &[named]);
        assert_eq!(seen.body["errors"][0]["code"], code.name(), "{field}");
    }
    let list = house.get("/specimens").await.is(200);
    assert_eq!(list.body["data"], json!([]), "a refused row was written");
}

#[tokio::test]
async fn the_new_kinds_are_filtered_and_sorted_by_value() {
    let house = House::open().await;
    for (text, duration, percent, amount) in [
        ("long", "PT10H", "9.5", "2.5"),
        ("short", "PT90S", "10", "12.0125"),
        ("none", "PT0S", "100", "0"),
    ] {
        let price = json!({"amount": amount, "currency": "EUR"});
        let row = json!({"text": text, "duration": duration, "percent": percent, "price": price});
        house.post("/specimens", row).await.is(201);
    }
    let texts = async |query: &[(&str, &str)]| -> Vec<String> {
        let list = crate::hall::Seen::of(house.asks("/specimens", query)).await.is(200);
        let rows = list.body["data"].as_array().unwrap().clone();
        rows.iter().map(|row| row["text"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(texts(&[("sort", "duration")]).await, ["none", "short", "long"]);
    assert_eq!(texts(&[("sort", "-percent")]).await, ["none", "short", "long"]);
    assert_eq!(texts(&[("sort", "price")]).await, ["none", "long", "short"]);
    let filter = [("filter[duration][gte]", "PT1M30S"), ("sort", "duration")];
    assert_eq!(texts(&filter).await, ["short", "long"]);
    assert_eq!(texts(&[("filter[percent][lt]", "10")]).await, ["long"]);
    // The second page begins behind a duration.
    let path = [("sort", "duration"), ("limit", "1")];
    let first = crate::hall::Seen::of(house.asks("/specimens", &path)).await.is(200);
    let cursor = first.body["page"]["next"].as_str().unwrap();
    let next = [("sort", "duration"), ("limit", "1"), ("cursor", cursor)];
    assert_eq!(texts(&next).await, ["short"]);
}
