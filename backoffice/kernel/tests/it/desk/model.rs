//! Random histories of writes against a model in memory: every answer's status is what the model says,
//! and after every step so are rows, versions, change log and outbox. Each request may be sent twice with its key.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use kernel::db::Admin;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::Desk;

#[derive(Debug, Clone)]
enum Op {
    Create {
        code: u8,
        rank: u8,
    },
    Upsert {
        code: u8,
        rank: u8,
    },
    /// No rank empties it.
    Patch {
        slot: usize,
        rank: Option<u8>,
        version: Version,
    },
    Delete {
        slot: usize,
        version: Version,
    },
    Restore {
        slot: usize,
    },
}

#[derive(Debug, Clone, Copy)]
enum Version {
    None,
    Present,
    Stale,
}

#[derive(Debug, Clone)]
enum Step {
    Single { op: Op, twice: bool },
    Bulk { all: bool, ops: Vec<Op>, twice: bool },
}

fn op() -> impl Strategy<Value = Op> {
    let version = || prop_oneof![Just(Version::None), Just(Version::Present), Just(Version::Stale)];
    prop_oneof![
        3 => (0..4_u8, 0..100_u8).prop_map(|(code, rank)| Op::Create { code, rank }),
        2 => (0..4_u8, 0..100_u8).prop_map(|(code, rank)| Op::Upsert { code, rank }),
        4 => (0..6_usize, option::of(0..100_u8), version())
            .prop_map(|(slot, rank, version)| Op::Patch { slot, rank, version }),
        2 => (0..6_usize, version()).prop_map(|(slot, version)| Op::Delete { slot, version }),
        2 => (0..6_usize).prop_map(|slot| Op::Restore { slot }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (op(), any::<bool>()).prop_map(|(op, twice)| Step::Single { op, twice }),
        1 => (any::<bool>(), vec(op(), 1..6), any::<bool>())
            .prop_map(|(all, ops, twice)| Step::Bulk { all, ops, twice }),
    ]
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    /// Known once the answer has said it.
    id: Option<String>,
    code: String,
    rank: Option<u8>,
    version: i64,
    /// Entries of the history: a write that changes no value is told by none.
    told: usize,
    deleted: bool,
}

impl Row {
    fn set_rank(&mut self, rank: Option<u8>) {
        self.told += usize::from(self.rank != rank);
        self.rank = rank;
        self.version += 1;
    }

    fn set_deleted(&mut self, deleted: bool) {
        self.deleted = deleted;
        self.told += 1;
        self.version += 1;
    }
}

#[derive(Debug, Clone, Default)]
struct Model {
    prefix: String,
    rows: Vec<Row>,
}

impl Model {
    fn code(&self, code: u8) -> String {
        format!("{}-{code}", self.prefix)
    }

    fn living(&self, code: &str) -> Option<usize> {
        self.rows.iter().position(|row| !row.deleted && row.code == code)
    }

    /// What the operation names, as it is before it runs; `None` when there is no such slot.
    fn request(&self, op: &Op) -> Option<(Value, &'static str, String)> {
        let label = |slot: &usize| self.rows.get(*slot)?.id.clone().map(|id| (id, *slot));
        let with = |slot: usize, version: &Version| match version {
            Version::None => None,
            Version::Present => Some(self.rows[slot].version),
            Version::Stale => Some(self.rows[slot].version - 1),
        };
        Some(match op {
            Op::Create { code, rank } => {
                let data = json!({"name": "n", "code": self.code(*code), "rank": rank});
                (json!({"op": "create", "data": data}), "POST", "/labels".to_owned())
            }
            Op::Upsert { code, rank } => {
                let data = json!({"name": "n", "code": self.code(*code), "rank": rank});
                (json!({"op": "upsert", "data": data}), "PUT", "/labels".to_owned())
            }
            Op::Patch { slot, rank, version } => {
                let (id, slot) = label(slot)?;
                let op = json!({
                    "op": "update", "id": id, "version": with(slot, version), "data": {"rank": rank},
                });
                (op, "PATCH", format!("/labels/{id}"))
            }
            Op::Delete { slot, version } => {
                let (id, slot) = label(slot)?;
                let op = json!({"op": "delete", "id": id, "version": with(slot, version)});
                (op, "DELETE", format!("/labels/{id}"))
            }
            Op::Restore { slot } => {
                let (id, _) = label(slot)?;
                (json!({"op": "restore", "id": id}), "POST", format!("/labels/{id}/restore"))
            }
        })
    }

    /// Status that the operation must answer, given the version that its request named.
    fn apply(&mut self, op: &Op, named: Option<i64>) -> u16 {
        match op {
            Op::Create { code, rank } | Op::Upsert { code, rank } => {
                let code = self.code(*code);
                let upsert = matches!(op, Op::Upsert { .. });
                match self.living(&code) {
                    Some(_) if !upsert => 409,
                    Some(place) => {
                        self.rows[place].set_rank(Some(*rank));
                        200
                    }
                    None => {
                        let rank = Some(*rank);
                        self.rows.push(Row {
                            id: None,
                            code,
                            rank,
                            version: 1,
                            told: 1,
                            deleted: false,
                        });
                        201
                    }
                }
            }
            Op::Patch { slot, rank, .. } => {
                let row = &mut self.rows[*slot];
                match (row.deleted, named) {
                    (true, _) => 404,
                    (false, Some(named)) if named != row.version => 412,
                    (false, _) => {
                        row.set_rank(*rank);
                        200
                    }
                }
            }
            Op::Delete { slot, .. } => {
                let row = &mut self.rows[*slot];
                match (row.deleted, named) {
                    (true, _) => 404,
                    (false, Some(named)) if named != row.version => 412,
                    (false, _) => {
                        row.set_deleted(true);
                        204
                    }
                }
            }
            Op::Restore { slot } => {
                let taken = self.living(&self.rows[*slot].code.clone()).is_some();
                let row = &mut self.rows[*slot];
                if !row.deleted || taken {
                    return 409;
                }
                row.set_deleted(false);
                200
            }
        }
    }

    /// The newest row without an id is the one that was just made.
    fn learn(&mut self, status: u64, data: &Value) {
        if status == 201
            && let Some(row) = self.rows.iter_mut().find(|row| row.id.is_none())
        {
            row.id = data["id"].as_str().map(str::to_owned);
        }
    }
}

struct Run<'a> {
    desk: &'a Desk,
    model: Model,
    requests: u32,
}

