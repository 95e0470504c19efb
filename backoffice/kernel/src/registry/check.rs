//! The rules that descriptors keep, each with a sentence that says what to do.

use std::collections::BTreeSet;

use super::{Member, Registry};
use crate::action::On;
use crate::ddl::names;
use crate::dispatch::RESERVED;
use crate::entity::{Access, Entity, Field, Kind, Scope};
use crate::rights::compile;

/// Columns that the generator adds itself.
const STANDARD: &[&str] = &[
    "org_id",
    "id",
    "version",
    "created_at",
    "updated_at",
    "deleted_at",
    "custom",
    "search",
    "search_personal",
];

/// PostgreSQL cuts longer names silently, in bytes.
const NAME_BYTES_MAX: usize = 63;

pub(super) fn all(registry: &Registry, faults: &mut Vec<String>) {
    for member in registry.members() {
        let mut report = |fault: String| faults.push(format!("{}: {fault}", member.qualified));
        entity(member, &mut report);
        fields(member.entity, &mut report);
        references(member.entity, &mut report);
        hands(registry, member, &mut report);
        flow(member.entity, &mut report);
        reachable(member.entity, &mut report);
        natural(member.entity, &mut report);
        served_names(registry, member, &mut report);
        links(member, &mut report);
        readings(registry, member, &mut report);
        portals(registry, member.entity, &mut report);
        retention(member.entity, &mut report);
    }
    actions(registry, faults);
    jobs(registry, faults);
    rules(registry, faults);
    background(registry, faults);
    object_names(registry, faults);
}

fn entity(member: &Member, report: &mut dyn FnMut(String)) {
    let entity = member.entity;
    if !is_identifier(entity.name) {
        report("the name must be snake_case".to_owned());
    }
    if member.route == crate::dispatch::META {
        report("the route /meta is the API's own".to_owned());
    }
    if entity.about.is_empty() {
        report("say in one sentence what a row is, with .about(…)".to_owned());
    }
    if entity.scope == Scope::Tenant && entity.grant.is_empty() {
        report("a tenant entity needs a grant, with .grant(\"domain.noun\")".to_owned());
    }
    if entity.log && (entity.operations.patch || entity.operations.delete) {
        report("a log is append-only: it has no patch and no delete".to_owned());
    }
    let readable = entity.readable && entity.scope == Scope::Machine;
    if entity.scope != Scope::Tenant && served(entity) && !readable {
        report("only tenant entities are served by the engine".to_owned());
    }
    if entity.readable && (!readable || entity.grant.is_empty() || !reads_only(entity)) {
        report("only a machine table is .readable(), with a grant, and only read".to_owned());
    }
}

fn reads_only(entity: &Entity) -> bool {
    entity.operations == crate::entity::Operations::READ
}

fn served(entity: &Entity) -> bool {
    let operations = entity.operations;
    operations.read || operations.create || operations.patch || operations.delete
}

fn fields(entity: &Entity, report: &mut dyn FnMut(String)) {
    let mut names = BTreeSet::new();
    for field in entity.fields.iter().chain(entity.retired) {
        for column in crate::kind_sql::columns(field) {
            if STANDARD.contains(&column.name.as_str()) {
                report(format!("field {} is a standard column", column.name));
            }
            if !is_identifier(&column.name) {
                report(format!("field {} must be snake_case", column.name));
            }
            if !names.insert(column.name.clone()) {
                report(format!("field {} exists twice", column.name));
            }
        }
        field_shape(field, report);
        if field.search.is_some() && entity.scope != Scope::Tenant {
            report(format!(
                "field {} cannot be searched: rows belong to no organization",
                field.name
            ));
        }
    }
}

/// Decimals have 28 digits (what `rust_decimal` surely holds), one before the point at least.
const SCALE_MAX: u8 = 27;

