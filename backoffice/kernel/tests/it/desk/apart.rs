//! Deletions, returns and upserts of a bulk go by set. Whatever links their rows, and whatever keys
//! they take from each other: what they answer and leave is what they do in a request each.

use std::sync::LazyLock;

use kernel::db::Admin;
use kernel::error::Error;
use kernel::testkit::Reply;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::{Desk, is};
use crate::hall::object;

const LABELS: usize = 3;
const CASES: usize = 6;

/// Links of a case: its label, what it is part of (and goes along with), its twin (which stands in
/// the way).
type Links = (usize, Option<usize>, Option<usize>);

#[derive(Debug, Clone)]
enum Run {
    DeleteCases(Vec<(usize, Option<u8>)>),
    RestoreCases(Vec<usize>),
    DeleteLabels(Vec<usize>),
    RestoreLabels(Vec<usize>),
    /// Code, and another unique key.
    Upsert(Vec<(u8, Option<u8>)>),
}

fn run() -> impl Strategy<Value = Run> {
    let version = || prop_oneof![3 => Just(None), 1 => (1..4_u8).prop_map(Some)];
    prop_oneof![
        4 => vec((0..CASES, version()), 1..6).prop_map(Run::DeleteCases),
        3 => vec(0..CASES, 1..6).prop_map(Run::RestoreCases),
        2 => vec(0..LABELS, 1..4).prop_map(Run::DeleteLabels),
        2 => vec(0..LABELS, 1..4).prop_map(Run::RestoreLabels),
        4 => vec((0..5_u8, option::of(0..3_u8)), 1..6).prop_map(Run::Upsert),
    ]
}

/// The same rows, of their own.
struct World<'a> {
    desk: &'a Desk,
    name: String,
    labels: Vec<Uuid>,
    cases: Vec<Uuid>,
}

impl<'a> World<'a> {
    async fn new(desk: &'a Desk, links: &[Links]) -> Self {
        let ids = |count: usize| (0..count).map(|_| Uuid::now_v7()).collect::<Vec<_>>();
        let name = format!("w{}", Uuid::now_v7().simple());
        let world = Self { desk, name, labels: ids(LABELS), cases: ids(CASES) };
        let labels = world.labels.iter().enumerate().map(|(n, id)| {
            json!({"op": "create", "data": {"id": id, "name": "L", "code": world.code(n)}})
        });
        world.demand("labels", labels.collect()).await;
        let label = |links: &Links| world.labels[links.0];
        let cases = world.cases.iter().zip(links).map(|(id, links)| {
            json!({"op": "create", "data": {"id": id, "label_id": label(links), "title": "C"}})
        });
        world.demand("cases", cases.collect()).await;
        let linked = world.cases.iter().zip(links).map(|(id, (_, part_of, twin))| {
            let to = |slot: &Option<usize>| slot.map(|slot| world.cases[slot]);
            let data = json!({"part_of_id": to(part_of), "twin_id": to(twin)});
            json!({"op": "update", "id": id, "data": data})
        });
        world.demand("cases", linked.collect()).await;
        world
    }

    fn code(&self, number: usize) -> String {
        format!("{}-{number}", self.name)
    }

    async fn demand(&self, route: &str, operations: Vec<Value>) {
        let body = json!({"mode": "all", "operations": operations});
        is(self.desk.send("POST", &format!("/{route}/bulk"), body).await, 200);
    }

    fn operations(&self, run: &Run) -> (&'static str, Vec<Value>) {
        let on = |op: &str, id: &Uuid| json!({"op": op, "id": id});
        match run {
            Run::DeleteCases(rows) => {
                let delete = |(slot, version): &(usize, Option<u8>)| json!({"op": "delete", "id": self.cases[*slot], "version": version});
                ("cases", rows.iter().map(delete).collect())
            }
            Run::RestoreCases(slots) => {
                ("cases", slots.iter().map(|slot| on("restore", &self.cases[*slot])).collect())
            }
            Run::DeleteLabels(slots) => {
                ("labels", slots.iter().map(|slot| on("delete", &self.labels[*slot])).collect())
            }
            Run::RestoreLabels(slots) => {
                ("labels", slots.iter().map(|slot| on("restore", &self.labels[*slot])).collect())
            }
            Run::Upsert(rows) => {
                let upsert = |(code, short): &(u8, Option<u8>)| {
                    let short = short.map(|short| format!("{}-s{short}", self.name));
                    let code = self.code(usize::from(*code));
                    json!({"op": "upsert", "data": {"code": code, "name": "U", "short": short}})
                };
                ("labels", rows.iter().map(upsert).collect())
            }
        }
    }

