//! What the process is told from outside, read once and checked at start. Secrets print as nothing.
//! The only room that reads the environment.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use data_encoding::BASE64;
use zeroize::Zeroize;

mod http;

pub use http::{HttpSettings, Network, ProxyHeader};

/// A text that never shows in logs or debug output.
#[derive(Clone, Default)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// 32 bytes that wrap other keys.
#[derive(Clone)]
pub struct MasterKeyBytes(pub [u8; 32]);

impl fmt::Debug for MasterKeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Drop for MasterKeyBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[derive(Debug, Clone)]
pub struct Settings {
    pub listen: ListenSettings,
    pub http: HttpSettings,
    pub database: DatabaseSettings,
    pub peers: PeerSettings,
    pub mail: MailSettings,
    pub work: WorkSettings,
    /// Wraps signing keys and event secrets; needed by what issues or rotates keys.
    pub master_key: Option<MasterKeyBytes>,
}

/// Where to listen. Port 0 takes any free one.
#[derive(Debug, Clone)]
pub struct ListenSettings {
    /// `BACKOFFICE_BIND`, default 127.0.0.1.
    pub bind: IpAddr,
    /// `BACKOFFICE_PORT`, default 8080.
    pub port: u16,
    /// `BACKOFFICE_INTERNAL_BIND`, default 127.0.0.1.
    pub internal_bind: IpAddr,
    /// `BACKOFFICE_INTERNAL_PORT`, default 8083.
    pub internal_port: u16,
    /// `BACKOFFICE_WORK_PORT`, default 8084: what `backoffice work` shows to operators.
    pub work_port: u16,
    /// `PUBLIC_BACKOFFICE_URL`: origin that browsers see, for the same-origin check.
    pub public_url: Option<String>,
}

#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `DATABASE_URL`: role app.
    pub app_url: Secret,
    /// `DATABASE_PORTAL_URL`: role portal; without it portals answer 503.
    pub portal_url: Secret,
    /// `DATABASE_WORK_URL`: role work; needed by loops and feeds.
    pub work_url: Secret,
    /// `DATABASE_MIGRATE_URL`: role migrate; only for migrations, schema and seed.
    pub migrate_url: Secret,
    /// `DATABASE_ADMIN_URL`: a superuser; only for restoring a backup.
    pub admin_url: Secret,
    /// `DATABASE_SLOW_MS`: a statement that takes longer is told to the log, default 500.
    pub slow_ms: u64,
    /// `DATABASE_CONNECTIONS`: connections per pool, default 16.
    pub connections_max: usize,
}

/// How mail leaves: into a directory, or to a server. With neither it waits.
#[derive(Debug, Clone, Default)]
pub struct MailSettings {
    /// `MAIL_DIR`: each mail is a file there.
    pub directory: Option<std::path::PathBuf>,
    /// `MAIL_URL`: `smtps://user:password@host:465`, or `smtp://host:587` with STARTTLS. Whoever
    /// sends mail reads it.
    pub url: Secret,
    /// `MAIL_CA_FILE`: PEM certificates; then these alone vouch for the server.
    pub ca_file: Option<std::path::PathBuf>,
    /// `MAIL_FROM`: address that mail comes from.
    pub from: String,
}

/// What `backoffice work` does at once.
#[derive(Debug, Clone)]
pub struct WorkSettings {
    /// `JOBS_PARALLEL`: jobs that one process runs at once, default 4. Each may hold a connection of
    /// role app, so it should be well below `DATABASE_CONNECTIONS`.
    pub jobs_parallel: usize,
}

impl Default for WorkSettings {
    fn default() -> Self {
        Self { jobs_parallel: JOBS_PARALLEL_DEFAULT }
    }
}

/// The gate, and the tokens of the internal listeners (one for each direction).
#[derive(Debug, Clone)]
pub struct PeerSettings {
    /// `GATE_INTERNAL_URL`.
    pub gate_internal_url: Option<String>,
    /// `PUBLIC_GATE_URL`.
    pub public_gate_url: Option<String>,
    /// `CATALOGUE_TOKEN`: the gate shows it to us.
    pub catalogue_token: Secret,
    /// `JOURNAL_TOKEN`: we show it to the gate.
    pub journal_token: Secret,
}

/// A bearer token between services is at least this long.
pub const SERVICE_TOKEN_CHARS_MIN: usize = 16;
const CONNECTIONS_DEFAULT: usize = 16;
pub(crate) const SLOW_MS_DEFAULT: u64 = 500;
const MAIL_FROM_DEFAULT: &str = "no-reply@localhost";
const JOBS_PARALLEL_DEFAULT: usize = 4;

/// Everything that is wrong with the environment, in one message.
#[derive(Debug, PartialEq, Eq)]
pub struct SettingFaults(pub Vec<String>);

impl fmt::Display for SettingFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for SettingFaults {}

