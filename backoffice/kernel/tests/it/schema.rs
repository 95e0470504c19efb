//! What makes a database differ from its descriptors is told, whatever it is: each difference is
//! planted by itself into a database of the test's own.

use std::sync::Arc;

use kernel::catalog::Catalog;
use kernel::clock::SystemClock;
use kernel::schema::diff;
use kernel::startup::differences;

use crate::hall::House;

/// What makes the difference, what takes it away again, and the statement that tells it.
const PLANTED: &[(&str, &str, &str)] = &[
    (
        "alter table halls alter column name type text collate \"C\"",
        "alter table halls alter column name type text",
        "alter table halls alter column name type text using name::text;",
    ),
    (
        "alter table places set (fillfactor = 50)",
        "alter table places reset (fillfactor)",
        "alter table places reset (fillfactor);",
    ),
    (
        "alter table job_queue set (fillfactor = 50)",
        "alter table job_queue set (fillfactor = 70)",
        "alter table job_queue set (autovacuum_analyze_scale_factor=0",
    ),
    (
        "update pg_index set indisvalid = false where indexrelid = 'places_key_key'::regclass",
        "update pg_index set indisvalid = true where indexrelid = 'places_key_key'::regclass",
        "drop index places_key_key;",
    ),
    ("create type mood as enum ('good', 'bad')", "drop type mood", "-- enum mood"),
    (
        "create domain short as text check (char_length(value) < 9)",
        "drop domain short",
        "-- domain short",
    ),
    ("create type pair as (a int, b int)", "drop type pair", "-- type pair"),
    ("create extension citext", "drop extension citext", "-- drop extension citext;"),
    (
        "alter function names_any(text, text[]) set work_mem = '1MB'",
        "alter function names_any(text, text[]) reset work_mem",
        "CREATE OR REPLACE FUNCTION public.names_any(",
    ),
    (
        "alter function touch() set lock_timeout = '1s'",
        "alter function touch() reset lock_timeout",
        "CREATE OR REPLACE FUNCTION public.touch()",
    ),
];

#[tokio::test]
async fn every_planted_difference_is_told() {
    let (_house, database) = House::alone("schema_diff", Arc::new(SystemClock)).await;
    let admin = database.superuser().await.unwrap();
    let made = Catalog::read(&admin).await.unwrap();
    for (plant, take_away, told) in PLANTED {
        admin.batch(plant).await.unwrap();
        let found = Catalog::read(&admin).await.unwrap();
        let statements = diff(&found, &made, &[]);
        assert!(statements.iter().any(|one| one.contains(told)), "{plant}: {statements:#?}");
        admin.batch(take_away).await.unwrap();
        let found = Catalog::read(&admin).await.unwrap();
        assert_eq!(diff(&found, &made, &[]), Vec::<String>::new(), "after {take_away}");
    }
    admin.close().await;
}

#[tokio::test]
async fn a_function_or_a_role_that_differs_is_told_and_is_no_reason_to_refuse() {
    let (house, database) = House::alone("schema_differences", Arc::new(SystemClock)).await;
    assert_eq!(differences(&house.service).await.unwrap(), Vec::<String>::new());
    let admin = database.superuser().await.unwrap();
    admin
        .batch(&format!(
            "create or replace function names_any(p_text text, p_terms text[]) returns boolean \
               language sql immutable parallel safe as 'select true'; \
             alter role atlvs_app in database {} set statement_timeout = '1h'",
            database.name
        ))
        .await
        .unwrap();
    let told = differences(&house.service).await.unwrap();
    assert_eq!(
        told,
        [
            "function names_any is not as this version makes it",
            "role atlvs_app does not have statement_timeout=15s: see `roles.sql`",
        ]
    );
    assert_eq!(kernel::startup::missing(&house.service).await.unwrap(), Vec::<String>::new());
    admin.close().await;
}
