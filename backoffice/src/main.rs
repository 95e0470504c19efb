//! `backoffice`: one binary, a subcommand for each role. Reads arguments and settings, calls the
//! rooms, writes what they answer; decides nothing.

mod backup;
mod holding;
mod logging;
mod people;
mod seed;

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use kernel::clock::SystemClock;
use kernel::error::{Code, Error};
use kernel::http::{Listeners, WorkListener};
use kernel::registry::Registry;
use kernel::service::{Service, Shutdown};
use kernel::settings::{Secret, Settings};
use serde_json::json;
use services::smtp::Smtp;

const USAGE: &str = "\
usage: backoffice COMMAND

  serve [--work]      answer the API; with --work run the background loops too
  work                run the background loops
  migrate             bring the database up to this version
  seed [--out FILE]   make the demonstration organization; FILE keeps ids and tokens
  user add|password|disable|enable --email ADDRESS …
                      people, as operators decide; passwords come from standard input
  organization plan|trust --organization SLUG …
                      an organization's plan, and the issuer it trusts
  schema diff         what the next migration has to say (empty: nothing)
  schema print        the whole schema as SQL
  openapi             the API's description as JSON
  audit verify [--org ID] [--since REPORT]
                      recompute the change log's digests and seals
  backup --out DIR    save the database, with what each table holds
  restore --from DIR  fill an empty database from a backup and compare (DATABASE_ADMIN_URL);
                      it is held then
  hold [--why TEXT]   let no job, mail, schedule or feed begin
  release [--yes] [--drop-due]
                      let them begin; what is due is done, or with --drop-due never
  check               whether settings and database serve this version

Settings come from the environment: see docs/operations.md.
";

/// Why the process ends with a failure; shown on standard error.
pub(crate) struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Failure {
    pub(crate) fn new(cause: impl fmt::Display) -> Self {
        Self(cause.to_string())
    }
}

impl From<Error> for Failure {
    /// The operator reads what the log would say.
    fn from(error: Error) -> Self {
        Self(format!("{error} [{}]", error.log_text()))
    }
}

impl From<std::io::Error> for Failure {
    fn from(cause: std::io::Error) -> Self {
        Self::new(cause)
    }
}

type Outcome = Result<(), Failure>;

enum Command {
    Serve { work: bool },
    Work,
    Migrate,
    Seed { out: Option<std::path::PathBuf> },
    People(people::Order),
    SchemaDiff,
    SchemaPrint,
    OpenApi,
    AuditVerify { org: Option<String>, since: Option<PathBuf> },
    Backup { out: std::path::PathBuf },
    Restore { from: std::path::PathBuf },
    Holding(holding::Order),
    Check,
    Help,
}