/// Where settings come from: the environment, or a table in a test.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Settings {
    pub fn from_env() -> Result<Self, SettingFaults> {
        Self::read(&environment)
    }

    /// Reads and checks; every fault is named with its variable.
    pub fn read(lookup: Lookup<'_>) -> Result<Self, SettingFaults> {
        let mut reader = Reader { lookup, faults: Vec::new() };
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let settings = Self {
            listen: ListenSettings {
                bind: reader.parsed("BACKOFFICE_BIND", "an IP address").unwrap_or(loopback),
                port: reader.parsed("BACKOFFICE_PORT", "a port number").unwrap_or(8080),
                internal_bind: reader
                    .parsed("BACKOFFICE_INTERNAL_BIND", "an IP address")
                    .unwrap_or(loopback),
                internal_port: reader
                    .parsed("BACKOFFICE_INTERNAL_PORT", "a port number")
                    .unwrap_or(8083),
                work_port: reader.parsed("BACKOFFICE_WORK_PORT", "a port number").unwrap_or(8084),
                public_url: reader.url("PUBLIC_BACKOFFICE_URL"),
            },
            http: HttpSettings::read(&mut reader),
            database: DatabaseSettings {
                app_url: reader.secret("DATABASE_URL"),
                portal_url: reader.secret("DATABASE_PORTAL_URL"),
                work_url: reader.secret("DATABASE_WORK_URL"),
                migrate_url: reader.secret("DATABASE_MIGRATE_URL"),
                admin_url: reader.secret("DATABASE_ADMIN_URL"),
                slow_ms: reader
                    .parsed("DATABASE_SLOW_MS", "a number of milliseconds")
                    .unwrap_or(SLOW_MS_DEFAULT),
                connections_max: reader
                    .parsed("DATABASE_CONNECTIONS", "a number of connections")
                    .unwrap_or(CONNECTIONS_DEFAULT),
            },
            peers: PeerSettings {
                gate_internal_url: reader.url("GATE_INTERNAL_URL"),
                public_gate_url: reader.url("PUBLIC_GATE_URL"),
                catalogue_token: reader.token("CATALOGUE_TOKEN"),
                journal_token: reader.token("JOURNAL_TOKEN"),
            },
            mail: reader.mail(),
            work: WorkSettings {
                jobs_parallel: reader
                    .parsed("JOBS_PARALLEL", "a number of jobs")
                    .unwrap_or(JOBS_PARALLEL_DEFAULT),
            },
            master_key: reader.master_key(),
        };
        if !settings.listen.internal_bind.is_loopback() {
            let words = "must be a loopback address: the feeds have no TLS here";
            reader.faults.push(format!("BACKOFFICE_INTERNAL_BIND {words}"));
        }
        if reader.faults.is_empty() { Ok(settings) } else { Err(SettingFaults(reader.faults)) }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the settings module")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

struct Reader<'a> {
    lookup: Lookup<'a>,
    faults: Vec<String>,
}

impl Reader<'_> {
    fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn secret(&self, name: &str) -> Secret {
        Secret::new(self.text(name).unwrap_or_default())
    }

    fn parsed<T: std::str::FromStr>(&mut self, name: &str, form: &str) -> Option<T> {
        let text = self.text(name)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.faults.push(format!("{name} must be {form}, not {text:?}"));
        }
        parsed
    }

    /// Items by comma; an item that cannot be read is a fault.
    fn list<T: std::str::FromStr>(&mut self, name: &str, form: &str) -> Vec<T> {
        let Some(text) = self.text(name) else { return Vec::new() };
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let items: Result<Vec<T>, T::Err> = parts.map(str::parse).collect();
        items.unwrap_or_else(|_| {
            self.faults.push(format!("{name} must be {form}, not {text:?}"));
            Vec::new()
        })
    }

    fn url(&mut self, name: &str) -> Option<String> {
        let text = self.text(name)?;
        let origin = text.trim_end_matches('/').to_owned();
        if !origin.starts_with("http://") && !origin.starts_with("https://") {
            self.faults.push(format!("{name} must begin with http:// or https://, not {text:?}"));
        }
        Some(origin)
    }

    fn mail(&mut self) -> MailSettings {
        let mail = MailSettings {
            directory: self.text("MAIL_DIR").map(Into::into),
            url: self.secret("MAIL_URL"),
            ca_file: self.text("MAIL_CA_FILE").map(Into::into),
            from: self.text("MAIL_FROM").unwrap_or_else(|| MAIL_FROM_DEFAULT.to_owned()),
        };
        if mail.directory.is_some() && !mail.url.is_empty() {
            self.faults.push("set MAIL_DIR or MAIL_URL, not both".to_owned());
        }
        if !mail.from.contains('@') {
            self.faults.push(format!("MAIL_FROM must be an address, not {:?}", mail.from));
        }
        mail
    }

    fn token(&mut self, name: &str) -> Secret {
        let token = self.secret(name);
        if !token.is_empty() && token.expose().len() < SERVICE_TOKEN_CHARS_MIN {
            self.faults
                .push(format!("{name} must have {SERVICE_TOKEN_CHARS_MIN} characters or more"));
        }
        token
    }

    fn master_key(&mut self) -> Option<MasterKeyBytes> {
        let (name, mut text) = match self.text("ATLVS_MASTER_KEY") {
            Some(text) => ("ATLVS_MASTER_KEY", text),
            None => {
                let path = self.text("ATLVS_MASTER_KEY_FILE")?;
                match std::fs::read_to_string(&path) {
                    Ok(text) => ("ATLVS_MASTER_KEY_FILE", text.trim().to_owned()),
                    Err(cause) => {
                        self.faults.push(format!("ATLVS_MASTER_KEY_FILE {path}: {cause}"));
                        return None;
                    }
                }
            }
        };
        let bytes = BASE64.decode(text.as_bytes()).ok();
        text.zeroize();
        let key = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        if key.is_none() {
            self.faults.push(format!("{name} must be the base64 of 32 bytes"));
        }
        key.map(MasterKeyBytes)
    }
}

#[cfg(test)]
mod tests;
