use std::sync::OnceLock;

use serde_json::json;

use super::*;
use crate::entity::{Domain, Unique, integer, link, money, slug, text};

static EVENT: Entity = Entity::new("gigs")
    .grant("test.gigs")
    .about("What something is for.")
    .fields(&[slug("code").required(), text("name").required()])
    .natural(&["code"])
    .uniques(&[Unique { name: "gigs_code_key", fields: &["code"], code: Code::AlreadyExists }]);

static TICKET: Entity =
    Entity::new("gig_tickets").grant("test.tickets").about("A way in.").fields(&[
        link("gig_id", "test.gigs").required(),
        link("keeper_id", "accounts.users"),
        text("given_name").aliases(&["Vorname", "First name"]),
        text("token").secret(),
        money("price"),
        integer("sold", 0, 9).by_action(),
    ]);

static DOMAIN: Domain = Domain { name: "test", entities: &[&EVENT, &TICKET], ..Domain::EMPTY };

fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<&'static Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| Registry::new(&[&crate::accounts::DOMAIN, &DOMAIN]).unwrap().leak())
}

fn read(header: &[&str], explicit: Value) -> Result<Mapping> {
    let cells: Vec<Cell> = header.iter().map(|name| Cell::text(*name)).collect();
    let Value::Object(explicit) = explicit else { panic!("{explicit}") };
    Mapping::read(registry(), &TICKET, &Model::default(), &cells, &explicit)
}

#[track_caller]
fn check(header: &[&str], explicit: Value, expected: &[Option<&str>]) {
    let mapping = read(header, explicit).unwrap();
    let targets: Vec<Option<String>> = mapping.columns.iter().map(Column::target).collect();
    let targets: Vec<Option<&str>> = targets.iter().map(Option::as_deref).collect();
    assert_eq!(targets, expected);
    let kept = mapping.show();
    let back = Mapping::restore(registry(), &TICKET, &Model::default(), &kept).unwrap();
    let again: Vec<Option<String>> = back.columns.iter().map(Column::target).collect();
    assert_eq!(again.iter().map(Option::as_deref).collect::<Vec<_>>(), expected, "{kept}");
}

#[track_caller]
fn refuse(header: &[&str], explicit: Value, expected: &[(&str, Code)]) {
    let error = read(header, explicit).unwrap_err();
    let seen: Vec<(&str, Code)> = error.list().iter().map(|f| (f.field.as_str(), f.code)).collect();
    assert_eq!(seen, expected, "{error}");
}

#[test]
fn headers_are_names_and_aliases_whatever_their_spelling() {
    check(&["Given Name", "GIG-ID"], json!({}), &[Some("given_name"), Some("gig_id")]);
    check(&["vorname", "gig"], json!({}), &[Some("given_name"), Some("gig_id")]);
    check(&["First name", "Gig.Code"], json!({}), &[Some("given_name"), Some("gig_id.code")]);
    check(&["price", "Price currency"], json!({}), &[Some("price"), Some("price_currency")]);
    check(&["id", "Version", "given_name"], json!({}), &[Some("id"), None, Some("given_name")]);
    check(&["sold", "given_name"], json!({}), &[None, Some("given_name")]);
}

#[test]
fn a_mapping_may_be_said() {
    check(&["A", "B"], json!({"A": "gig_id.code", "B": null}), &[Some("gig_id.code"), None]);
}

#[test]
fn nothing_is_left_out_in_silence() {
    use Code::{Duplicate, Required, UnknownField};
    refuse(&["given_nme", "gig_id"], json!({}), &[("header[0]", UnknownField)]);
    refuse(&["given_name", "Vorname"], json!({}), &[("header[1]", Duplicate)]);
    refuse(&["gig_id", "gig_id.code"], json!({}), &[("header[0]", Duplicate)]);
    refuse(&["gig_id.name"], json!({}), &[("header[0]", UnknownField)]);
    refuse(&["keeper_id.email"], json!({}), &[("header[0]", UnknownField)]);
    refuse(&["token"], json!({}), &[("header[0]", UnknownField)]);
    refuse(&["sold", "version"], json!({}), &[("header", Required)]);
    refuse(&["gig_id"], json!({"Gig": "gig_id"}), &[("mapping", UnknownField)]);
    refuse(&["gig_id"], json!({"gig_id": 5}), &[("header[0]", UnknownField)]);
    let near = read(&["given_nme"], json!({})).unwrap_err();
    assert!(near.list()[0].message.contains("given_name"), "{near}");
}