fn field_shape(field: &Field, report: &mut dyn FnMut(String)) {
    let name = field.name;
    if field.personal && !crate::privacy::has_blank(field) {
        report(format!("personal field {name} cannot be emptied on erasure: make it optional"));
    }
    if field.secret && !matches!(field.access, Access::ByAction | Access::Computed(_)) {
        report(format!("secret field {name} must not be writable"));
    }
    if matches!(field.access, Access::Computed(_)) && field.default.is_some() {
        report(format!("computed field {name} cannot have a default"));
    }
    if field.search.is_some() {
        let computed = matches!(field.access, Access::Computed(_));
        let text = matches!(
            field.kind,
            Kind::Text { .. } | Kind::Slug | Kind::Email | Kind::Phone | Kind::Url
        );
        if field.secret || computed || !text {
            report(format!("field {name} cannot be searched: it is no stored text that is shown"));
        }
    }
    match field.kind {
        Kind::Choice(options) => {
            let distinct: BTreeSet<_> = options.iter().collect();
            if options.is_empty() || distinct.len() != options.len() {
                report(format!("choice {name} needs options that differ"));
            }
        }
        Kind::Integer { min, max } if max < min => {
            report(format!("integer {name}: min is above max"));
        }
        Kind::Decimal { scale } | Kind::Percent { scale } | Kind::Quantity { scale }
            if SCALE_MAX < scale =>
        {
            report(format!("{name}: at most {SCALE_MAX} digits after the point"));
        }
        Kind::Text { max: 0 } | Kind::Bytes { max: 0 } | Kind::TextList { max_items: 0 } => {
            report(format!("field {name} can hold nothing"));
        }
        Kind::Link { .. } if !name.ends_with("_id") => {
            report(format!("link {name} must end in _id"));
        }
        _ => {}
    }
}

/// Everything that names a field must name one that exists.
fn references(entity: &Entity, report: &mut dyn FnMut(String)) {
    let known: BTreeSet<String> =
        crate::ddl::columns(entity).into_iter().map(|column| column.name).collect();
    let mut demand = |what: &str, name: &str| {
        if !known.contains(name) {
            report(format!("{what} names {name}, which is no field"));
        }
    };
    if let Some(label) = entity.label {
        demand("the label", label);
    }
    for unique in entity.uniques {
        unique.fields.iter().for_each(|field| demand(unique.name, field));
    }
    for index in entity.indexes {
        index.iter().for_each(|field| demand("an index", field));
    }
    for check in entity.checks.iter().filter(|check| !check.field.is_empty()) {
        demand(check.name, check.field);
    }
    views(entity, report);
}

fn views(entity: &Entity, report: &mut dyn FnMut(String)) {
    for view in entity.views {
        for name in crate::meta::view_fields(*view) {
            if entity.field(name).is_none() {
                report(format!("a view names {name}, which is no field"));
            }
        }
    }
    for field in entity.fields {
        let options = match field.kind {
            Kind::Choice(options) => options,
            _ => &[],
        };
        for (value, _) in field.option_labels {
            if !options.contains(value) {
                report(format!("field {} has no option {value} to label", field.name));
            }
        }
    }
}

/// Owner and parent are links, and a chain of parents ends.
fn hands(registry: &Registry, member: &Member, report: &mut dyn FnMut(String)) {
    let entity = member.entity;
    if let Some(name) = entity.owner {
        let link = entity.field(name).map(|field| field.kind);
        if !matches!(link, Some(Kind::Link { to: compile::USERS, .. })) {
            report(format!("the owner {name} must be a link to {}", compile::USERS));
        }
    }
    let Some(name) = entity.within else { return };
    let mut depth = 0;
    let mut above = registry.target(entity, name);
    if above.is_none_or(|above| above.scope != Scope::Tenant) {
        report(format!("within {name} must be a link to a tenant entity"));
    }
    while let Some(parent) = above {
        depth += 1;
        above = parent.within.and_then(|name| registry.target(parent, name));
        if compile::WITHIN_DEPTH_MAX < depth {
            let most = compile::WITHIN_DEPTH_MAX;
            report(format!("within {name} leads up more than {most} parents"));
            return;
        }
    }
}

