//! `keys`: makes, rotates and shows the signing keys of events, kept as files. Must not know
//! services or stores. The environment, the clock and the terminal enter here and nowhere deeper.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "a test that is out of bounds fails, which is what a test is for"
    )
)]

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use keys::MasterKey;
use zeroize::Zeroizing;

mod cli;

fn main() -> ExitCode {
    let mut out = std::io::stdout().lock();
    let result = cli::args::parse(lexopt::Parser::from_env()).and_then(|command| {
        let surroundings =
            cli::Surroundings { now: system_clock()?, master: &master_key, input: &read_input };
        cli::run(&command, &surroundings, &mut out)
    });
    match result.and_then(|done| out.flush().map(|()| done).map_err(cli::Error::from)) {
        Ok(cli::Done::Well) => ExitCode::SUCCESS,
        Ok(cli::Done::Refused) => ExitCode::FAILURE,
        Err(error) => {
            // Nothing is left to do when even the terminal is gone.
            let _unwritable = writeln!(std::io::stderr(), "keys: {error}");
            ExitCode::from(if matches!(error, cli::Error::Usage(_)) { 2 } else { 1 })
        }
    }
}

/// Unix seconds. A clock before 1970 is no clock.
fn system_clock() -> Result<keys::UnixSeconds, cli::Error> {
    #[expect(clippy::disallowed_methods, reason = "the binary is where the clock enters")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = now.ok().and_then(|since| i64::try_from(since.as_secs()).ok());
    seconds.ok_or_else(|| cli::Error::Failed("the system's clock stands before 1970".into()))
}

fn master_key() -> Result<MasterKey, cli::Error> {
    let value = std::env::var_os("ATLVS_MASTER_KEY")
        .map(|value| Zeroizing::new(value.to_string_lossy().into_owned()));
    let value = value.as_ref().map(|value| value.as_str());
    let file = std::env::var_os("ATLVS_MASTER_KEY_FILE");
    MasterKey::from_settings(value, file.as_deref().map(Path::new)).map_err(cli::Error::from)
}

/// At most what a credential may take, and one byte more, so that longer is noticed.
fn read_input() -> Result<String, cli::Error> {
    use std::io::Read;
    let mut text = String::new();
    let limit = u64::try_from(keys::INPUT_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    std::io::stdin().lock().take(limit).read_to_string(&mut text)?;
    Ok(text)
}
