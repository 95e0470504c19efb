//! The commands of `keys`, over surroundings given from outside. Must not know the environment.

use std::io::Write;
use std::path::Path;

use keys::{Claims, KeyRing, Kid, MasterKey, Minutes, PublicKey, SealedKey, SigningKey};
use keys::{Presented, UnixSeconds};

use args::Command;
use directory::Directory;

pub(crate) mod args;
mod directory;
mod moment;

/// What a command may ask the outside for.
pub(crate) struct Surroundings<'s> {
    pub(crate) now: UnixSeconds,
    pub(crate) master: &'s dyn Fn() -> Result<MasterKey, Error>,
    /// Standard input, bounded.
    pub(crate) input: &'s dyn Fn() -> Result<String, Error>,
}

/// How a command ended when nothing failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Done {
    Well,
    /// The inspected credential was not believed.
    Refused,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}\n\n{usage}", usage = args::USAGE)]
    Usage(String),
    #[error("{0}")]
    Failed(String),
    #[error("{0}")]
    Output(#[from] std::io::Error),
    #[error(transparent)]
    MasterKey(#[from] keys::sealed::MasterKeyError),
    #[error(transparent)]
    Seal(#[from] keys::SealKeyError),
    #[error(transparent)]
    NoRandomness(#[from] keys::NoRandomness),
    #[error(transparent)]
    Unlock(#[from] keys::UnlockError),
    #[error(transparent)]
    Ring(#[from] keys::RingError),
}

pub(crate) fn run(
    command: &Command,
    around: &Surroundings<'_>,
    out: &mut dyn Write,
) -> Result<Done, Error> {
    match command {
        Command::Help => out.write_all(args::USAGE.as_bytes())?,
        Command::Generate { dir, event, not_before, not_after } => {
            let not_before = not_before.unwrap_or(around.now);
            generate(&Directory::at(dir), *event, not_before, *not_after, around, out)?;
        }
        Command::Rotate { dir, event, overlap_s } => {
            rotate(&Directory::at(dir), *event, *overlap_s, around, out)?;
        }
        Command::Revoke { dir, event, kid } => {
            revoke(&Directory::at(dir), *event, *kid, around, out)?;
        }
        Command::List { dir, event } => list(&Directory::at(dir), *event, around.now, out)?,
        Command::ExportPublic { dir, event } => {
            let keys = Directory::at(dir).read(*event)?;
            let public: Vec<PublicKey> = keys.into_iter().map(|key| key.public).collect();
            let json = serde_json::to_string_pretty(&public).map_err(std::io::Error::from)?;
            writeln!(out, "{json}")?;
        }
        Command::Inspect { dir, credential, at } => {
            let text = match credential.as_str() {
                "-" => (around.input)()?,
                given => given.to_owned(),
            };
            return inspect(dir.as_deref(), &text, at.unwrap_or(around.now), out);
        }
        Command::Backend => writeln!(out, "{}", keys::backend::selected())?,
    }
    Ok(Done::Well)
}

fn generate(
    dir: &Directory,
    event: u32,
    not_before: UnixSeconds,
    not_after: Option<UnixSeconds>,
    around: &Surroundings<'_>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    if not_after.is_some_and(|end| end <= not_before) {
        return Err(Error::Usage("--not-after: not later than --not-before".into()));
    }
    let master = (around.master)()?;
    // A key under another master key would be found out only when tickets are to be signed. Dead
    // keys do not count: their master key may be lost, which is why they were revoked.
    for key in dir.read(Some(event))?.iter().filter(|key| key.public.is_live(around.now)) {
        key.open(&master)?;
    }
    let mut key = SealedKey::seal(&SigningKey::generate(event)?, &master, not_before)?;
    key.public.not_after = not_after;
    dir.create(&key)?;
    report("created", &key.public, out)
}

/// The new key is written before the old ones retire: broken off in between, two keys live, which
/// is harmless.
fn rotate(
    dir: &Directory,
    event: u32,
    overlap_s: i64,
    around: &Surroundings<'_>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let old = dir.read(Some(event))?;
    generate(dir, event, around.now, None, around, out)?;
    for mut key in old {
        let before = key.public.not_after;
        key.retire(around.now.saturating_add(overlap_s));
        if key.public.is_live(around.now) && key.public.not_after != before {
            dir.replace(&key)?;
            report("retires", &key.public, out)?;
        }
    }
    Ok(())
}

/// The revocation is written first: broken off in between, nothing can be signed, which is safe.
fn revoke(
    dir: &Directory,
    event: u32,
    kid: Kid,
    around: &Surroundings<'_>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut keys = dir.read(Some(event))?;
    let Some(key) = keys.iter_mut().find(|key| key.public.kid() == kid) else {
        return Err(Error::Failed(format!("event {event} has no key {kid}")));
    };
    key.revoke(around.now);
    dir.replace(key)?;
    report("revoked", &key.public, out)?;
    match keys::current(&keys, event, around.now) {
        Some(successor) => report("signs", &successor.public, out),
        None => generate(dir, event, around.now, None, around, out),
    }
}

fn list(
    dir: &Directory,
    event: Option<u32>,
    now: UnixSeconds,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let keys = dir.read(event)?;
    let columns = ["event", "kid", "state", "not before", "not after", "revoked at"];
    let [a, b, c, d, e, f] = columns;
    writeln!(out, "{a:<10}  {b:<6}  {c:<8}  {d:<20}  {e:<20}  {f}")?;
    for key in &keys {
        let public = &key.public;
        let signs = keys::current(&keys, public.event(), now).is_some_and(|signing| signing == key);
        let state = if signs { "signs" } else { state(public, now) };
        let (event, kid) = (public.event(), public.kid().to_string());
        let [from, to, revoked] =
            [Some(public.not_before), public.not_after, public.revoked_at].map(moment::show);
        writeln!(out, "{event:<10}  {kid:<6}  {state:<8}  {from:<20}  {to:<20}  {revoked}")?;
    }
    Ok(())
}

fn state(key: &PublicKey, now: UnixSeconds) -> &'static str {
    if key.revoked_at.is_some_and(|at| at <= now) {
        "revoked"
    } else if now < key.not_before {
        "future"
    } else if key.not_after.is_some_and(|end| end <= now) {
        "expired"
    } else {
        "live"
    }
}

fn inspect(
    dir: Option<&Path>,
    text: &str,
    at: UnixSeconds,
    out: &mut dyn Write,
) -> Result<Done, Error> {
    let Presented { credential, live_code } = match keys::parse(text) {
        Ok(presented) => presented,
        Err(error) => {
            writeln!(out, "refused     {error}")?;
            return Ok(Done::Refused);
        }
    };
    let Claims { kid, event, ticket, ticket_type, from, until, zones, revision, rotating } =
        credential.unverified().0;
    let [from, until] = [from, until].map(Minutes::unix_s).map(moment::show);
    writeln!(out, "ticket      {event}-{ticket}")?;
    writeln!(out, "type        {ticket_type}")?;
    writeln!(out, "from        {from}")?;
    writeln!(out, "until       {until}")?;
    writeln!(out, "zones       {zones:#010x}")?;
    writeln!(out, "revision    {revision}")?;
    writeln!(out, "rotating    {}", if rotating { "yes" } else { "no" })?;
    writeln!(out, "live code   {}", if live_code.is_some() { "given" } else { "none" })?;
    writeln!(out, "kid         {kid}")?;
    let Some(dir) = dir else {
        writeln!(out, "signature   not checked: give --dir")?;
        return Ok(Done::Well);
    };
    let keys = Directory::at(dir).read(Some(event))?;
    let ring = KeyRing::new(keys.into_iter().map(|key| key.public))?;
    match ring.verify(&credential, at) {
        Ok(_) => {
            writeln!(out, "signature   verified")?;
            Ok(Done::Well)
        }
        Err(refused) => {
            writeln!(out, "signature   refused: {refused}")?;
            Ok(Done::Refused)
        }
    }
}

fn report(what: &str, key: &PublicKey, out: &mut dyn Write) -> Result<(), Error> {
    write!(out, "{what} event {} kid {}", key.event(), key.kid())?;
    write!(out, " not-before {}", moment::show(Some(key.not_before)))?;
    let moments = [("not-after", key.not_after), ("revoked-at", key.revoked_at)];
    for (name, moment) in moments.into_iter().filter(|(_, moment)| moment.is_some()) {
        write!(out, " {name} {}", moment::show(moment))?;
    }
    writeln!(out)?;
    Ok(())
}
