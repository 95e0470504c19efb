//! One truth told three times: what the API tells of itself, the API's reference and the database
//! name the same fields of every entity.

use std::collections::BTreeSet;

use kernel::entity::Field;
use kernel::kind_sql;
use kernel::openapi;
use kernel::testkit::python;
use serde_json::{Value, json};

use crate::stage::{Broken, Stage};
use crate::{database, registry};

fn names(fields: &Value) -> BTreeSet<String> {
    let all = fields.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter_map(|one| one["name"].as_str()).map(str::to_owned).collect()
}

fn members(object: &Value) -> BTreeSet<String> {
    object.as_object().map(|all| all.keys().cloned().collect()).unwrap_or_default()
}

#[tokio::test]
async fn meta_reference_and_database_agree() {
    let stage = Stage::open(registry(), database().await).await;
    let client = stage.client(&stage.ours);
    let document = openapi::document(registry());
    let index = client.get("/api/v1/meta").await.unwrap().body;
    let mut broken = Broken::default();
    let served: BTreeSet<String> =
        stage.served().iter().map(|member| member.entity.name.to_owned()).collect();
    broken.demand(names(&index["entities"]) == served, || "the index is not what is served".into());
    for member in stage.served() {
        let entity = member.entity;
        let reply = client.get(&format!("/api/v1/meta/{}", member.route)).await.unwrap();
        broken.demand(reply.status == 200, || format!("{}: {}", entity.name, reply.status));
        let told = names(&reply.body["fields"]);
        // Where no answer is one whole row, the list's own schema is all there is.
        let listed = format!("{}.listed", entity.name);
        let schemas = &document["components"]["schemas"];
        let schema =
            schemas.get(entity.name).or_else(|| schemas.get(listed)).unwrap_or(&Value::Null);
        let mut documented = members(&schema["properties"]);
        // What a list shows when asked to, beside the row: when it was deleted, linked rows.
        documented.remove("deleted_at");
        for link in &member.links {
            documented.remove(link.field.name.trim_end_matches("_id"));
        }
        broken.demand(told == documented, || {
            let differ: Vec<_> = told.symmetric_difference(&documented).collect();
            format!("{}: only one of meta and reference has {differ:?}", entity.name)
        });
        // Columns, but for what never leaves: the organization, secrets, what the engine keeps.
        let sql = "select column_name::text from information_schema.columns \
                   where table_schema = 'public' and table_name = $1";
        let rows = stage.admin.query(sql, &[&entity.name]).await.unwrap();
        let columns: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
        let own = |field: &'static Field| {
            kind_sql::columns(field).into_iter().map(move |column| (column.name, field))
        };
        for (column, field) in entity.fields.iter().flat_map(own) {
            broken.demand(columns.contains(&column), || {
                format!("{}: the database has no {column}", entity.name)
            });
            broken.demand(told.contains(field.name) != field.secret, || {
                format!("{}.{} is told wrongly", entity.name, field.name)
            });
        }
        let known: BTreeSet<String> =
            entity.fields.iter().flat_map(own).map(|(column, _)| column).collect();
        for column in columns.difference(&known) {
            // One column of words for each level of fields.
            let words = column == "search" || column.starts_with("search_");
            let kept = words || ["org_id", "deleted_at", "custom"].contains(&column.as_str());
            broken.demand(kept || told.contains(column), || {
                format!("{}.{column} is in the database only", entity.name)
            });
        }
        for (right, suffix) in [("create", "create"), ("update", "patch")] {
            let schema = &document["components"]["schemas"][format!("{}.{suffix}", entity.name)];
            let Some(properties) = schema.get("properties") else { continue };
            let fields = reply.body["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
            let written = fields.iter().filter(|field| field[right] == true);
            let written: BTreeSet<String> =
                written.filter_map(|field| field["name"].as_str()).map(str::to_owned).collect();
            let documented = members(properties);
            broken.demand(written == documented, || {
                let differ: Vec<_> = written.symmetric_difference(&documented).collect();
                format!("{}: {right} differs in {differ:?}", entity.name)
            });
        }
    }
    broken.none();
}

/// Answers by the name of their schema; prints a line for each that does not fit. Members that a
/// schema does not name are refused here, and a schema that takes anything would be found out by the
/// spoiled answers.
const VALIDATE: &str = r"
import json, sys
from jsonschema import Draft202012Validator

def closed(schema):
    if isinstance(schema, dict):
        schema = {name: closed(part) for name, part in schema.items()}
        if 'properties' in schema:
            schema['additionalProperties'] = False
        return schema
    return [closed(part) for part in schema] if isinstance(schema, list) else schema

given = json.load(sys.stdin)
schemas = given['schemas']
for name, schema in schemas.items():
    Draft202012Validator.check_schema(schema)
judges = {name: Draft202012Validator(closed(schema)) for name, schema in schemas.items()}
for name, label, answer in given['answers']:
    for fault in judges[name].iter_errors(answer):
        print(label, '/'.join(map(str, fault.absolute_path)), fault.message[:200])
";

/// What the API tells of itself has the form that its description says, whoever asks: somebody else's
/// validator compares every entity's, seen by an owner and by a reader of little.
#[tokio::test]
async fn what_is_told_has_the_described_form() {
    let stage = Stage::open(registry(), database().await).await;
    let field = json!({"entity": "parties", "key": "size", "label": "Size", "kind": "choice",
                       "options": ["s", "m"]});
    let owner = stage.client(&stage.ours);
    let made = owner.post("/api/v1/custom-fields", &field).await.unwrap();
    assert_eq!(made.status, 201, "{}", made.body);
    let little = json!([{"grant": "*", "rights": ["read"], "levels": ["open"], "scope": "own"}]);
    let token = stage.ours.issue(little).await.unwrap();
    let reader = stage.server.client.with_bearer(token.expose());
    let mut answers = Vec::new();
    for client in [&owner, &reader] {
        let index = client.get("/api/v1/meta").await.unwrap().body;
        answers.push(json!(["meta", "index", index]));
        for member in stage.served() {
            let reply = client.get(&format!("/api/v1/meta/{}", member.route)).await.unwrap();
            if reply.status == 200 {
                answers.push(json!(["meta.entity", member.route, reply.body]));
            }
        }
    }
    let schemas = &openapi::document(registry())["components"]["schemas"];
    let schemas = json!({"meta": schemas["meta"], "meta.entity": schemas["meta.entity"]});
    println!("{} answers were compared", answers.len());
    let judge = |answers: &[Value]| {
        let given = json!({"schemas": schemas, "answers": answers});
        python(VALIDATE, &given.to_string()).unwrap()
    };
    assert_eq!(judge(&answers), "");
    assert!(stage.served().len() < answers.len(), "the reader was told something");
    // Spoiled in every way that a console would stumble over.
    let parties = answers.iter().find(|one| one[1] == "parties").unwrap();
    for (place, name, value) in [
        ("/2", "extra", json!(1)),
        ("/2", "natural_key", json!("name")),
        ("/2/fields/1", "read", json!("perhaps")),
        ("/2/fields/1", "limits", json!({"most": 3})),
        ("/2/custom_fields/0", "options", json!(["s"])),
        ("/2/views/0", "kind", json!("pie")),
    ] {
        let mut spoiled = parties.clone();
        spoiled.pointer_mut(place).unwrap()[name] = value;
        let found = judge(&[spoiled]);
        assert!(found.starts_with("parties "), "{place}/{name} is not found: {found}");
    }
}
