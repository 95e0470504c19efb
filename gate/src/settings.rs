//! Settings: one struct a concern, read once from the environment, checked before anything starts.
//! Every error names the variable and what is wrong with it; values of secrets never appear.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use keys::MasterKey;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// What `gate serve` needs to know.
#[derive(Debug)]
pub struct Settings {
    pub listen: Listen,
    pub store: Store,
    /// Where scans are kept that are decided while the store does not answer; without it none are.
    pub spool: Option<PathBuf>,
    pub back_office: BackOffice,
    pub journal_token: Secret,
    pub master_key: MasterKey,
    pub role: Role,
    pub limits: Limits,
    pub log: Log,
}

/// Port 0 takes any free port.
#[derive(Clone, Copy, Debug)]
pub struct Listen {
    pub public: SocketAddr,
    pub internal: SocketAddr,
}

#[derive(Clone, Debug)]
pub enum Store {
    File { dir: PathBuf },
    Redis { url: Secret },
}

#[derive(Clone, Debug)]
pub struct BackOffice {
    /// Origin of its internal listener: `http://127.0.0.1:8083`.
    pub url: String,
    pub token: Secret,
}

/// What this process serves. Only those that sell load private keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Shop,
    Scan,
    All,
}

#[derive(Clone, Debug)]
pub struct Limits {
    /// Shop requests other than GET, a minute and address; 0 = off.
    pub shop_per_min: u32,
    /// Scans a minute and device; 0 = off.
    pub scan_per_min: u32,
    /// Open connections a listener; more are refused with 503.
    pub connections_max: usize,
    /// Requests in work, scans and others counted apart; more are refused with 503.
    pub requests_max: usize,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    pub json: bool,
    /// `tracing` filter directives: `info`, `gate=debug,info`.
    pub filter: String,
}

/// A variable that is missing or cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct SettingError {
    pub name: &'static str,
    pub reason: String,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            shop_per_min: 600_000,
            scan_per_min: 600_000,
            connections_max: 8_192,
            requests_max: 4_096,
            trusted_proxies: Vec::new(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { json: true, filter: "info".to_owned() }
    }
}

impl Role {
    pub fn sells(self) -> bool {
        matches!(self, Self::Shop | Self::All)
    }

    pub fn admits(self) -> bool {
        matches!(self, Self::Scan | Self::All)
    }
}

/// Reads all settings through `get`, so that tests need no environment. All errors come at once.
///
/// `GATE_BIND` (127.0.0.1), `GATE_PORT` (8081), `GATE_INTERNAL_BIND` (127.0.0.1),
/// `GATE_INTERNAL_PORT` (8082), `GATE_STORE` `file|redis` (file), `GATE_DATA_DIR`, `REDIS_URL`,
/// `GATE_SPOOL_DIR` (`spool` in `GATE_DATA_DIR`),
/// `BACKOFFICE_INTERNAL_URL`, `CATALOGUE_TOKEN`, `JOURNAL_TOKEN`, `ATLVS_MASTER_KEY` or
/// `ATLVS_MASTER_KEY_FILE`, `GATE_ROLE` `shop|scan|all` (all), `LOG_FORMAT` `json|text` (json),
/// `LOG_FILTER` (info), `GATE_RATE_SHOP_PER_MIN`, `GATE_RATE_SCAN_PER_MIN`,
/// `GATE_CONNECTIONS_MAX`, `GATE_REQUESTS_MAX`, `GATE_TRUSTED_PROXIES` (addresses, commas).
pub fn read(get: &dyn Fn(&str) -> Option<String>) -> Result<Settings, Vec<SettingError>> {
    let mut reader = Reader { get, errors: Vec::new() };
    let listen = reader.listen();
    let store = reader.store();
    let spool = reader.spool();
    let back_office = BackOffice {
        url: reader.origin("BACKOFFICE_INTERNAL_URL"),
        token: reader.token("CATALOGUE_TOKEN"),
    };
    let journal_token = reader.token("JOURNAL_TOKEN");
    let master_key = reader.master_key();
    let role = match reader.choice("GATE_ROLE", &["all", "shop", "scan"]) {
        "shop" => Role::Shop,
        "scan" => Role::Scan,
        _ => Role::All,
    };
    let limits = reader.limits();
    let log = reader.log();
    match (store, master_key) {
        (Some(store), Some(master_key)) if reader.errors.is_empty() => Ok(Settings {
            listen,
            store,
            spool,
            back_office,
            journal_token,
            master_key,
            role,
            limits,
            log,
        }),
        _ => Err(reader.errors),
    }
}

/// The process's environment.
#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

struct Reader<'a> {
    get: &'a dyn Fn(&str) -> Option<String>,
    errors: Vec<SettingError>,
}

/// Most connections or requests at once that may be set.
const BOUND_MAX: usize = 1_000_000;
/// Shortest token that two services may share, in characters.
const TOKEN_CHARS_MIN: usize = 16;

