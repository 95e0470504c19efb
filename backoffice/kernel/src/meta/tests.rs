use super::*;
use crate::entity::{choice, date, geo, instant, link, text};

#[track_caller]
fn check_title(name: &'static str, expected: (&str, &str)) {
    let title = labels::title(&Entity::new(name));
    assert_eq!((title.0.as_str(), title.1.as_str()), expected);
}

#[test]
fn titles_follow_from_names() {
    check_title("leave_requests", ("Leave request", "Leave requests"));
    check_title("parties", ("Party", "Parties"));
    check_title("party_emails", ("Party E-mail", "Party E-mails"));
    check_title("boxes", ("Box", "Boxes"));
    check_title("party_addresses", ("Party address", "Party addresses"));
    check_title("business_classes", ("Business class", "Business classes"));
    check_title("branches", ("Branch", "Branches"));
    check_title("expenses", ("Expense", "Expenses"));
    check_title("event_series", ("Event series", "Event series"));
    check_title("chart_of_accounts", ("Chart of account", "Chart of accounts"));
    check_title("bonus", ("Bonus", "Bonus"));
    check_title("news", ("News", "News"));
    let given = Entity::new("chart_of_accounts").title("Account", "Chart of accounts");
    assert_eq!(labels::title(&given).0, "Account");
}

#[test]
fn fields_and_options_are_named_for_people() {
    for (field, label) in [
        (link("event_id", "events.events"), "Event"),
        (instant("starts_at"), "Starts at"),
        (text("vat_id"), "VAT ID"),
        (text("email_key"), "E-mail key"),
        (text("name").label("Title"), "Title"),
    ] {
        assert_eq!(labels::field(&field), label);
    }
    let kind = choice("kind", &["nda", "on_hold"]).option_labels(&[("nda", "NDA")]);
    assert_eq!(labels::option(Some(&kind), "nda"), "NDA");
    assert_eq!(labels::option(Some(&kind), "on_hold"), "On hold");
}

static USER_SHIFTS: Entity =
    Entity::new("shifts").grant("x.shifts").label("name").about("x").fields(&[
        text("name").required(),
        instant("ends_at"),
        instant("starts_at").required(),
        date("starts_on"),
        link("user_id", "accounts.users"),
        link("above_id", "x.shifts"),
        choice("status", &["a", "b"]).required(),
        geo("place"),
    ]);
static DOMAIN: crate::entity::Domain =
    crate::entity::Domain { name: "x", entities: &[&USER_SHIFTS], ..crate::entity::Domain::EMPTY };

#[test]
fn views_are_found_by_kinds_and_names() {
    let registry = Registry::new(&[&crate::accounts::DOMAIN, &DOMAIN]).unwrap();
    let views = views::of(&registry, registry.member("shifts").unwrap());
    let named = |kind: &str| {
        let found = views.iter().find(|view| view["kind"] == kind);
        found.unwrap_or_else(|| panic!("no view {kind}"))["fields"].clone()
    };
    let span = |more: Value| {
        let mut all = json!({"start": "starts_at", "end": "ends_at", "title": "name"});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    assert_eq!(named("board"), json!({"group": "status", "title": "name"}));
    assert_eq!(named("calendar"), span(json!({})));
    assert_eq!(named("timeline"), span(json!({})));
    assert_eq!(named("gantt"), span(json!({"parent": "above_id"})));
    assert_eq!(named("workload"), span(json!({"resource": "user_id"})));
    assert_eq!(named("tree"), json!({"parent": "above_id", "title": "name"}));
    assert_eq!(named("map"), json!({"place": "place", "title": "name"}));
    for everywhere in ["list", "table", "form", "dashboard", "activity"] {
        named(everywhere);
    }
    let suggested = views.iter().filter(|view| view["suggested"] == true).count();
    assert_eq!(suggested, 4, "what nobody declared is not suggested");
}

#[test]
fn versions_tell_states_apart() {
    let version = |value: Value| versioned(value)["version"].clone();
    assert_eq!(version(json!({"a": 1})), version(json!({"a": 1})));
    assert_ne!(version(json!({"a": 1})), version(json!({"a": 2})));
    assert_eq!(version(json!({})).as_str().unwrap().len(), VERSION_DIGITS);
}
