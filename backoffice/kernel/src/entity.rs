//! What a table is: descriptors, as data. Everything else (DDL, engine, OpenAPI, rights, views)
//! reads these; nothing here knows SQL, HTTP or a connection.

use crate::error::Code;

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
    /// Extra indexes by field names; `org_id` is put in front for tenant tables.
    pub indexes: &'static [&'static [&'static str]],
    /// Named CHECK constraints over the entity's columns: name, SQL expression, code.
    pub checks: &'static [Check],
    /// Constraints made by a `.sql` file beside the entity, with the error each one means.
    pub constraints: &'static [(&'static str, Code)],
    pub flow: Option<&'static Flow>,
    pub views: &'static [View],
    /// Operations that the generic engine offers over HTTP.
    pub operations: Operations,
    /// Append-only record: no patch, no delete, no version, no change log.
    pub log: bool,
    /// Field that names a row to people, for links and lists.
    pub label: Option<&'static str>,
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

/// Console views beside list, table, form and activity, which every entity has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    Board(&'static str),
    Calendar(&'static str, &'static str),
    Tree(&'static str),
}

/// Lifecycle: the states of the `status` field and the actions that move between them.
#[derive(Debug)]
pub struct Flow {
    pub field: &'static str,
    pub initial: &'static str,
    pub states: &'static [&'static str],
    /// Action name, states it starts from, state it leads to.
    pub moves: &'static [(&'static str, &'static [&'static str], &'static str)],
}

#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub required: bool,
    pub access: Access,
    /// SQL literal or expression for the column default: `'draft'`, `0`, `now()`.
    pub default: Option<&'static str>,
    /// Says who a person is or what they did: masked for auditors, exported and erased on request.
    pub personal: bool,
    /// Never leaves the database through the engine (hashes, sealed keys).
    pub secret: bool,
    /// Older column name, for a rename in the next migration.
    pub was: Option<&'static str>,
    pub about: &'static str,
}

/// Who writes a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Create and patch.
    Writable,
    /// Create only.
    WriteOnce,
    /// Neither: an action, a projection or the database writes it.
    ByAction,
    /// Stored generated column: SQL expression.
    Computed(&'static str),
}

/// Semantic kind: fixes SQL type, JSON form, filter operators, validation and widget, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Up to `max` characters, no control characters but line breaks when `max > 300`.
    Text {
        max: u32,
    },
    /// Lower-case key: `[a-z0-9][a-z0-9_-]*`, up to 63 characters.
    Slug,
    Email,
    Phone,
    Url,
    Bool,
    /// 64-bit integer within [min, max].
    Integer {
        min: i64,
        max: i64,
    },
    /// `numeric(19,4)` and a `<name>_currency` column; JSON `{"amount","currency"}`.
    Money,
    /// Exact decimal with `scale` digits after the point.
    Decimal {
        scale: u8,
    },
    /// ISO 4217 code.
    Currency,
    /// ISO 3166-1 alpha-2 code.
    Country,
    /// BCP 47 language tag.
    Language,
    /// IANA zone name.
    TimeZone,
    Date,
    /// UTC instant, RFC 3339 with up to microseconds.
    Instant,
    /// One of the options; `text` + CHECK.
    Choice(&'static [&'static str]),
    /// Composite foreign key to `domain.entity`.
    Link {
        to: &'static str,
        on_delete: OnDelete,
    },
    /// UUID of something outside this database or without a foreign key.
    Id,
    /// Any JSON value up to 64 KiB.
    Json,
    /// Opaque bytes, base64 in JSON.
    Bytes {
        max: u32,
    },
    /// List of texts.
    TextList {
        max_items: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    Restrict,
    Cascade,
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        required: false,
        access: Access::Writable,
        default: None,
        personal: false,
        secret: false,
        was: None,
        about: "",
    }
}

