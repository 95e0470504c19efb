use std::collections::HashMap;

use super::{Role, Store, read};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn good() -> HashMap<&'static str, &'static str> {
    HashMap::from([
        ("GATE_DATA_DIR", "/var/lib/gate"),
        ("BACKOFFICE_INTERNAL_URL", "http://127.0.0.1:8083/"),
        ("CATALOGUE_TOKEN", "catalogue-token-of-tests"),
        ("JOURNAL_TOKEN", "journal-token-of-tests-x"),
        ("ATLVS_MASTER_KEY", KEY),
    ])
}

/// Reads the good settings with `changes`, an empty value meaning absent.
#[track_caller]
fn errors(changes: &[(&'static str, &'static str)]) -> Vec<String> {
    let mut values = good();
    values.extend(changes.iter().copied());
    match read(&|name| values.get(name).map(|v| (*v).to_owned())) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let values = good();
    let settings = read(&|name| values.get(name).map(|v| (*v).to_owned())).expect("good");
    assert_eq!(settings.listen.public.to_string(), "127.0.0.1:8081");
    assert_eq!(settings.listen.internal.to_string(), "127.0.0.1:8082");
    assert_eq!(settings.back_office.url, "http://127.0.0.1:8083");
    assert_eq!(settings.role, Role::All);
    assert!(matches!(settings.store, Store::File { dir } if dir.ends_with("gate")));
    assert!(settings.log.json);
    assert!(settings.spool.is_some_and(|dir| dir.ends_with("gate/spool")));
}

#[test]
fn what_is_wrong_is_named() {
    assert_eq!(errors(&[("GATE_DATA_DIR", "")]), ["GATE_DATA_DIR: is required"]);
    assert_eq!(errors(&[("GATE_PORT", "99999")]), ["GATE_PORT: must be a port, 0 to 65535"]);
    assert_eq!(
        errors(&[("GATE_INTERNAL_BIND", "0.0.0.0")]),
        ["GATE_INTERNAL_BIND: must be a loopback address: the feeds have no TLS here"]
    );
    assert_eq!(errors(&[("GATE_INTERNAL_BIND", "::1")]), [""; 0]);
    assert_eq!(errors(&[("GATE_STORE", "disk")]), ["GATE_STORE: must be one of file, redis"]);
    assert_eq!(errors(&[("GATE_STORE", "redis")]), ["REDIS_URL: is required"]);
    assert_eq!(
        errors(&[("GATE_STORE", "redis"), ("REDIS_URL", "http://x")]),
        ["REDIS_URL: must begin with redis://"]
    );
    assert_eq!(
        errors(&[("CATALOGUE_TOKEN", "short"), ("JOURNAL_TOKEN", "")]),
        ["CATALOGUE_TOKEN: must have at least 16 characters", "JOURNAL_TOKEN: is required"]
    );
    assert_eq!(
        errors(&[("GATE_TRUSTED_PROXIES", "10.0.0.1, proxy")]),
        ["GATE_TRUSTED_PROXIES: must be IP addresses and commas"]
    );
    for (name, value) in
        [("GATE_CONNECTIONS_MAX", "0"), ("GATE_REQUESTS_MAX", "9223372036854775807")]
    {
        assert_eq!(errors(&[(name, value)]), [format!("{name}: must be 1 to 1000000")]);
    }
    assert_eq!(errors(&[("ATLVS_MASTER_KEY", "short")]).len(), 1);
}

#[test]
fn secrets_never_show() {
    let mut values = good();
    values.extend([("GATE_STORE", "redis"), ("REDIS_URL", "redis://:hunter2secret@h/")]);
    let settings = read(&|name| values.get(name).map(|v| (*v).to_owned())).expect("good");
    let shown = format!("{settings:?}");
    for secret in ["hunter2secret", "catalogue-token", "journal-token", KEY] {
        assert!(!shown.contains(secret), "{secret} shows");
    }
    let mut values = good();
    values.extend([("ATLVS_MASTER_KEY", "hunter2secret")]);
    let errors = read(&|name| values.get(name).map(|v| (*v).to_owned())).expect_err("bad key");
    assert!(!format!("{errors:?}").contains("hunter2secret"));
}
