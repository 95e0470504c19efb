use serde_json::json;

use super::*;

fn rights(layers: &[&Value]) -> Rights {
    Rights::new(layers.iter().map(|layer| parse(layer, None).unwrap()).collect())
}

#[track_caller]
fn check(layers: &[&Value], grant: &str, right: &str, expected: Option<Reach>) {
    assert_eq!(rights(layers).reach(grant, right), expected);
}

#[test]
fn every_layer_must_allow() {
    let all = json!([{"grant": "*", "rights": ["*"]}]);
    let reader = json!([{"grant": "events.*", "rights": ["read"]}]);
    let own = json!([{"grant": "events.events", "rights": ["read"], "scope": "own"}]);
    let both = json!([own[0], reader[0]]);
    check(&[], "events.events", "read", None);
    check(&[&json!([])], "events.events", "read", None);
    check(&[&all], "events.events", "cancel", Some(Reach::All));
    check(&[&reader], "events.events", "read", Some(Reach::All));
    check(&[&reader], "events.events", "update", None);
    check(&[&reader], "eventsx.events", "read", None);
    check(&[&all, &reader], "events.events", "update", None);
    check(&[&all, &own], "events.events", "read", Some(Reach::Own));
    check(&[&all, &both], "events.events", "read", Some(Reach::All));
}

#[track_caller]
fn refused(value: Value, path: &str) {
    let error = parse(&value, None).unwrap_err();
    assert!(error.list().iter().any(|fault| fault.field == path), "{error}");
}

#[test]
fn a_role_says_what_is_wrong_with_it() {
    refused(json!({}), "grants");
    refused(json!([{"rights": ["read"]}]), "grants[0].grant");
    refused(json!([{"grant": "a.b", "rights": []}]), "grants[0].rights");
    refused(json!([{"grant": "a.b", "rights": ["read"], "scope": "team"}]), "grants[0].scope");
    refused(json!([{"grant": "a.b", "rights": ["read"], "scope": null}]), "grants[0].scope");
    refused(json!([{"grant": "a.b", "rights": ["read"], "scope": ["own"]}]), "grants[0].scope");
    refused(json!([{"grant": "a.b", "rights": ["read"], "scop": "own"}]), "grants[0]");
    refused(json!([{"grant": "a.b", "rights": ["read"]}, 5]), "grants[1].grant");
}
