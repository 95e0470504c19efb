//! How an organization is built: units as a tree, places as a tree, legal entities that keep books.

use kernel::accounts::{REACH, demand_reach};
use kernel::entity::{
    Check, Entity, Group, Unique, View, Weight, choice, country, currency, decimal, integer, link,
    slug, text, time_zone,
};
use kernel::error::Code;
use kernel::rule::Rule;

pub(crate) static UNITS: Entity = Entity::new("units")
    .grant(REACH)
    .group(Group::Organizations)
    .label("name")
    .about("A part of the organization; rights and reports may follow the tree.")
    .fields(&[
        text("name").required().search(Weight::A),
        slug("code").required().search(Weight::B),
        choice("kind", &["company", "division", "department", "team", "other"])
            .required()
            .default("'department'"),
        link("parent_id", "identity.units"),
    ])
    .natural(&["code"])
    .uniques(&[Unique { name: "units_code_key", fields: &["code"], code: Code::AlreadyExists }])
    .constraints(&[("units_parent_acyclic", Code::Cycle)])
    .views(&[View::Tree("parent_id")]);

pub(crate) static UNIT_MEMBERS: Entity = Entity::new("unit_members")
    .grant(REACH)
    .group(Group::Organizations)
    .about("A person in a unit: the scope unit reaches what belongs to it and to the units below.")
    .fields(&[
        link("unit_id", "identity.units").required().once().cascade(),
        link("user_id", "accounts.users").required().once(),
    ])
    .natural(&["user_id", "unit_id"])
    .uniques(&[Unique {
        name: "unit_members_user_key",
        fields: &["user_id", "unit_id"],
        code: Code::AlreadyExists,
    }]);

/// Who is in a unit reaches what is below it, too: nobody moves a unit below one, or lets anybody
/// into one, that they do not reach themselves.
pub(crate) static RULES: &[Rule] = &[
    Rule {
        name: "units.reached",
        on: "identity.units",
        run: |cx, change| Box::pin(demand_reach(cx, &UNITS, "parent_id", change)),
    },
    Rule {
        name: "unit_members.reached",
        on: "identity.unit_members",
        run: |cx, change| Box::pin(demand_reach(cx, &UNITS, "unit_id", change)),
    },
];

pub(crate) static LOCATIONS: Entity = Entity::new("locations")
    .grant("identity.structure")
    .group(Group::Organizations)
    .label("name")
    .about("A place: a venue, its halls and rooms, an office, a warehouse.")
    .fields(&[
        text("name").required().search(Weight::A),
        choice("kind", &["venue", "hall", "room", "area", "office", "warehouse", "other"])
            .required()
            .default("'venue'"),
        link("parent_id", "identity.locations"),
        text("line1").search(Weight::D),
        text("line2"),
        text("postal_code").search(Weight::D),
        text("city").search(Weight::B),
        text("region"),
        country("country"),
        decimal("latitude", 6),
        decimal("longitude", 6),
        time_zone("time_zone"),
        integer("capacity", 0, 10_000_000).about("People at once."),
        link("calendar_id", "identity.calendars").about("Holidays observed here."),
    ])
    .checks(&[
        Check {
            name: "locations_latitude_range",
            sql: "latitude BETWEEN -90 AND 90",
            code: Code::OutOfRange,
            field: "latitude",
        },
        Check {
            name: "locations_longitude_range",
            sql: "longitude BETWEEN -180 AND 180",
            code: Code::OutOfRange,
            field: "longitude",
        },
    ])
    .constraints(&[("locations_parent_acyclic", Code::Cycle)])
    .views(&[View::Tree("parent_id")]);

pub(crate) static LEGAL_ENTITIES: Entity = Entity::new("legal_entities")
    .grant("identity.structure")
    .group(Group::Finance)
    .label("name")
    .about("A company or person of ours that contracts, invoices and keeps books.")
    .fields(&[
        link("party_id", "identity.parties").required().once(),
        text("name").required().search(Weight::A),
        country("country").required().about("Where it is registered and taxed."),
        currency("functional_currency").required().once().about("Currency of its books."),
        integer("fiscal_year_start_month", 1, 12).required().default("1"),
        integer("fiscal_year_start_day", 1, 28).required().default("1"),
        time_zone("time_zone").required().about("Decides on which day a posting falls."),
        link("calendar_id", "identity.calendars").about("Working days and holidays."),
        link("unit_id", "identity.units").about("Top of the part of the tree it runs."),
    ])
    .natural(&["party_id"])
    .uniques(&[
        Unique {
            name: "legal_entities_party_key",
            fields: &["party_id"],
            code: Code::AlreadyExists,
        },
        Unique { name: "legal_entities_name_key", fields: &["name"], code: Code::AlreadyExists },
    ]);
