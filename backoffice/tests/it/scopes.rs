//! No table escapes its scope class: asked of the server's own catalogue in plain SQL, as superuser,
//! without a line of the generator or the start-up check. Each question is proved to find its fault.

use std::collections::BTreeSet;

use kernel::db::Admin;
use kernel::entity::Scope;
use kernel::testkit::TestDb;

use crate::{database, registry};

/// The one condition that hides other organizations, as the server prints it.
const WALL: &str = "(org_id = ( SELECT (NULLIF(current_setting('app.org_id'::text, true), \
                    ''::text))::uuid AS \"nullif\"))";

/// Tables of the kernel without a descriptor, by the class that they keep to.
const TENANT_WITHOUT_DESCRIPTOR: &[&str] = &["changes"];
const MACHINE_WITHOUT_DESCRIPTOR: &[&str] = &["outbox"];
const GLOBAL_WITHOUT_DESCRIPTOR: &[&str] = &["schema_migrations"];

#[derive(Clone, Copy)]
struct Question {
    /// What a fault found by it means.
    about: &'static str,
    /// Answers the names of what breaks the rule. `$1`: tables of the class; `$2`: the wall.
    sql: &'static str,
}

const WIDER_THAN_THE_WALL: &str = "select p.tablename || '.' || p.policyname from pg_policies p
      where p.schemaname = 'public' and p.tablename = any($1)
          and p.permissive = 'PERMISSIVE' and p.roles <> '{atlvs_work}'
          and not (coalesce(p.qual, $2) = $2 and coalesce(p.with_check, $2) = $2)";

const OF_TENANT_TABLES: &[Question] = &[
    Question {
        about: "row-level security is not forced",
        sql: "select c.relname::text from pg_class c
              where c.relname::text = any($1) and c.relnamespace = 'public'::regnamespace
                  and not (c.relrowsecurity and c.relforcerowsecurity) and $2::text <> ''",
    },
    Question {
        about: "no policy with the wall stands for everybody",
        sql: "select name from unnest($1::text[]) name
              where not exists (select from pg_policies p
                  where p.schemaname = 'public' and p.tablename = name and p.permissive = 'PERMISSIVE'
                      and p.roles = '{public}' and p.cmd in ('ALL', 'SELECT') and p.qual = $2)",
    },
    Question {
        about: "a permissive policy opens more than the wall does",
        sql: WIDER_THAN_THE_WALL,
    },
    Question {
        about: "the primary key does not begin with the organization",
        sql: "select name from unnest($1::text[]) name
              where not exists (select from pg_index i
                  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
                  where i.indrelid = format('public.%I', name)::regclass and i.indisprimary
                      and a.attname = 'org_id') and $2::text <> ''",
    },
    Question {
        about: "a foreign key between tenants' tables does not carry the organization",
        sql: "select k.conname::text from pg_constraint k
              join pg_class t on t.oid = k.conrelid join pg_class f on f.oid = k.confrelid
              where k.contype = 'f' and t.relname::text = any($1) and f.relname::text = any($1)
                  and $2::text <> ''
                  and not exists (select from unnest(k.conkey, k.confkey) pair (here, there)
                      join pg_attribute a on a.attrelid = t.oid and a.attnum = pair.here
                      join pg_attribute b on b.attrelid = f.oid and b.attnum = pair.there
                      where a.attname = 'org_id' and b.attname = 'org_id')",
    },
    Question {
        about: "the organization may be missing",
        sql: "select name from unnest($1::text[]) name
              where not exists (select from pg_attribute a
                  where a.attrelid = format('public.%I', name)::regclass
                      and a.attname = 'org_id' and a.attnotnull) and $2::text <> ''",
    },
];