fn main() -> ExitCode {
    let outcome = command().and_then(|command| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(run(command))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing is left to be done when even this cannot be written.
            let _ = writeln!(std::io::stderr(), "backoffice: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Outcome {
    match command {
        Command::Serve { work } => serve(work).await,
        Command::Work => work().await,
        Command::Migrate => migrate().await,
        Command::Seed { out } => seed::seed(&service()?, out.as_deref()).await,
        Command::People(order) => people::run(&service()?, &order).await,
        Command::SchemaDiff => {
            let settings = settings()?;
            let scripts = migrations::scripts();
            let pending = kernel::schema::pending(migrate_url(&settings)?, registry()?, &scripts);
            print(&pending.await?)
        }
        Command::SchemaPrint => print(&kernel::ddl::script(registry()?)),
        Command::OpenApi => print(&format!("{:#}\n", kernel::openapi::document(registry()?))),
        Command::AuditVerify { org, since } => audit(org.as_deref(), since.as_deref()).await,
        Command::Backup { out } => print(&backup::backup(migrate_url(&settings()?)?, &out).await?),
        Command::Restore { from } => {
            let url = &settings()?.database.admin_url;
            if url.is_empty() {
                return Err(Failure::new("DATABASE_ADMIN_URL is not set"));
            }
            print(&backup::restore(url, &from).await?)
        }
        Command::Holding(order) => holding::run(migrate_url(&settings()?)?, &order).await,
        Command::Check => check().await,
        Command::Help => print(USAGE),
    }
}

async fn serve(with_loops: bool) -> Outcome {
    logging::start()?;
    let service = service()?;
    demand_schema(&service).await?;
    let shutdown = Shutdown::on_signals()?;
    let listeners = Listeners::bind(&service).await?;
    let (public, internal) = (listeners.public()?, listeners.internal()?);
    let ready = json!({
        "listening": format!("http://{public}"),
        "internal": format!("http://{internal}"),
    });
    print(&format!("{ready}\n"))?;
    let loops = async {
        match with_loops {
            true => service.run_loops(shutdown.clone()).await,
            false => Ok(()),
        }
    };
    let (served, looped) = tokio::join!(listeners.serve(&service, shutdown.clone()), loops);
    served?;
    looped?;
    Ok(())
}

async fn work() -> Outcome {
    logging::start()?;
    let service = service()?;
    demand_schema(&service).await?;
    let shutdown = Shutdown::on_signals()?;
    let listener = WorkListener::bind(&service).await?;
    let ready = json!({"internal": format!("http://{}", listener.address()?)});
    print(&format!("{ready}\n"))?;
    let ((), looped) =
        tokio::join!(listener.serve(&service, shutdown.clone()), service.run_loops(shutdown));
    looped?;
    Ok(())
}

async fn migrate() -> Outcome {
    logging::start()?;
    let settings = settings()?;
    let report = migrations::run(migrate_url(&settings)?).await.map_err(Failure::new)?;
    for name in &report.applied {
        print(&format!("applied {name}\n"))?;
    }
    if report.applied.is_empty() {
        print("nothing to apply\n")?;
    }
    let roles = kernel::accounts::refresh_built_in_roles(migrate_url(&settings)?).await?;
    if 0 < roles {
        print(&format!("{roles} built-in roles are as this release has them\n"))?;
    }
    Ok(())
}

async fn audit(org: Option<&str>, since: Option<&Path>) -> Outcome {
    let org = match org.map(uuid::Uuid::try_parse) {
        None => None,
        Some(Ok(id)) => Some(id),
        Some(Err(_)) => return Err(usage("--org is not a UUID")),
    };
    let mut heads = Vec::new();
    if let Some(file) = since {
        let told = |cause: &dyn fmt::Display| Failure::new(format!("{}: {cause}", file.display()));
        let text = std::fs::read(file).map_err(|cause| told(&cause))?;
        let earlier = serde_json::from_slice(&text).map_err(|cause| told(&cause))?;
        heads = kernel::audit::Head::of_report(&earlier).map_err(|cause| told(&cause))?;
    }
    let report = kernel::audit::verify_since(migrate_url(&settings()?)?, org, &heads).await?;
    print(&format!("{:#}\n", report.show()))?;
    match report.is_whole() {
        true => Ok(()),
        false => Err(Failure::new("the change log is not what was written")),
    }
}

async fn check() -> Outcome {
    let service = service()?;
    let missing = kernel::startup::missing(&service).await?;
    for difference in kernel::startup::differences(&service).await? {
        print(&format!("warning: {difference}\n"))?;
    }
    match missing.is_empty() {
        true => print("settings and database serve this version\n"),
        false => Err(Failure::new(missing.join("\n"))),
    }
}

/// A database that lacks something is refused; one that does not answer yet is waited for by
/// `/ready`.
async fn demand_schema(service: &Service) -> Outcome {
    match kernel::startup::missing(service).await {
        Ok(missing) if missing.is_empty() => {
            for difference in kernel::startup::differences(service).await? {
                tracing::warn!(difference, "the database differs");
            }
            Ok(())
        }
        Ok(missing) => {
            let list = missing.join("; ");
            Err(Failure::new(format!("the database does not serve this version: {list}")))
        }
        Err(cause) if matches!(cause.code(), Code::Unavailable | Code::Overloaded) => {
            tracing::warn!(cause = %cause.log_text(), "the database does not answer yet");
            Ok(())
        }
        Err(cause) => Err(cause.into()),
    }
}

fn service() -> Result<Service, Failure> {
    let settings = settings()?;
    if settings.database.app_url.is_empty() {
        return Err(Failure::new("DATABASE_URL is not set"));
    }
    let (registry, clock) = (registry()?, Arc::new(SystemClock));
    if settings.mail.url.is_empty() {
        return Ok(Service::new(registry, settings, clock)?);
    }
    let smtp = Smtp::new(&settings.mail).map_err(Failure::new)?;
    Ok(Service::with_mailer(registry, settings, clock, Arc::new(smtp))?)
}

fn settings() -> Result<Settings, Failure> {
    Settings::from_env().map_err(Failure::new)
}

/// The one setting that only some commands need.
fn migrate_url(settings: &Settings) -> Result<&Secret, Failure> {
    let url = &settings.database.migrate_url;
    match url.expose().is_empty() {
        true => Err(Failure::new("DATABASE_MIGRATE_URL is not set")),
        false => Ok(url),
    }
}

fn registry() -> Result<&'static Registry, Failure> {
    Ok(backoffice::registry().map_err(Failure::new)?.leak())
}

pub(crate) fn print(text: &str) -> Outcome {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

fn command() -> Result<Command, Failure> {
    use lexopt::prelude::{Long, Short, Value};
    let mut parser = lexopt::Parser::from_env();
    let mut words: Vec<String> = Vec::new();
    let (mut with_work, mut out, mut from, mut org) = (false, None, None, None);
    let mut since = None;
    while let Some(argument) = parser.next().map_err(usage)? {
        match argument {
            Value(word) if words.is_empty() && (word == "user" || word == "organization") => {
                let word = word.to_string_lossy().into_owned();
                return people::order(word, &mut parser).map(Command::People).map_err(usage);
            }
            Value(word) if words.is_empty() && (word == "hold" || word == "release") => {
                let order = holding::order(&word.to_string_lossy(), &mut parser);
                return order.map(Command::Holding).map_err(usage);
            }
            Value(word) => words.push(word.to_string_lossy().into_owned()),
            Long("work") => with_work = true,
            Long("out") => out = Some(parser.value().map_err(usage)?.into()),
            Long("from") => from = Some(parser.value().map_err(usage)?.into()),
            Long("since") => since = Some(parser.value().map_err(usage)?.into()),
            Long("org") => {
                org = Some(parser.value().map_err(usage)?.to_string_lossy().into_owned());
            }
            Long("help") | Short('h') => return Ok(Command::Help),
            other => return Err(usage(other.unexpected())),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if since.is_some() && words != ["audit", "verify"] {
        return Err(usage("--since belongs to audit verify"));
    }
    match (words.as_slice(), from, org) {
        (["audit", "verify"], None, org) if !with_work && out.is_none() => {
            return Ok(Command::AuditVerify { org, since });
        }
        (["restore"], Some(from), None) if !with_work && out.is_none() => {
            return Ok(Command::Restore { from });
        }
        (_, None, None) => {}
        _ => return Err(usage("no such command")),
    }
    match (words.as_slice(), with_work, out) {
        (["backup"], false, Some(out)) => Ok(Command::Backup { out }),
        (["serve"], work, None) => Ok(Command::Serve { work }),
        (["work"], false, None) => Ok(Command::Work),
        (["migrate"], false, None) => Ok(Command::Migrate),
        (["seed"], false, out) => Ok(Command::Seed { out }),
        (["schema", "diff"], false, None) => Ok(Command::SchemaDiff),
        (["schema", "print"], false, None) => Ok(Command::SchemaPrint),
        (["openapi"], false, None) => Ok(Command::OpenApi),
        (["check"], false, None) => Ok(Command::Check),
        (["help"], false, None) => Ok(Command::Help),
        _ => Err(usage("no such command")),
    }
}

fn usage(cause: impl fmt::Display) -> Failure {
    Failure::new(format!("{cause}\n\n{USAGE}"))
}
