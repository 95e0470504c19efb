//! Two catalogues in, statements out. Adds, alters and renames; what would lose data is printed as
//! a comment, because a drop takes two releases and a person.

use std::collections::BTreeSet;

use super::{Rename, is_table_part, text};
use crate::catalog::{Catalog, Key, Object, ObjectKind};
use crate::ddl::column_sql;
use crate::kind_sql::Column;

/// Statements that lead from one schema to the other, in an order that works; empty when they are
/// the same.
pub fn diff(from: &Catalog, to: &Catalog, renames: &[Rename]) -> Vec<String> {
    let mut statements = Vec::new();
    let mut from = from.clone();
    for rename in renames {
        statements.extend(apply_rename(&mut from, to, rename));
    }
    forget_dependents(&mut from, to);
    let new_tables: BTreeSet<&str> =
        to.tables().filter(|table| from.get(ObjectKind::Table, table, "").is_none()).collect();
    let old_tables: BTreeSet<&str> =
        from.tables().filter(|table| to.get(ObjectKind::Table, table, "").is_none()).collect();

    for (key, object) in from.objects.iter().rev() {
        let gone = is_table_part(key.kind) && old_tables.contains(key.on.as_str());
        if gone && key.kind != ObjectKind::Table {
            continue;
        }
        match to.objects.get(key) {
            None => statements.push(remove(key, object)),
            Some(new) if new != object && is_replaced(key.kind) => {
                statements.push(remove(key, object));
            }
            Some(_) => {}
        }
    }
    for (key, object) in &to.objects {
        let with_table = key.kind == ObjectKind::Column && new_tables.contains(key.on.as_str());
        match from.objects.get(key) {
            _ if with_table => {}
            None => statements.push(create(to, key, object)),
            Some(old) if old != object => statements.extend(alter(to, key, old, object)),
            Some(_) => {}
        }
    }
    statements
}

fn apply_rename(from: &mut Catalog, to: &Catalog, rename: &Rename) -> Option<String> {
    let Rename { table, old, new } = rename;
    let pending = from.column(table, old).is_some()
        && from.column(table, new).is_none()
        && to.column(table, new).is_some()
        && to.column(table, old).is_none();
    if !pending {
        return None;
    }
    let key =
        |name: &str| Key { kind: ObjectKind::Column, on: table.clone(), name: name.to_owned() };
    if let Some(Object::Column(column)) = from.objects.remove(&key(old)) {
        let column = Column { name: new.clone(), ..column };
        from.objects.insert(key(new), Object::Column(column));
    }
    // The server carries the new name into every definition that uses the column.
    for (_, object) in from.objects.iter_mut().filter(|(key, _)| key.on == *table) {
        match object {
            Object::Column(column) => {
                column.generated = column.generated.take().map(|sql| replace_word(&sql, old, new));
            }
            Object::Text(definition) => *definition = replace_word(definition, old, new),
        }
    }
    Some(format!("alter table {table} rename column {old} to {new};"))
}

/// A computed column with another expression is dropped and added, and takes the keys, checks and
/// indexes that use it along: they have to be made again.
fn forget_dependents(from: &mut Catalog, to: &Catalog) {
    let recomputed: Vec<(String, String)> = to
        .of(ObjectKind::Column)
        .filter_map(|(key, _)| {
            let old = from.column(&key.on, &key.name)?;
            let new = to.column(&key.on, &key.name)?;
            (old.generated != new.generated).then(|| (key.on.clone(), key.name.clone()))
        })
        .collect();
    for (table, column) in recomputed {
        from.objects.retain(|key, object| {
            let depends = matches!(
                key.kind,
                ObjectKind::Constraint | ObjectKind::ForeignKey | ObjectKind::Index
            ) && key.on == table
                && replace_word(&text(object), &column, "") != text(object);
            !depends
        });
    }
}

