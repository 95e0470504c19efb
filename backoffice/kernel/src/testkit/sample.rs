//! A valid value for every kind, so that tests over the registry need no list of entities. Values
//! differ by number and grow along the fields, so that uniques hold and ends follow beginnings.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::entity::{Field, Kind};
use crate::kind_sql::second_column;

/// A value as the API takes it. `place` is the field's place in its entity.
pub fn value(field: &Field, number: u32, place: usize) -> Value {
    let step = place % 28;
    match field.kind {
        Kind::Text { max } => {
            let text = format!("{} {number}", field.name);
            json!(
                text.chars()
                    .rev()
                    .take(max as usize)
                    .collect::<Vec<_>>()
                    .iter()
                    .rev()
                    .collect::<String>()
            )
        }
        Kind::Slug => json!(format!("s{place}-{number}")),
        Kind::Email => json!(format!("p{place}.{number}@example.org")),
        Kind::Phone => json!(format!("+4930{:07}", number % 10_000_000)),
        Kind::Url => json!(format!("https://example.org/{place}/{number}")),
        Kind::Bool => json!(true),
        Kind::Integer { min, max } => {
            let floor = min.max(1).min(max);
            let span = max.saturating_sub(floor).saturating_add(1).max(1);
            json!(floor.saturating_add(i64::from(number).checked_rem(span).unwrap_or(0)))
        }
        Kind::Money => json!({"amount": format!("{number}.50"), "currency": "EUR"}),
        Kind::Price => json!({"amount": format!("{number}.505"), "currency": "EUR"}),
        Kind::Percent { .. } => json!((number % 100).to_string()),
        Kind::Rate => json!(format!("{}.0834", number % 50 + 1)),
        Kind::Quantity { scale: 0 } => json!(number.to_string()),
        Kind::Quantity { .. } => json!(format!("{number}.5")),
        Kind::Duration => json!(format!("PT{}M", number % 59 + 1)),
        Kind::Geo => json!({
            "latitude": format!("{}.25", number % 90), "longitude": format!("-{}.5", number % 180),
        }),
        Kind::Rrule => json!(format!("FREQ=WEEKLY;COUNT={}", number % 500 + 1)),
        // Decimals are mostly rates, which have bounds of their own.
        Kind::Decimal { scale: 0 } => json!((number % 50).to_string()),
        Kind::Decimal { .. } => json!(format!("{}.5", number % 50)),
        // One currency everywhere: prices often have to be in that of something else.
        Kind::Currency => json!("EUR"),
        Kind::Country => json!("DE"),
        Kind::Language => json!("de"),
        Kind::TimeZone => json!("Europe/Berlin"),
        Kind::Date => json!(format!("2027-03-{:02}", step + 1)),
        Kind::Instant => json!(format!("2027-03-{:02}T10:00:00Z", step + 1)),
        Kind::Choice(options) => json!(options.first()),
        Kind::Link { .. } | Kind::Id | Kind::File => {
            json!(Uuid::from_u64_pair(u64::from(number), place as u64))
        }
        Kind::Json => json!({"number": number}),
        Kind::Bytes { .. } => json!("AQID"),
        Kind::TextList { .. } => json!([format!("item {number}")]),
    }
}

/// A value as a column of the table takes it through `jsonb_populate_record`.
pub(super) fn columns(field: &Field, number: u32, place: usize) -> Vec<(String, Value)> {
    let api = value(field, number, place);
    match field.kind {
        Kind::Money | Kind::Price | Kind::Geo => {
            let members = if field.kind == Kind::Geo {
                ["latitude", "longitude"]
            } else {
                ["amount", "currency"]
            };
            let second = second_column(field.kind, field.name).unwrap_or_default();
            vec![
                (field.name.to_owned(), api[members[0]].clone()),
                (second, api[members[1]].clone()),
            ]
        }
        Kind::Duration => {
            vec![(field.name.to_owned(), json!((u64::from(number) % 59 + 1) * 60))]
        }
        // Hashes and sealed keys are often unique.
        Kind::Bytes { .. } => {
            vec![(field.name.to_owned(), json!(format!("\\x{number:08x}{place:04x}")))]
        }
        _ => vec![(field.name.to_owned(), api)],
    }
}
