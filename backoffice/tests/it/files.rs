//! Every importable table out as a file and in again: into the same organization nothing changes,
//! into a fresh one the same rows arise. And a second reader's word on what we write.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

use kernel::action::On;
use kernel::db::Admin;
use kernel::entity::{Access, Entity, Field, Kind, Scope};
use kernel::registry::Member;
use kernel::testkit::{TestDb, TestOrg, python};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::stage::{Broken, Stage, is_writable};
use crate::worker::Process;
use crate::{database, registry};

/// Rows of each table.
const ROWS: usize = 6;

/// Texts that break writers and readers of files, and those that spreadsheets run.
const NASTY: &[&str] = &[
    "=1+1",
    "+1",
    "-1",
    "@a",
    "'",
    "''",
    "'=x",
    "a,b",
    "a;b",
    "say \"hi\"",
    "\"",
    " led",
    "trailed ",
    "é 日本",
    "NULL",
    "null",
    "true",
    "1e5",
    "\u{feff}bom",
    "x'y",
    "a;=1+1",
    "a, -1|+2",
    "he said \"@x\"",
    "a; '=1",
];
const NASTY_LONG: &[&str] = &["two\nlines", "two\r\nlines", "\ttab", "=1\n+2", "\n", "a\t=1"];

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        // Knuth's MMIX generator; its high bits are good enough to choose by.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most.max(1)
    }

    fn one<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

/// A valid value of the field, seldom a plain one.
fn wild(field: &Field, dice: &mut Dice, place: usize) -> Value {
    let number = u32::try_from(dice.below(900)).unwrap();
    match field.kind {
        Kind::Text { max } => {
            let long = max > 300 && dice.below(2) == 0;
            let text = dice.one(if long { NASTY_LONG } else { NASTY });
            json!(format!("{text}{number}").chars().take(max as usize).collect::<String>())
        }
        Kind::Email => json!(format!("=p{number}@example.org")),
        Kind::Decimal { scale } if scale > 0 => json!(format!("{}.5", number % 50)),
        Kind::Money => {
            let amounts = [("-12.5", "EUR"), ("7", "JPY"), ("0.125", "KWD"), ("1000000", "EUR")];
            let (amount, currency) = amounts[dice.below(amounts.len())];
            json!({"amount": amount, "currency": currency})
        }
        Kind::Bool => json!(dice.below(2) == 0),
        Kind::Choice(options) => json!(options[dice.below(options.len())]),
        Kind::Json => match dice.below(4) {
            0 => json!({"a": "=1;=2", "b": ["@"]}),
            1 => json!([1.5, null, "\""]),
            2 => json!("'"),
            _ => json!(true),
        },
        Kind::TextList { .. } => json!(["a;b", "=1", "\"[x", ""][..dice.below(2)].to_vec()),
        _ => kernel::testkit::value(field, number + 1, place),
    }
}

fn importable() -> Vec<&'static Member> {
    let created = |member: &&'static Member| {
        let entity = member.entity;
        entity.takes_imports() && entity.operations.create && entity.operations.read
    };
    registry().members().iter().filter(created).collect()
}

/// Fields that the organization adds to the entity: key and kind.
const CUSTOM: &[(&str, &str)] = &[("remark", "text"), ("fee", "money"), ("asked_at", "instant")];

/// The table of definitions is itself among those that have some; there, they would be its rows.
fn takes_fields(entity: &Entity) -> bool {
    kernel::ddl::has_custom_fields(entity) && entity.name != "custom_fields"
}

async fn add_fields(stage: &Stage, entity: &'static Entity) {
    if !takes_fields(entity) {
        return;
    }
    let client = stage.client(&stage.ours);
    for (key, kind) in CUSTOM {
        let body = json!({"entity": entity.name, "key": key, "label": key, "kind": kind});
        let reply = client.post("/api/v1/custom-fields", &body).await.unwrap();
        assert_eq!(reply.status, 201, "{}: {}", entity.name, reply.body);
    }
}

/// Some of them, or none.
fn custom(dice: &mut Dice) -> Value {
    let mut custom = Map::new();
    if dice.below(3) > 0 {
        custom.insert("remark".to_owned(), json!(dice.one(NASTY)));
    }
    if dice.below(2) > 0 {
        custom.insert("fee".to_owned(), json!({"amount": "-12.50", "currency": "EUR"}));
    }
    if dice.below(2) > 0 {
        custom.insert("asked_at".to_owned(), json!("2026-03-29T01:30:00Z"));
    }
    Value::Object(custom)
}

