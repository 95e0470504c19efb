//! Roles that every organization begins with. Data only: grants of domains are named, not known.

use serde_json::{Value, json};

/// Key, name, grants.
pub(super) fn roles() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        (
            "owner",
            "Owner",
            json!([{"grant": "*", "rights": ["*"], "scope": "all",
                "levels": ["open", "personal", "confidential"]}]),
        ),
        (
            "administrator",
            "Administrator",
            json!([
                line("*", &["read", "create", "update", "delete"]),
                line("events.*", &["*"]),
                line("ticketing.*", &["*"]),
                line("identity.*", &["*"]),
            ]),
        ),
        (
            "box_office",
            "Box office",
            json!([
                line("accounts.operations", &["read"]),
                line("events.events", &["read"]),
                line("identity.parties", &["read"]),
                line("ticketing.sale", &["read"]),
                line("ticketing.orders", &["read"]),
                line("ticketing.registrations", &["*"]),
            ]),
        ),
        (
            "gate_supervisor",
            "Gate supervisor",
            json!([
                line("accounts.operations", &["read"]),
                line("events.events", &["read"]),
                line("ticketing.sale", &["read"]),
                line("ticketing.registrations", &["read", "check-in"]),
                line("ticketing.check_in", &["*"]),
                line("ticketing.devices", &["*"]),
                line("ticketing.access_log", &["read"]),
            ]),
        ),
        ("auditor", "Auditor", json!([line("*", &["read"])])),
    ]
}

fn line(grant: &str, rights: &[&str]) -> Value {
    json!({"grant": grant, "rights": rights, "scope": "all"})
}
