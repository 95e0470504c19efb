//! Search in the schema: a stored column of words, its index, and the function that looks there past
//! row-level security, which full-text operators may not cross. The organization is a word of each
//! row, so that one index serves one organization among many.
//!
//! Words of open fields and words of all searched fields are two columns, so that who may not read
//! personal fields does not find by them either. Confidential fields are not searched.
//!
//! Texts of the organization's own fields stand in both, each word behind its field's key, so that a
//! search finds by those keys only that it asks for: the ones that are searched and of a level that
//! the caller may read.

use super::{ACTIVE_ORG, column, has_custom_fields};
use crate::entity::{Entity, Field, Weight};
use crate::kind_sql::Column;
use crate::registry::Registry;
use crate::rights::Reach;
use crate::rights::compile::{self, Names, Predicate};

/// Kilobytes of new words that an index keeps unsorted: a search reads them all.
const PENDING_KB: u32 = 512;
const OPEN: &str = "search";
const PERSONAL: &str = "search_personal";

/// Columns of words that an entity has.
pub fn column_names(entity: &Entity) -> Vec<&'static str> {
    let mut searched = entity.fields.iter().filter(|field| field.search.is_some());
    let has = |personal| searched.clone().any(|field| field.personal == personal);
    let mut names = Vec::new();
    if has(false) {
        names.push(OPEN);
    }
    if searched.any(|field| field.personal) {
        names.push(PERSONAL);
    }
    names
}

pub(super) fn columns(entity: &Entity) -> Vec<Column> {
    let words = |name: &'static str| Column {
        not_null: false,
        generated: Some(words(entity, name == PERSONAL)),
        ..column(name, "tsvector", None)
    };
    column_names(entity).into_iter().map(words).collect()
}

fn words(entity: &Entity, personal: bool) -> String {
    let mut parts = vec!["array_to_tsvector(array['@' || org_id::text])".to_owned()];
    for field in entity.fields.iter().filter(|field| personal || !field.personal) {
        parts.extend(field.search.map(|weight| weighted(field, weight)));
    }
    if has_custom_fields(entity) {
        // Most rows have none: they are spared the call.
        let own = "case when custom = '{}'::jsonb then ''::tsvector else search_custom(custom) end";
        parts.push(format!("({own})"));
    }
    parts.join(" || ")
}

fn weighted(field: &Field, weight: Weight) -> String {
    let name = field.name;
    let words = format!("to_tsvector('simple'::regconfig, search_fold(coalesce({name}, '')))");
    format!("setweight({words}, '{weight:?}')")
}

/// Name of the index of a column of words.
pub fn index(entity: &Entity, column: &str) -> String {
    format!("{}_{column}_idx", entity.name)
}

pub(super) fn indexes(entity: &Entity) -> Vec<String> {
    let index = |column: &'static str| {
        format!(
            "create index {} on {} using gin ({column}) with (gin_pending_list_limit = {PENDING_KB})",
            index(entity, column),
            entity.name
        )
    };
    column_names(entity).into_iter().map(index).collect()
}

/// Name of the function that searches an entity, its personal fields included or not.
pub fn function(entity: &Entity, personal: bool) -> String {
    name(entity, if personal { PERSONAL } else { OPEN })
}

fn name(entity: &Entity, column: &str) -> String {
    let tail = column.strip_prefix(OPEN).unwrap_or_default();
    format!("search_{}{tail}", entity.name)
}

/// Functions of all entities: definer's, called by the app.
pub(super) fn function_names(registry: &Registry) -> Vec<String> {
    let of = |entity: &'static Entity| {
        column_names(entity).into_iter().map(move |column| name(entity, column))
    };
    registry.entities().flat_map(of).collect()
}

/// Each is planned with the words and the reach at hand, which decide between indexes. The
/// organization is the transaction's setting. The caller's reach is judged here, before rows are
/// ranked: the best of all rows would hold few of somebody's own. The caller's query judges again.
/// `p_levels` are those of custom fields that are searched, `p_among` the rows that are, where
/// somebody knows that it is only these.
pub(super) fn functions(registry: &Registry, entity: &'static Entity) -> String {
    let table = entity.name;
    let living = if entity.soft_deletes() { " and t.deleted_at is null" } else { "" };
    let reach = reach(registry, entity);
    let keys = keys(entity);
    let function = |column: &'static str| {
        format!(
            "create or replace function {}(p_words text, p_limit bigint, p_reach text, p_user uuid, \
                 p_units uuid[], p_levels text[], p_among uuid[])\n\
             returns table (found_id uuid, found_rank bigint)\n\
             language plpgsql stable security definer rows {ROWS_GUESSED}\n\
             set search_path = pg_catalog, public, pg_temp\n\
             set plan_cache_mode = force_custom_plan\n\
             as $$\n\
             declare\n    \
                 v_tenant constant uuid := {ACTIVE_ORG};\n    \
                 v_words constant tsquery := search_query(p_words, {keys});\n    \
                 v_query constant tsquery := quote_literal('@' || v_tenant)::tsquery && v_words;\n\
             begin\n    \
                 return query\n    \
                 select c.id, (ts_rank(c.{column}, v_words) * 1000000)::bigint\n      \
                   from (select t.id, t.{column} from {table} t\n             \
                          where t.{column} @@ v_query and t.org_id = v_tenant{living}\n               \
                          and (p_among is null or t.id = any(p_among))\n               \
                          and ({reach})\n             \
                          limit {RANKED_MAX}) c\n     \
                  order by 2 desc, 1 desc\n     \
                  limit p_limit;\n\
             end\n$$;\n",
            name(entity, column)
        )
    };
    column_names(entity).into_iter().map(function).collect()
}

/// Keys of the custom fields that are searched, for those who may read them.
fn keys(entity: &Entity) -> String {
    if !has_custom_fields(entity) {
        return "'{}'".to_owned();
    }
    format!(
        "array(select f.key from custom_fields f where f.org_id = v_tenant \
         and f.entity = '{}' and f.status = 'active' and f.searched \
         and f.level <> 'confidential' and f.level = any(p_levels))",
        entity.name
    )
}

/// Rows in reach that are ranked; of more, any so many. Words that more rows have tell none apart.
pub const RANKED_MAX: u32 = 20_000;
/// What the planner is told to expect: few enough for it to look rows up by their keys.
const ROWS_GUESSED: u32 = 100;

/// The plan is made when `p_reach` is known: one of the alternatives remains.
fn reach(registry: &Registry, entity: &'static Entity) -> String {
    let names = Names { org: "v_tenant", user: "p_user", units: "p_units" };
    let narrower = Reach::EVERY.iter().filter(|reach| **reach != Reach::All);
    let mut parts = vec!["p_reach = 'all'".to_owned()];
    parts.extend(narrower.filter(|reach| compile::carries(registry, entity, **reach)).map(
        |reach| {
            let rows = Predicate::named(registry, names).rows(entity, *reach, Some("t"));
            format!("p_reach = '{}' and {rows}", reach.name())
        },
    ));
    parts.join("\n                  or ")
}