impl Reader<'_> {
    fn listen(&mut self) -> Listen {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let public = SocketAddr::new(
            self.parsed("GATE_BIND", loopback, "an IP address"),
            self.parsed("GATE_PORT", 8081, "a port, 0 to 65535"),
        );
        let internal = SocketAddr::new(
            self.parsed("GATE_INTERNAL_BIND", loopback, "an IP address"),
            self.parsed("GATE_INTERNAL_PORT", 8082, "a port, 0 to 65535"),
        );
        if !internal.ip().is_loopback() {
            self.error(
                "GATE_INTERNAL_BIND",
                "must be a loopback address: the feeds have no TLS here",
            );
        }
        Listen { public, internal }
    }

    fn store(&mut self) -> Option<Store> {
        if self.choice("GATE_STORE", &["file", "redis"]) == "file" {
            let dir = self.required("GATE_DATA_DIR")?;
            return Some(Store::File { dir: PathBuf::from(dir) });
        }
        let url = self.required("REDIS_URL")?;
        if url.starts_with("redis://") || url.starts_with("redis+unix://") {
            return Some(Store::Redis { url: Secret::new(url) });
        }
        self.error("REDIS_URL", "must begin with redis://");
        None
    }

    fn spool(&mut self) -> Option<PathBuf> {
        let given = |name| (self.get)(name).filter(|dir| !dir.is_empty()).map(PathBuf::from);
        given("GATE_SPOOL_DIR").or_else(|| Some(given("GATE_DATA_DIR")?.join("spool")))
    }

    fn limits(&mut self) -> Limits {
        let default = Limits::default();
        let number = "a whole number";
        let proxies = (self.get)("GATE_TRUSTED_PROXIES").unwrap_or_default();
        let mut trusted_proxies = Vec::new();
        for part in proxies.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part.parse() {
                Ok(address) => trusted_proxies.push(address),
                Err(_) => self.error("GATE_TRUSTED_PROXIES", "must be IP addresses and commas"),
            }
        }
        Limits {
            shop_per_min: self.parsed("GATE_RATE_SHOP_PER_MIN", default.shop_per_min, number),
            scan_per_min: self.parsed("GATE_RATE_SCAN_PER_MIN", default.scan_per_min, number),
            connections_max: self.bound("GATE_CONNECTIONS_MAX", default.connections_max),
            requests_max: self.bound("GATE_REQUESTS_MAX", default.requests_max),
            trusted_proxies,
        }
    }

    fn log(&mut self) -> Log {
        Log {
            json: self.choice("LOG_FORMAT", &["json", "text"]) == "json",
            filter: (self.get)("LOG_FILTER").unwrap_or_else(|| Log::default().filter),
        }
    }

    fn master_key(&mut self) -> Option<MasterKey> {
        let file = (self.get)("ATLVS_MASTER_KEY_FILE").map(PathBuf::from);
        let value = (self.get)("ATLVS_MASTER_KEY").map(Zeroizing::new);
        match MasterKey::from_settings(value.as_ref().map(|v| v.as_str()), file.as_deref()) {
            Ok(key) => Some(key),
            Err(error) => {
                self.error("ATLVS_MASTER_KEY", error.to_string());
                None
            }
        }
    }

    fn origin(&mut self, name: &'static str) -> String {
        let Some(url) = self.required(name) else { return String::new() };
        let url = url.trim_end_matches('/').to_owned();
        if !url.starts_with("http://") {
            self.error(name, "must be an http:// origin");
        }
        url
    }

    fn token(&mut self, name: &'static str) -> Secret {
        let token = self.required(name).unwrap_or_default();
        if !token.is_empty() && token.chars().count() < TOKEN_CHARS_MIN {
            self.error(name, format!("must have at least {TOKEN_CHARS_MIN} characters"));
        }
        Secret::new(token)
    }

    fn required(&mut self, name: &'static str) -> Option<String> {
        let value = (self.get)(name).filter(|value| !value.is_empty());
        if value.is_none() {
            self.error(name, "is required");
        }
        value
    }

    fn choice(&mut self, name: &'static str, values: &[&'static str]) -> &'static str {
        let default = values.first().copied().unwrap_or_default();
        let Some(value) = (self.get)(name).filter(|value| !value.is_empty()) else {
            return default;
        };
        if let Some(known) = values.iter().find(|known| **known == value) {
            return known;
        }
        self.error(name, format!("must be one of {}", values.join(", ")));
        default
    }

    fn parsed<T: std::str::FromStr>(
        &mut self,
        name: &'static str,
        default: T,
        rule: &'static str,
    ) -> T {
        let Some(value) = (self.get)(name).filter(|value| !value.is_empty()) else {
            return default;
        };
        value.parse().unwrap_or_else(|_| {
            self.error(name, format!("must be {rule}"));
            default
        })
    }

    /// How much there may be at once; none would serve nobody.
    fn bound(&mut self, name: &'static str, default: usize) -> usize {
        let bound = self.parsed(name, default, "a whole number");
        if !(1..=BOUND_MAX).contains(&bound) {
            self.error(name, format!("must be 1 to {BOUND_MAX}"));
        }
        bound
    }

    fn error(&mut self, name: &'static str, reason: impl Into<String>) {
        self.errors.push(SettingError { name, reason: reason.into() });
    }
}

#[cfg(test)]
mod tests;
