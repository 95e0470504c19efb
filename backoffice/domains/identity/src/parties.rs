//! People and organizations, once each, with addresses, e-mails, phones and tax ids.

use kernel::actor::PortalKind;
use kernel::entity::{
    Check, Entity, Group, Portal, Unique, Weight, boolean, choice, country, date, email, language,
    link, long_text, phone, text, url,
};
use kernel::error::Code;

const PURPOSES: &[&str] = &["main", "billing", "shipping", "private", "work", "other"];

pub(crate) static PARTIES: Entity = Entity::new("parties")
    .grant("identity.parties")
    .group(Group::Crm)
    .label("name")
    .about("A person or an organization that we deal with, whatever its roles.")
    .fields(&[
        choice("kind", &["person", "organization"]).required().once(),
        text("name")
            .required()
            .personal()
            .search(Weight::A)
            .about("How the party is shown and sorted."),
        text("given_name").personal().search(Weight::B),
        text("family_name").personal().search(Weight::B),
        text("legal_name").search(Weight::A).about("Registered name of an organization."),
        date("born_on").personal(),
        language("language").about("Language to write to the party in."),
        url("website"),
        long_text("notes").personal().search(Weight::D),
    ])
    .indexes(&[&["name"]])
    .checks(&[
        Check {
            name: "parties_name_parts_of_person",
            sql: "kind = 'person' OR (given_name IS NULL AND family_name IS NULL AND born_on IS NULL)",
            code: Code::InvalidValue,
            field: "kind",
        },
        Check {
            name: "parties_legal_name_of_organization",
            sql: "kind = 'organization' OR legal_name IS NULL",
            code: Code::InvalidValue,
            field: "legal_name",
        },
    ]);

pub(crate) static PARTY_ADDRESSES: Entity = Entity::new("party_addresses")
    .grant("identity.parties")
    .group(Group::Crm)
    .label("city")
    .about("A postal address of a party.")
    .fields(&[
        link("party_id", "identity.parties").required().once().cascade(),
        choice("purpose", PURPOSES).required().default("'main'"),
        text("line1").personal(),
        text("line2").personal(),
        text("postal_code").personal(),
        text("city").required().personal(),
        text("region"),
        country("country").required(),
        boolean("is_primary").required().default("false"),
        primary_of(),
    ])
    .uniques(&[Unique {
        name: "party_addresses_primary_key",
        fields: &["primary_of"],
        code: Code::AlreadyExists,
    }])
    .portal(&[
        addresses_of(PortalKind::Talent),
        addresses_of(PortalKind::Partner),
        addresses_of(PortalKind::Vendor),
        addresses_of(PortalKind::Attendee),
    ]);

/// Who has a portal keeps their own addresses true there.
const fn addresses_of(kind: PortalKind) -> Portal {
    const LINES: &[&str] = &["line1", "line2", "postal_code", "city", "region", "country"];
    let read =
        &["purpose", "line1", "line2", "postal_code", "city", "region", "country", "is_primary"];
    Portal { kind, field: "party_id", read, write: LINES }
}

pub(crate) static PARTY_EMAILS: Entity = Entity::new("party_emails")
    .grant("identity.parties")
    .group(Group::Crm)
    .label("email")
    .about("An e-mail address of a party.")
    .fields(&[
        link("party_id", "identity.parties").required().once().cascade(),
        choice("purpose", PURPOSES).required().default("'main'"),
        email("email").required().personal().search(Weight::A),
        text("email_key")
            .personal()
            .computed("lower(email)")
            .about("The address as it is compared and looked up."),
        boolean("is_primary").required().default("false"),
        primary_of(),
    ])
    .uniques(&[
        Unique {
            name: "party_emails_email_key",
            fields: &["party_id", "email_key"],
            code: Code::AlreadyExists,
        },
        Unique {
            name: "party_emails_primary_key",
            fields: &["primary_of"],
            code: Code::AlreadyExists,
        },
    ])
    .indexes(&[&["email_key"]]);

pub(crate) static PARTY_PHONES: Entity = Entity::new("party_phones")
    .grant("identity.parties")
    .group(Group::Crm)
    .label("phone")
    .about("A telephone number of a party.")
    .fields(&[
        link("party_id", "identity.parties").required().once().cascade(),
        choice("purpose", PURPOSES).required().default("'main'"),
        phone("phone").required().personal(),
        boolean("is_primary").required().default("false"),
        primary_of(),
    ])
    .natural(&["party_id", "phone"])
    .uniques(&[
        Unique {
            name: "party_phones_phone_key",
            fields: &["party_id", "phone"],
            code: Code::AlreadyExists,
        },
        Unique {
            name: "party_phones_primary_key",
            fields: &["primary_of"],
            code: Code::AlreadyExists,
        },
    ])
    .indexes(&[&["phone"]])
    .portal(&[
        phones_of(PortalKind::Talent),
        phones_of(PortalKind::Partner),
        phones_of(PortalKind::Vendor),
        phones_of(PortalKind::Attendee),
    ]);

/// Numbers to be reached by, as addresses.
const fn phones_of(kind: PortalKind) -> Portal {
    Portal { kind, field: "party_id", read: &["purpose", "phone", "is_primary"], write: &["phone"] }
}

pub(crate) static PARTY_TAX_IDS: Entity = Entity::new("party_tax_ids")
    .grant("identity.parties")
    .group(Group::Crm)
    .label("value")
    .about("A number under which a state knows a party.")
    .fields(&[
        link("party_id", "identity.parties").required().once().cascade(),
        choice("scheme", &["vat", "tax_number", "eori", "company_register", "other"]).required(),
        country("country").required(),
        text("value").required().personal().confidential(),
        text("value_key")
            .personal()
            .confidential()
            .computed("upper(regexp_replace(value, '[^[:alnum:]]', '', 'g'))")
            .about("The number without spaces and punctuation, as it is compared."),
    ])
    .uniques(&[Unique {
        name: "party_tax_ids_value_key",
        fields: &["party_id", "scheme", "country", "value_key"],
        code: Code::AlreadyExists,
    }])
    .indexes(&[&["value_key"]]);

/// At most one primary row a party: the party's id where the row is primary, else null, and unique.
const fn primary_of() -> kernel::entity::Field {
    kernel::entity::id("primary_of").computed("CASE WHEN is_primary THEN party_id END")
}
