//! The list is whole, and the plan refuses rewritten history.

use super::{ALL, Migration, Plan, checksum, plan};

#[test]
fn every_file_is_listed_in_order() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".sql").map(str::to_owned))
        .collect();
    files.sort();
    let listed: Vec<&str> = ALL.iter().map(|migration| migration.name).collect();
    assert_eq!(files, listed, "list each file of migrations/ in src/lib.rs, by number");
    for (index, name) in listed.iter().enumerate() {
        let number = format!("{:04}_", index + 1);
        assert!(name.starts_with(&number), "{name} should begin with {number}");
    }
}

const A: Migration = Migration { name: "0001_a", sql: "select 1" };
const B: Migration = Migration { name: "0002_b", sql: "select 2" };

fn ran(migrations: &[Migration]) -> Vec<(String, String)> {
    migrations.iter().map(|m| (m.name.to_owned(), checksum(m.sql))).collect()
}

#[track_caller]
fn check(
    list: &[Migration],
    applied: &[(String, String)],
    expect: Result<(&[&str], &[&str]), &str>,
) {
    let expect = expect.map(|(pending, newer)| {
        (
            pending.iter().map(|&name| name.to_owned()).collect::<Vec<_>>(),
            newer.iter().map(|&name| name.to_owned()).collect::<Vec<_>>(),
        )
    });
    let got = plan(list, applied).map(|Plan { pending, newer }| {
        (pending.iter().map(|m| m.name.to_owned()).collect::<Vec<_>>(), newer)
    });
    assert_eq!(got.map_err(|error| error.to_string()), expect.map_err(str::to_owned));
}

#[test]
fn plans_move_forward_only() {
    check(&[A, B], &[], Ok((&["0001_a", "0002_b"], &[])));
    check(&[A, B], &ran(&[A]), Ok((&["0002_b"], &[])));
    check(&[A, B], &ran(&[A, B]), Ok((&[], &[])));
    // A newer release was here: the former one still starts.
    check(&[A], &ran(&[A, B]), Ok((&[], &["0002_b"])));
    check(
        &[A, B],
        &ran(&[B]),
        Err("migration 0001_a is older than one that ran: number it after the newest"),
    );
    let edited = Migration { sql: "select 3", ..A };
    check(
        &[edited, B],
        &ran(&[A]),
        Err("migration 0001_a was edited after it ran: add a new file in its place"),
    );
}
