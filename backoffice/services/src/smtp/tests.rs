use std::net::TcpListener;
use std::time::Duration;

use kernel::error::Code;
use kernel::mail::{Mail, Mailer as _};
use kernel::settings::{MailSettings, Secret};

use super::Smtp;
use super::server::{Security, Server};

fn settings(url: &str) -> MailSettings {
    MailSettings { url: Secret::new(url), ..MailSettings::default() }
}

#[track_caller]
fn good(url: &str, expected: (&str, u16, &str, bool)) {
    let server = Server::read(&settings(url)).unwrap_or_else(|fault| panic!("{url}: {fault}"));
    let security = match server.security {
        Security::Implicit(_) => "tls",
        Security::StartTls(_) => "starttls",
        Security::Plain => "plain",
    };
    let read = (server.host.as_str(), server.port, security, server.credentials.is_some());
    assert_eq!(read, expected, "{url}");
}

#[track_caller]
fn bad(url: &str, words: &str) {
    let fault = Server::read(&settings(url)).err().unwrap_or_else(|| panic!("{url} was taken"));
    let text = fault.to_string();
    assert!(text.starts_with("MAIL_URL: ") && text.contains(words), "{url}: {text}");
    assert!(!text.contains("hunter2"), "{url}: the fault shows the password: {text}");
}

#[test]
fn the_url_says_where_and_how_safely() {
    good("smtps://mail.example.org", ("mail.example.org", 465, "tls", false));
    good("smtps://mail.example.org:4650/", ("mail.example.org", 4650, "tls", false));
    good("smtps://ada:hunter2@mail.example.org", ("mail.example.org", 465, "tls", true));
    good("smtp://mail.example.org", ("mail.example.org", 587, "starttls", false));
    good("smtp://a%40b.org:hunter2@mail.example.org", ("mail.example.org", 587, "starttls", true));
    good("smtp://mail.example.org:25?tls=none", ("mail.example.org", 25, "plain", false));
    good("smtp://10.0.0.9", ("10.0.0.9", 587, "starttls", false));
    good("smtp://localhost:2525", ("localhost", 2525, "plain", false));
    good("smtp://127.0.0.1:2525", ("127.0.0.1", 2525, "plain", false));
    good("smtp://ada:hunter2@127.0.0.1", ("127.0.0.1", 587, "plain", true));
    good("smtp://[::1]:2525", ("::1", 2525, "plain", false));
    good("smtp://[::1]:2525?tls=required", ("::1", 2525, "starttls", false));
}

#[test]
fn a_bad_url_is_named_without_its_password() {
    bad("", "relative URL");
    bad("mail.example.org", "relative URL");
    bad("http://ada:hunter2@mail.example.org", "smtp:// or smtps://");
    bad("smtp://", "host");
    bad("smtps://mail.example.org?tls=none", "leave out");
    bad("smtp://mail.example.org?tls=maybe", "?tls=");
    bad("smtp://mail.example.org?starttls=1", "?tls=");
    bad("smtp://ada:hunter2@mail.example.org?tls=none", "only over TLS");
    bad("smtp://ada:hunter2@localhost.example.org?tls=none", "only over TLS");
    bad("smtp://ada@mail.example.org", "together");
    bad("smtp://:hunter2@mail.example.org", "together");
    bad("smtp://ada:hunter2@mail.example.org:99999", "port");
    bad("smtp://ada:%ffhunter2@mail.example.org", "UTF-8");
    bad("smtp://mail.example.org/inbox", "ends with");
    bad("smtp://mail.example.org#hunter2", "ends with");
}

#[test]
fn the_certificates_are_looked_for_at_once() {
    let nowhere = MailSettings {
        ca_file: Some("/nowhere/ca.pem".into()),
        ..settings("smtps://ada:hunter2@mail.example.org")
    };
    let fault = Smtp::new(&nowhere).err().unwrap().to_string();
    assert!(fault.starts_with("MAIL_CA_FILE /nowhere/ca.pem: "), "{fault}");
    let none =
        MailSettings { ca_file: Some(file!().rsplit('/').next().unwrap().into()), ..nowhere };
    assert!(Smtp::new(&none).is_err());
}

#[test]
fn nothing_prints_the_password() {
    let smtp = Smtp::new(&settings("smtps://ada:hunter2@mail.example.org")).unwrap();
    assert_eq!(format!("{smtp:?}"), "Smtp(mail.example.org:465)");
}

pub(crate) fn mail(to: &str) -> Mail {
    Mail {
        id: uuid::Uuid::from_u128(1),
        from: "house@example.org".into(),
        to: to.into(),
        subject: "Hello".into(),
        text: Secret::new("Text"),
        at: "2026-11-21T12:00:00Z".parse().unwrap(),
    }
}

/// Somebody listens there and never says a word.
#[tokio::test]
async fn a_silent_server_is_not_waited_for_without_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let smtp = Smtp { wait: Duration::from_millis(50), ..Smtp::new(&settings(&url)).unwrap() };
    let error = smtp.send(&mail("ada@example.org")).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
    assert!(error.detail().contains("did not answer within 0.05 s"), "{error:?}");
}
