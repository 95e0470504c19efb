//! What a table is: descriptors, as data. Everything else (DDL, engine, OpenAPI, rights, views)
//! reads these; nothing here knows SQL, HTTP or a connection.

use crate::actor::PortalKind;
use crate::error::Code;

mod field;
mod retention;

pub use field::*;
pub use retention::{Keeping, Retention};

/// A table, its route, its rights and its shape. Built as a `static` by `const fn`s.
#[derive(Debug)]
pub struct Entity {
    /// Table name, snake_case and plural: `leave_requests`.
    pub name: &'static str,
    /// Route where it differs from the name with dashes: `accounts` for `chart_of_accounts`.
    pub route: Option<&'static str>,
    pub scope: Scope,
    /// Grant that rights are given on: `workforce.leave`. Several entities may share one.
    pub grant: &'static str,
    pub group: Group,
    pub fields: &'static [Field],
    /// Columns that this release no longer uses and the former one may still write. The next release
    /// drops them.
    pub retired: &'static [Field],
    /// Unique keys; `org_id` is put in front for tenant tables, soft-deleted rows do not count.
    pub uniques: &'static [Unique],
    /// Fields by which people know a row: the key of an upsert and of an import. Without them there is
    /// no upsert, and imports match by id alone.
    pub natural: &'static [&'static str],
    /// Extra indexes by field names; `org_id` is put in front for tenant tables.
    pub indexes: &'static [&'static [&'static str]],
    /// Indexes without the organization in front: by these, definer functions find a row before an
    /// organization is known.
    pub lookups: &'static [&'static str],
    /// Named CHECK constraints over the entity's columns: name, SQL expression, code.
    pub checks: &'static [Check],
    /// Constraints made by a `.sql` file beside the entity, with the error each one means.
    pub constraints: &'static [(&'static str, Code)],
    pub flow: Option<&'static Flow>,
    pub views: &'static [View],
    /// What people from outside see of their own rows.
    pub portals: &'static [Portal],
    /// The least plan that an organization needs for it.
    pub plan: Plan,
    /// Operations that the generic engine offers over HTTP.
    pub operations: Operations,
    /// Append-only record: no patch, no delete, no version, no change log.
    pub log: bool,
    /// A machine table that its organization may read through the engine.
    pub readable: bool,
    /// Field that names a row to people, for links and lists.
    pub label: Option<&'static str>,
    /// Link to a user that says whose a row is; the first such link where none is named.
    pub owner: Option<&'static str>,
    /// Link to a parent: who reaches the parent's row reaches this one.
    pub within: Option<&'static str>,
    /// One and many, where the name does not say it: `("Person", "People")`.
    pub title: Option<(&'static str, &'static str)>,
    /// Rows may come from files, as far as they can be created or changed.
    pub importable: bool,
    /// Why the law keeps rows of people who want to be erased.
    pub keep: Option<&'static str>,
    /// A deletion is not taken back, see `final_delete`.
    pub final_delete: bool,
    /// How long rows stay that nobody deletes.
    pub keeping: Keeping,
    /// A machine table into which requests put rows themselves.
    pub enqueued: bool,
    /// One sentence for the API reference.
    pub about: &'static str,
}

/// Where a table's rows live (see "Scope classes" in `docs/architecture.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Key `(org_id, id)`, forced row-level security by `app.org_id`.
    Tenant,
    /// Key `id`, no direct grant to `app`: reached through definer functions only.
    Global,
    /// Key `id` with `org_id`; only the work role reads, app may insert.
    Machine,
}

/// Group for rate limits and navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    Organizations,
    Projects,
    Events,
    Assets,
    Finance,
    Crm,
    Workflows,
}