fn flow(entity: &Entity, report: &mut dyn FnMut(String)) {
    let Some(flow) = entity.flow else { return };
    let Some(field) = entity.field(flow.field) else {
        report(format!("the flow names {}, which is no field", flow.field));
        return;
    };
    if field.kind != Kind::Choice(flow.states) {
        report(format!("{} must be a choice of the flow's states, in their order", field.name));
    }
    if field.access != Access::ByAction {
        report(format!("{} moves by actions only: make it .by_action()", field.name));
    }
    if field.default != Some(&*format!("'{}'", flow.initial)) || !field.required {
        report(format!("{} must be required with default '{}'", field.name, flow.initial));
    }
    if !flow.states.contains(&flow.initial) {
        report(format!("the flow begins in {}, which is no state", flow.initial));
    }
    for one in flow.moves {
        let named = one.from.iter().chain([&one.to]);
        for state in named.filter(|state| !flow.states.contains(state)) {
            report(format!("move {} names {state}, which is no state", one.action));
        }
        for name in one.required.iter().filter(|name| entity.field(name).is_none()) {
            report(format!("move {} needs {name}, which is no field", one.action));
        }
    }
}

/// A state that no move leads to is a state that no row has.
fn reachable(entity: &Entity, report: &mut dyn FnMut(String)) {
    // A flow that begins nowhere is told already.
    let Some(flow) = entity.flow.filter(|flow| flow.states.contains(&flow.initial)) else {
        return;
    };
    let mut known = BTreeSet::from([flow.initial]);
    loop {
        let before = known.len();
        let open = flow.moves.iter().filter(|one| one.from.iter().any(|from| known.contains(from)));
        let next: Vec<_> = open.map(|one| one.to).collect();
        known.extend(next);
        if known.len() == before {
            break;
        }
    }
    for state in flow.states.iter().filter(|state| !known.contains(**state)) {
        report(format!("no moves lead from {} to {state}", flow.initial));
    }
    for one in flow.moves {
        let needed = one.required.iter().filter_map(|name| entity.field(name));
        for field in needed.filter(|field| field.secret) {
            report(format!("move {} needs {}, which is secret", one.action, field.name));
        }
    }
}

fn natural(entity: &Entity, report: &mut dyn FnMut(String)) {
    let upserts = entity.operations.create && entity.operations.patch;
    if entity.natural.is_empty() {
        let key = entity.uniques.iter().find(|unique| entity.is_given(unique));
        let matched = entity.scope == Scope::Tenant && (upserts || entity.takes_imports());
        if let Some(key) = key.filter(|_| matched) {
            report(format!(
                "say by which unique key PUT and imports know a row, with .natural(&{:?})",
                key.fields
            ));
        }
    } else if entity.natural_key().is_none() {
        report(format!(
            "the natural key ({}) must be a unique key of fields that callers write",
            entity.natural.join(", ")
        ));
    }
}

/// Verbs behind a row or a route must not hide what stands there by itself.
fn served_names(registry: &Registry, member: &Member, report: &mut dyn FnMut(String)) {
    if RESERVED.contains(&member.route.as_str()) {
        report(format!("the route {} is reserved", member.route));
    }
    let children = registry.children(member.entity);
    for one in member.entity.flow.map_or(&[] as &[_], |flow| flow.moves) {
        if RESERVED.contains(&one.action) {
            report(format!("move {} has a reserved name", one.action));
        }
        if children.iter().any(|child| child.entity.route() == one.action) {
            report(format!("move {} hides the child collection of that name", one.action));
        }
    }
    for field in member.entity.fields {
        let Some(from) = field.numbered else { continue };
        let text = matches!(field.kind, Kind::Text { .. });
        if !text {
            report(format!("numbered field {} must be a text", field.name));
        }
        let listed = from.action.split_once('.').and_then(|(domain, name)| {
            let domain = registry.domains().iter().find(|one| one.name == domain)?;
            domain.actions.iter().find(|one| one.on == On::Internal && one.name == name)
        });
        if listed.is_none() {
            report(format!(
                "field {} is numbered by {}, which no domain has",
                field.name, from.action
            ));
        }
    }
}

/// What a row tells beside its fields stands behind the row, where nothing else does.
fn readings(registry: &Registry, member: &Member, report: &mut dyn FnMut(String)) {
    let mut taken: BTreeSet<&str> = RESERVED.iter().copied().collect();
    taken.extend(registry.rights(member.entity));
    let children = registry.children(member.entity).into_iter().map(|child| child.entity.route());
    let children: BTreeSet<String> = children.collect();
    for reading in registry.readings(member.entity) {
        if !member.entity.operations.read {
            report(format!("reading {} is of rows that nobody reads", reading.name));
        }
        if !taken.insert(reading.name) || children.contains(reading.name) {
            report(format!("reading {} has a name that is taken", reading.name));
        }
    }
}

