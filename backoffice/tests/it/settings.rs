//! What is wrong with the environment is said before anything is served.

use std::process::Command;

/// What `backoffice check` says and ends with.
fn check(given: &[(&str, &str)]) -> String {
    let said = Command::new(env!("CARGO_BIN_EXE_backoffice"))
        .arg("check")
        .env_clear()
        .env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")
        .envs(given.iter().copied())
        .output()
        .unwrap();
    assert!(!said.status.success());
    String::from_utf8(said.stderr).unwrap()
}

#[test]
fn a_mail_server_that_cannot_be_meant_is_named_without_its_password() {
    for (url, words) in [
        ("http://ada:hunter2@mail.example.org", "MAIL_URL: begins with smtp:// or smtps://"),
        ("smtp://ada:hunter2@mail.example.org?tls=none", "MAIL_URL: shows a password only over"),
        ("smtp://ada:hunter2@", "MAIL_URL: "),
    ] {
        let said = check(&[("MAIL_URL", url)]);
        assert!(said.contains(words), "{url}: {said}");
        assert!(!said.contains("hunter2"), "{url}: {said}");
    }
    let said = check(&[("MAIL_URL", "smtps://mail.example.org"), ("MAIL_CA_FILE", "/nowhere")]);
    assert!(said.contains("MAIL_CA_FILE /nowhere"), "{said}");
    // A good one is taken: what is missing then is the database.
    let said = check(&[("MAIL_URL", "smtps://ada:hunter2@mail.example.org")]);
    assert!(!said.contains("MAIL") && !said.contains("hunter2"), "{said}");
}