const OF_GLOBAL_TABLES: &[Question] = &[Question {
    about: "a role of requests or workers has a right on a global table",
    sql: "select c.relname || ' to ' || role from pg_class c, unnest(array['atlvs_app',
                  'atlvs_portal', 'atlvs_work', 'public']) role
          where c.relname::text = any($1) and c.relnamespace = 'public'::regnamespace
              and $2::text <> ''
              and (has_table_privilege(role, c.oid, 'select,insert,update,delete,truncate,trigger')
                  or has_any_column_privilege(role, c.oid, 'select,insert,update,references'))",
}];

const OF_MACHINE_TABLES: &[Question] = &[
    Question {
        about: "requests may read or change a table of the workers",
        // What an organization sees of its background work is the one that requests may read.
        sql: "select c.relname || ' to ' || role from pg_class c,
                  unnest(array['atlvs_app', 'atlvs_portal', 'public']) role,
                  lateral (select c.relname = 'jobs' and role = 'atlvs_app') shown (read)
              where c.relname::text = any($1) and c.relnamespace = 'public'::regnamespace
                  and $2::text <> ''
                  and (has_table_privilege(role, c.oid, 'update,delete,truncate')
                      or has_any_column_privilege(role, c.oid, 'update')
                      or not shown.read and has_any_column_privilege(role, c.oid, 'select'))",
    },
    Question { about: "a row for another organization may be put in", sql: WIDER_THAN_THE_WALL },
    Question { about: "row-level security is not forced", sql: OF_TENANT_TABLES[0].sql },
];

/// `$1`: every table that has a class.
const OF_ALL: &[Question] = &[
    Question {
        about: "a table has no scope class",
        sql: "select c.relname::text from pg_class c
              where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'f')
                  and not c.relispartition and c.relname::text <> all($1) and $2::text <> ''",
    },
    Question {
        about: "a view would answer with its owner's rights",
        sql: "select c.relname::text from pg_class c
              where c.relnamespace = 'public'::regnamespace and c.relkind in ('v', 'm')
                  and not coalesce(c.reloptions::text[] && array['security_invoker=true',
                      'security_invoker=on'], false) and $1::text[] is not null and $2::text <> ''",
    },
    Question {
        about: "a partition has grants",
        sql: "select c.relname || ' to ' || role from pg_class c,
                  unnest(array['atlvs_app', 'atlvs_portal', 'atlvs_work', 'public']) role
              where c.relispartition and c.relkind in ('r', 'p')
                  and $1::text[] is not null and $2::text <> ''
                  and (has_table_privilege(role, c.oid, 'select,insert,update,delete,truncate')
                      or has_any_column_privilege(role, c.oid, 'select,insert,update'))",
    },
    Question {
        about: "a table or function is not the owner's",
        sql: "select c.relname::text from pg_class c
              where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
                  and c.relname <> 'schema_migrations' and c.relowner <> 'atlvs_owner'::regrole
                  -- A definer function makes the partitions of the change log.
                  and not (c.relname ~ '^changes(_y[0-9]{4}m[0-9]{2})?$'
                      and c.relowner = 'atlvs_definer'::regrole)
                  and $1::text[] is not null and $2::text <> ''
              union all
              select p.proname::text from pg_proc p
              where p.pronamespace = 'public'::regnamespace
                  and p.proowner not in ('atlvs_owner'::regrole, 'atlvs_definer'::regrole)",
    },
    Question {
        about: "a function that passes row-level security sets no search_path, or another one",
        sql: "select p.proname::text from pg_proc p
              where p.pronamespace = 'public'::regnamespace
                  and (p.prosecdef or p.proowner = 'atlvs_definer'::regrole)
                  and not coalesce(p.proconfig && array['search_path=pg_catalog, public, pg_temp'],
                      false)
                  and $1::text[] is not null and $2::text <> ''",
    },
    Question {
        about: "a function that passes row-level security is not the definer's or is everybody's",
        sql: "select p.proname::text from pg_proc p
              where p.pronamespace = 'public'::regnamespace and p.prosecdef
                  and (p.proowner <> 'atlvs_definer'::regrole
                      or has_function_privilege('public', p.oid, 'execute'))
                  and $1::text[] is not null and $2::text <> ''",
    },
    Question {
        about: "everybody may execute a function",
        sql: "select p.proname::text from pg_proc p
              where p.pronamespace = 'public'::regnamespace
                  and has_function_privilege('public', p.oid, 'execute')
                  and $1::text[] is not null and $2::text <> ''",
    },
    Question {
        about: "what comes later is given away beforehand",
        sql: "select d.defaclobjtype::text || ' of ' || d.defaclrole::regrole
              from pg_default_acl d, aclexplode(d.defaclacl) a
              where a.grantee <> d.defaclrole and $1::text[] is not null and $2::text <> ''",
    },
    Question {
        about: "somebody may make tables",
        sql: "select role from unnest(array['atlvs_app', 'atlvs_portal', 'atlvs_work', 'public']) role
              where has_schema_privilege(role, 'public', 'create')
                  and $1::text[] is not null and $2::text <> ''",
    },
    Question {
        about: "a role may wait for ever",
        sql: "select role || ': ' || name
              from unnest(array['atlvs_app', 'atlvs_portal', 'atlvs_work', 'atlvs_migrate']) role,
                  unnest(array['statement_timeout', 'lock_timeout',
                      'idle_in_transaction_session_timeout']) name
              -- A migration may move many rows; for a lock it does not wait.
              where (role <> 'atlvs_migrate' or name = 'lock_timeout')
                  and not exists (select from pg_roles r, unnest(r.rolconfig) line
                      where r.rolname = role and line like name || '=_%' and line <> name || '=0')
                  and $1::text[] is not null and $2::text <> ''",
    },
    Question {
        about: "a role of requests or workers owns something or passes row-level security",
        sql: "select r.rolname::text from pg_roles r
              where r.rolname in ('atlvs_app', 'atlvs_portal', 'atlvs_work')
                  and (r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb
                      or exists (select from pg_class c where c.relowner = r.oid)
                      or exists (select from pg_auth_members m where m.member = r.oid))
                  and $1::text[] is not null and $2::text <> ''",
    },
];