/// Rules look at what the engine writes, by names that are there.
fn rules(registry: &Registry, faults: &mut Vec<String>) {
    let mut taken = BTreeSet::new();
    let mut of = |name: &'static str, on: &str, faults: &mut Vec<String>| {
        if !taken.insert(name) {
            faults.push(format!("rule {name} exists twice"));
        }
        let entity = registry.qualified(on).filter(|entity| entity.scope == Scope::Tenant);
        if entity.is_none() {
            faults.push(format!("rule {name}: no domain has a tenant entity {on}"));
        }
        entity
    };
    for domain in registry.domains() {
        for rule in domain.rules {
            of(rule.name, rule.on, faults);
        }
        for rule in domain.end_rules {
            let Some(entity) = of(rule.name, rule.on, faults) else { continue };
            let kind = entity.field(rule.by).map(|field| field.kind);
            if rule.by != "id" && !matches!(kind, Some(Kind::Link { .. } | Kind::Id)) {
                faults.push(format!("rule {}: {} is neither id nor a link", rule.name, rule.by));
            }
        }
    }
}

fn portals(registry: &Registry, entity: &Entity, report: &mut dyn FnMut(String)) {
    if !entity.portals.is_empty() && entity.scope != Scope::Tenant {
        report("only tenant entities are shown in portals".to_owned());
    }
    // Rules read the whole row, which the portals' role cannot.
    let name = registry.member(entity.name).map(|member| member.qualified.as_str());
    let domains = registry.domains().iter();
    let named = domains.flat_map(|domain| {
        let rules = domain.rules.iter().map(|rule| rule.on);
        rules.chain(domain.end_rules.iter().map(|rule| rule.on))
    });
    let ruled = named.into_iter().any(|on| Some(on) == name);
    if ruled && entity.portals.iter().any(|portal| !portal.write.is_empty()) {
        report("a portal cannot write where rules follow".to_owned());
    }
    let mut kinds = BTreeSet::new();
    for portal in entity.portals {
        let kind = portal.kind.name();
        if !kinds.insert(kind) {
            report(format!("portal {kind} stands there twice"));
        }
        match entity.field(portal.field).map(|field| field.kind) {
            Some(Kind::Link { .. } | Kind::Id) => {}
            _ => report(format!("portal {kind}: {} holds no party", portal.field)),
        }
        for name in portal.read.iter().chain(portal.write) {
            if entity.field(name).is_none_or(|field| field.secret) {
                report(format!("portal {kind} names {name}, which it cannot show"));
            }
        }
        for name in portal.write {
            let field = entity.field(name);
            let plain = field.is_some_and(|field| {
                field.access == Access::Writable
                    && !matches!(field.kind, Kind::Link { .. })
                    && field.name != portal.field
            });
            if !plain || !entity.operations.patch {
                report(format!("portal {kind} cannot change {name}: patch takes no such field"));
            }
        }
    }
}

fn links(member: &Member, report: &mut dyn FnMut(String)) {
    for link in &member.links {
        let possible = match (member.entity.scope, link.target.scope) {
            (Scope::Tenant | Scope::Machine, Scope::Tenant | Scope::Global) => true,
            (Scope::Machine, Scope::Machine) | (Scope::Global, Scope::Global) => true,
            (Scope::Global, _) | (Scope::Tenant, Scope::Machine) => false,
        };
        if !possible {
            report(format!(
                "link {} leads from a {:?} table to a {:?} table",
                link.field.name, member.entity.scope, link.target.scope
            ));
        }
    }
}

/// Rows leave by a time that they have, and lose values that they need not have.
fn retention(entity: &Entity, report: &mut dyn FnMut(String)) {
    for rule in entity.retentions() {
        let is_time = rule.after == "created_at"
            || entity.field(rule.after).is_some_and(|field| matches!(field.kind, Kind::Instant));
        if !is_time || rule.kept.is_negative() {
            report(format!("rows cannot leave so long after {}", rule.after));
        }
        for name in rule.empties {
            if entity.field(name).is_none_or(|field| field.required) {
                report(format!("{name} cannot be emptied"));
            }
        }
    }
    if entity.log && !entity.retentions().is_empty() {
        report("a log is append-only: its rows do not leave".to_owned());
    }
    if entity.enqueued && entity.scope != Scope::Machine {
        report("only a machine table is .enqueued()".to_owned());
    }
}

