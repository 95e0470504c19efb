//! From a query to tests: `filter[field][operator]=value` and `where=<JSON>`. Both say the same
//! things; JSON nests and keeps commas.

use serde_json::{Map, Value};

use super::value::{self, Given};
use super::{
    Column, DEPTH_MAX, Linked, Moment, Operator, Path, TESTS_MAX, Test, Tree, followed, me,
    operators, readable, refuse,
};
use crate::actor::Actor;
use crate::custom::Model;
use crate::entity::{Entity, Kind};
use crate::error::Result;
use crate::registry::Registry;
use crate::rights::{self, Access};
use crate::strict_json;

/// How filters name the organization's own fields: `filter[custom.hue]=red`.
pub(crate) const CUSTOM: &str = "custom.";
/// Bytes of the text of `where`.
const WHERE_BYTES_MAX: usize = 16 * 1024;

/// What reading a query has to know beside the query.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) registry: &'static Registry,
    pub(crate) actor: &'a Actor,
    pub(crate) entity: &'static Entity,
    pub(crate) access: &'a Access,
    pub(crate) moment: &'a Moment,
    /// The organization's own fields of the entity.
    pub(crate) custom: &'a Model,
}

/// A parameter `filter[…]`; `None` when it is another one.
pub(crate) fn bracket(asked: Asked<'_>, name: &str, text: &str) -> Option<Result<Tree>> {
    let inner = name.strip_prefix("filter[")?.strip_suffix(']')?;
    let (path, operator) = match inner.split_once("][") {
        Some((path, operator)) => (path, Some(operator)),
        None => (inner, None),
    };
    let given = Given::One(text.to_owned());
    Some(asked.test(path, operator, given, &|_| true, name))
}

/// The value of `where`.
pub(crate) fn tree(asked: Asked<'_>, text: &str) -> Result<Tree> {
    const PLACE: &str = "where";
    if text.len() > WHERE_BYTES_MAX {
        return Err(refuse(PLACE, format!("has at most {WHERE_BYTES_MAX} bytes")));
    }
    let value = strict_json::read(text.as_bytes())
        .map_err(|_| refuse(PLACE, "must be a JSON object in which no member stands twice"))?;
    let mut left = TESTS_MAX;
    asked.node(&value, PLACE, 0, &mut left)
}