/// Rows made over the API: what is required, and of the rest what fits.
async fn rows(stage: &Stage, entity: &'static Entity, route: &str, dice: &mut Dice) -> usize {
    let client = stage.client(&stage.ours);
    let path = format!("/api/v1/{route}");
    let mut made = 0;
    for _ in 0..ROWS {
        let body = stage.body(&stage.ours, entity).await;
        let reply = client.post(&path, &Value::Object(body)).await.unwrap();
        assert_eq!(reply.status, 201, "{route}: {}", reply.body);
        made += 1;
        let row = format!("{path}/{}", reply.body["id"].as_str().unwrap());
        let optional = entity.fields.iter().enumerate().filter(|(_, field)| {
            field.access == Access::Writable && !matches!(field.kind, Kind::Link { .. })
        });
        if entity.operations.patch && takes_fields(entity) {
            let reply = client.patch(&row, &json!({"custom": custom(dice)})).await.unwrap();
            assert_eq!(reply.status, 200, "{row}: {}", reply.body);
        }
        // One at a time: a rule of the entity's own may refuse one and take the next.
        for (place, field) in optional {
            let value = wild(field, dice, place);
            if entity.operations.patch && dice.below(3) > 0 {
                let mut patch = Map::new();
                patch.insert(field.name.to_owned(), value);
                let reply = client.patch(&row, &Value::Object(patch)).await.unwrap();
                assert!(reply.status < 500, "{row} {}: {}", field.name, reply.body);
            }
        }
    }
    made
}

async fn export(stage: &Stage, org: &TestOrg, route: &str) -> String {
    let path = format!("/api/v1/{route}/export?sort=id");
    let (status, text) = stage.client(org).file("GET", &path, None).await.unwrap();
    assert_eq!(status, 200, "{path}: {text}");
    text
}

/// The import's row after all its jobs.
async fn import(stage: &Stage, org: &TestOrg, route: &str, query: &str, file: &str) -> Value {
    let path = format!("/api/v1/{route}/import?{query}");
    let (status, text) = stage.client(org).file("POST", &path, Some(file)).await.unwrap();
    assert_eq!(status, 202, "{path}: {text}\n{file}");
    org.work().await.unwrap();
    let import: Value = serde_json::from_str(&text).unwrap();
    let id = import["id"].as_str().unwrap();
    let mut import = stage.client(org).get(&format!("/api/v1/imports/{id}")).await.unwrap().body;
    let faulty = format!("/api/v1/imports/{id}/rows?status=faulty&limit=3");
    import["faults"] = stage.client(org).get(&faulty).await.unwrap().body["data"].clone();
    import
}

/// Everything of one organization but the rows of `entity`, copied to another: what its rows link to.
async fn copy_around(admin: &Admin, from: Uuid, to: Uuid, entity: &Entity) {
    admin.batch("begin; set local session_replication_role = replica").await.unwrap();
    for member in registry().members().iter().filter(|m| m.entity.scope == Scope::Tenant) {
        if member.entity.name == entity.name {
            continue;
        }
        let columns: Vec<String> = kernel::ddl::columns(member.entity)
            .into_iter()
            .filter(|column| column.generated.is_none() && column.name != "org_id")
            .map(|column| format!("\"{}\"", column.name))
            .collect();
        let (table, list) = (member.entity.name, columns.join(", "));
        let sql = format!(
            "insert into \"{table}\" (org_id, {list}) select $2, {list} from \"{table}\" \
             where org_id = $1 on conflict do nothing"
        );
        admin.execute(&sql, &[&from, &to]).await.unwrap();
    }
    admin.batch("commit").await.unwrap();
}

/// Whether everything that rows of the entity link to was copied.
async fn all_there(stage: &Stage, entity: &'static Entity) -> bool {
    let member = registry().member(entity.name).unwrap();
    for link in member.links.iter().filter(|link| link.target.scope == Scope::Tenant) {
        let sql = format!(
            "select count(*) from \"{0}\" o where o.org_id = $1 and not exists \
             (select from \"{0}\" t where t.org_id = $2 and t.id = o.id)",
            link.target.name
        );
        let row = stage.admin.query_one(&sql, &[&stage.ours.id, &stage.theirs.id]).await.unwrap();
        if link.target.name != entity.name && row.get::<_, i64>(0) > 0 {
            return false;
        }
    }
    true
}

