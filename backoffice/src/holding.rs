//! `backoffice hold` and `release`: whether work may be done on a database. Reads the arguments, asks
//! whoever stands there, and says what was done; the kernel knows what being held means.

use std::io::{BufRead as _, Write as _};

use kernel::installation::{self, Due};
use kernel::settings::Secret;

use crate::{Failure, print};

const QUESTION: &str = "Jobs, mails and schedules that are due ";

pub(crate) enum Order {
    Hold { why: String },
    Release { due: Due, yes: bool },
}

/// The rest of the line behind `hold` or `release`.
pub(crate) fn order(word: &str, parser: &mut lexopt::Parser) -> Result<Order, lexopt::Error> {
    use lexopt::prelude::Long;
    let (mut why, mut due, mut yes) = (None, Due::Done, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("why") if word == "hold" => {
                why = Some(parser.value()?.to_string_lossy().into_owned());
            }
            Long("drop-due") if word == "release" => due = Due::Dropped,
            Long("yes") if word == "release" => yes = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(match word {
        "hold" => Order::Hold { why: why.unwrap_or_else(|| "by an operator".to_owned()) },
        _ => Order::Release { due, yes },
    })
}

/// `url` is the migrate role's.
pub(crate) async fn run(url: &Secret, order: &Order) -> Result<(), Failure> {
    let (due, yes) = match order {
        Order::Hold { why } => {
            installation::hold(url, why).await?;
            return print("held: no job, mail, schedule or feed begins\n");
        }
        Order::Release { due, yes } => (*due, *yes),
    };
    let Some(why) = installation::held(url).await? else {
        return print("the database is not held\n");
    };
    let then = match due {
        Due::Done => "will be done now",
        Due::Dropped => "will never be done",
    };
    if !yes && !agreed(&format!("The database is held: {why}.\n{QUESTION}{then}. Let it go? "))? {
        return Err(Failure::new("the database stays held: the answer was not yes"));
    }
    installation::release(url, due).await?;
    print("released\n")
}

fn agreed(question: &str) -> Result<bool, Failure> {
    let mut err = std::io::stderr().lock();
    err.write_all(question.as_bytes())?;
    err.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}
