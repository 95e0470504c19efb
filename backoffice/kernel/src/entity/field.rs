//! What a column is: field, kind, who writes it. Constructors are `const fn`s, so that descriptors
//! read as a list of nouns.

#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub required: bool,
    pub access: Access,
    /// SQL literal or expression for the column default: `'draft'`, `0`, `now()`.
    pub default: Option<&'static str>,
    /// Says who a person is or what they did: exported and erased on request.
    pub personal: bool,
    /// Which rights show it and let it be written (`rights::Grant::levels`).
    pub level: Level,
    /// Names the person whose row this is: erased with them.
    pub subject: bool,
    /// Never leaves the database through the engine (hashes, sealed keys).
    pub secret: bool,
    /// Written often and worth no history: no change row, no new version.
    pub unlogged: bool,
    /// Filled when a row is made, by an internal action that gives numbers.
    pub numbered: Option<Numbered>,
    /// Found by words (`q=`), with this weight in the order of what is found.
    pub search: Option<Weight>,
    /// Other names under which files know the field, see `csv`.
    pub aliases: &'static [&'static str],
    /// Older column name, for a rename in the next migration.
    pub was: Option<&'static str>,
    /// What people call it, where the name does not say it.
    pub label: &'static str,
    /// What people call options of a choice, where their names do not say it.
    pub option_labels: &'static [(&'static str, &'static str)],
    pub about: &'static str,
}

/// Where a field's number comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbered {
    /// Internal action by `domain.action`; it takes `{"code", "count"}` and answers `{"numbers"}`.
    pub action: &'static str,
    /// Code of the series.
    pub series: &'static str,
}

/// How much a field tells of somebody. Each line of a role names the levels that it gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Open,
    /// Who a person is, how to reach them, what they did.
    Personal,
    /// Pay, bank, health.
    Confidential,
}

impl Level {
    pub const ALL: &[Self] = &[Self::Open, Self::Personal, Self::Confidential];

    /// As roles and the API name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Personal => "personal",
            Self::Confidential => "confidential",
        }
    }
}

/// How much a word in a field counts for the order of a search; A counts most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    A,
    B,
    C,
    D,
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
    /// Like money, up to four digits after the point whatever the currency: what one piece of
    /// something costs. Becomes money where it is multiplied and rounded.
    Price,
    /// Exact decimal with `scale` digits after the point.
    Decimal {
        scale: u8,
    },
    /// Exact decimal from 0 to 100: `"19"` is nineteen of a hundred.
    Percent {
        scale: u8,
    },
    /// Exchange or interest rate: exact decimal with up to ten digits after the point.
    Rate,
    /// How much of something, with up to `scale` digits after the point; the field's `about` or
    /// another field says the unit.
    Quantity {
        scale: u8,
    },
    /// Length of time in whole seconds; ISO 8601 text like `PT1H30M` in JSON. A day is 24 hours;
    /// months and years have no length of their own and are refused.
    Duration,
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
    /// Id of a stored file, without a foreign key: files are kept beside the tables.
    File,
    /// Place on earth (WGS 84), to seven digits after the point (one centimetre): two columns and
    /// `{"latitude", "longitude"}` in JSON.
    Geo,
    /// Recurrence rule of RFC 5545, section 3.3.10, without the name in front: `FREQ=DAILY;COUNT=3`.
    Rrule,
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
        level: Level::Open,
        subject: false,
        secret: false,
        unlogged: false,
        numbered: None,
        search: None,
        aliases: &[],
        was: None,
        label: "",
        option_labels: &[],
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
pub const fn price(name: &'static str) -> Field {
    field(name, Kind::Price)
}
pub const fn decimal(name: &'static str, scale: u8) -> Field {
    field(name, Kind::Decimal { scale })
}
pub const fn percent(name: &'static str) -> Field {
    field(name, Kind::Percent { scale: 4 })
}
pub const fn rate(name: &'static str) -> Field {
    field(name, Kind::Rate)
}
pub const fn quantity(name: &'static str, scale: u8) -> Field {
    field(name, Kind::Quantity { scale })
}
pub const fn duration(name: &'static str) -> Field {
    field(name, Kind::Duration)
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
pub const fn file(name: &'static str) -> Field {
    field(name, Kind::File)
}
pub const fn geo(name: &'static str) -> Field {
    field(name, Kind::Geo)
}
pub const fn rrule(name: &'static str) -> Field {
    field(name, Kind::Rrule)
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
        if let Level::Open = self.level {
            self.level = Level::Personal;
        }
        self
    }
    /// The row tells of the person that the field names, and is erased with them. A link that
    /// cascades says so by itself.
    pub const fn subject(mut self) -> Self {
        self.subject = true;
        self
    }
    /// Pay, bank, health: only lines with the level `confidential` give it.
    pub const fn confidential(mut self) -> Self {
        self.level = Level::Confidential;
        self
    }
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self.access = Access::ByAction;
        self
    }
    /// Written by the database's own functions only, outside version and change log.
    pub const fn unlogged(mut self) -> Self {
        self.unlogged = true;
        self.access = Access::ByAction;
        self
    }
    /// The next number of a series, given when the row is made; see `Numbered`.
    pub const fn numbered(mut self, action: &'static str, series: &'static str) -> Self {
        self.numbered = Some(Numbered { action, series });
        self.access = Access::ByAction;
        self
    }
    pub const fn cascade(mut self) -> Self {
        if let Kind::Link { to, .. } = self.kind {
            self.kind = Kind::Link { to, on_delete: OnDelete::Cascade };
        }
        self
    }
    /// Words of the field are found by `q=`.
    pub const fn search(mut self, weight: Weight) -> Self {
        self.search = Some(weight);
        self
    }
    /// Headers of imported files that mean this field, whatever their case and spacing: `Vorname`.
    pub const fn aliases(mut self, names: &'static [&'static str]) -> Self {
        self.aliases = names;
        self
    }
    pub const fn was(mut self, old: &'static str) -> Self {
        self.was = Some(old);
        self
    }
    /// What people call the field: `.label("VAT ID")`.
    pub const fn label(mut self, text: &'static str) -> Self {
        self.label = text;
        self
    }
    /// What people call options: `.option_labels(&[("nda", "Non-disclosure agreement")])`.
    pub const fn option_labels(mut self, labels: &'static [(&'static str, &'static str)]) -> Self {
        self.option_labels = labels;
        self
    }
    pub const fn about(mut self, text: &'static str) -> Self {
        self.about = text;
        self
    }
}
