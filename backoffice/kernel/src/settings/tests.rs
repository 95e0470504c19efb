use super::*;

#[track_caller]
fn check(pairs: &[(&str, &str)], fault: Option<&str>) {
    let lookup = |name: &str| {
        pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    match (Settings::read(&lookup), fault) {
        (Ok(_), None) => {}
        (Err(faults), Some(text)) => assert!(faults.to_string().contains(text), "{faults}"),
        (result, _) => panic!("{pairs:?} gave {result:?}"),
    }
}

#[test]
fn settings_name_what_is_wrong() {
    check(&[], None);
    check(&[("BACKOFFICE_PORT", "0"), ("BACKOFFICE_BIND", "::1")], None);
    check(&[("BACKOFFICE_PORT", "70000")], Some("BACKOFFICE_PORT must be a port number"));
    check(&[("BACKOFFICE_BIND", "host")], Some("BACKOFFICE_BIND must be an IP address"));
    check(&[("BACKOFFICE_INTERNAL_BIND", "10.0.0.1")], Some("must be a loopback address"));
    check(&[("BACKOFFICE_INTERNAL_BIND", "::1")], None);
    check(&[("GATE_INTERNAL_URL", "gate:80")], Some("GATE_INTERNAL_URL must begin with"));
    check(&[("CATALOGUE_TOKEN", "short")], Some("CATALOGUE_TOKEN must have"));
    check(&[("ATLVS_MASTER_KEY", "AAAA")], Some("base64 of 32 bytes"));
    check(&[("ATLVS_MASTER_KEY", &BASE64.encode(&[7; 32]))], None);
    check(&[("ATLVS_MASTER_KEY_FILE", "/nonexistent/key")], Some("/nonexistent/key"));
}

#[test]
fn secrets_print_as_nothing() {
    let lookup =
        |name: &str| (name == "DATABASE_URL").then(|| "postgres://a:hunter2@h/d".to_owned());
    let settings = Settings::read(&lookup).unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
    assert_eq!(settings.database.app_url.expose(), "postgres://a:hunter2@h/d");
}
