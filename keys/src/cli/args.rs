//! The command line of `keys`. Must not know what the commands do.

use std::path::PathBuf;

use keys::{Kid, UnixSeconds};
use lexopt::prelude::*;

use super::{Error, moment};

pub(crate) const USAGE: &str = "\
keys: the signing keys of events

  keys generate      --dir DIR --event N [--not-before T] [--not-after T]
  keys rotate        --dir DIR --event N [--overlap-days D]
  keys rotate        --dir DIR --event N --revoke KID
  keys list          --dir DIR [--event N]
  keys export-public --dir DIR [--event N]
  keys inspect       [--dir DIR] [--at T] CREDENTIAL|-
  keys inspect       --backend

DIR holds one file a key, EVENT-KID.json; private halves are sealed by the master key:
base64 of 32 bytes in ATLVS_MASTER_KEY, or in the file that ATLVS_MASTER_KEY_FILE names.
T is RFC 3339 (2026-11-21T19:00:00Z). `rotate` adds a key that signs from now on; tickets of the
older keys stay good for D days (400 unless told). `--revoke` ends a key at once. A credential
is read from standard input for `-`.
";

/// Tickets are on sale for a year and the event may be postponed by a month.
const OVERLAP_DAYS: u32 = 400;
const DAY_S: i64 = 86_400;

#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Generate {
        dir: PathBuf,
        event: u32,
        not_before: Option<UnixSeconds>,
        not_after: Option<UnixSeconds>,
    },
    Rotate {
        dir: PathBuf,
        event: u32,
        overlap_s: i64,
    },
    Revoke {
        dir: PathBuf,
        event: u32,
        kid: Kid,
    },
    List {
        dir: PathBuf,
        event: Option<u32>,
    },
    ExportPublic {
        dir: PathBuf,
        event: Option<u32>,
    },
    Inspect {
        dir: Option<PathBuf>,
        credential: String,
        at: Option<UnixSeconds>,
    },
    Backend,
}

/// Everything given, before a command takes what it knows.
#[derive(Default)]
struct Given {
    dir: Option<PathBuf>,
    event: Option<u32>,
    not_before: Option<UnixSeconds>,
    not_after: Option<UnixSeconds>,
    overlap_days: Option<u32>,
    revoke: Option<Kid>,
    at: Option<UnixSeconds>,
    backend: Option<()>,
    credential: Option<String>,
}

pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Command, Error> {
    let Some(first) = parser.next().map_err(usage)? else {
        return Err(Error::Usage("a command is missing".into()));
    };
    let name = match first {
        Short('h') | Long("help") => return Ok(Command::Help),
        Value(name) => name.string().map_err(usage)?,
        other => return Err(usage(other.unexpected())),
    };
    let allowed: &[&str] = match name.as_str() {
        "help" => return Ok(Command::Help),
        "generate" => &["dir", "event", "not-before", "not-after"],
        "rotate" => &["dir", "event", "overlap-days", "revoke"],
        "list" | "export-public" => &["dir", "event"],
        "inspect" => &["dir", "at", "backend", "credential"],
        _ => return Err(Error::Usage(format!("unknown command `{name}`"))),
    };
    let given = read(&mut parser, allowed)?;
    command(&name, given)
}

fn read(parser: &mut lexopt::Parser, allowed: &[&str]) -> Result<Given, Error> {
    let mut given = Given::default();
    while let Some(arg) = parser.next().map_err(usage)? {
        let (name, value) = match arg {
            Long(name) => (name.to_owned(), None),
            Value(value) => ("credential".to_owned(), Some(value.string().map_err(usage)?)),
            Short(_) => return Err(usage(arg.unexpected())),
        };
        if !allowed.contains(&name.as_str()) || (name == "credential") != value.is_some() {
            return Err(Error::Usage(format!("`{name}` does not belong to this command")));
        }
        if name == "backend" {
            given.backend = Some(());
            continue;
        }
        let value = match value {
            Some(value) => value,
            None => parser.value().and_then(ValueExt::string).map_err(usage)?,
        };
        let taken = match name.as_str() {
            "dir" => once(&mut given.dir, Ok::<_, String>(PathBuf::from(value))),
            "event" => once(&mut given.event, value.parse()),
            "not-before" => once(&mut given.not_before, moment::read(&value)),
            "not-after" => once(&mut given.not_after, moment::read(&value)),
            "overlap-days" => once(&mut given.overlap_days, value.parse()),
            "revoke" => once(&mut given.revoke, value.parse()),
            "at" => once(&mut given.at, moment::read(&value)),
            _ => once(&mut given.credential, Ok::<_, String>(value)),
        };
        taken.map_err(|reason| Error::Usage(format!("{name}: {reason}")))?;
    }
    Ok(given)
}

fn once<T, E: ToString>(place: &mut Option<T>, value: Result<T, E>) -> Result<(), String> {
    let value = value.map_err(|e| e.to_string())?;
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err("given twice".into()),
    }
}

fn command(name: &str, given: Given) -> Result<Command, Error> {
    let missing = |what: &str| Error::Usage(format!("--{what} is missing"));
    let event = given.event;
    if name == "inspect" {
        return match (given.backend, given.credential) {
            (Some(()), None) => Ok(Command::Backend),
            (None, Some(credential)) => {
                Ok(Command::Inspect { dir: given.dir, credential, at: given.at })
            }
            _ => Err(Error::Usage("inspect takes one credential, or --backend".into())),
        };
    }
    let dir = given.dir.ok_or_else(|| missing("dir"))?;
    match name {
        "list" => return Ok(Command::List { dir, event }),
        "export-public" => return Ok(Command::ExportPublic { dir, event }),
        _ => (),
    }
    let event = event.ok_or_else(|| missing("event"))?;
    match (name, given.revoke) {
        ("generate", _) => {
            let Given { not_before, not_after, .. } = given;
            Ok(Command::Generate { dir, event, not_before, not_after })
        }
        (_, Some(kid)) if given.overlap_days.is_none() => Ok(Command::Revoke { dir, event, kid }),
        (_, Some(_)) => Err(Error::Usage("--revoke leaves no overlap".into())),
        (_, None) => {
            let days = i64::from(given.overlap_days.unwrap_or(OVERLAP_DAYS));
            Ok(Command::Rotate { dir, event, overlap_s: days.saturating_mul(DAY_S) })
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn usage(error: lexopt::Error) -> Error {
    Error::Usage(error.to_string())
}