/// The file's cells by row, of the columns that a caller writes.
fn writable(entity: &Entity, file: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let mut rows = parsed(file).into_iter();
    let header = rows.next().unwrap_or_default();
    let wanted = |name: &str| {
        name.starts_with("custom.")
            || entity.fields.iter().any(|field| {
                is_writable(field)
                    && (name == field.name
                        || name.strip_prefix(field.name).is_some_and(|rest| {
                            ["_currency", "_latitude", "_longitude"].contains(&rest)
                        }))
            })
    };
    rows.map(|cells| {
        let id = cells.first().cloned().unwrap_or_default();
        let named = header.iter().cloned().zip(cells).filter(|(name, _)| wanted(name));
        (id, named.collect())
    })
    .collect()
}

/// Cells that begin like a formula to Python's reader, whatever separator it is told and whether or
/// not it knows quotes: programs guess both. Amounts and telephone numbers are none.
fn formulas(file: &str) -> Vec<String> {
    let script = "import csv, io, json, re, sys\n\
        text = sys.stdin.buffer.read().decode('utf-8')\n\
        found = set()\n\
        for separator in ',;\\t|':\n\
        \x20   for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):\n\
        \x20       for row in csv.reader(io.StringIO(text, newline=''), delimiter=separator, quoting=quoting):\n\
        \x20           for cell in row:\n\
        \x20               bare = cell.strip(' \"')\n\
        \x20               if re.match(r'[=+@-]', bare) and not re.fullmatch(r'[+-][0-9 ./()-]+( [A-Z]{3})?', bare):\n\
        \x20                   found.add(cell)\n\
        print(json.dumps(sorted(found)))";
    serde_json::from_str(&python(script, file).unwrap()).unwrap()
}

/// Python's reader on our file: the judge that nobody here wrote. Null and empty text are one to it.
fn parsed(file: &str) -> Vec<Vec<String>> {
    let script = "import csv, io, json, sys\n\
        text = sys.stdin.buffer.read().decode('utf-8')\n\
        rows = list(csv.reader(io.StringIO(text, newline=''), strict=True))\n\
        print(json.dumps(rows))";
    let json = python(script, file).unwrap();
    serde_json::from_str(&json).unwrap()
}

#[tokio::test]
async fn every_importable_table_goes_out_and_in_unchanged() {
    let db: &TestDb = database().await;
    let mut broken = Broken::default();
    assert_eq!(formulas("a;=1,b"), ["=1,b"], "the judge finds what there is");
    let (mut covered, mut alone) = (0, 0);
    let seed: u64 = 20_261_121;
    for (place, member) in importable().into_iter().enumerate() {
        let stage = Stage::open(registry(), db).await;
        let (entity, route) = (member.entity, member.route.as_str());
        // Tables whose creates an action does are filled by it, not by files.
        if registry().actions().any(|a| a.entity.name == entity.name && a.on == On::Create) {
            continue;
        }
        let mut dice = Dice(seed.wrapping_add(place as u64));
        add_fields(&stage, entity).await;
        let made = rows(&stage, entity, route, &mut dice).await as u64;
        let file = export(&stage, &stage.ours, route).await;
        let formulas = formulas(&file);
        broken.demand(formulas.is_empty(), || format!("{route}: {formulas:?} in\n{file}"));
        if entity.operations.patch {
            let same =
                import(&stage, &stage.ours, route, "match=update&dry_run=false", &file).await;
            broken.demand(same["status"] == "done" && same["rows_unchanged"] == made, || {
                format!("{route} into itself: {same}\n{file}")
            });
        }
        copy_around(&stage.admin, stage.ours.id, stage.theirs.id, entity).await;
        // A key over all organizations keeps some rows from being there twice.
        if !all_there(&stage, entity).await {
            alone += 1;
            continue;
        }
        let fresh = import(&stage, &stage.theirs, route, "dry_run=false", &file).await;
        broken.demand(fresh["status"] == "done" && fresh["rows_create"] == made, || {
            format!("{route} into a fresh organization: {fresh}\n{file}")
        });
        let again = export(&stage, &stage.theirs, route).await;
        let (before, after) = (writable(entity, &file), writable(entity, &again));
        broken.demand(before == after && before.len() as u64 == made, || {
            format!("{route} is not the same:\n{file}\n{again}")
        });
        covered += 1;
    }
    println!("{covered} tables went out and in, {alone} into themselves only (seed {seed})");
    assert!(alone < covered, "most tables go into a fresh organization");
    broken.none();
}

