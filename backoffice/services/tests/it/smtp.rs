//! Mail on its way to a server that shares no code with us; see `server.py`.

use std::collections::BTreeMap;

use kernel::error::{Code, Error};
use kernel::mail::{Mail, Mailer as _};
use kernel::settings::{MailSettings, Secret};
use services::smtp::Smtp;
use uuid::Uuid;

use crate::post_office::PostOffice;

fn mail(to: &str) -> Mail {
    Mail {
        id: Uuid::new_v4(),
        from: "house@example.org".into(),
        to: to.into(),
        subject: "Grüße aus dem Haus, und zwar so viele, daß sie auf keine einzelne Zeile passen"
            .into(),
        text: Secret::new("Hello\n.\n..two dots\n\nhttps://example.org/#inv_secret\n"),
        at: "2026-11-21T12:00:00Z".parse().unwrap(),
    }
}

fn smtp(url: &str, ca: Option<&str>) -> Smtp {
    let settings = MailSettings {
        url: Secret::new(url),
        ca_file: ca.map(Into::into),
        ..MailSettings::default()
    };
    Smtp::new(&settings).unwrap()
}

#[tokio::test]
async fn a_mail_arrives_as_it_was_written() {
    let mut office = PostOffice::open();
    let smtp = smtp(&office.url("smtp", "plain", ""), None);
    let mail = mail("ada@example.org");
    smtp.send(&mail).await.unwrap();
    // Sent once more after a crash, it can be known again.
    smtp.send(&mail).await.unwrap();
    let (first, second) = (office.taken(), office.taken());
    assert_eq!(first, second);
    assert_eq!(first["from"], "house@example.org");
    assert_eq!(first["to"], serde_json::json!(["ada@example.org"]));
    assert_eq!(first["defects"], serde_json::json!([]));
    assert_eq!(first["hello"], "example.org");
    assert_eq!(first["text"].as_str().unwrap().replace("\r\n", "\n"), mail.text.expose());
    let headers: Vec<(String, String)> = serde_json::from_value(first["headers"].clone()).unwrap();
    let count = headers.len();
    let headers: BTreeMap<String, String> = headers.into_iter().collect();
    assert_eq!(headers.len(), count, "each header once");
    assert_eq!(headers["Subject"], mail.subject);
    assert_eq!(headers["To"], "ada@example.org");
    assert_eq!(headers["From"], "house@example.org");
    assert_eq!(headers["Message-ID"], format!("<{}@example.org>", mail.id));
}

/// The queue tries again what is 503 and gives up on what is 422.
#[tokio::test]
async fn what_is_refused_for_good_and_what_is_put_off_are_told_apart() {
    let mut office = PostOffice::open();
    let smtp = smtp(&office.url("smtp", "plain", ""), None);
    for (name, code, words) in [
        ("unknown", Code::MailRefused, "for good: 550 5.1.1"),
        ("refused", Code::MailRefused, "for good: 554 5.7.1"),
        ("put-off", Code::Unavailable, "451 4.7.1"),
        ("cut", Code::Unavailable, "does not take"),
        ("cut-late", Code::Unavailable, "does not take"),
        ("jürgen", Code::MailRefused, "beyond ASCII"),
    ] {
        let to = format!("{name}@example.org");
        let error = smtp.send(&mail(&to)).await.unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error:?}");
        assert!(error.detail().contains(words), "{name}: {error:?}");
        // What the server says may go into the log: it is nobody's address.
        assert!(!format!("{error:?}").contains(&to), "{error:?}");
    }
    // Taken, and the word on it was lost: the mail comes again, with the same id.
    assert_eq!(office.taken()["to"], serde_json::json!(["cut-late@example.org"]));
    smtp.send(&mail("ada@example.org")).await.unwrap();
    assert_eq!(office.taken()["to"], serde_json::json!(["ada@example.org"]));
}

