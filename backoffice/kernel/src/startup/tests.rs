//! Each thing that may be missing is named; more than is needed is fine.

use super::compare;
use crate::catalog::{Catalog, Key, Object, ObjectKind};
use crate::ddl;
use crate::entity::{Domain, Entity, link, text};
use crate::registry::Registry;

static NOTES: Entity = Entity::new("notes")
    .grant("notes.notes")
    .about("A note.")
    .fields(&[text("body"), link("parent_id", "notes.notes")]);
static DOMAIN: Domain = Domain { name: "notes", entities: &[&NOTES], ..Domain::EMPTY };

const TENANT: &str = "as PERMISSIVE for ALL to public using ((org_id = ( SELECT \
    (NULLIF(current_setting('app.org_id'::text, true), ''::text))::uuid AS \"nullif\")))";

/// What a database made by the generator shows, as far as the check looks.
fn whole(registry: &Registry) -> Catalog {
    let mut catalog = Catalog::default();
    let mut put = |kind, on: &str, name: &str, object| {
        catalog.objects.insert(Key { kind, on: on.to_owned(), name: name.to_owned() }, object);
    };
    let text = |text: &str| Object::Text(text.to_owned());
    for table in ["changes", "outbox", "notes"] {
        put(ObjectKind::Table, table, "", text(""));
    }
    for column in ddl::columns(&NOTES) {
        put(ObjectKind::Column, "notes", &column.name.clone(), Object::Column(column));
    }
    for definer in ddl::definers::of(registry) {
        let head = format!("{}()", definer.name);
        let own = "language sql SECURITY DEFINER\n SET search_path TO 'pg_catalog', 'public'";
        put(ObjectKind::Function, &head, "", text(own));
        put(ObjectKind::Owner, &format!("function {head}"), "", text("atlvs_definer"));
    }
    put(ObjectKind::ForeignKey, "notes", "notes_parent_id_fkey", text("foreign key"));
    put(ObjectKind::Trigger, "notes", "notes_touch", text("create trigger"));
    for trigger in ["notes_change_insert", "notes_change_update", "notes_change_delete"] {
        put(ObjectKind::Trigger, "notes", trigger, text("create trigger"));
    }
    put(ObjectKind::RowSecurity, "notes", "", text("forced"));
    put(ObjectKind::Policy, "notes", "notes_tenant", text(TENANT));
    catalog
}

#[track_caller]
fn check(edit: impl FnOnce(&mut Catalog), expect: &[&str]) {
    let registry = Registry::new(&[&DOMAIN]).unwrap();
    let mut catalog = whole(&registry);
    edit(&mut catalog);
    assert_eq!(compare(&registry, &catalog), expect);
}

fn with(
    kind: ObjectKind,
    on: &'static str,
    name: &'static str,
    definition: &'static str,
) -> impl FnOnce(&mut Catalog) {
    move |catalog| {
        let key = Key { kind, on: on.to_owned(), name: name.to_owned() };
        catalog.objects.insert(key, Object::Text(definition.to_owned()));
    }
}

fn without(kind: ObjectKind, on: &'static str, name: &'static str) -> impl FnOnce(&mut Catalog) {
    move |catalog| {
        let key = Key { kind, on: on.to_owned(), name: name.to_owned() };
        assert!(catalog.objects.remove(&key).is_some(), "{key:?} was not there");
    }
}

#[test]
fn what_is_missing_is_named() {
    check(|_| {}, &[]);
    check(without(ObjectKind::Table, "notes", ""), &["table notes is missing"]);
    check(without(ObjectKind::Column, "notes", "body"), &["column notes.body is missing"]);
    check(
        without(ObjectKind::Trigger, "notes", "notes_change_insert"),
        &["trigger notes_change_insert of table notes is missing"],
    );
    check(
        without(ObjectKind::ForeignKey, "notes", "notes_parent_id_fkey"),
        &["foreign key notes_parent_id_fkey of table notes is missing"],
    );
    check(
        without(ObjectKind::RowSecurity, "notes", ""),
        &["row-level security of table notes is not forced"],
    );
    check(
        without(ObjectKind::Policy, "notes", "notes_tenant"),
        &["policy notes_tenant of table notes is missing"],
    );
    check(
        without(ObjectKind::Function, "record_changes()", ""),
        &["function record_changes is missing"],
    );
    check(without(ObjectKind::Table, "outbox", ""), &["table outbox is missing"]);
    check(
        with(ObjectKind::Trigger, "notes", "notes_change_insert", "create trigger (disabled)"),
        &["trigger notes_change_insert of table notes is disabled"],
    );
    check(
        with(ObjectKind::Policy, "notes", "later", "as PERMISSIVE for ALL to public using (true)"),
        &["policy later of table notes is too wide"],
    );
    check(
        with(ObjectKind::Policy, "notes", "work", "for ALL to atlvs_work using (true)"),
        &["policy work of table notes is too wide"],
    );
    let unlisted = "function record_changes is not the definer's with a search path";
    check(with(ObjectKind::Function, "record_changes()", "", "SECURITY DEFINER"), &[unlisted]);
    check(with(ObjectKind::Owner, "function record_changes()", "", "atlvs_owner"), &[unlisted]);
    check(
        |catalog| {
            for object in catalog.objects.values_mut() {
                if let Object::Column(column) = object
                    && column.name == "body"
                {
                    column.sql_type = "jsonb".to_owned();
                }
            }
        },
        &["column notes.body is jsonb, not text"],
    );
}

#[test]
fn a_newer_database_is_fine() {
    check(
        |catalog| {
            let key = Key { kind: ObjectKind::Table, on: "later".to_owned(), name: String::new() };
            catalog.objects.insert(key, Object::Text(String::new()));
        },
        &[],
    );
}
