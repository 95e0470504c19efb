//! The role types that every organization begins with, as data: grants of domains are named, not
//! known, those to come among them. `docs/rights.md` shows the same table; a test compares them.

use serde_json::{Map, Value, json};

use super::entities::REACH;

mod refresh;

pub use refresh::refresh_built_in_roles;

/// A role type.
pub(crate) struct Role {
    pub(crate) key: &'static str,
    pub(crate) name: &'static str,
    lines: &'static [Line],
}

/// The same rights on several grants.
struct Line {
    grants: &'static [&'static str],
    rights: &'static [&'static str],
    scope: &'static str,
    /// Empty: what a line gives that names none, open and personal.
    levels: &'static [&'static str],
    logged: bool,
}

const fn line(grants: &'static [&'static str], rights: &'static [&'static str]) -> Line {
    Line { grants, rights, scope: "all", levels: &[], logged: false }
}

impl Line {
    const fn scope(mut self, scope: &'static str) -> Self {
        self.scope = scope;
        self
    }
    /// Confidential fields, too: pay, bank, health.
    const fn confidential(mut self) -> Self {
        self.levels = &["open", "personal", "confidential"];
        self
    }
    /// No personal fields.
    const fn open(mut self) -> Self {
        self.levels = &["open"];
        self
    }
    const fn logged(mut self) -> Self {
        self.logged = true;
        self
    }

    fn show(&self, grant: &str) -> Value {
        let mut shown = Map::new();
        shown.insert("grant".to_owned(), json!(grant));
        shown.insert("rights".to_owned(), json!(self.rights));
        shown.insert("scope".to_owned(), json!(self.scope));
        if !self.levels.is_empty() {
            shown.insert("levels".to_owned(), json!(self.levels));
        }
        if self.logged {
            shown.insert("logged".to_owned(), json!(true));
        }
        Value::Object(shown)
    }
}

impl Role {
    /// As the column `grants` keeps them.
    pub(crate) fn grants(&self) -> Value {
        let lines = self.lines.iter();
        lines.flat_map(|line| line.grants.iter().map(|grant| line.show(grant))).collect()
    }
}

const EVERY: &[&str] = &["*"];
const READ: &[&str] = &["read"];
const EDIT: &[&str] = &["read", "create", "update", "delete"];
const SUBMIT: &[&str] = &["read", "create", "update", "submit", "cancel"];
const DECIDE: &[&str] = &["read", "approve", "reject"];
/// What answers of 202 point at.
const OPERATIONS: &str = "accounts.operations";
/// Currencies, calendars, teams, units, places: what forms choose from.
const CHOICES: &[&str] = &[OPERATIONS, REACH, "identity.structure", "identity.currencies"];
/// Lists as somebody likes to see them: what others share is used by all, one's own is kept.
const VIEWS: &[&str] = &["lists.saved_views"];
const USE: &[&str] = &["read", "check"];
const KEEP: &[&str] = &["create", "update", "delete"];
/// Who brings in files of rows sees no one else's, and needs the rights on the rows themselves, too.
const FILES: &[&str] = &["lists.imports", "lists.saved_views"];

