//! Slows down guessing without shutting anybody out: failed sign-ins are counted by address, by
//! address and account, and by account. A browser that has signed in before is counted for itself
//! alone, so that nobody else's failures, from anywhere, close the door to it. A try counts before its
//! outcome is known. Held in memory and bounded; each process counts for itself.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::error::{Code, Error, Result};
use crate::limits::subscriber;

/// Failures in a window before the door closes for the rest of it.
const FAILURES_PER_ADDRESS_MAX: u32 = 100;
const FAILURES_PER_ADDRESS_AND_ACCOUNT_MAX: u32 = 10;
const FAILURES_PER_BROWSER_MAX: u32 = 10;
const FAILURES_PER_PERSON_MAX: u32 = 10;
/// Failures on an account from all addresses before new browsers come in turns.
const FAILURES_PER_ACCOUNT_MAX: u32 = 50;
/// Invitations mailed in a window to one address, by whichever organization: they must not fill a
/// stranger's letter box.
const INVITATIONS_PER_ADDRESS_MAX: u32 = 5;
const INVITATIONS_PER_ORGANIZATION_MAX: u32 = 200;
/// A turn: one try of one new browser on an account under attack.
const TURN: SignedDuration = SignedDuration::from_secs(5);
const WINDOW: SignedDuration = SignedDuration::from_mins(15);
/// Counters kept.
const COUNTERS_MAX: usize = 20_000;

#[derive(Default)]
pub(crate) struct Throttle(Mutex<Counters>);

type Counters = HashMap<Key, Counter>;

/// Who tries to sign in.
#[derive(Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub(crate) address: IpAddr,
    pub(crate) email: &'a str,
    /// A browser that has signed in as this account before.
    pub(crate) browser: Option<Uuid>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    AddressAndAccount(IpAddr, String),
    Account(String),
    Browser(Uuid),
    /// Somebody signed in who proves their password again.
    Person(Uuid),
    /// Whoever is invited, by the mail address.
    Invited(String),
    /// An organization that invites.
    Inviter(Uuid),
}

#[derive(Clone, Copy)]
struct Counter {
    failures: u32,
    until: Timestamp,
    /// Next turn on an account under attack.
    turn: Timestamp,
}

impl Throttle {
    /// Counts a try as failed before its outcome is known, so that tries at the same moment cannot all
    /// pass by one counter; [`Self::succeeded`] and [`Self::undecided`] take the count back. Refuses
    /// when too much failed before: then nothing is counted. An account under attack gives new
    /// browsers one try a turn; whoever cannot get one proves the address by mail instead.
    pub(crate) fn enter(&self, attempt: Attempt<'_>, now: Timestamp) -> Result<()> {
        self.enter_keys(attempt.keys(), now)
    }

    /// A right password clears what was counted for this browser, or this address with the account;
    /// of what others did nothing.
    pub(crate) fn succeeded(&self, attempt: Attempt<'_>) {
        let mut counters = self.lock();
        for key in attempt.keys() {
            match key {
                Key::Browser(_) | Key::AddressAndAccount(..) => drop(counters.remove(&key)),
                _ => take_back(&mut counters, &key),
            }
        }
    }

    /// Whether the password was right did not come out: the try is not held against anybody.
    pub(crate) fn undecided(&self, attempt: Attempt<'_>) {
        let mut counters = self.lock();
        attempt.keys().iter().for_each(|key| take_back(&mut counters, key));
    }

    /// Like [`Self::enter`], for somebody signed in who proves their password again.
    pub(crate) fn enter_person(&self, user: Uuid, now: Timestamp) -> Result<()> {
        self.enter_keys(vec![Key::Person(user)], now)
    }

    /// The password was right, or whether it was did not come out.
    pub(crate) fn leave_person(&self, user: Uuid) {
        take_back(&mut self.lock(), &Key::Person(user));
    }

