//! Names for people, where a descriptor gives none: `leave_requests` is "Leave requests", one of
//! them "Leave request", `event_id` is "Event". Knows English nouns and nothing of the API.

use crate::entity::{Entity, Field, Kind};

/// Words that are written in capitals, or in their own way.
const SPELLINGS: &[(&str, &str)] = &[
    ("api", "API"),
    ("bic", "BIC"),
    ("crm", "CRM"),
    ("email", "E-mail"),
    ("emails", "E-mails"),
    ("gl", "GL"),
    ("iban", "IBAN"),
    ("id", "ID"),
    ("ids", "IDs"),
    ("ip", "IP"),
    ("kpi", "KPI"),
    ("pdf", "PDF"),
    ("qr", "QR"),
    ("rfp", "RFP"),
    ("sla", "SLA"),
    ("sms", "SMS"),
    ("url", "URL"),
    ("urls", "URLs"),
    ("utm", "UTM"),
    ("vat", "VAT"),
];

/// Plurals whose singular no rule gives.
const IRREGULAR: &[(&str, &str)] = &[
    ("addresses", "address"),
    ("analyses", "analysis"),
    ("bases", "base"),
    ("children", "child"),
    ("courses", "course"),
    ("data", "data"),
    ("expenses", "expense"),
    ("houses", "house"),
    ("invoices", "invoice"),
    ("leases", "lease"),
    ("licenses", "license"),
    ("news", "news"),
    ("people", "person"),
    ("phases", "phase"),
    ("purchases", "purchase"),
    ("releases", "release"),
    ("responses", "response"),
    ("series", "series"),
    ("staff", "staff"),
    ("statuses", "status"),
    ("warehouses", "warehouse"),
];

/// Singular and plural.
pub(crate) fn title(entity: &Entity) -> (String, String) {
    match entity.title {
        Some((singular, plural)) => (singular.to_owned(), plural.to_owned()),
        None => (spoken(&singular(entity.name)), spoken(entity.name)),
    }
}

pub(crate) fn field(field: &Field) -> String {
    if !field.label.is_empty() {
        return field.label.to_owned();
    }
    let name = match field.kind {
        Kind::Link { .. } | Kind::Id | Kind::File => field.name.strip_suffix("_id"),
        _ => None,
    };
    spoken(name.unwrap_or(field.name))
}

/// An option of a choice: the given label, else its words.
pub(crate) fn option(field: Option<&Field>, value: &str) -> String {
    let given = field.and_then(|field| field.option_labels.iter().find(|(own, _)| *own == value));
    given.map_or_else(|| spoken(value), |(_, label)| (*label).to_owned())
}

/// `starts_at` is "Starts at".
pub(crate) fn spoken(name: &str) -> String {
    let words = name.split(['_', '-']).filter(|word| !word.is_empty()).map(|word| {
        SPELLINGS.iter().find(|(own, _)| *own == word).map_or(word, |(_, written)| written)
    });
    let text = words.collect::<Vec<_>>().join(" ");
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => text,
    }
}

/// The last word in the singular: `leave_requests` is `leave_request`.
fn singular(name: &str) -> String {
    let (front, last) = match name.rfind('_') {
        Some(at) => name.split_at(at + 1),
        None => ("", name),
    };
    let one = match IRREGULAR.iter().find(|(many, _)| *many == last) {
        Some((_, one)) => (*one).to_owned(),
        None => regular(last),
    };
    format!("{front}{one}")
}

fn regular(word: &str) -> String {
    let endings = [("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh")];
    for (many, one) in endings {
        if let Some(stem) = word.strip_suffix(many) {
            return format!("{stem}{one}");
        }
    }
    if word.ends_with("ss") || word.ends_with("us") {
        return word.to_owned();
    }
    word.strip_suffix('s').unwrap_or(word).to_owned()
}
