//! The schema as a whole: migrations and descriptors agree, every table is known and defended, and
//! only the listed functions pass row-level security.

use std::collections::BTreeSet;

use kernel::catalog::{Catalog, ObjectKind};
use kernel::ddl::definers;
use kernel::entity::Scope;
use kernel::{schema, startup};

use crate::{database, registry};

#[tokio::test]
async fn migrations_make_what_descriptors_describe() {
    let url = &database().await.migrate_url;
    let pending = schema::pending(url, registry(), &migrations::scripts()).await.unwrap();
    assert!(
        pending.is_empty(),
        "write this into migrations/ (`backoffice schema diff` prints it):\n{pending}"
    );
}

#[tokio::test]
async fn every_table_is_known_and_defended() {
    let admin = database().await.superuser().await.unwrap();
    let catalog = Catalog::read(&admin).await.unwrap();
    assert_eq!(startup::compare(registry(), &catalog), Vec::<String>::new());
    let strangers = schema::strangers(&catalog, registry());
    assert_eq!(strangers, Vec::<String>::new(), "give these tables a descriptor");
    // Whatever has an organization is under forced row-level security, with or without descriptor.
    for (key, _) in catalog.of(ObjectKind::Column).filter(|(key, _)| key.name == "org_id") {
        let level = catalog.get(ObjectKind::RowSecurity, &key.on, "");
        assert!(
            matches!(level, Some(kernel::catalog::Object::Text(text)) if text == "forced"),
            "row-level security of {} is not forced",
            key.on
        );
    }
    // What is not for the workers alone is for the active organization alone.
    for (key, object) in catalog.of(ObjectKind::Policy) {
        let kernel::catalog::Object::Text(text) = object else { panic!("{key:?}") };
        let workers = text.contains(" to atlvs_work ");
        let tenant = text.contains("(org_id = ( SELECT (NULLIF(current_setting('app.org_id'");
        // A restrictive policy shows nothing by itself: it narrows what the others show.
        let narrows = text.starts_with("as RESTRICTIVE ");
        assert!(workers || tenant || narrows, "{}: {text}", key.on);
    }
    // Everyone's rights would be nobody's care.
    let public: Vec<&str> = catalog
        .of(ObjectKind::Grant)
        .filter(|(key, _)| key.name.ends_with(" to public"))
        .filter(|(key, _)| !(key.on == "schema public" && key.name == "usage to public"))
        .map(|(key, _)| key.on.as_str())
        .collect();
    assert_eq!(public, Vec::<&str>::new());
}

/// Keys and links that `.sql` files make beside the generator's, too.
#[tokio::test]
async fn keys_of_tenant_tables_begin_with_the_organization() {
    // Drawn from one sequence by a trigger, whatever a caller says, so it tells nothing of others.
    const FREE: &[&str] = &["events_number_key"];
    let tenant = registry().entities().filter(|entity| entity.scope == Scope::Tenant);
    let tenant: Vec<&str> = tenant.map(|entity| entity.name).collect();
    let admin = database().await.superuser().await.unwrap();
    let rows = admin
        .query(
            "select x.relname::text
             from pg_index i
             join pg_class x on x.oid = i.indexrelid join pg_class t on t.oid = i.indrelid
             where i.indisunique and t.relname::text = any($1)
                 and not exists (select from pg_attribute a where a.attrelid = t.oid
                                 and a.attnum = i.indkey[0] and a.attname = 'org_id')
             union all
             select c.conname::text
             from pg_constraint c
             join pg_class t on t.oid = c.conrelid join pg_class f on f.oid = c.confrelid
             where c.contype = 'f' and t.relname::text = any($1) and f.relname::text = any($1)
                 and not exists (select from pg_attribute a where a.attrelid = t.oid
                                 and a.attnum = c.conkey[1] and a.attname = 'org_id')",
            &[&tenant],
        )
        .await
        .unwrap();
    let found: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(found, FREE);
}

#[tokio::test]
async fn only_listed_functions_pass_row_level_security() {
    let admin = database().await.superuser().await.unwrap();
    let rows = admin
        .query(
            "select p.proname::text, pg_get_userbyid(p.proowner)::text,
                    coalesce(array_to_string(p.proconfig, ';'), ''),
                    coalesce((select string_agg(name, ',')
                                from unnest(p.proargnames, p.proargmodes) a (name, mode)
                               where coalesce(mode, 'i') in ('i', 'b', 'v')), ''),
                    has_function_privilege('public', p.oid, 'execute')
             from pg_proc p join pg_namespace n on n.oid = p.pronamespace and n.nspname = 'public'
             where p.prosecdef or p.proowner = 'atlvs_definer'::regrole",
            &[],
        )
        .await
        .unwrap();
    let mut found = BTreeSet::new();
    for row in &rows {
        let name: String = row.get(0);
        let (owner, config, arguments): (String, String, String) =
            (row.get(1), row.get(2), row.get(3));
        assert_eq!(owner, "atlvs_definer", "{name}");
        assert!(config.contains("search_path=pg_catalog, public"), "{name} sets no search_path");
        // The active organization is the setting's; an argument could be anybody's.
        let named: Vec<&str> = arguments.split(',').filter(|name| name.contains("org")).collect();
        assert_eq!(named, Vec::<&str>::new(), "{name} takes an organization");
        assert!(!row.get::<_, bool>(4), "everyone may call {name}");
        found.insert(name);
    }
    let listed: BTreeSet<String> =
        definers::of(registry()).into_iter().map(|one| one.name).collect();
    assert_eq!(found, listed, "the list is kernel/src/ddl/definers.rs");
}

#[tokio::test]
async fn a_second_run_of_the_migrations_does_nothing() {
    let empty = kernel::testkit::TestDb::create("migrated", &[]).await.unwrap();
    let first = migrations::run(&empty.migrate_url).await.unwrap();
    let names: Vec<&str> = migrations::ALL.iter().map(|migration| migration.name).collect();
    assert_eq!(first.applied, names);
    let second = migrations::run(&empty.migrate_url).await.unwrap();
    assert_eq!(second, migrations::Report::default());
    let admin = empty.superuser().await.unwrap();
    let catalog = Catalog::read(&admin).await.unwrap();
    assert_eq!(startup::compare(registry(), &catalog), Vec::<String>::new());
}

#[tokio::test]
async fn two_processes_migrate_once() {
    let empty = kernel::testkit::TestDb::create("raced", &[]).await.unwrap();
    let run = || migrations::run(&empty.migrate_url);
    let (one, other) = tokio::join!(run(), run());
    let applied = [one.unwrap().applied, other.unwrap().applied].concat();
    let names: Vec<&str> = migrations::ALL.iter().map(|migration| migration.name).collect();
    assert_eq!(applied, names);
}

#[tokio::test]
async fn a_failed_migration_leaves_nothing() {
    let empty = kernel::testkit::TestDb::create("failed", &[]).await.unwrap();
    let broken = migrations::Migration {
        name: "0001_broken",
        sql: "create table half (id int); select no_such_function();",
    };
    let error = migrations::run_list(&empty.migrate_url, &[broken]).await.unwrap_err();
    assert!(error.to_string().contains("no_such_function"), "{error}");
    let admin = empty.superuser().await.unwrap();
    let row = admin
        .query_one("select to_regclass('half') is null, count(*) from schema_migrations", &[])
        .await
        .unwrap();
    assert!(row.get::<_, bool>(0), "half a migration is there");
    assert_eq!(row.get::<_, i64>(1), 0);
}
