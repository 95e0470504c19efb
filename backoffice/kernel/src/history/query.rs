//! Parameters of the two feeds.

use jiff::Timestamp;
use uuid::Uuid;

use super::is_kept;
use crate::entity::{Entity, Kind};
use crate::error::{Code, Error, Result};
use crate::kind;
use crate::page::{repeated_parameter, unknown_parameter};
use crate::param::Param;
use crate::registry::Registry;

pub(crate) const LIMIT_DEFAULT: i64 = 50;
pub(crate) const LIMIT_MAX: i64 = 200;

/// `limit` and `cursor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageQuery {
    pub(crate) limit: i64,
    /// Entry that the page before ended with.
    pub(crate) before: Option<Uuid>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ActivityQuery {
    pub(crate) page: PageQuery,
    pub(crate) entity: Option<&'static str>,
    /// Id of a user, token or other actor, as entries name it.
    pub(crate) actor: Option<String>,
    pub(crate) since: Option<Timestamp>,
}

const ACTOR_CHARS_MAX: usize = 100;

impl PageQuery {
    pub(crate) fn parse(query: &[(String, String)]) -> Result<Self> {
        let mut page = Self { limit: LIMIT_DEFAULT, before: None };
        for (index, (name, value)) in query.iter().enumerate() {
            once(query, index)?;
            if !page.take(name, value)? {
                return Err(unknown_parameter(name, "limit, cursor"));
            }
        }
        Ok(page)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<bool> {
        match name {
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
                self.limit = limit.ok_or_else(|| {
                    let text = format!("must be between 1 and {LIMIT_MAX}");
                    Error::field(Code::InvalidRequest, "limit", text)
                })?;
            }
            "cursor" => {
                let id = if value.len() == 36 { Uuid::try_parse(value).ok() } else { None };
                self.before = Some(id.ok_or_else(|| {
                    Error::field(
                        Code::InvalidCursor,
                        "cursor",
                        "the cursor is not one of this list",
                    )
                })?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl ActivityQuery {
    pub(crate) fn parse(registry: &Registry, query: &[(String, String)]) -> Result<Self> {
        let page = PageQuery { limit: LIMIT_DEFAULT, before: None };
        let mut asked = Self { page, entity: None, actor: None, since: None };
        for (index, (name, value)) in query.iter().enumerate() {
            once(query, index)?;
            match name.as_str() {
                "entity" => asked.entity = Some(named(registry, value)?.name),
                "actor" => {
                    if value.is_empty() || value.len() > ACTOR_CHARS_MAX || value.contains('\0') {
                        let text = "must be the id of an actor";
                        return Err(Error::field(Code::InvalidRequest, "actor", text));
                    }
                    asked.actor = Some(value.clone());
                }
                "since" => asked.since = Some(since(value)?),
                _ if asked.page.take(name, value)? => {}
                _ => return Err(unknown_parameter(name, "entity, actor, since, limit, cursor")),
            }
        }
        Ok(asked)
    }
}

/// The ids of entries begin with the milliseconds since 1970: nothing is older.
fn since(text: &str) -> Result<Timestamp> {
    match kind::read(Kind::Instant, text) {
        Ok(Param::Instant(at)) => Ok(at.max(Timestamp::UNIX_EPOCH)),
        Ok(_) => Err(Error::internal("an instant was read as something else")),
        Err(refusal) => Err(Error::field(Code::InvalidRequest, "since", refusal.message)),
    }
}

/// By route, as paths say it.
fn named(registry: &Registry, route: &str) -> Result<&'static Entity> {
    let entity = registry.route(route).map(|member| member.entity).filter(|one| is_kept(one));
    entity.ok_or_else(|| {
        Error::field(Code::InvalidRequest, "entity", "no entity of this route has a history")
    })
}

fn once(query: &[(String, String)], index: usize) -> Result<()> {
    let name = query.get(index).map(|(name, _)| name);
    if query.iter().skip(index.saturating_add(1)).any(|(other, _)| Some(other) == name) {
        let shown = name.map(|name| crate::validate::shown_name(name)).unwrap_or_default();
        return Err(repeated_parameter(shown));
    }
    Ok(())
}