impl Group {
    pub const ALL: &[Self] = &[
        Self::Organizations,
        Self::Projects,
        Self::Events,
        Self::Assets,
        Self::Finance,
        Self::Crm,
        Self::Workflows,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Organizations => "organizations",
            Self::Projects => "projects",
            Self::Events => "events",
            Self::Assets => "assets",
            Self::Finance => "finance",
            Self::Crm => "crm",
            Self::Workflows => "workflows",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operations {
    pub read: bool,
    pub create: bool,
    pub patch: bool,
    pub delete: bool,
}

impl Operations {
    pub const ALL: Self = Self { read: true, create: true, patch: true, delete: true };
    pub const READ: Self = Self { read: true, create: false, patch: false, delete: false };
    pub const NONE: Self = Self { read: false, create: false, patch: false, delete: false };
}

/// A kind of portal that shows an entity: rows whose `field` is the signed-in party.
#[derive(Debug)]
pub struct Portal {
    pub kind: PortalKind,
    pub field: &'static str,
    pub read: &'static [&'static str],
    /// Fields that may be changed; none of them a link, since a portal reaches no other table.
    pub write: &'static [&'static str],
}

/// What an organization has bought; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plan {
    Core,
    Pro,
    Enterprise,
}

impl Plan {
    pub const NAMES: &'static [&'static str] = &["core", "pro", "enterprise"];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Pro => "pro",
            Self::Enterprise => "enterprise",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::Core, Self::Pro, Self::Enterprise].into_iter().find(|plan| plan.name() == name)
    }
}

#[derive(Debug)]
pub struct Unique {
    /// Constraint name: `parties_number_key`.
    pub name: &'static str,
    pub fields: &'static [&'static str],
    pub code: Code,
}

#[derive(Debug)]
pub struct Check {
    pub name: &'static str,
    pub sql: &'static str,
    pub code: Code,
    /// Field that the error names.
    pub field: &'static str,
}

/// Console views beside list, table, form, dashboard and activity, which every entity has. What is
/// declared is suggested; others that fit are found by kinds and names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Columns by the values of a choice.
    Board(&'static str),
    /// Start and end, which may be one field.
    Calendar(&'static str, &'static str),
    /// Link to a row of the same table.
    Tree(&'static str),
    /// Start and end; rows are bars.
    Timeline(&'static str, &'static str),
    /// Like a timeline, with what stands above each row.
    Gantt(&'static str, &'static str),
    /// Start, end, and the link to whose time it takes.
    Workload(&'static str, &'static str, &'static str),
    /// A place, or a link to one.
    Map(&'static str),
    /// What people from outside may see.
    Public(&'static [&'static str]),
}

/// Lifecycle: the states of the `status` field and the actions that move between them.
#[derive(Debug)]
pub struct Flow {
    pub field: &'static str,
    pub initial: &'static str,
    pub states: &'static [&'static str],
    pub moves: &'static [Move],
}

/// One move of a flow: `POST /<route>/{id}/<action>`. The right it needs is `(grant, action)`. What it
/// does beside setting the state is the `Action` of the same name, when the domain lists one.
#[derive(Debug)]
pub struct Move {
    pub action: &'static str,
    pub from: &'static [&'static str],
    pub to: &'static str,
    /// Fields that must have a value before the move.
    pub required: &'static [&'static str],
}

impl Move {
    pub const fn new(
        action: &'static str,
        from: &'static [&'static str],
        to: &'static str,
    ) -> Self {
        Self { action, from, to, required: &[] }
    }

    pub const fn needs(mut self, fields: &'static [&'static str]) -> Self {
        self.required = fields;
        self
    }
}