impl Run<'_> {
    async fn send(
        &mut self,
        method: &str,
        path: &str,
        tag: Option<i64>,
        body: Value,
        twice: bool,
    ) -> (u16, Value) {
        self.requests += 1;
        let key = format!("{}/{}", self.model.prefix, self.requests);
        let tag = tag.map(|version| format!("\"{version}\""));
        let mut headers = vec![("idempotency-key", key.as_str())];
        headers.extend(tag.as_deref().map(|tag| ("if-match", tag)));
        let first = self.desk.with(method, path, &headers, body.clone()).await;
        if twice && first.status < 400 {
            let again = self.desk.with(method, path, &headers, body).await;
            assert_eq!((again.status, &again.body), (first.status, &first.body), "sent twice");
        }
        (first.status, first.body)
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Single { op, twice } => {
                let Some((request, method, path)) = self.model.request(op) else { return };
                let named = request["version"].as_i64();
                let expected = self.model.apply(op, named);
                let body = request["data"].clone();
                let (status, body) = self.send(method, &path, named, body, *twice).await;
                assert_eq!(status, expected, "{op:?} gave {body}");
                self.model.learn(u64::from(status), &body);
            }
            Step::Bulk { all, ops, twice } => self.bulk(*all, ops, *twice).await,
        }
    }

    async fn bulk(&mut self, all: bool, ops: &[Op], twice: bool) {
        let before = self.model.clone();
        let (mut requests, mut expected) = (Vec::new(), Vec::new());
        for op in ops {
            // Named as they are before the bulk: ids that it makes are not known to it.
            let Some((request, ..)) = before.request(op) else { continue };
            let named = request["version"].as_i64();
            expected.push(self.model.apply(op, named));
            requests.push(request);
        }
        if requests.is_empty() {
            return;
        }
        let mode = if all { "all" } else { "each" };
        let body = json!({"mode": mode, "operations": requests});
        let (status, body) = self.send("POST", "/labels/bulk", None, body, twice).await;
        if all && expected.iter().any(|status| 400 <= *status) {
            assert_eq!(status, 422, "{body}");
            let bad = expected.iter().filter(|status| 400 <= **status).count();
            assert_eq!(body["errors"].as_array().unwrap().len(), bad, "{body}");
            self.model = before;
            return;
        }
        assert_eq!(status, 200, "{body}");
        let results = body["results"].as_array().unwrap();
        for (result, expected) in results.iter().zip(&expected) {
            assert_eq!(result["status"], *expected, "{body}");
            self.model.learn(result["status"].as_u64().unwrap(), &result["data"]);
        }
        assert_eq!(results.len(), expected.len());
    }

    /// Rows, change log and outbox, as the tables hold them.
    async fn compare(&self, admin: &Admin) {
        let sql = "select l.id::text, l.code, l.rank, l.version, l.deleted_at is not null, \
             (select count(*) from changes c where c.row_id = l.id), \
             (select count(*) from outbox o where o.row_id = l.id) \
             from labels l where l.org_id = $1 and l.code like $2";
        let codes = format!("{}-%", self.model.prefix);
        let found = admin.query(sql, &[&self.desk.org.id, &codes]).await.unwrap();
        let mut found: Vec<(Row, i64)> = found
            .iter()
            .map(|row| {
                let rank: Option<i64> = row.get(2);
                let told: i64 = row.get(5);
                let kept = Row {
                    id: row.get(0),
                    code: row.get(1),
                    rank: rank.map(|rank| u8::try_from(rank).unwrap()),
                    version: row.get(3),
                    told: usize::try_from(told).unwrap(),
                    deleted: row.get(4),
                };
                (kept, row.get(6))
            })
            .collect();
        found.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        let mut expected: Vec<(Row, i64)> = self
            .model
            .rows
            .iter()
            .map(|row| (row.clone(), i64::try_from(row.told).unwrap()))
            .collect();
        expected.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        assert_eq!(found, expected);
    }

    /// And as the API shows them.
    async fn shown(&self) {
        for row in &self.model.rows {
            let path = format!("/labels/{}", row.id.as_ref().unwrap());
            let seen = self.desk.get(&path).await;
            if row.deleted {
                assert_eq!(seen.status, 404, "{row:?}");
                continue;
            }
            let own = (&seen.body["code"], &seen.body["rank"], &seen.body["version"]);
            assert_eq!(own, (&json!(row.code), &json!(row.rank), &json!(row.version)));
            let history = self.desk.get(&format!("{path}/history")).await;
            assert_eq!(history.body["data"].as_array().unwrap().len(), row.told);
        }
    }
}

#[test]
fn random_histories_are_what_the_model_says() {
    static CASES: AtomicU32 = AtomicU32::new(0);
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    let desk = RUNTIME.block_on(Desk::open());
    let admin = RUNTIME.block_on(async { super::database().await.superuser().await.unwrap() });
    let mut runner = TestRunner::new(Config {
        cases: 40,
        max_shrink_iters: 40,
        failure_persistence: None,
        ..Config::default()
    });
    let histories = vec(step(), 1..25);
    runner
        .run(&histories, |steps| {
            let prefix = format!("m{}", CASES.fetch_add(1, Ordering::Relaxed));
            let model = Model { prefix, rows: Vec::new() };
            let mut run = Run { desk: &desk, model, requests: 0 };
            RUNTIME.block_on(async {
                for step in &steps {
                    run.step(step).await;
                    run.compare(&admin).await;
                }
                run.shown().await;
            });
            Ok(())
        })
        .unwrap();
}
