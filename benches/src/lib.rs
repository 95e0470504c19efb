//! What the figures share: a small house of their own in a real database, the process's CPU clock,
//! medians, and a line that holds a figure against its limit. Knows no domain.

#![allow(clippy::expect_used, reason = "a figure whose house does not stand has nothing to say")]

#[cfg(feature = "gate")]
pub mod floor;
#[cfg(feature = "gate")]
pub mod hall;
#[cfg(feature = "back-office")]
pub mod house;
#[cfg(feature = "gate")]
pub mod load;

use std::fs;
use std::io::Write as _;
use std::process::ExitCode;

/// CPU time of this process so far, all threads, in nanoseconds: what the scheduler gave it.
pub fn cpu_ns() -> u64 {
    cpu_ns_of("self")
}

/// The same of another process, by its number.
pub fn cpu_ns_of(process: &str) -> u64 {
    let threads = format!("/proc/{process}/task");
    let tasks = fs::read_dir(threads).expect("Linux shows threads below /proc");
    let of = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0)
    };
    tasks.filter_map(Result::ok).map(of).sum()
}

/// The value that `per_mille` of all values are not above.
pub fn quantile(values: &mut [u64], per_mille: usize) -> u64 {
    values.sort_unstable();
    let last = values.len().saturating_sub(1);
    values.get((last * per_mille + 500) / 1_000).copied().unwrap_or(0)
}

pub fn median(values: &mut [u64]) -> u64 {
    quantile(values, 500)
}

/// A line for whoever reads the run.
pub fn say(line: &str) {
    // A figure that nobody can read any more is lost with its reader.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A figure against its limit, both in `unit`; thousandths keep ratios whole numbers.
pub struct Figure {
    pub name: &'static str,
    pub thousandths: u64,
    pub limit: u64,
    pub unit: &'static str,
}

/// Tells every figure; the process fails when one is above its limit.
pub fn verdict(figures: &[Figure]) -> ExitCode {
    let mut good = true;
    for Figure { name, thousandths, limit, unit } in figures {
        let holds = *thousandths <= limit * 1_000;
        good &= holds;
        let (whole, part) = (thousandths / 1_000, thousandths % 1_000);
        let word = if holds { "holds" } else { "BROKEN" };
        say(&format!("{name}: {whole}.{part:03} {unit} (limit {limit} {unit}): {word}"));
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
