//! Differences of hand-made catalogues, and URLs.

use super::{Rename, diff, with_database};
use crate::catalog::{Catalog, Key, Object, ObjectKind};
use crate::kind_sql::Column;
use crate::settings::Secret;

fn key(kind: ObjectKind, on: &str, name: &str) -> Key {
    Key { kind, on: on.to_owned(), name: name.to_owned() }
}

fn catalog(parts: &[(ObjectKind, &str, &str, &str)]) -> Catalog {
    let objects = parts
        .iter()
        .map(|&(kind, on, name, text)| {
            let object = if kind == ObjectKind::Column {
                Object::Column(parse_column(name, text))
            } else {
                Object::Text(text.to_owned())
            };
            (key(kind, on, name), object)
        })
        .collect();
    Catalog { objects }
}

/// `bigint not null = 0`.
fn parse_column(name: &str, text: &str) -> Column {
    let (rest, default) = match text.split_once(" = ") {
        Some((rest, default)) => (rest, Some(default.to_owned())),
        None => (text, None),
    };
    let not_null = rest.ends_with(" not null");
    let sql_type = rest.trim_end_matches(" not null").to_owned();
    Column { name: name.to_owned(), sql_type, not_null, default, generated: None }
}

use ObjectKind::{
    Column as Col, Constraint, Extension, ForeignKey, Function, Grant, Index, Owner, RowSecurity,
    Storage, Table, Trigger,
};

#[track_caller]
fn check(
    from: &[(ObjectKind, &str, &str, &str)],
    to: &[(ObjectKind, &str, &str, &str)],
    expect: &[&str],
) {
    assert_eq!(diff(&catalog(from), &catalog(to), &[]), expect);
}

#[test]
fn equal_catalogues_differ_in_nothing() {
    let parts = [(Table, "a", "", ""), (Col, "a", "id", "uuid not null")];
    check(&parts, &parts, &[]);
    check(&[], &[], &[]);
}

#[test]
fn new_things_are_added_in_an_order_that_can_run() {
    check(
        &[(Table, "a", "", ""), (Col, "a", "id", "uuid not null")],
        &[
            (Table, "a", "", ""),
            (Col, "a", "id", "uuid not null"),
            (Col, "a", "size", "bigint not null = 0"),
            (Table, "b", "", ""),
            (Col, "b", "id", "uuid not null"),
            (Col, "b", "a_id", "uuid"),
            (Constraint, "b", "b_pkey", "PRIMARY KEY (id)"),
            (ForeignKey, "b", "b_a_id_fkey", "FOREIGN KEY (a_id) REFERENCES a(id)"),
            (RowSecurity, "b", "", "forced"),
            (Trigger, "b", "b_touch", "CREATE TRIGGER b_touch BEFORE UPDATE ON b"),
            (Grant, "table b", "select to atlvs_app", ""),
            (Owner, "table b", "", "atlvs_owner"),
            (Owner, "function f()", "", "atlvs_definer"),
        ],
        &[
            "create table b (\n    a_id uuid,\n    id uuid not null\n);",
            "alter table a add column size bigint default 0 not null;",
            "alter table b add constraint b_pkey PRIMARY KEY (id);",
            "alter table b add constraint b_a_id_fkey FOREIGN KEY (a_id) REFERENCES a(id);",
            "alter table b enable row level security;\nalter table b force row level security;",
            "CREATE TRIGGER b_touch BEFORE UPDATE ON b;",
            "alter function f() owner to atlvs_definer;",
            "alter table b owner to atlvs_owner;",
            "grant select on table b to atlvs_app;",
        ],
    );
}

#[test]
fn columns_are_altered_part_by_part() {
    check(
        &[(Table, "a", "", ""), (Col, "a", "size", "integer = 1")],
        &[(Table, "a", "", ""), (Col, "a", "size", "bigint not null")],
        &[
            "alter table a alter column size type bigint using size::bigint;",
            "alter table a alter column size drop default;",
            "alter table a alter column size set not null;",
        ],
    );
}

#[test]
fn what_would_lose_data_is_only_said() {
    check(
        &[
            (Table, "a", "", ""),
            (Col, "a", "old", "text"),
            (Table, "gone", "", ""),
            (Col, "gone", "id", "uuid"),
            (Index, "gone", "gone_idx", "CREATE INDEX gone_idx ON gone (id)"),
        ],
        &[(Table, "a", "", "")],
        &[
            "-- a.old is in no descriptor: a release that no longer uses it comes first.\n-- alter table a drop column old;",
            "-- gone is in no descriptor: a release that no longer uses it comes first.\n-- drop table gone;",
        ],
    );
}