#[tokio::test]
async fn nobody_there_is_put_off() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = smtp(&url, None).send(&mail("ada@example.org")).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
}

const LOGIN: &str = "ada:hunter%202%40home@";

#[tokio::test]
async fn the_password_goes_over_tls_to_a_server_that_is_vouched_for() {
    let mut office = PostOffice::open();
    let url = office.url("smtp", "starttls", LOGIN) + "?tls=required";
    let ca = office.ca.clone();
    smtp(&url, Some(&ca)).send(&mail("ada@example.org")).await.unwrap();
    let taken = office.taken();
    assert_eq!((&taken["tls"], &taken["login"]), (&true.into(), &"ada".into()));
    let url = office.url("smtps", "smtps", "");
    smtp(&url, Some(&ca)).send(&mail("ada@example.org")).await.unwrap();
    assert_eq!(office.taken()["tls"], true);
}

#[track_caller]
fn put_off(error: &Error, words: &str) {
    let shown = format!("{error:?} {error}");
    assert_eq!(error.code(), Code::Unavailable, "{shown}");
    assert!(shown.contains(words), "{shown}");
    assert!(!shown.contains("hunter") && !shown.contains("wrong"), "{shown}");
}

#[tokio::test]
async fn without_trust_nothing_is_sent() {
    let office = PostOffice::open();
    let (ca, stranger) = (office.ca.clone(), office.stranger.clone());
    let mail = mail("ada@example.org");
    let starttls = office.url("smtp", "starttls", LOGIN) + "?tls=required";
    let smtps = office.url("smtps", "smtps", "");
    for ca in [Some(stranger.as_str()), None] {
        put_off(&smtp(&starttls, ca).send(&mail).await.unwrap_err(), "at STARTTLS");
        put_off(&smtp(&smtps, ca).send(&mail).await.unwrap_err(), "at the greeting");
    }
    // A server, or somebody on the way to it, that offers no TLS.
    let bare = office.url("smtp", "plain", LOGIN) + "?tls=required";
    put_off(&smtp(&bare, Some(&ca)).send(&mail).await.unwrap_err(), "at STARTTLS");
    // A certificate for another name.
    let elsewhere = smtps.replace("127.0.0.1", "localhost");
    put_off(&smtp(&elsewhere, Some(&ca)).send(&mail).await.unwrap_err(), "at the greeting");
    // The wrong password is the operators' to mend: mail waits for them.
    let wrong = office.url("smtp", "starttls", "ada:wrong@") + "?tls=required";
    put_off(&smtp(&wrong, Some(&ca)).send(&mail).await.unwrap_err(), "535");
    let nobody = office.url("smtp", "starttls", "") + "?tls=required";
    put_off(&smtp(&nobody, Some(&ca)).send(&mail).await.unwrap_err(), "530");
    assert_eq!(office.close(), Vec::<serde_json::Value>::new());
}

/// Addresses and subjects that would end a header or name a second recipient never reach a server.
#[tokio::test]
async fn no_text_makes_a_header_or_a_command() {
    let office = PostOffice::open();
    let smtp = smtp(&office.url("smtp", "plain", ""), None);
    for to in [
        "ada@example.org\r\nRCPT TO:<eve@example.org>",
        "ada@example.org\nBcc: eve@example.org",
        "ada@example.org, eve@example.org",
        "ada@example.org>\r\nDATA",
        "Ada <ada@example.org>",
        "",
    ] {
        smtp.send(&mail(to)).await.unwrap_err();
        smtp.send(&Mail { from: to.into(), ..mail("ada@example.org") }).await.unwrap_err();
    }
    for subject in ["Hello\r\nBcc: eve@example.org", "Hello\n\nText", "a\0b"] {
        let bad = Mail { subject: subject.into(), ..mail("ada@example.org") };
        smtp.send(&bad).await.unwrap_err();
    }
    assert_eq!(office.close(), Vec::<serde_json::Value>::new());
}