impl Entity {
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            route: None,
            scope: Scope::Tenant,
            grant: "",
            group: Group::Organizations,
            fields: &[],
            retired: &[],
            uniques: &[],
            natural: &[],
            indexes: &[],
            lookups: &[],
            checks: &[],
            constraints: &[],
            flow: None,
            views: &[],
            portals: &[],
            plan: Plan::Core,
            operations: Operations::ALL,
            log: false,
            readable: false,
            label: None,
            owner: None,
            within: None,
            title: None,
            importable: true,
            keep: None,
            final_delete: false,
            keeping: Keeping::Unsaid,
            enqueued: false,
            about: "",
        }
    }
    pub const fn path(mut self, route: &'static str) -> Self {
        self.route = Some(route);
        self
    }
    pub const fn global(mut self) -> Self {
        self.scope = Scope::Global;
        self.operations = Operations::NONE;
        self
    }
    pub const fn machine(mut self) -> Self {
        self.scope = Scope::Machine;
        self.operations = Operations::NONE;
        self
    }
    /// Rows of a machine table are shown to their organization, which never writes them itself.
    pub const fn readable(mut self) -> Self {
        self.readable = true;
        self.operations = Operations::READ;
        self
    }
    pub const fn grant(mut self, grant: &'static str) -> Self {
        self.grant = grant;
        self
    }
    pub const fn group(mut self, group: Group) -> Self {
        self.group = group;
        self
    }
    pub const fn fields(mut self, fields: &'static [Field]) -> Self {
        self.fields = fields;
        self
    }
    pub const fn retired(mut self, fields: &'static [Field]) -> Self {
        self.retired = fields;
        self
    }
    pub const fn uniques(mut self, uniques: &'static [Unique]) -> Self {
        self.uniques = uniques;
        self
    }
    /// The fields of one of the unique keys, all of them written by callers. Which one is a decision of
    /// its own: it is not taken from the order of the keys.
    pub const fn natural(mut self, fields: &'static [&'static str]) -> Self {
        self.natural = fields;
        self
    }
    pub const fn indexes(mut self, indexes: &'static [&'static [&'static str]]) -> Self {
        self.indexes = indexes;
        self
    }
    pub const fn lookups(mut self, fields: &'static [&'static str]) -> Self {
        self.lookups = fields;
        self
    }
    pub const fn checks(mut self, checks: &'static [Check]) -> Self {
        self.checks = checks;
        self
    }
    pub const fn constraints(mut self, constraints: &'static [(&'static str, Code)]) -> Self {
        self.constraints = constraints;
        self
    }
    pub const fn flow(mut self, flow: &'static Flow) -> Self {
        self.flow = Some(flow);
        self
    }
    pub const fn views(mut self, views: &'static [View]) -> Self {
        self.views = views;
        self
    }
    pub const fn portal(mut self, portals: &'static [Portal]) -> Self {
        self.portals = portals;
        self
    }
    pub const fn plan(mut self, plan: Plan) -> Self {
        self.plan = plan;
        self
    }
    pub const fn operations(mut self, operations: Operations) -> Self {
        self.operations = operations;
        self
    }
    pub const fn log(mut self) -> Self {
        self.log = true;
        self.operations = Operations::READ;
        self
    }
    pub const fn label(mut self, field: &'static str) -> Self {
        self.label = Some(field);
        self
    }
    /// The link to a user that says whose a row is.
    pub const fn owner(mut self, field: &'static str) -> Self {
        self.owner = Some(field);
        self
    }
    /// Rows are in the same hands as the row that this link names.
    pub const fn within(mut self, field: &'static str) -> Self {
        self.within = Some(field);
        self
    }
    /// What people call one row and many, where the name does not give it.
    pub const fn title(mut self, singular: &'static str, plural: &'static str) -> Self {
        self.title = Some((singular, plural));
        self
    }
    /// `false`: no rows from files, where each row is a decision of its own.
    pub const fn importable(mut self, yes: bool) -> Self {
        self.importable = yes;
        self
    }
    /// For rows that give access. Who may delete them takes it away, and need not be one who may give
    /// it; a restore would let them. What was taken away is given anew, by whom may give it.
    pub const fn final_delete(mut self) -> Self {
        self.final_delete = true;
        self
    }
    /// Rows are kept by law although a person wants to be erased: `.keep("invoices, for ten years")`.
    /// The erasure is refused with this reason.
    pub const fn keep(mut self, reason: &'static str) -> Self {
        self.keep = Some(reason);
        self
    }
    /// Rows leave by themselves, see `Retention`.
    pub const fn retention(mut self, rules: &'static [Retention]) -> Self {
        self.keeping = Keeping::Swept(rules);
        self
    }
    /// Rows stay, though nobody deletes them: why that is no trouble.
    pub const fn kept(mut self, why: &'static str) -> Self {
        self.keeping = Keeping::Kept(why);
        self
    }
    /// Requests put rows in themselves; into other machine tables only functions and workers do.
    pub const fn enqueued(mut self) -> Self {
        self.enqueued = true;
        self
    }
    pub const fn about(mut self, text: &'static str) -> Self {
        self.about = text;
        self
    }

    /// Route segment: the given path, else the name with dashes.
    pub fn route(&self) -> String {
        self.route.map_or_else(|| self.name.replace('_', "-"), str::to_owned)
    }

    /// The unique key by which people know a row, as `natural` names it. There is none when the
    /// database or an action writes a part of it.
    pub fn natural_key(&self) -> Option<&'static Unique> {
        let named = |unique: &&Unique| !self.natural.is_empty() && unique.fields == self.natural;
        self.uniques.iter().find(named).filter(|unique| self.is_given(unique))
    }

    /// Callers write every part of the key.
    pub(crate) fn is_given(&self, unique: &Unique) -> bool {
        let by_callers = |name: &&str| {
            self.field(name)
                .is_some_and(|field| matches!(field.access, Access::Writable | Access::WriteOnce))
        };
        unique.fields.iter().all(by_callers)
    }

    /// What the sweep does to the table.
    pub const fn retentions(&self) -> &'static [Retention] {
        match self.keeping {
            Keeping::Swept(rules) => rules,
            Keeping::Unsaid | Keeping::Kept(_) => &[],
        }
    }

    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Rows may come from files through the engine.
    pub fn takes_imports(&self) -> bool {
        let written = self.operations.create || self.operations.patch;
        self.importable && self.scope == Scope::Tenant && !self.log && written
    }

    /// Rows are hidden by `deleted_at` in place of being removed; ledgers and logs never are.
    pub fn soft_deletes(&self) -> bool {
        self.scope == Scope::Tenant && !self.log && self.operations.delete
    }

    /// Callers may take a deletion back.
    pub fn restorable(&self) -> bool {
        self.soft_deletes() && !self.final_delete
    }
}