#[test]
fn changed_definitions_are_made_again() {
    check(
        &[
            (Table, "a", "", ""),
            (Constraint, "a", "a_check", "CHECK (x < 1)"),
            (Index, "a", "a_idx", "CREATE INDEX a_idx ON a (x)"),
        ],
        &[
            (Table, "a", "", ""),
            (Constraint, "a", "a_check", "CHECK (x < 2)"),
            (Index, "a", "a_idx", "CREATE INDEX a_idx ON a (y)"),
        ],
        &[
            "drop index a_idx;",
            "alter table a drop constraint a_check;",
            "alter table a add constraint a_check CHECK (x < 2);",
            "CREATE INDEX a_idx ON a (y);",
        ],
    );
}

#[test]
fn storage_and_extensions_are_told() {
    check(
        &[
            (Table, "a", "", ""),
            (Storage, "a", "", "autovacuum_enabled=false, fillfactor=90"),
            (Table, "b", "", ""),
            (Storage, "b", "", "fillfactor=90"),
            (Extension, "citext", "", ""),
        ],
        &[
            (Table, "a", "", ""),
            (Storage, "a", "", "fillfactor=70"),
            (Table, "b", "", ""),
            (Extension, "btree_gist", "", ""),
        ],
        &[
            "alter table b reset (fillfactor);",
            "-- extension citext is in no descriptor: take it away.\n-- drop extension citext;",
            "create extension btree_gist;",
            "alter table a reset (autovacuum_enabled);",
            "alter table a set (fillfactor=70);",
        ],
    );
}

#[test]
fn a_new_function_is_closed_unless_it_is_public() {
    check(
        &[],
        &[(Function, "f()", "", "CREATE OR REPLACE FUNCTION f()")],
        &["CREATE OR REPLACE FUNCTION f();\nrevoke execute on function f() from public;"],
    );
    check(
        &[],
        &[
            (Function, "f()", "", "CREATE OR REPLACE FUNCTION f()"),
            (Grant, "function f()", "execute to public", ""),
        ],
        &["CREATE OR REPLACE FUNCTION f();", "grant execute on function f() to public;"],
    );
}

#[test]
fn renames_keep_the_data() {
    let from = catalog(&[(Table, "a", "", ""), (Col, "a", "old", "text")]);
    let to = catalog(&[(Table, "a", "", ""), (Col, "a", "new", "text not null")]);
    let rename = Rename { table: "a".into(), old: "old".into(), new: "new".into() };
    let expect =
        ["alter table a rename column old to new;", "alter table a alter column new set not null;"];
    assert_eq!(diff(&from, &to, std::slice::from_ref(&rename)), expect);
    // Said again after it was done, it says nothing.
    assert_eq!(diff(&to, &to, &[rename]), Vec::<String>::new());
}

#[test]
fn a_column_that_is_computed_anew_gets_its_keys_back() {
    let computed = |sql: &str| {
        let mut catalog = catalog(&[
            (Table, "a", "", ""),
            (Constraint, "a", "a_key_check", "CHECK (char_length(key) < 9)"),
            (Constraint, "a", "a_keys_check", "CHECK (keys > 0)"),
            (Index, "a", "a_key_idx", "CREATE INDEX a_key_idx ON a (key)"),
        ]);
        let column = Column { generated: Some(sql.to_owned()), ..parse_column("key", "text") };
        catalog.objects.insert(key(Col, "a", "key"), Object::Column(column));
        catalog
    };
    let expect = [
        "-- a.key is computed differently: drop and add the column, or backfill.\n\
         alter table a drop column key;\n\
         alter table a add column key text generated always as (upper(x)) stored;",
        "alter table a add constraint a_key_check CHECK (char_length(key) < 9);",
        "CREATE INDEX a_key_idx ON a (key);",
    ];
    assert_eq!(diff(&computed("lower(x)"), &computed("upper(x)"), &[]), expect);
}

#[test]
fn urls_change_their_database_alone() {
    let cases = [
        ("postgres://u:p@h:5432/a", "postgres://u:p@h:5432/b"),
        ("postgres://u@h/a?sslmode=disable", "postgres://u@h/b?sslmode=disable"),
        ("postgresql://h", "postgresql://h/b"),
        ("host=/tmp user=u dbname=a", "host=/tmp user=u dbname=a dbname=b"),
    ];
    for (url, expect) in cases {
        assert_eq!(with_database(&Secret::new(url), "b").expose(), expect);
    }
}