fn tables(scope: Scope, more: &[&'static str]) -> Vec<&'static str> {
    let own = registry().entities().filter(|entity| entity.scope == scope);
    own.map(|entity| entity.name).chain(more.iter().copied()).collect()
}

/// Everything that escapes, as `what: where`.
async fn escapes(admin: &Admin) -> Vec<String> {
    let tenant = tables(Scope::Tenant, TENANT_WITHOUT_DESCRIPTOR);
    let machine = tables(Scope::Machine, MACHINE_WITHOUT_DESCRIPTOR);
    let global = tables(Scope::Global, GLOBAL_WITHOUT_DESCRIPTOR);
    let all = [tenant.as_slice(), &machine, &global].concat();
    let mut found = Vec::new();
    for (tables, questions) in [
        (&tenant, OF_TENANT_TABLES),
        (&machine, OF_MACHINE_TABLES),
        (&global, OF_GLOBAL_TABLES),
        (&all, OF_ALL),
    ] {
        for question in questions {
            let rows = admin.query(question.sql, &[tables, &WALL]).await.unwrap();
            found.extend(
                rows.iter().map(|row| format!("{}: {}", question.about, row.get::<_, String>(0))),
            );
        }
    }
    println!(
        "scope classes: {} tenant, {} machine, {} global tables; {} questions",
        tenant.len(),
        machine.len(),
        global.len(),
        OF_TENANT_TABLES.len() + OF_MACHINE_TABLES.len() + OF_GLOBAL_TABLES.len() + OF_ALL.len()
    );
    found
}

#[tokio::test]
async fn no_table_escapes_its_scope_class() {
    let admin = database().await.superuser().await.unwrap();
    assert_eq!(escapes(&admin).await, Vec::<String>::new());
}

/// What a careless migration could say, and the fault that has to be found then.
const CARELESS: &[(&str, &str)] = &[
    (
        "alter table parties no force row level security",
        "row-level security is not forced: parties",
    ),
    (
        "drop policy parties_tenant on parties",
        "no policy with the wall stands for everybody: parties",
    ),
    (
        "create policy wide on parties for select using (true)",
        "a permissive policy opens more than the wall does: parties.wide",
    ),
    (
        "create table loose (org_id uuid not null, id uuid primary key)",
        "a table has no scope class: loose",
    ),
    (
        "alter table units add column friend uuid, add unique (id);
         alter table units add constraint units_friend foreign key (friend) references units (id)",
        "a foreign key between tenants' tables does not carry the organization: units_friend",
    ),
    ("grant select on users to atlvs_app", "a global table: users to atlvs_app"),
    ("grant select (email) on users to atlvs_portal", "a global table: users to atlvs_portal"),
    ("grant select on outbox to atlvs_app", "a table of the workers: outbox to atlvs_app"),
    (
        "create policy wide on outbox for insert to atlvs_app with check (true)",
        "a row for another organization may be put in: outbox.wide",
    ),
    ("create view all_parties as select * from parties", "its owner's rights: all_parties"),
    (
        "do $$ declare one regclass := (select inhrelid from pg_inherits
             where inhparent = 'changes'::regclass order by 1 limit 1);
         begin execute format('grant select on %s to atlvs_app', one); end $$",
        "a partition has grants: changes_",
    ),
    (
        "create function peek() returns bigint language sql security definer
             return (select count(*) from parties)",
        "sets no search_path, or another one: peek",
    ),
    ("alter role atlvs_portal bypassrls", "passes row-level security: atlvs_portal"),
    (
        "alter table parties drop constraint parties_pkey cascade;
         alter table parties add primary key (id, org_id)",
        "the primary key does not begin with the organization: parties",
    ),
    (
        "alter table parties drop constraint parties_pkey cascade;
         alter table parties alter column org_id drop not null",
        "the organization may be missing: parties",
    ),
    ("alter table parties owner to current_user", "is not the owner's: parties"),
    (
        "do $$ begin execute format('grant execute on function %s to public',
             'account_session'::regproc::regprocedure); end $$",
        "is not the definer's or is everybody's: account_session",
    ),
    (
        "create function free() returns bigint language sql return 1",
        "everybody may execute a function: free",
    ),
    (
        "alter default privileges for role atlvs_owner grant select on tables to atlvs_app",
        "what comes later is given away beforehand: r of atlvs_owner",
    ),
    ("grant create on schema public to atlvs_app", "somebody may make tables: atlvs_app"),
    ("alter role atlvs_work reset lock_timeout", "wait for ever: atlvs_work: lock_timeout"),
    (
        "alter role atlvs_app set statement_timeout = 0",
        "wait for ever: atlvs_app: statement_timeout",
    ),
];

#[tokio::test]
async fn every_question_finds_its_fault() {
    let careless = TestDb::create("careless", &migrations::scripts()).await.unwrap();
    let admin = careless.superuser().await.unwrap();
    let questions = [OF_TENANT_TABLES, OF_MACHINE_TABLES, OF_GLOBAL_TABLES, OF_ALL].concat();
    let mut silent: BTreeSet<&str> = questions.iter().map(|one| one.about).collect();
    for (statement, fault) in CARELESS {
        // Rolled back: the role at least is shared with every database of the server.
        admin.batch("begin").await.unwrap();
        admin.batch(statement).await.unwrap();
        let found = escapes(&admin).await;
        admin.batch("rollback").await.unwrap();
        assert!(found.iter().any(|one| one.contains(fault)), "{statement}: found {found:?}");
        silent.retain(|about| !found.iter().any(|one| one.starts_with(about)));
    }
    assert!(silent.is_empty(), "nobody tried whether these find anything: {silent:?}");
}
