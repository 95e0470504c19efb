//! Mail over SMTP (RFC 5321, submission after RFC 6409): one connection a mail, TLS unless the server
//! is on this machine. What the server refuses for good and what it puts off are told apart, so that
//! the queue tries again only what may succeed. Knows neither why a mail is written nor how often it
//! was tried.

mod server;

use std::fmt;
use std::time::Duration;

use kernel::action::BoxFuture;
use kernel::error::{Code, Error, Result};
use kernel::mail::{Mail, Mailer};
use kernel::settings::{MailSettings, SettingFaults};
use lettre::Address;
use lettre::transport::smtp::authentication::DEFAULT_MECHANISMS;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::{Error as SmtpError, response};

use server::{Security, Server};

/// From the first packet to the server's word on the mail. The queue gives an attempt a little more.
const SEND_WAIT: Duration = Duration::from_secs(25);
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// For a farewell, which changes nothing.
const QUIT_WAIT: Duration = Duration::from_secs(1);

/// A server that takes our mail.
pub struct Smtp {
    server: Server,
    wait: Duration,
}

impl Smtp {
    /// Reads `MAIL_URL` and `MAIL_CA_FILE` without connecting. Faults name the variable and never
    /// hold its text.
    pub fn new(settings: &MailSettings) -> std::result::Result<Self, SettingFaults> {
        Ok(Self { server: Server::read(settings)?, wait: SEND_WAIT })
    }

    async fn deliver(&self, mail: &Mail) -> Result<()> {
        // All that can be wrong with the mail itself is found before anybody is bothered.
        let message = mail.message()?;
        let (from, to) = (address("From", &mail.from)?, address("To", &mail.to)?);
        let taken = tokio::time::timeout(self.wait, self.hand_over(from, to, message.as_bytes()));
        let mut connection = match taken.await {
            Ok(taken) => taken?,
            Err(_) => {
                let seconds = self.wait.as_secs_f32();
                let text = format!("the mail server did not answer within {seconds} s");
                return Err(Error::new(Code::Unavailable, text));
            }
        };
        // The mail is the server's: whatever happens now, it is not sent again.
        let farewell = tokio::time::timeout(QUIT_WAIT, connection.abort()).await;
        drop(farewell);
        Ok(())
    }

    async fn hand_over(
        &self,
        from: Address,
        to: Address,
        message: &[u8],
    ) -> Result<AsyncSmtpConnection> {
        let hello = ClientId::Domain(from.domain().to_owned());
        let mut connection = self.connect(&hello).await?;
        let parameters = international(&connection, &[&from, &to])?;
        // Who may send at all is a matter between this house and its server, which somebody mends.
        let command = MailFrom::new(Some(from), parameters);
        connection.command(command).await.map_err(|cause| put_off("MAIL", &cause))?;
        let command = Rcpt::new(to, Vec::new());
        connection.command(command).await.map_err(|cause| judged("RCPT", &cause))?;
        connection.command(Data).await.map_err(|cause| put_off("DATA", &cause))?;
        connection.message(message).await.map_err(|cause| judged("the message", &cause))?;
        Ok(connection)
    }

    async fn connect(&self, hello: &ClientId) -> Result<AsyncSmtpConnection> {
        let at = (self.server.host.as_str(), self.server.port);
        let wrapped = match &self.server.security {
            Security::Implicit(tls) => Some(tls.clone()),
            Security::StartTls(_) | Security::Plain => None,
        };
        let connected =
            AsyncSmtpConnection::connect_tokio1(at, Some(CONNECT_WAIT), hello, wrapped, None);
        let mut connection = connected.await.map_err(|cause| put_off("the greeting", &cause))?;
        if let Security::StartTls(tls) = &self.server.security {
            let secured = connection.starttls(tls.clone(), hello).await;
            secured.map_err(|cause| put_off("STARTTLS", &cause))?;
        }
        if let Some(credentials) = &self.server.credentials {
            let known = connection.auth(DEFAULT_MECHANISMS, credentials).await;
            known.map_err(|cause| put_off("AUTH", &cause))?;
        }
        Ok(connection)
    }
}

impl Mailer for Smtp {
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.deliver(mail))
    }
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Smtp({}:{})", self.server.host, self.server.port)
    }
}

fn address(header: &str, text: &str) -> Result<Address> {
    let refused = || Error::new(Code::MailRefused, format!("{header} is not an address"));
    text.parse().map_err(|_| refused())
}

/// An address beyond ASCII goes only where it is understood (RFC 6531, 3.2).
fn international(
    connection: &AsyncSmtpConnection,
    addresses: &[&Address],
) -> Result<Vec<MailParameter>> {
    let plain = |address: &&Address| AsRef::<str>::as_ref(*address).is_ascii();
    if addresses.iter().all(plain) {
        return Ok(Vec::new());
    }
    if connection.server_info().supports_feature(Extension::SmtpUtfEight) {
        return Ok(vec![MailParameter::SmtpUtfEight]);
    }
    let text = "the mail server takes no addresses beyond ASCII";
    Err(Error::new(Code::MailRefused, text))
}

/// What may succeed another time.
fn put_off(step: &str, cause: &SmtpError) -> Error {
    Error::new(
        Code::Unavailable,
        format!("the mail server does not take the mail: {}", said(cause)),
    )
    .with_context(format!("at {step}"))
}

/// A word on this mail: 5yz is for good (RFC 5321, 4.2.1).
fn judged(step: &str, cause: &SmtpError) -> Error {
    if !cause.is_permanent() {
        return put_off(step, cause);
    }
    let text = format!("the mail server refuses the mail for good: {}", said(cause));
    Error::new(Code::MailRefused, text).with_context(format!("at {step}"))
}

/// The reply's numbers, `550 5.1.1`; its words may hold somebody's address. Without a reply, what the
/// connection met.
fn said(cause: &SmtpError) -> String {
    let Some(status) = cause.status() else { return cause.to_string() };
    let words = std::error::Error::source(cause).map(ToString::to_string).unwrap_or_default();
    match words.split_whitespace().next().filter(|word| is_enhanced(word)) {
        Some(enhanced) => format!("{} {enhanced}", number(status)),
        None => number(status),
    }
}

/// `class.subject.detail` (RFC 3463, 2).
fn is_enhanced(word: &str) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    let digits = |part: &&str| {
        (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    parts.len() == 3 && parts.iter().all(digits)
}

fn number(status: response::Code) -> String {
    status.to_string()
}

#[cfg(test)]
mod tests;