fn actions(registry: &Registry, faults: &mut Vec<String>) {
    let mut taken = BTreeSet::new();
    for domain in registry.domains() {
        for action in domain.actions {
            let name = format!("{}.{}/{}", domain.name, action.entity.name, action.name);
            if !domain.entities.iter().any(|entity| entity.name == action.entity.name) {
                faults.push(format!("action {name}: the entity belongs to another domain"));
            }
            if !taken.insert(name.clone()) {
                faults.push(format!("action {name} exists twice"));
            }
            if action.on == On::Create && action.entity.operations.create {
                faults.push(format!(
                    "action {name} makes the rows: with the engine's create beside it they could be \
                     made by key, in bulk and from files without it; leave create out of .operations(…)"
                ));
            }
            if action.on != On::Internal && RESERVED.contains(&action.name) {
                faults.push(format!("action {name} has a reserved name"));
            }
            let children = registry.children(action.entity);
            if action.on == On::Row
                && children.iter().any(|child| child.entity.route() == action.name)
            {
                faults.push(format!("action {name} hides the child collection of that name"));
            }
        }
    }
}

fn jobs(registry: &Registry, faults: &mut Vec<String>) {
    let mut taken = BTreeSet::new();
    for job in registry.jobs() {
        let name = job.name;
        if !name.contains('.') || !name.split('.').all(is_word) {
            faults.push(format!("job {name}: the name must be area.verb, in lower case"));
        }
        if !taken.insert(name) {
            faults.push(format!("job {name} exists twice"));
        }
        if job.attempts_max == 0 || !job.time_max.is_positive() {
            faults.push(format!("job {name} needs an attempt and time for it"));
        }
        for field in job.schedulable.unwrap_or_default() {
            if matches!(field.kind, Kind::Link { .. }) {
                faults.push(format!(
                    "job {name}: {} cannot be a link, whose reach nobody asks",
                    field.name
                ));
            }
        }
    }
}

/// What is named elsewhere must be there: jobs of crons, tables of topics.
fn background(registry: &Registry, faults: &mut Vec<String>) {
    let mut taken = BTreeSet::new();
    for cron in registry.crons() {
        if registry.job(cron.job).is_none() {
            faults.push(format!("cron {} names {}, which is no job", cron.name, cron.job));
        }
        if let Err(fault) = cron.every.check() {
            faults.push(format!("cron {}: {fault}", cron.name));
        }
        if !taken.insert(cron.name) {
            faults.push(format!("cron {} exists twice", cron.name));
        }
    }
    let mut taken = BTreeSet::new();
    for consumer in registry.consumers() {
        for topic in consumer.topics.iter().filter(|topic| **topic != "*") {
            let (table, op) = topic.split_once('.').unwrap_or((topic, ""));
            let logged = |entity: &Entity| entity.scope == Scope::Tenant && !entity.log;
            let known = registry.entity(table).is_some_and(logged)
                && ["*", "insert", "update", "delete", "restore", "erase"].contains(&op);
            if !known {
                faults.push(format!("consumer {}: no table tells {topic}", consumer.name));
            }
        }
        if !taken.insert(consumer.name) {
            faults.push(format!("consumer {} exists twice", consumer.name));
        }
    }
}

fn is_word(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_lowercase())
        && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// All names that the generator will make: unique in the schema and not cut by the database.
fn object_names(registry: &Registry, faults: &mut Vec<String>) {
    let mut taken = BTreeSet::new();
    for member in registry.members() {
        for name in names::of(member) {
            if NAME_BYTES_MAX < name.len() {
                faults.push(format!(
                    "{}: {name} has more than {NAME_BYTES_MAX} bytes",
                    member.qualified
                ));
            }
            if !taken.insert(name.clone()) {
                faults.push(format!("{}: the name {name} is taken", member.qualified));
            }
        }
    }
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