/// Replaces an identifier where it stands as a whole word.
fn replace_word(sql: &str, old: &str, new: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = String::with_capacity(sql.len());
    let mut last = None;
    let mut rest = sql;
    while let Some(place) = rest.find(old) {
        let (head, tail) = rest.split_at(place);
        let after = tail.get(old.len()..).unwrap_or_default();
        let before = head.chars().next_back().or(last);
        let whole = !before.is_some_and(is_word) && !after.starts_with(is_word);
        out.push_str(head);
        out.push_str(if whole { new } else { old });
        last = old.chars().next_back();
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Objects that are dropped and made again when their definition differs.
fn is_replaced(kind: ObjectKind) -> bool {
    matches!(
        kind,
        ObjectKind::Constraint
            | ObjectKind::ForeignKey
            | ObjectKind::Index
            | ObjectKind::Policy
            | ObjectKind::Trigger
    )
}

fn create(to: &Catalog, key: &Key, object: &Object) -> String {
    let (on, name) = (&key.on, &key.name);
    let definition = text(object);
    match key.kind {
        ObjectKind::Extension => format!("create extension {on};"),
        ObjectKind::Storage => format!("alter table {on} set ({definition});"),
        ObjectKind::Sequence => format!("create sequence {on} {definition};"),
        ObjectKind::Table => {
            let columns: Vec<String> = to
                .of(ObjectKind::Column)
                .filter(|(column, _)| column.on == *on)
                .map(|(_, column)| column_clause(column))
                .collect();
            let tail = if definition.is_empty() { String::new() } else { format!(" {definition}") };
            format!("create table {on} (\n    {}\n){tail};", columns.join(",\n    "))
        }
        ObjectKind::Column => format!("alter table {on} add column {};", column_clause(object)),
        ObjectKind::Function => function(to, on, &definition),
        ObjectKind::Constraint | ObjectKind::ForeignKey => {
            format!("alter table {on} add constraint {name} {definition};")
        }
        ObjectKind::Index | ObjectKind::Trigger => format!("{definition};"),
        ObjectKind::RowSecurity => row_security(on, &definition),
        ObjectKind::Policy => format!("create policy {name} on {on} {definition};"),
        ObjectKind::Owner => format!("alter {on} owner to {definition};"),
        ObjectKind::Grant => {
            let (privilege, role) = name.split_once(" to ").unwrap_or((name, "public"));
            format!("grant {privilege} on {on} to {role};")
        }
        ObjectKind::Stray => format!("-- {on} {name}: the generator makes no such thing."),
    }
}

/// A new function may be executed by everyone until that is taken back.
fn function(to: &Catalog, signature: &str, definition: &str) -> String {
    let public =
        to.get(ObjectKind::Grant, &format!("function {signature}"), "execute to public").is_some();
    let revoke = if public {
        String::new()
    } else {
        format!("\nrevoke execute on function {signature} from public;")
    };
    format!("{};{revoke}", definition.trim_end())
}

fn row_security(table: &str, level: &str) -> String {
    let force = if level == "forced" { "force" } else { "no force" };
    format!(
        "alter table {table} enable row level security;\nalter table {table} {force} row level security;"
    )
}

fn column_clause(object: &Object) -> String {
    match object {
        // An identity column is told apart from a generated one by the catalogue's word.
        Object::Column(column) if is_identity(column) => {
            format!("{} {} generated always as identity", column.name, column.sql_type)
        }
        Object::Column(column) => column_sql(column),
        Object::Text(text) => text.clone(),
    }
}

fn is_identity(column: &Column) -> bool {
    column.generated.as_deref().is_some_and(|generated| generated.starts_with("identity "))
}

fn alter(to: &Catalog, key: &Key, old: &Object, new: &Object) -> Vec<String> {
    let definition = text(new);
    let on = &key.on;
    match (key.kind, old, new) {
        (ObjectKind::Column, Object::Column(old), Object::Column(new)) => {
            alter_column(on, old, new)
        }
        (ObjectKind::Table, ..) => vec![format!(
            "-- {on} is to be {definition}: partitioning cannot be altered, move the rows to a new table."
        )],
        (ObjectKind::Storage, ..) => {
            let mut statements = Vec::new();
            let (had, has) = (parameters(&text(old)), parameters(&definition));
            let gone: Vec<String> = had.difference(&has).cloned().collect();
            if !gone.is_empty() {
                statements.push(format!("alter table {on} reset ({});", gone.join(", ")));
            }
            statements.push(create(to, key, new));
            statements
        }
        (ObjectKind::Sequence, ..) => vec![format!("alter sequence {on} {definition};")],
        // `or replace` and set-like statements say the new state.
        _ => vec![create(to, key, new)],
    }
}

/// Names of storage parameters, from `fillfactor=70, …`.
fn parameters(definition: &str) -> BTreeSet<String> {
    let name = |part: &str| part.split('=').next().unwrap_or_default().to_owned();
    definition.split(", ").map(name).collect()
}

fn alter_column(table: &str, old: &Column, new: &Column) -> Vec<String> {
    let name = &new.name;
    let mut statements = Vec::new();
    if old.generated != new.generated {
        statements.push(format!(
            "-- {table}.{name} is computed differently: drop and add the column, or backfill.\n\
             alter table {table} drop column {name};\n\
             alter table {table} add column {};",
            column_clause(&Object::Column(new.clone()))
        ));
        return statements;
    }
    if old.sql_type != new.sql_type {
        statements.push(format!(
            "alter table {table} alter column {name} type {t} using {name}::{t};",
            t = new.sql_type
        ));
    }
    if old.default != new.default {
        let action = new
            .default
            .as_ref()
            .map_or_else(|| "drop default".to_owned(), |default| format!("set default {default}"));
        statements.push(format!("alter table {table} alter column {name} {action};"));
    }
    if old.not_null != new.not_null {
        let action = if new.not_null { "set" } else { "drop" };
        statements.push(format!("alter table {table} alter column {name} {action} not null;"));
    }
    statements
}

fn remove(key: &Key, object: &Object) -> String {
    let (on, name) = (&key.on, &key.name);
    match key.kind {
        ObjectKind::Table => {
            format!(
                "-- {on} is in no descriptor: a release that no longer uses it comes first.\n-- drop table {on};"
            )
        }
        ObjectKind::Column => {
            format!(
                "-- {on}.{name} is in no descriptor: a release that no longer uses it comes first.\n-- alter table {on} drop column {name};"
            )
        }
        ObjectKind::Extension => {
            format!("-- extension {on} is in no descriptor: take it away.\n-- drop extension {on};")
        }
        ObjectKind::Storage => {
            let names: Vec<String> = parameters(&text(object)).into_iter().collect();
            format!("alter table {on} reset ({});", names.join(", "))
        }
        ObjectKind::Sequence => format!("-- drop sequence {on};"),
        ObjectKind::Function => format!("drop function {on};"),
        ObjectKind::Constraint | ObjectKind::ForeignKey => {
            format!("alter table {on} drop constraint {name};")
        }
        ObjectKind::Index => format!("drop index {name};"),
        ObjectKind::RowSecurity => format!("alter table {on} disable row level security;"),
        ObjectKind::Policy => format!("drop policy {name} on {on};"),
        ObjectKind::Trigger => format!("drop trigger {name} on {on};"),
        ObjectKind::Owner => format!("-- {on} belonged to {}", text(object)),
        ObjectKind::Grant => {
            let (privilege, role) = name.split_once(" to ").unwrap_or((name, "public"));
            format!("revoke {privilege} on {on} from {role};")
        }
        ObjectKind::Stray => format!("-- {on} {name}: is in no descriptor, take it away."),
    }
}
