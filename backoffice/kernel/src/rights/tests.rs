use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::accounts;

fn registry() -> &'static Registry {
    static REGISTRY: std::sync::OnceLock<&'static Registry> = std::sync::OnceLock::new();
    REGISTRY.get_or_init(|| Registry::new(&[&accounts::DOMAIN]).unwrap().leak())
}

fn rights(layers: &[&Value]) -> Rights {
    let person = Person { org: Uuid::nil(), user: Uuid::max(), units: Vec::new() };
    let layers = layers.iter().map(|layer| parse(layer, None).unwrap()).collect();
    Rights::new(registry(), person, layers)
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
    let unit = json!([{"grant": "events.events", "rights": ["read"], "scope": "unit"}, own[0]]);
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
    check(&[&all, &unit], "events.events", "read", Some(Reach::Unit));
    check(&[&own, &unit], "events.events", "read", Some(Reach::Own));
}

#[track_caller]
fn refused(value: Value, with: Option<&Registry>, path: &str) {
    let error = parse(&value, with).unwrap_err();
    assert!(error.list().iter().any(|fault| fault.field == path), "{error}");
}

#[test]
fn a_role_says_what_is_wrong_with_it() {
    let bad = |value, path| refused(value, None, path);
    bad(json!({}), "grants");
    bad(json!([{"rights": ["read"]}]), "grants[0].grant");
    bad(json!([{"grant": "a.b", "rights": []}]), "grants[0].rights");
    bad(json!([{"grant": "a.b"}]), "grants[0].rights");
    bad(json!([{"grant": "a.b", "rights": ["read"], "scope": "teams"}]), "grants[0].scope");
    bad(json!([{"grant": "a.b", "rights": ["read"], "scope": null}]), "grants[0].scope");
    bad(json!([{"grant": "a.b", "rights": ["read"], "scope": ["own"]}]), "grants[0].scope");
    bad(json!([{"grant": "a.b", "rights": ["read"], "scop": "own"}]), "grants[0]");
    bad(json!([{"grant": "a.b", "rights": ["read"], "levels": ["all"]}]), "grants[0].levels[0]");
    bad(json!([{"grant": "a.b", "rights": ["read"], "levels": "open"}]), "grants[0].levels");
    bad(json!([{"grant": "a.b", "rights": ["read"], "hidden": "pay"}]), "grants[0].hidden");
    bad(json!([{"grant": "a.b", "rights": ["read"], "fixed": [1]}]), "grants[0].fixed");
    bad(json!([{"grant": "a.b", "rights": ["read"], "logged": 1}]), "grants[0].logged");
    bad(json!([{"grant": "a.b", "rights": ["read"]}, 5]), "grants[1].grant");
}

#[test]
fn names_that_mean_nothing_here_are_refused() {
    let bad = |value, path| refused(value, Some(registry()), path);
    bad(json!([{"grant": "a.b", "rights": ["read"]}]), "grants[0]");
    bad(json!([{"grant": "accounts.roles", "rights": ["raed"]}]), "grants[0].rights[0]");
    bad(json!([{"grant": "accounts.reach", "rights": ["set-grants"]}]), "grants[0].rights[0]");
    bad(
        json!([{"grant": "accounts.roles", "rights": ["read"], "scope": "own"}]),
        "grants[0].scope",
    );
    bad(
        json!([{"grant": "accounts.reach", "rights": ["read"], "hidden": ["name", "key"]}]),
        "grants[0].hidden[1]",
    );
    let good = json!([
        {"grant": "accounts.roles", "rights": ["set-grants", "read"], "fixed": ["name"]},
        {"grant": "accounts.*", "rights": ["set-grants"], "hidden": ["key"], "scope": "own"},
        {"grant": "accounts.api_tokens", "rights": ["create"]},
        {"grant": "*", "rights": ["*"], "levels": []},
    ]);
    parse(&good, Some(registry())).unwrap();
}

#[test]
fn a_line_is_shown_as_it_was_read() {
    let lines = json!([
        {"grant": "a.b", "rights": ["read"], "scope": "all"},
        {"grant": "a.*", "rights": ["*"], "scope": "team", "levels": ["open", "confidential"],
         "hidden": ["x"], "fixed": ["y"], "logged": true},
        {"grant": "a.*", "rights": ["*"], "scope": "unit", "levels": []},
    ]);
    let shown: Vec<Value> = parse(&lines, None).unwrap().iter().map(Grant::show).collect();
    assert_eq!(json!(shown), lines);
}

#[track_caller]
fn covers(held: &[&Value], given: &Value, expected: bool) {
    let lines = parse(given, None).unwrap();
    assert_eq!(rights(held).cover(&lines), expected, "{held:?} gives {given}");
}