pub(crate) const ROLES: &[Role] = &[
    Role { key: "owner", name: "Owner", lines: &[line(&["*"], EVERY).confidential()] },
    Role {
        key: "administrator",
        name: "Administrator",
        lines: &[
            line(&["*"], EDIT),
            line(
                &[
                    "accounts.*",
                    "lists.*",
                    "identity.*",
                    "events.*",
                    "ticketing.*",
                    "talent.*",
                    "partners.*",
                    "crm.*",
                    "marketing.*",
                    "procurement.*",
                    "assets.*",
                    "projects.*",
                    "service.*",
                    "compliance.*",
                    "automation.*",
                ],
                EVERY,
            ),
        ],
    },
    Role {
        key: "executive",
        name: "Executive",
        lines: &[
            line(&["*"], READ),
            line(&["finance.*"], DECIDE).confidential(),
            line(&["procurement.*", "projects.*", "workforce.*", "marketing.*"], DECIDE),
            line(VIEWS, EVERY).scope("own"),
        ],
    },
    Role {
        key: "finance",
        name: "Finance",
        lines: &[
            line(&["finance.*"], EVERY).confidential(),
            line(&["procurement.*"], EVERY),
            line(&["workforce.payroll"], &["read", "approve", "reject", "post"]).confidential(),
            line(&["identity.parties"], EDIT).confidential(),
            line(&["identity.structure", "identity.number_series"], EDIT),
            line(&["ticketing.registrations"], &["read", "refund"]),
            line(
                &[
                    OPERATIONS,
                    REACH,
                    "identity.*",
                    "events.*",
                    "ticketing.sale",
                    "ticketing.orders",
                    "partners.*",
                    "crm.*",
                    "projects.*",
                    "assets.*",
                ],
                READ,
            ),
            line(VIEWS, USE),
            line(FILES, EVERY).scope("own"),
        ],
    },
    Role {
        key: "people",
        name: "People",
        lines: &[
            line(&["workforce.*"], EVERY).confidential(),
            line(&["identity.parties", "identity.structure"], EDIT),
            line(&[REACH, "compliance.*"], EDIT),
            line(&["accounts.roles", "accounts.memberships", "events.events", "projects.*"], READ),
            line(CHOICES, READ),
            line(VIEWS, USE),
            line(FILES, EVERY).scope("own"),
        ],
    },
    Role {
        key: "production",
        name: "Production",
        lines: &[
            line(&["events.*", "talent.*", "assets.*", "service.*"], EVERY),
            line(&["ticketing.check_in", "ticketing.devices"], EVERY),
            line(&["ticketing.sale", "projects.*", "partners.*", "procurement.*"], EDIT),
            line(&["identity.parties", "identity.structure"], EDIT),
            line(&["ticketing.registrations", "ticketing.orders", "ticketing.access_log"], READ),
            line(&["workforce.*"], READ).open(),
            line(CHOICES, READ),
            line(VIEWS, USE),
            line(FILES, EVERY).scope("own"),
        ],
    },
    Role {
        key: "project",
        name: "Project management",
        lines: &[
            line(&["projects.*"], EVERY).scope("team"),
            line(&["projects.*"], READ).open(),
            line(&["procurement.*"], SUBMIT).scope("team"),
            line(&["workforce.time_entries", "workforce.leave"], DECIDE).scope("team"),
            line(&["workforce.*"], READ).scope("team"),
            line(&["events.*", "assets.*", "crm.*", "partners.*"], READ).open(),
            line(&["identity.parties"], READ),
            line(CHOICES, READ),
            line(VIEWS, USE),
            line(FILES, EVERY).scope("own"),
        ],
    },
    Role {
        key: "sales_marketing",
        name: "Sales and marketing",
        lines: &[
            line(&["crm.*", "marketing.*"], EVERY),
            line(&["partners.*", "identity.parties"], EDIT),
            line(&["ticketing.sale"], &["read", "create", "update"]),
            line(&["events.*", "ticketing.orders", "ticketing.registrations"], READ),
            line(CHOICES, READ),
            line(VIEWS, USE),
            line(FILES, EVERY).scope("own"),
        ],
    },
    Role {
        key: "box_office",
        name: "Box office",
        lines: &[
            line(&["ticketing.registrations"], EVERY),
            line(&["events.events", "ticketing.sale", "ticketing.orders"], READ),
            line(&["identity.parties"], READ),
            line(CHOICES, READ),
            line(VIEWS, USE),
            line(VIEWS, KEEP).scope("own"),
        ],
    },
    Role {
        key: "gate_supervisor",
        name: "Gate supervisor",
        lines: &[
            line(&["ticketing.check_in", "ticketing.devices"], EVERY),
            line(&["ticketing.registrations"], &["read", "check-in"]),
            line(&["events.events", "ticketing.sale", "ticketing.access_log"], READ),
            line(CHOICES, READ),
            line(VIEWS, USE),
            line(VIEWS, KEEP).scope("own"),
        ],
    },
    Role {
        key: "crew_member",
        name: "Crew member",
        lines: &[
            line(&["workforce.*"], READ).scope("own").confidential(),
            line(&["workforce.time_entries", "workforce.leave", "workforce.availability"], SUBMIT)
                .scope("own"),
            line(&["finance.expenses"], SUBMIT).scope("own"),
            line(&["projects.tasks"], &["read", "update"]).scope("team"),
            line(&["service.tickets"], SUBMIT).scope("own"),
            line(&["events.*"], READ).open(),
            line(CHOICES, READ).open(),
            line(VIEWS, USE),
            line(VIEWS, KEEP).scope("own"),
        ],
    },
    Role {
        key: "auditor",
        name: "Auditor",
        lines: &[line(&["*"], READ).logged(), line(&["finance.*"], READ).confidential().logged()],
    },
];

#[cfg(test)]
mod tests;