/// What Python writes, with every quoting it has, is read as it was meant.
#[tokio::test]
async fn files_of_another_writer_are_read() {
    let stage = Stage::open(registry(), database().await).await;
    // An apostrophe where our own marker would stand is read as it.
    let marked = |text: &&str| text.starts_with('\'') || text.contains("'=");
    let texts: Vec<&str> = NASTY.iter().copied().filter(|text| !marked(text)).collect();
    let script = "import csv, io, json, sys\n\
        texts = json.load(sys.stdin)\n\
        files = []\n\
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC):\n\
        \x20   for end in ('\\r\\n', '\\n'):\n\
        \x20       for separator in (',', ';', '\\t'):\n\
        \x20           out = io.StringIO()\n\
        \x20           writer = csv.writer(out, quoting=quoting, lineterminator=end, delimiter=separator)\n\
        \x20           writer.writerow(['kind', 'Name'])\n\
        \x20           for text in texts: writer.writerow(['person', text])\n\
        \x20           files.append(out.getvalue())\n\
        print(json.dumps(files))";
    let files: Vec<String> =
        serde_json::from_str(&python(script, &json!(texts).to_string()).unwrap()).unwrap();
    assert_eq!(files.len(), 18);
    let client = stage.client(&stage.ours);
    for file in files {
        let done = import(&stage, &stage.ours, "parties", "dry_run=false", &file).await;
        assert_eq!(done["status"], "done", "{done}\n{file}");
        let list = client.get("/api/v1/parties?limit=200&sort=-id").await.unwrap();
        let mut names: Vec<&str> = list.body["data"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|r| r["name"].as_str())
            .collect();
        names.truncate(texts.len());
        names.sort_unstable();
        let mut expected = texts.clone();
        expected.sort_unstable();
        assert_eq!(names, expected, "{file}");
    }
}

/// Rows of the long list, and characters of each one's name.
const MANY_ROWS: i64 = 100_000;
const NAME_CHARS: i32 = 280;
/// Bytes by which sending them may make a server larger: a fifth of the file.
const GROWTH_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Names and bytes in what an export of parties answers, to its end.
async fn sent(url: &str, query: &str, token: &str) -> (u64, u64) {
    let address = url.strip_prefix("http://").unwrap().to_owned();
    let ask = format!(
        "GET /api/v1/parties/export?{query} HTTP/1.1\r\nHost: {address}\r\n\
         Authorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    let read = move || {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(ask.as_bytes()).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        all
    };
    let all = tokio::task::spawn_blocking(read).await.unwrap();
    assert!(all.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&all[..200]));
    // The last piece of a transfer that was not cut off (RFC 9112, 7.1).
    assert!(all.ends_with(b"\r\n0\r\n\r\n"), "the file was cut off");
    let names = all.windows(4).filter(|four| four == b"Name").count();
    (names as u64, all.len() as u64)
}

#[tokio::test]
async fn a_long_export_takes_no_more_memory_than_a_short_one() {
    let db = database().await;
    let stage = Stage::open(registry(), db).await;
    // Neither told nor checked: it is the way out that is measured.
    stage.admin.batch("begin; set local session_replication_role = replica").await.unwrap();
    let fill = "insert into parties (org_id, id, kind, name) \
        select $1, gen_random_uuid(), 'person', rpad('Name ' || n, $3, 'x') \
        from generate_series(1, $2::bigint) n";
    stage.admin.execute(fill, &[&stage.ours.id, &MANY_ROWS, &NAME_CHARS]).await.unwrap();
    stage.admin.batch("commit").await.unwrap();
    let mut server = Process::serve(db, &[], Stdio::inherit());
    let url = server.ready().await["listening"].as_str().unwrap().to_owned();
    let token = stage.ours.token.expose();
    let (few, _) = sent(&url, "sort=id&filter[name][starts]=Name%2099999", token).await;
    assert!(few < 20, "{few} names");
    let before = server.peak_bytes();
    let (names, bytes) = sent(&url, "sort=id", token).await;
    assert_eq!(i64::try_from(names).unwrap(), MANY_ROWS);
    let growth = server.peak_bytes() - before;
    assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes more for a file of {bytes}");
    assert!(GROWTH_BYTES_MAX < bytes / 4, "the file is too short to tell");
}