#[test]
fn nobody_gives_what_they_do_not_have() {
    let every = ["open", "personal", "confidential"];
    let all = json!([{"grant": "*", "rights": ["*"], "levels": every}]);
    let one = json!([{"grant": "a.b", "rights": ["read", "update"]}]);
    covers(&[&all], &all, true);
    covers(&[&all], &one, true);
    covers(&[&one], &all, false);
    covers(&[&one], &one, true);
    covers(&[&all, &one], &one, true);
    covers(&[&all, &one], &all, false);
    covers(&[&one], &json!([{"grant": "a.b", "rights": ["*"]}]), false);
    covers(&[&one], &json!([{"grant": "a.*", "rights": ["read"]}]), false);
    covers(&[&one], &json!([{"grant": "a.b", "rights": ["read"], "levels": every}]), false);
    let team = json!([{"grant": "a.b", "rights": ["read"], "scope": "team"}]);
    let own = json!([{"grant": "a.b", "rights": ["read"], "scope": "own"}]);
    covers(&[&one], &team, true);
    covers(&[&team], &own, true);
    covers(&[&own], &team, false);
    let hidden = json!([{"grant": "a.b", "rights": ["read", "update"], "hidden": ["x"]}]);
    let fixed = json!([{"grant": "a.b", "rights": ["read", "update"], "fixed": ["x"]}]);
    covers(&[&one], &hidden, true);
    covers(&[&hidden], &one, false);
    covers(&[&hidden], &hidden, true);
    covers(&[&hidden], &fixed, false);
    covers(&[&fixed], &hidden, true);
    covers(&[&fixed], &one, false);
    let told = json!([{"grant": "a.b", "rights": ["read"], "logged": true}]);
    covers(&[&told], &own, false);
    covers(&[&told], &told, true);
    covers(&[&one], &told, true);
}

mod held {
    //! Whoever gives a role or a token gives nothing that they do not have: of two random sets of
    //! lines, one that covers the other reaches no less on any entity, right and field.

    use proptest::prelude::*;

    use super::*;

    fn line() -> impl Strategy<Value = Value> {
        let grant = prop::sample::select(vec![
            "*",
            "accounts.*",
            "accounts.r*",
            "accounts.reach",
            "accounts.memberships",
            "accounts.personal_reads",
        ]);
        let right = prop::sample::select(vec!["*", "read", "create", "update", "set-end"]);
        let reach = prop::sample::select(vec!["own", "team", "unit", "all"]);
        let levels = prop::sample::subsequence(vec!["open", "personal", "confidential"], 0..=3);
        let fields = || {
            let names = vec!["name", "user_id", "who"];
            prop_oneof![2 => Just(Vec::new()), 1 => prop::sample::subsequence(names, 1..=2)]
        };
        let logged = prop::bool::weighted(0.2);
        let rights = prop::collection::vec(right, 1..3);
        (grant, rights, reach, levels, fields(), fields(), logged).prop_map(
            |(grant, rights, scope, levels, hidden, fixed, logged)| {
                json!({"grant": grant, "rights": rights, "scope": scope, "levels": levels,
                    "hidden": hidden, "fixed": fixed, "logged": logged})
            },
        )
    }

    fn lines() -> impl Strategy<Value = Value> {
        prop::collection::vec(line(), 1..4).prop_map(Value::Array)
    }

    /// What the rights reach on a field, by the definition and not by the judgement under test.
    fn reach_of(all: &Rights, entity: &'static Entity, right: &str, field: &str) -> Option<Reach> {
        let access = all.access(entity, right)?;
        match access.shows(entity.field(field)?) {
            Shows::Always => all.reach(entity.grant, right),
            Shows::Within(reach) => Some(reach),
            Shows::Never => None,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn what_is_covered_reaches_no_further(held in lines(), cut in lines(), given in lines()) {
            for layers in [vec![&held], vec![&held, &cut]] {
                let (held, lines) = (rights(&layers), parse(&given, None).unwrap());
                if !held.cover(&lines) {
                    continue;
                }
                let given = rights(&[&given]);
                for entity in registry().entities().filter(|entity| !entity.grant.is_empty()) {
                    for right in registry().rights(entity) {
                        let reach = |all: &Rights| all.reach(entity.grant, right);
                        prop_assert!(reach(&given) <= reach(&held), "{} {right}", entity.name);
                        for field in entity.fields {
                            let reach = |all| reach_of(all, entity, right, field.name);
                            prop_assert!(
                                reach(&given) <= reach(&held),
                                "{}.{} {right}", entity.name, field.name
                            );
                        }
                    }
                }
            }
        }

        /// Everybody may give on what they have.
        #[test]
        fn everybody_covers_their_own(held in lines()) {
            let lines = parse(&held, None).unwrap();
            prop_assert!(rights(&[&held]).cover(&lines));
        }
    }
}