pub const fn text(name: &'static str) -> Field {
    field(name, Kind::Text { max: 300 })
}
pub const fn long_text(name: &'static str) -> Field {
    field(name, Kind::Text { max: 20_000 })
}
pub const fn slug(name: &'static str) -> Field {
    field(name, Kind::Slug)
}
pub const fn email(name: &'static str) -> Field {
    field(name, Kind::Email)
}
pub const fn phone(name: &'static str) -> Field {
    field(name, Kind::Phone)
}
pub const fn url(name: &'static str) -> Field {
    field(name, Kind::Url)
}
pub const fn boolean(name: &'static str) -> Field {
    field(name, Kind::Bool)
}
pub const fn integer(name: &'static str, min: i64, max: i64) -> Field {
    field(name, Kind::Integer { min, max })
}
pub const fn money(name: &'static str) -> Field {
    field(name, Kind::Money)
}
pub const fn decimal(name: &'static str, scale: u8) -> Field {
    field(name, Kind::Decimal { scale })
}
pub const fn currency(name: &'static str) -> Field {
    field(name, Kind::Currency)
}
pub const fn country(name: &'static str) -> Field {
    field(name, Kind::Country)
}
pub const fn language(name: &'static str) -> Field {
    field(name, Kind::Language)
}
pub const fn time_zone(name: &'static str) -> Field {
    field(name, Kind::TimeZone)
}
pub const fn date(name: &'static str) -> Field {
    field(name, Kind::Date)
}
pub const fn instant(name: &'static str) -> Field {
    field(name, Kind::Instant)
}
pub const fn choice(name: &'static str, options: &'static [&'static str]) -> Field {
    field(name, Kind::Choice(options))
}
pub const fn link(name: &'static str, to: &'static str) -> Field {
    field(name, Kind::Link { to, on_delete: OnDelete::Restrict })
}
pub const fn id(name: &'static str) -> Field {
    field(name, Kind::Id)
}
pub const fn json(name: &'static str) -> Field {
    field(name, Kind::Json)
}
pub const fn bytes(name: &'static str, max: u32) -> Field {
    field(name, Kind::Bytes { max })
}
pub const fn text_list(name: &'static str, max_items: u32) -> Field {
    field(name, Kind::TextList { max_items })
}

impl Field {
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }
    pub const fn once(mut self) -> Self {
        self.access = Access::WriteOnce;
        self
    }
    pub const fn by_action(mut self) -> Self {
        self.access = Access::ByAction;
        self
    }
    pub const fn computed(mut self, sql: &'static str) -> Self {
        self.access = Access::Computed(sql);
        self
    }
    /// Column default; a required field with a default may be left out on create.
    pub const fn default(mut self, sql: &'static str) -> Self {
        self.default = Some(sql);
        self
    }
    pub const fn personal(mut self) -> Self {
        self.personal = true;
        self
    }
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self.access = Access::ByAction;
        self
    }
    pub const fn cascade(mut self) -> Self {
        if let Kind::Link { to, .. } = self.kind {
            self.kind = Kind::Link { to, on_delete: OnDelete::Cascade };
        }
        self
    }
    pub const fn was(mut self, old: &'static str) -> Self {
        self.was = Some(old);
        self
    }
    pub const fn about(mut self, text: &'static str) -> Self {
        self.about = text;
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
            indexes: &[],
            checks: &[],
            constraints: &[],
            flow: None,
            views: &[],
            operations: Operations::ALL,
            log: false,
            label: None,
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
    pub const fn indexes(mut self, indexes: &'static [&'static [&'static str]]) -> Self {
        self.indexes = indexes;
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
    pub const fn about(mut self, text: &'static str) -> Self {
        self.about = text;
        self
    }

    /// Route segment: the given path, else the name with dashes.
    pub fn route(&self) -> String {
        self.route.map_or_else(|| self.name.replace('_', "-"), str::to_owned)
    }

    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Rows are hidden by `deleted_at` in place of being removed; ledgers and logs never are.
    pub fn soft_deletes(&self) -> bool {
        self.scope == Scope::Tenant && !self.log && self.operations.delete
    }
}

/// A crate's share of the house: entities, actions, loops and the SQL beside them.
/// Collected by `Registry::new`; names are unique over all domains.
pub struct Domain {
    pub name: &'static str,
    pub entities: &'static [&'static Entity],
    pub actions: &'static [crate::action::Action],
    /// Create-or-replace files (functions, triggers, exclusions), by file name, applied in order.
    pub sql: &'static [(&'static str, &'static str)],
    /// Routes of the internal listener (service to service), see `action::InternalRoute`.
    pub internal: &'static [crate::action::InternalRoute],
    /// Background loops that `backoffice work` runs.
    pub loops: &'static [crate::action::Loop],
}
