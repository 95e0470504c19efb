//! The sweep in the schema: for each table whose rows leave by themselves a function that removes a
//! bounded part of what is past its time, and an index for each rule, so that finding it costs nothing.
//! A function takes no organization: it goes by time alone and answers a number.

use super::{names, put};
use crate::entity::{Entity, Retention, Scope};
use crate::registry::Registry;

/// Name of a table's function.
pub fn function(entity: &Entity) -> String {
    format!("sweep_{}", entity.name)
}

pub(super) fn function_names(registry: &Registry) -> Vec<String> {
    let swept = registry.entities().filter(|entity| !entity.retentions().is_empty());
    swept.map(function).collect()
}

pub(super) fn indexes(entity: &Entity) -> Vec<String> {
    let index = |(place, rule): (usize, &Retention)| {
        format!(
            "create index {} on {} ({}){}",
            names::sweep_index(entity, place),
            entity.name,
            rule.after,
            condition(entity, rule, " where ")
        )
    };
    entity.retentions().iter().enumerate().map(index).collect()
}

/// Which rows the rule is about; nothing when that is every row with a time.
fn condition(entity: &Entity, rule: &Retention, before: &str) -> String {
    let set =
        rule.after == "created_at" || entity.field(rule.after).is_some_and(|field| field.required);
    let mut parts = Vec::new();
    if !set {
        parts.push(format!("{} is not null", rule.after));
    }
    if !rule.only.is_empty() {
        parts.push(rule.only.to_owned());
    }
    if !rule.empties.is_empty() {
        let full: Vec<String> =
            rule.empties.iter().map(|column| format!("{column} is not null")).collect();
        parts.push(format!("({})", full.join(" or ")));
    }
    if parts.is_empty() { String::new() } else { format!("{before}{}", parts.join(" and ")) }
}

/// Rights of the function's owner beside those that the table's scope gives. Locking a row takes the
/// right to update a column of it; the key of all never changes.
pub(super) fn rights(entity: &Entity) -> String {
    let rules = entity.retentions();
    let mut sql = String::new();
    if rules.iter().any(|rule| rule.empties.is_empty()) {
        put(
            &mut sql,
            format_args!(
                "grant select, delete, update (id) on {} to atlvs_definer;\n",
                entity.name
            ),
        );
    }
    for rule in rules.iter().filter(|rule| !rule.empties.is_empty()) {
        let columns = rule.empties.join(", ");
        put(
            &mut sql,
            format_args!("grant select, update ({columns}) on {} to atlvs_definer;\n", entity.name),
        );
    }
    sql
}

pub(super) fn functions(entity: &Entity) -> String {
    let rules = entity.retentions();
    if rules.is_empty() {
        return String::new();
    }
    let steps: String = rules.iter().map(|rule| step(entity, rule)).collect();
    format!(
        "create or replace function {}(p_now timestamptz, p_most bigint) returns bigint\n\
         language plpgsql volatile security definer\n\
         set search_path = pg_catalog, public, pg_temp\n\
         as $$\n\
         declare\n    v_count bigint;\n    v_all bigint := 0;\n\
         begin\n{steps}    return v_all;\nend\n$$;\n",
        function(entity)
    )
}

/// Rows that somebody else is at are left to them.
fn step(entity: &Entity, rule: &Retention) -> String {
    let table = entity.name;
    let key = if entity.scope == Scope::Tenant { "org_id, id" } else { "id" };
    let what = match rule.empties {
        [] => format!("delete from {table}"),
        columns => {
            let set: Vec<String> =
                columns.iter().map(|column| format!("{column} = null")).collect();
            format!("update {table} set {}", set.join(", "))
        }
    };
    format!(
        "    {what} where ({key}) in (\n        \
             select {key} from {table}\n         \
              where {after} < p_now - make_interval(secs => {secs}){only}\n         \
              order by {after} limit p_most for update skip locked);\n    \
             get diagnostics v_count = row_count;\n    \
             v_all := v_all + v_count;\n",
        after = rule.after,
        secs = rule.kept.as_secs(),
        only = condition(entity, rule, " and "),
    )
}