/// A crate's share of the house: entities, actions, loops and the SQL beside them.
/// Collected by `Registry::new`; names are unique over all domains.
pub struct Domain {
    pub name: &'static str,
    pub entities: &'static [&'static Entity],
    pub actions: &'static [crate::action::Action],
    /// What rows tell beside their fields.
    pub readings: &'static [crate::action::Reading],
    /// What must hold after every write, whoever wrote; of own entities and those of others.
    pub rules: &'static [crate::rule::Rule],
    /// What must hold when a unit of work ends.
    pub end_rules: &'static [crate::rule::EndRule],
    /// Create-or-replace files (functions, triggers, exclusions), by file name, applied in order.
    pub sql: &'static [(&'static str, &'static str)],
    /// Routes of the internal listener (service to service), see `action::InternalRoute`.
    pub internal: &'static [crate::action::InternalRoute],
    /// Background loops that `backoffice work` runs.
    pub loops: &'static [crate::action::Loop],
    /// Work in the background, enqueued by name.
    pub jobs: &'static [crate::jobs::Job],
    /// Jobs of the house itself that come again and again.
    pub crons: &'static [crate::cron::Cron],
    /// Who hears of changes, from the outbox.
    pub consumers: &'static [crate::outbox::Consumer],
}

impl Domain {
    /// What a domain has that says nothing: `Domain { name, entities, ..Domain::EMPTY }`.
    pub const EMPTY: Self = Self {
        name: "",
        entities: &[],
        actions: &[],
        readings: &[],
        rules: &[],
        end_rules: &[],
        sql: &[],
        internal: &[],
        loops: &[],
        jobs: &[],
        crons: &[],
        consumers: &[],
    };
}
