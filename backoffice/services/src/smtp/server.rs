//! Which server takes the mail, and what it takes to trust it: `MAIL_URL` read. Opens no connection.

use std::net::IpAddr;

use kernel::settings::{MailSettings, SettingFaults};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// Implicit TLS (RFC 8314, 3.3).
const SMTPS_PORT: u16 = 465;
/// Submission, with STARTTLS (RFC 6409, 3.1).
const SUBMISSION_PORT: u16 = 587;

pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    pub(super) credentials: Option<Credentials>,
}

pub(super) enum Security {
    /// TLS from the first byte.
    Implicit(TlsParameters),
    /// In plain words first, then TLS or nothing.
    StartTls(TlsParameters),
    /// On this machine, or by the operators' explicit wish.
    Plain,
}

impl Server {
    /// `smtps://[user:password@]host[:465]`, or `smtp://…[:587]` with STARTTLS. `?tls=none` does
    /// without; on loopback that is the default and `?tls=required` asks for it. A password goes
    /// through no network in plain words.
    pub(super) fn read(settings: &MailSettings) -> Result<Self, SettingFaults> {
        let url = Url::parse(settings.url.expose()).map_err(|cause| fault(&cause.to_string()))?;
        let (host, is_here) = place(&url)?;
        let wish = wish(&url)?;
        let tls = || tls(&host, settings);
        let (default_port, security) = match (url.scheme(), wish) {
            ("smtps", Wish::Unsaid | Wish::Tls) => (SMTPS_PORT, Security::Implicit(tls()?)),
            ("smtps", Wish::Plain) => return Err(fault("smtps:// is TLS: leave out tls=none")),
            ("smtp", Wish::Tls) => (SUBMISSION_PORT, Security::StartTls(tls()?)),
            ("smtp", Wish::Plain) => (SUBMISSION_PORT, Security::Plain),
            ("smtp", Wish::Unsaid) if is_here => (SUBMISSION_PORT, Security::Plain),
            ("smtp", Wish::Unsaid) => (SUBMISSION_PORT, Security::StartTls(tls()?)),
            _ => return Err(fault("begins with smtp:// or smtps://")),
        };
        let credentials = credentials(&url)?;
        if credentials.is_some() && matches!(security, Security::Plain) && !is_here {
            return Err(fault("shows a password only over TLS: leave out tls=none"));
        }
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(fault("ends with the host, its port or ?tls="));
        }
        let port = url.port().unwrap_or(default_port);
        Ok(Self { host, port, security, credentials })
    }
}

/// The host without brackets, and whether it is this machine.
fn place(url: &Url) -> Result<(String, bool), SettingFaults> {
    let host = match url.host() {
        Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
        Some(Host::Ipv4(four)) => four.to_string(),
        Some(Host::Ipv6(six)) => six.to_string(),
        _ => return Err(fault("names no host")),
    };
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    Ok((host, is_here))
}

enum Wish {
    Unsaid,
    Tls,
    Plain,
}

fn wish(url: &Url) -> Result<Wish, SettingFaults> {
    match url.query() {
        None => Ok(Wish::Unsaid),
        Some("tls=required") => Ok(Wish::Tls),
        Some("tls=none") => Ok(Wish::Plain),
        Some(_) => Err(fault("takes ?tls=required or ?tls=none and nothing else")),
    }
}

/// Both or none; `%40` stands for `@`.
fn credentials(url: &Url) -> Result<Option<Credentials>, SettingFaults> {
    let text = |part: &str| {
        let decoded = percent_decode_str(part).decode_utf8();
        decoded.map(|text| text.into_owned()).map_err(|_| fault("has a user that is not UTF-8"))
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        (user, Some(password)) if !user.is_empty() && !password.is_empty() => {
            Ok(Some(Credentials::new(text(user)?, text(password)?)))
        }
        _ => Err(fault("names user and password together, or neither")),
    }
}

fn tls(host: &str, settings: &MailSettings) -> Result<TlsParameters, SettingFaults> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = &settings.ca_file {
        let bad = |cause: &dyn std::fmt::Display| {
            SettingFaults(vec![format!("MAIL_CA_FILE {}: {cause}", path.display())])
        };
        let pem = std::fs::read(path).map_err(|cause| bad(&cause))?;
        if !String::from_utf8_lossy(&pem).contains("BEGIN CERTIFICATE") {
            return Err(bad(&"holds no certificate"));
        }
        let certificates = Certificate::from_pem(&pem).map_err(|cause| bad(&cause))?;
        builder =
            builder.certificate_store(CertificateStore::None).add_root_certificate(certificates);
    }
    builder.build_rustls().map_err(|cause| fault(&cause.to_string()))
}

/// Never holds the URL, which has a password in it.
fn fault(text: &str) -> SettingFaults {
    SettingFaults(vec![format!("MAIL_URL: {text}")])
}
