//! Who acts: the one value that rights, the change log and jobs read. Knows neither secrets nor SQL;
//! `accounts` makes actors from what a caller presents.

use std::sync::Arc;

use uuid::Uuid;

use crate::rights::Rights;

/// Who acts. A service has all rights inside its organization; portals and links have none that a
/// role could give, only what their descriptor or their purpose says.
#[derive(Debug, Clone)]
pub enum Actor {
    /// A signed-in person.
    User { id: Uuid, session: Uuid, rights: Arc<Rights> },
    /// `user` is who made the token, whose rights bound it.
    Token { id: Uuid, user: Uuid, rights: Arc<Rights> },
    /// A program with roles of its own, by one of its tokens.
    ServiceAccount { id: Uuid, token: Uuid, rights: Arc<Rights> },
    /// A device of the staff, by its token.
    Device { id: Uuid, rights: Arc<Rights> },
    /// A person from outside, signed in to the part that shows their own rows.
    Portal {
        /// Row of `portal_accounts`.
        id: Uuid,
        session: Uuid,
        kind: PortalKind,
        /// The party whose rows they are.
        party: Uuid,
        /// No lines of its own; the organization's plan.
        rights: Arc<Rights>,
    },
    /// Whoever holds a link: one right on one row.
    Link {
        /// Row of `links`, or of `invitations` for the one who accepts it.
        id: Uuid,
        /// Table of the row.
        table: &'static str,
        row: Uuid,
        /// `read`, or the name of an action.
        right: Arc<str>,
        /// What its maker may now, which bounds it; no lines for a link of the house itself.
        rights: Arc<Rights>,
    },
    /// A part of the house itself.
    Service(&'static str),
    /// Nobody in particular.
    Public,
}

/// Who a portal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortalKind {
    Talent,
    Partner,
    Vendor,
    Attendee,
}

impl PortalKind {
    /// In the order of [`Self::NAMES`].
    pub const ALL: &'static [Self] = &[Self::Talent, Self::Partner, Self::Vendor, Self::Attendee];
    pub const NAMES: &'static [&'static str] = &["talent", "partner", "vendor", "attendee"];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Talent => "talent",
            Self::Partner => "partner",
            Self::Vendor => "vendor",
            Self::Attendee => "attendee",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

impl Actor {
    /// As the change log says it: `app.actor_kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User { .. } => "user",
            Self::Token { .. } => "token",
            Self::ServiceAccount { .. } => "service_account",
            Self::Device { .. } => "device",
            Self::Portal { .. } => "portal",
            Self::Link { .. } => "link",
            Self::Service(_) => "service",
            Self::Public => "public",
        }
    }

    /// As the change log says it: `app.actor_id`. A service account acts by a token: its own id
    /// stands here, the token's in the access log.
    pub fn id_text(&self) -> String {
        match self {
            Self::User { id, .. }
            | Self::Token { id, .. }
            | Self::ServiceAccount { id, .. }
            | Self::Device { id, .. }
            | Self::Portal { id, .. }
            | Self::Link { id, .. } => id.to_string(),
            Self::Service(name) => (*name).to_owned(),
            Self::Public => String::new(),
        }
    }

    /// The person of the staff behind it.
    pub fn user(&self) -> Option<Uuid> {
        match self {
            Self::User { id, .. } => Some(*id),
            Self::Token { user, .. } => Some(*user),
            _ => None,
        }
    }

    /// The API token that it acts by.
    pub(crate) fn token(&self) -> Option<Uuid> {
        match self {
            Self::Token { id, .. } => Some(*id),
            Self::ServiceAccount { token, .. } => Some(*token),
            _ => None,
        }
    }

    /// What roles and tokens give; `None` for those that no role speaks of.
    pub fn rights(&self) -> Option<&Arc<Rights>> {
        match self {
            Self::User { rights, .. }
            | Self::Token { rights, .. }
            | Self::ServiceAccount { rights, .. }
            | Self::Device { rights, .. } => Some(rights),
            Self::Portal { .. } | Self::Link { .. } | Self::Service(_) | Self::Public => None,
        }
    }

    /// Whether reads of personal data by this actor are told.
    pub(crate) fn is_logged(&self) -> bool {
        self.rights().is_some_and(|rights| rights.is_logged())
    }

    /// Whose id `own` compares with: the person behind it, or the program or device itself, which
    /// owns no row that is a person's.
    pub fn own_id(&self) -> Option<Uuid> {
        match self {
            Self::User { id, .. } | Self::ServiceAccount { id, .. } | Self::Device { id, .. } => {
                Some(*id)
            }
            Self::Token { user, .. } => Some(*user),
            Self::Portal { .. } | Self::Link { .. } | Self::Service(_) | Self::Public => None,
        }
    }
}