impl Asked<'_> {
    fn node(self, value: &Value, place: &str, depth: usize, left: &mut usize) -> Result<Tree> {
        let Value::Object(members) = value else {
            return Err(refuse(place, "must be an object of fields, and, or, not"));
        };
        if depth > DEPTH_MAX {
            return Err(refuse(place, format!("nests at most {DEPTH_MAX} levels deep")));
        }
        let mut parts = Vec::with_capacity(members.len());
        for (name, value) in members {
            let place = format!("{place}.{name}");
            match name.as_str() {
                "and" => parts.push(Tree::All(self.list(value, &place, depth, left)?)),
                "or" => parts.push(Tree::Any(self.list(value, &place, depth, left)?)),
                "not" => {
                    let part = self.node(value, &place, depth + 1, left)?;
                    parts.push(Tree::Not(Box::new(part)));
                }
                _ => self.tests(name, value, &place, left, &mut parts)?,
            }
        }
        match parts.len() {
            0 => Err(refuse(place, "names no test")),
            1 => parts.pop().ok_or_else(|| refuse(place, "names no test")),
            _ => Ok(Tree::All(parts)),
        }
    }

    fn list(self, value: &Value, place: &str, depth: usize, left: &mut usize) -> Result<Vec<Tree>> {
        let items = value.as_array().filter(|items| !items.is_empty());
        let items = items.ok_or_else(|| refuse(place, "must be a list that is not empty"))?;
        let node =
            |(n, item): (usize, &Value)| self.node(item, &format!("{place}[{n}]"), depth + 1, left);
        items.iter().enumerate().map(node).collect()
    }

    /// `"field": value` or `"field": {"operator": value, …}`.
    fn tests(
        self,
        path: &str,
        value: &Value,
        place: &str,
        left: &mut usize,
        parts: &mut Vec<Tree>,
    ) -> Result<()> {
        let none = Map::new();
        let (named, plain) = match value {
            Value::Object(named) if named.is_empty() => {
                return Err(refuse(place, "names no operator"));
            }
            // An amount with its currency is a value.
            Value::Object(named) if !named.contains_key("amount") => (named, None),
            other => (&none, Some(other)),
        };
        let named = named.iter().map(|(operator, value)| (Some(operator.as_str()), value));
        for (operator, value) in plain.map(|value| (None, value)).into_iter().chain(named) {
            *left = left.checked_sub(1).ok_or_else(|| {
                refuse("where", format!("a list takes at most {TESTS_MAX} filters"))
            })?;
            let place = operator.map_or_else(|| place.to_owned(), |name| format!("{place}.{name}"));
            let given = value::words(value).ok_or_else(|| {
                refuse(&place, "must be a value, a list of values, or an operator with one")
            })?;
            parts.push(self.test(
                path,
                operator,
                given,
                &|kind| value::fits(kind, value),
                &place,
            )?);
        }
        Ok(())
    }

    /// `fits` says whether the value's JSON type is one of the kind.
    fn test(
        self,
        path: &str,
        operator: Option<&str>,
        given: Given,
        fits: &dyn Fn(Kind) -> bool,
        place: &str,
    ) -> Result<Tree> {
        let (path, column) = self.path(path, place)?;
        let allowed = operators(column.kind);
        let first = allowed.first().copied();
        let known = operator.map_or(first.filter(|one| *one == Operator::Eq), Operator::parse);
        let Some(mut operator) = known.filter(|one| allowed.contains(one)) else {
            let names: Vec<&str> = allowed.iter().map(|one| one.name()).collect();
            let text = format!("{} can be filtered by: {}", column.name, names.join(", "));
            return Err(refuse(place, text));
        };
        let mut given = given;
        let mut negated = false;
        if given == Given::Null {
            // JSON's null says what `null` says.
            negated = match operator {
                Operator::Eq => false,
                Operator::Ne => true,
                _ => return Err(refuse(place, "null can only be asked for with eq and ne")),
            };
            operator = Operator::Null;
            given = Given::One("true".to_owned());
        }
        let told = matches!(operator, Operator::Null | Operator::Empty);
        if !fits(if told { Kind::Bool } else { column.kind }) {
            return Err(refuse(place, format!("has the wrong JSON type for {}", column.name)));
        }
        let meaning = value::Meaning { kind: column.kind, moment: self.moment, me: me(self.actor) };
        let (check, no) =
            meaning.check(operator, &given).map_err(|message| refuse(place, message))?;
        Ok(Tree::Test(Box::new(Test { path, check, negated: no != negated })))
    }

    fn path(self, name: &str, place: &str) -> Result<(Path, Column)> {
        let nothing = || refuse(place, "there is no such field");
        let link = name.split_once('.').and_then(|(link, rest)| {
            let field = self.entity.field(link)?;
            matches!(field.kind, Kind::Link { .. }).then_some((field, rest))
        });
        let Some((link, rest)) = link else {
            let Self { entity, access, custom, .. } = self;
            let column = readable(entity, access, custom, name, place, nothing)?;
            return Ok((Path::Own(column.clone()), column));
        };
        self.access.readable_everywhere(link).map_err(|error| error.at(place))?;
        let target = followed(self.registry, self.entity, link)
            .ok_or_else(|| refuse(place, format!("{} cannot be followed", link.name)))?;
        let access = rights::may(self.actor, target, "read").map_err(|error| error.at(place))?;
        let column = readable(target, &access, &Model::default(), rest, place, nothing)?;
        let linked = Linked { link, target, access, column: column.clone() };
        Ok((Path::Linked(Box::new(linked)), column))
    }
}
