//! "May I" and "list what I may": roles as data → grant × reach × field level. One function
//! answers (`may`); dispatch, the engine and `Cx` ask it. Knows no HTTP; only `compile` knows SQL.

mod access;
pub(crate) mod compile;
mod cover;
mod fingerprint;
mod grant;
mod outside;
mod parse;

use std::sync::Arc;

use uuid::Uuid;

use crate::cx::Actor;
use crate::entity::{Entity, Plan};
use crate::error::{Code, Error, Result};
use crate::registry::Registry;

pub(crate) use access::{Access, Shows};
pub(crate) use compile::uuids;
pub(crate) use fingerprint::fingerprint;
pub use grant::{Grant, Levels, Reach};
pub use parse::parse;

/// Whose rows `own`, `team` and `unit` mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub org: Uuid,
    /// The person behind the caller, or the program or device itself (`Actor::own_id`).
    pub user: Uuid,
    /// The person's units and all below them, as they were when the caller proved who it is.
    pub units: Vec<Uuid>,
}

/// What a caller may: every layer must allow. A user has one layer (the union of the roles); a
/// token has a second one of its own, so that it never exceeds who made it.
#[derive(Clone)]
pub struct Rights {
    layers: Vec<Vec<Grant>>,
    person: Arc<Person>,
    registry: &'static Registry,
    plan: Plan,
}

impl std::fmt::Debug for Rights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rights").field("layers", &self.layers).finish_non_exhaustive()
    }
}

impl Rights {
    pub fn new(registry: &'static Registry, person: Person, layers: Vec<Vec<Grant>>) -> Self {
        Self { layers, person: Arc::new(person), registry, plan: Plan::Core }
    }

    /// What the organization has bought: beside the grants it says what may be used.
    #[must_use]
    pub fn with_plan(self, plan: Plan) -> Self {
        Self { plan, ..self }
    }

    /// The narrowest reach over all layers; `None` when a layer does not give the right.
    pub fn reach(&self, grant: &str, right: &str) -> Option<Reach> {
        self.narrowest(|line| line.reaches(grant, right))
    }

    /// In every layer the widest that a line gives, and of these the narrowest.
    fn narrowest(&self, line: impl Fn(&Grant) -> Option<Reach>) -> Option<Reach> {
        let mut narrowest = (!self.layers.is_empty()).then_some(Reach::All)?;
        for layer in &self.layers {
            narrowest = narrowest.min(layer.iter().filter_map(&line).max()?);
        }
        Some(narrowest)
    }

    /// Whether some line is of the kind whose reads of personal data are told: such a caller's
    /// reads have to be able to write.
    pub(crate) fn is_logged(&self) -> bool {
        self.layers.iter().flatten().any(|line| line.logged)
    }

    /// Whether the plan holds something of what the grant is about.
    fn plan_holds(&self, grant: &str) -> bool {
        let mut plans = self.registry.entities().filter(|entity| entity.grant == grant).peekable();
        plans.peek().is_none() || plans.any(|entity| entity.plan <= self.plan)
    }

    /// Nobody's: no role is behind it.
    fn is_nobodys(&self) -> bool {
        self.layers.is_empty()
    }

    fn access(&self, entity: &'static Entity, right: &str) -> Option<Access> {
        let reach = self.reach(entity.grant, right)?;
        if !compile::carries(self.registry, entity, reach) {
            return None;
        }
        Some(Access::limited(self, entity, right, reach))
    }
}

/// The one answer to "may I": the rows and fields it reaches, or 401 or 403.
pub(crate) fn may(actor: &Actor, entity: &'static Entity, right: &str) -> Result<Access> {
    let rights = match (actor, actor.rights()) {
        (Actor::Service(_), _) => return Ok(Access::all()),
        (Actor::Public, _) => {
            return Err(Error::new(Code::Unauthenticated, "sign in or send a valid token"));
        }
        (_, Some(rights)) => rights,
        // No role gives a portal or a link anything: the descriptor or the link says what.
        (_, None) => {
            let access = outside::access(actor, entity, right);
            let access = access.ok_or_else(|| missing(entity.grant, right))?;
            holds(outside::plan(actor).unwrap_or(Plan::Core), entity)?;
            return Ok(access);
        }
    };
    let access = rights.access(entity, right).ok_or_else(|| missing(entity.grant, right))?;
    holds(rights.plan, entity)?;
    Ok(access)
}

/// Whether the plan holds the entity.
fn holds(plan: Plan, entity: &Entity) -> Result<()> {
    if entity.plan <= plan {
        return Ok(());
    }
    let text = format!("{} needs the plan {}", entity.route(), entity.plan.name());
    Err(Error::new(Code::PlanRequired, text))
}

/// Like `may`, for what is not about a row: only a reach of all rows is an answer there.
pub(crate) fn may_without_row(
    actor: &Actor,
    entity: &'static Entity,
    right: &str,
) -> Result<Access> {
    let access = may(actor, entity, right)?;
    if access.is_everywhere() {
        return Ok(access);
    }
    let text = format!("the right {right} on {} does not reach every row", entity.grant);
    Err(Error::new(Code::Forbidden, text))
}

/// Like `may_without_row`, by the grant's name: for routes that no entity serves and for the other
/// service, which asks for a grant.
pub(crate) fn may_everywhere(actor: &Actor, grant: &str, right: &str) -> Result<()> {
    let given = match (actor, actor.rights()) {
        (Actor::Service(_), _) => true,
        (Actor::Public, _) => {
            return Err(Error::new(Code::Unauthenticated, "sign in or send a valid token"));
        }
        (_, rights) => rights.is_some_and(|all| {
            all.reach(grant, right) == Some(Reach::All) && all.plan_holds(grant)
        }),
    };
    if given { Ok(()) } else { Err(missing(grant, right)) }
}

fn missing(grant: &str, right: &str) -> Error {
    Error::new(Code::Forbidden, format!("the right {right} on {grant} is missing"))
}

/// Operations, moves and actions of the entity that the actor may, on some rows at least. In the
/// order of `Registry::rights`.
pub fn permitted(registry: &Registry, actor: &Actor, entity: &'static Entity) -> Vec<&'static str> {
    let mut rights = registry.rights(entity);
    rights.retain(|right| may(actor, entity, right).is_ok());
    rights
}

#[cfg(test)]
mod tests;