    /// Counts an invitation that is about to be mailed; refuses when the address, or all that the
    /// organization invites, had enough of them.
    pub(crate) fn enter_invitation(&self, org: Uuid, email: &str, now: Timestamp) -> Result<()> {
        self.enter_keys(vec![Key::Inviter(org), Key::Invited(email.to_lowercase())], now)
    }

    fn enter_keys(&self, keys: Vec<Key>, now: Timestamp) -> Result<()> {
        let mut counters = self.lock();
        for key in &keys {
            check(&mut counters, key, now)?;
        }
        for key in keys {
            count(&mut counters, key, now);
        }
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn counters(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counters> {
        // A panic while counting leaves plain numbers behind, which stay usable.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn check(counters: &mut Counters, key: &Key, now: Timestamp) -> Result<()> {
    let Some(counter) = counters.get_mut(key).filter(|counter| counter.until > now) else {
        return Ok(());
    };
    if counter.failures < key.most() {
        return Ok(());
    }
    let open_at = match key {
        Key::Account(_) if counter.turn <= now => {
            counter.turn = now.checked_add(TURN).unwrap_or(Timestamp::MAX);
            return Ok(());
        }
        Key::Account(_) => counter.turn,
        _ => counter.until,
    };
    let wait = open_at.duration_since(now).as_secs().max(1);
    let seconds = u32::try_from(wait).unwrap_or(u32::MAX);
    let text = match key {
        Key::Invited(_) => "too many invitations went to this address; wait",
        Key::Inviter(_) => "the organization has sent too many invitations; wait",
        _ => "too many failed sign-ins; wait",
    };
    Err(Error::new(Code::TooManyRequests, text).retry_after(seconds))
}

fn count(counters: &mut Counters, key: Key, now: Timestamp) {
    if counters.len() >= COUNTERS_MAX && !counters.contains_key(&key) {
        make_room(counters, now);
    }
    let until = now.checked_add(WINDOW).unwrap_or(Timestamp::MAX);
    let fresh = Counter { failures: 0, until, turn: now };
    let counter = counters.entry(key).or_insert(fresh);
    if counter.until <= now {
        *counter = fresh;
    }
    counter.failures = counter.failures.saturating_add(1);
}

fn take_back(counters: &mut Counters, key: &Key) {
    if let Some(counter) = counters.get_mut(key) {
        counter.failures = counter.failures.saturating_sub(1);
    }
}

impl Attempt<'_> {
    fn keys(&self) -> Vec<Key> {
        if let Some(browser) = self.browser {
            return vec![Key::Browser(browser)];
        }
        let (address, account) = (subscriber(self.address), self.email.to_lowercase());
        // The account comes last: a turn is not spent on somebody who is refused anyway.
        vec![
            Key::Address(address),
            Key::AddressAndAccount(address, account.clone()),
            Key::Account(account),
        ]
    }
}

impl Key {
    fn most(&self) -> u32 {
        match self {
            Self::Address(_) => FAILURES_PER_ADDRESS_MAX,
            Self::AddressAndAccount(..) => FAILURES_PER_ADDRESS_AND_ACCOUNT_MAX,
            Self::Account(_) => FAILURES_PER_ACCOUNT_MAX,
            Self::Browser(_) => FAILURES_PER_BROWSER_MAX,
            Self::Person(_) => FAILURES_PER_PERSON_MAX,
            Self::Invited(_) => INVITATIONS_PER_ADDRESS_MAX,
            Self::Inviter(_) => INVITATIONS_PER_ORGANIZATION_MAX,
        }
    }
}

/// Counters that ended go. When none did, all go: whoever fills this many has as many addresses,
/// and is slowed by the accounts' turns as soon as those are counted again.
fn make_room(counters: &mut Counters, now: Timestamp) {
    counters.retain(|_, counter| counter.until > now);
    if counters.len() >= COUNTERS_MAX {
        tracing::warn!("the counters of failed sign-ins are full and begin anew");
        counters.clear();
    }
}

#[cfg(test)]
mod tests;
