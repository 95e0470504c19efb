//! The binary's commands. Writes to the streams it is given; exit codes: 0 done, 1 failed, 2 used
//! wrongly.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use inventory::time::SystemClock;
use lexopt::{Arg, Parser, ValueExt as _};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::routes::{Auth, Listener, ROUTES};
use crate::settings::{self, SettingError, Settings};
use crate::{logging, openapi, qr, serve};

pub const USAGE: &str = "\
Usage: gate <command>

  serve    sell and admit; settings come from the environment
  check    check the settings and the store, then end
  openapi  print the interface as OpenAPI 3.1
  routes   print every route, one JSON object a line
  qr       draw a QR code: --text TEXT [--png FILE] [--svg FILE] [--terminal]
";

#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error("{0}\n\n{USAGE}")]
    Usage(String),
    #[error("settings:\n  {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  "))]
    Settings(Vec<SettingError>),
    #[error("{0}")]
    Failed(String),
}

/// Runs one command; `args` without the program's name.
pub fn run(args: Vec<OsString>, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let done = match command(args, out) {
        Ok(()) => return 0,
        Err(error) => error,
    };
    // Nobody is left to tell when this fails.
    let _ = writeln!(err, "gate: {done}");
    if matches!(done, CliError::Usage(_)) { 2 } else { 1 }
}

fn command(args: Vec<OsString>, out: &mut dyn Write) -> Result<(), CliError> {
    let mut parser = Parser::from_args(args);
    let command = match parser.next().map_err(usage)? {
        Some(Arg::Value(command)) => command.string().map_err(usage)?,
        Some(Arg::Long("help") | Arg::Short('h')) => return print(out, USAGE),
        _ => return Err(CliError::Usage("a command is needed".to_owned())),
    };
    if command == "qr" {
        return draw(&mut parser, out);
    }
    if let Some(argument) = parser.next().map_err(usage)? {
        return Err(usage(argument.unexpected()));
    }
    match command.as_str() {
        "serve" => runtime()?.block_on(serve_until_told(out)),
        "check" => runtime()?.block_on(check(out)),
        "openapi" => {
            let text = serde_json::to_string_pretty(&openapi::document()).map_err(failed)?;
            print(out, &format!("{text}\n"))
        }
        "routes" => ROUTES.iter().try_for_each(|route| print(out, &format!("{}\n", line(route)))),
        other => Err(CliError::Usage(format!("{other} is not a command"))),
    }
}

/// What a front proxy has to know of a route.
fn line(route: &crate::routes::Route) -> Value {
    json!({
        "method": route.method.name(),
        "paths": route.paths(),
        "listener": match route.listener {
            Listener::Public => "public",
            Listener::Internal => "internal",
            Listener::Both => "both",
        },
        "auth": match route.auth {
            Auth::None => "none",
            Auth::Device => "device",
            Auth::DeviceOrStaff => "device or staff",
            Auth::Order => "order",
            Auth::Journal => "journal",
        },
        "summary": route.summary,
    })
}

async fn serve_until_told(out: &mut dyn Write) -> Result<(), CliError> {
    let settings = read_settings()?;
    let subscriber = logging::subscriber(&settings.log, Box::new(io::stderr())).map_err(failed)?;
    tracing::subscriber::set_global_default(subscriber).map_err(failed)?;
    // The signals are caught before anything is open, so that none is lost.
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut told = std::pin::pin!(async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    let starting = async {
        let log = serve::open_log(&settings.store).await.map_err(failed)?;
        serve::start(&settings, log, Arc::new(SystemClock)).await.map_err(failed)
    };
    // A store may keep the start waiting; nothing was accepted until then.
    let running = tokio::select! {
        started = starting => started?,
        () = &mut told => return Ok(()),
    };
    let ready = json!({
        "listening": format!("http://{}", running.public),
        "internal": format!("http://{}", running.internal),
    });
    print(out, &format!("{ready}\n"))?;
    tracing::info!(public = %running.public, internal = %running.internal, "serving");
    told.await;
    tracing::info!("stopping");
    if running.stop().await {
        tracing::info!("stopped");
        Ok(())
    } else {
        Err(CliError::Failed("not every accepted request was answered in time".to_owned()))
    }
}

async fn check(out: &mut dyn Write) -> Result<(), CliError> {
    let settings = read_settings()?;
    let log = serve::open_log(&settings.store).await.map_err(failed)?;
    let events = log.events().await.map_err(failed)?;
    print(out, &format!("{}\n", json!({"ok": true, "events": events.len()})))
}

fn draw(parser: &mut Parser, out: &mut dyn Write) -> Result<(), CliError> {
    let (mut text, mut png, mut svg, mut terminal) = (None, None, None, false);
    while let Some(argument) = parser.next().map_err(usage)? {
        match argument {
            Arg::Long("text") => {
                text = Some(parser.value().and_then(|v| v.string()).map_err(usage)?)
            }
            Arg::Long("png") => png = Some(PathBuf::from(parser.value().map_err(usage)?)),
            Arg::Long("svg") => svg = Some(PathBuf::from(parser.value().map_err(usage)?)),
            Arg::Long("terminal") => terminal = true,
            other => return Err(usage(other.unexpected())),
        }
    }
    let text = text.ok_or_else(|| CliError::Usage("qr needs --text".to_owned()))?;
    let matrix = qr::Matrix::new(&text).map_err(failed)?;
    if let Some(path) = &png {
        std::fs::write(path, matrix.png().map_err(failed)?).map_err(failed)?;
    }
    if let Some(path) = &svg {
        std::fs::write(path, matrix.svg()).map_err(failed)?;
    }
    if terminal || (png.is_none() && svg.is_none()) {
        print(out, &matrix.terminal())?;
    }
    Ok(())
}

fn read_settings() -> Result<Settings, CliError> {
    settings::read(&settings::environment).map_err(CliError::Settings)
}

fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)
}

fn print(out: &mut dyn Write, text: &str) -> Result<(), CliError> {
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(failed)
}

fn usage(error: lexopt::Error) -> CliError {
    CliError::Usage(error.to_string())
}

fn failed(error: impl std::fmt::Display) -> CliError {
    CliError::Failed(error.to_string())
}