    /// What each operation answers: status, code, fields, version.
    async fn told(&self, route: &str, operations: &[Value]) -> Vec<Value> {
        let body = json!({"mode": "each", "operations": operations});
        let reply: Reply = self.desk.send("POST", &format!("/{route}/bulk"), body).await;
        let results = is(reply, 200).body["results"].as_array().unwrap().clone();
        let told = |one: &Value| {
            let fields = one["error"]["errors"].as_array().into_iter().flatten();
            let fields: Vec<&Value> = fields.map(|fault| &fault["field"]).collect();
            json!([one["status"], one["error"]["code"], fields, one["data"]["version"]])
        };
        results.iter().map(told).collect()
    }

    /// Every row, and how often the change log speaks of it.
    async fn left(&self, admin: &Admin) -> Vec<(String, i64, bool, i64)> {
        let sql = "select name, version, lives, (select count(*) from changes c where c.row_id = x.id) from (
                 select array_position($1, id)::text as name, id, version, deleted_at is null as lives
                   from cases where id = any($1)
                 union all
                 select replace(code, $2, '') || coalesce(replace(short, $2, ''), ''), id, version,
                        deleted_at is null
                   from labels where code like $2 || '-%') x order by 1, 2, 3, 4";
        let rows = admin.query(sql, &[&self.cases, &self.name]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect()
    }
}

#[test]
fn what_operations_do_together_they_do_apart() {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    let (desk, admin) = RUNTIME.block_on(async {
        (Desk::open().await, super::database().await.superuser().await.unwrap())
    });
    let mut runner = TestRunner::new(Config {
        cases: 24,
        max_shrink_iters: 40,
        failure_persistence: None,
        ..Config::default()
    });
    let slot = || option::of(0..CASES);
    // A label takes no more cases than its rule allows.
    let fit = |links: &Vec<Links>| {
        (0..LABELS).all(|label| links.iter().filter(|links| links.0 == label).count() < CASES)
    };
    let links = vec((0..LABELS, slot(), slot()), CASES).prop_filter("a label is full", fit);
    let world = (links, vec(run(), 1..6));
    runner
        .run(&world, |(links, runs)| {
            RUNTIME.block_on(async {
                let together = World::new(&desk, &links).await;
                let apart = World::new(&desk, &links).await;
                for run in &runs {
                    let (route, operations) = together.operations(run);
                    let told = together.told(route, &operations).await;
                    let mut alone = Vec::new();
                    for operation in apart.operations(run).1 {
                        alone.extend(apart.told(route, &[operation]).await);
                    }
                    assert_eq!(told, alone, "{run:?}");
                    assert_eq!(together.left(&admin).await, apart.left(&admin).await, "{run:?}");
                }
            });
            Ok(())
        })
        .unwrap();
}

fn errors(outcomes: &[kernel::error::Result<Uuid>]) -> Vec<(usize, &Error)> {
    let errors = outcomes.iter().enumerate();
    errors.filter_map(|(place, one)| one.as_ref().err().map(|error| (place, error))).collect()
}

/// However many rows there are: deletions, returns and upserts take as many statements as for two.
#[tokio::test]
async fn statements_do_not_grow_with_the_operations() {
    let desk = Desk::open().await;
    let row = |n: usize, name: &str| -> Map<String, Value> {
        object(json!({"name": name, "code": format!("s-{n}"), "rank": n % 100}))
    };
    let mut counts = Vec::new();
    for many in [2, 600] {
        let mut cx = desk.org.begin().await.unwrap();
        let mut taken = Vec::new();
        let mut before = cx.statements();
        let mut count = |now: u32| {
            taken.push(now - before);
            before = now;
        };
        let made = (0..many).map(|n| row(n, "new")).collect();
        let made = cx.upsert_many(&super::LABEL, made).await.unwrap();
        count(cx.statements());
        assert!(errors(&made).is_empty());
        // Half of them are there; the natural key is not the only unique one, so the order stays.
        let mixed = (many / 2..many + many / 2).map(|n| row(n, "again")).collect();
        let mixed = cx.upsert_many(&super::LABEL, mixed).await.unwrap();
        count(cx.statements());
        assert!(errors(&mixed).is_empty());
        let named = |id: &kernel::error::Result<Uuid>| kernel::cx::Named {
            id: *id.as_ref().unwrap(),
            version: None,
        };
        let rows: Vec<_> = made.iter().map(named).collect();
        assert!(errors(&cx.delete_many(&super::LABEL, &rows).await.unwrap()).is_empty());
        count(cx.statements());
        assert!(errors(&cx.restore_many(&super::LABEL, &rows).await.unwrap()).is_empty());
        count(cx.statements());
        cx.rollback().await.unwrap();
        counts.push(taken);
    }
    assert_eq!(counts[0], counts[1]);
    // Keys, definitions of custom fields, and a savepoint around each statement that writes.
    assert_eq!(counts[0], [5, 8, 5, 4]);
}
