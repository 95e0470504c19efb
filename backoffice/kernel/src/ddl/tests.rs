//! The text of the DDL for a small house.

use crate::ddl::{columns, definers, script, sections};
use crate::entity::{
    Check, Domain, Entity, Field, Operations, Retention, Unique, boolean, bytes, email, integer,
    link, text,
};
use crate::error::Code;
use crate::registry::Registry;

static PEOPLE: Entity = Entity::new("people")
    .grant("club.people")
    .about("A person.")
    .fields(&[
        email("email").personal(),
        text("email_key").computed("lower(email)"),
        bytes("pin_hash", 32).secret(),
        link("club_id", "club.clubs").required(),
    ])
    .uniques(&[Unique {
        name: "people_email_key_key",
        fields: &["email_key"],
        code: Code::AlreadyExists,
    }]);
static CLUBS: Entity =
    Entity::new("clubs")
        .global()
        .about("A club.")
        .fields(&[integer("size", 0, 100).required().default("0")]);
static VISITS: Entity = Entity::new("visits")
    .grant("club.people")
    .about("Somebody came.")
    .log()
    .fields(&[link("person_id", "club.people").required().cascade(), boolean("late")])
    .indexes(&[&["person_id", "created_at"]]);
static TASKS: Entity = Entity::new("tasks")
    .machine()
    .enqueued()
    .retention(&[
        Retention::days("created_at", 30).only("person_id is not null"),
        Retention::days("created_at", 2).empties(&["note"]),
    ])
    .about("Work to do.")
    .fields(&[link("person_id", "club.people"), text("note")])
    .checks(&[Check {
        name: "tasks_for_somebody",
        sql: "person_id is not null",
        code: Code::Required,
        field: "person_id",
    }]);
static CLUB: Domain = Domain {
    name: "club",
    entities: &[&PEOPLE, &CLUBS, &VISITS, &TASKS],
    sql: &[("club.sql", "-- beside the entities\n")],
    ..Domain::EMPTY
};

fn registry() -> Registry {
    Registry::new(&[&CLUB]).unwrap()
}

#[track_caller]
fn contains(sql: &str) {
    let script = script(&registry());
    assert!(script.contains(sql), "this is missing:\n{sql}\nin:\n{script}");
}

#[track_caller]
fn lacks(sql: &str) {
    let script = script(&registry());
    assert!(!script.contains(sql), "this should not be there:\n{sql}");
}

#[test]
fn tenant_tables_carry_the_organization_in_every_key() {
    contains(
        "create table people (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    email text,
    email_key text generated always as (lower(email)) stored,
    pin_hash bytea,
    club_id uuid not null,
    custom jsonb default '{}'::jsonb not null,
    constraint people_pkey primary key (org_id, id),",
    );
    contains(
        "create unique index people_email_key_key on people (org_id, email_key) where deleted_at is null;",
    );
    contains("create index people_club_id_idx on people (org_id, club_id);");
    contains(
        "alter table visits add constraint visits_person_id_fkey foreign key (org_id, person_id) \
         references people (org_id, id) on delete cascade;",
    );
    contains(
        "alter table people add constraint people_club_id_fkey foreign key (club_id) references clubs (id);",
    );
    contains(
        "alter table tasks add constraint tasks_person_id_fkey foreign key (org_id, person_id) \
         references people (org_id, id);",
    );
}

#[test]
fn an_index_that_begins_with_a_link_serves_it() {
    contains(
        "create index visits_person_id_created_at_idx on visits (org_id, person_id, created_at);",
    );
    lacks("visits_person_id_idx");
}

#[test]
fn scope_classes_have_their_rights() {
    contains(
        "alter table people enable row level security;
alter table people force row level security;
create policy people_tenant on people using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on people to atlvs_app;",
    );
    contains("grant select, insert on visits to atlvs_app;");
    contains("grant select, insert, update, delete on clubs to atlvs_definer;");
    lacks("on clubs to atlvs_app");
    contains("create policy tasks_enqueue on tasks for insert to atlvs_app with check (");
    contains("grant select, insert, update, delete on tasks to atlvs_work;");
    lacks("on people to atlvs_work");
}

#[test]
fn triggers_follow_the_shape() {
    contains("create trigger people_touch before update on people");
    contains(
        "create trigger people_change_update after update on people referencing \
         old table as old_rows new table as new_rows
    for each statement execute function record_changes('{pin_hash}', '{}', '{}');",
    );
    contains("create trigger visits_append_only before update or delete on visits");
    lacks("visits_change");
    lacks("tasks_touch");
    contains("create trigger clubs_touch before update on clubs");
    lacks("clubs_change");
}

#[test]
fn logs_and_machine_rows_have_neither_version_nor_custom_fields() {
    let names = |entity| columns(entity).into_iter().map(|c| c.name).collect::<Vec<_>>();
    assert_eq!(names(&VISITS), ["org_id", "id", "created_at", "person_id", "late"]);
    assert_eq!(names(&TASKS), ["org_id", "id", "created_at", "person_id", "note"]);
    assert_eq!(names(&CLUBS), ["id", "version", "created_at", "updated_at", "size"]);
    static LASTING: Entity = Entity::new("ledgers")
        .operations(Operations { delete: false, ..Operations::ALL })
        .fields(NO_FIELDS);
    assert_eq!(
        names(&LASTING),
        ["org_id", "id", "version", "created_at", "updated_at", "custom"],
        "what is never deleted has no mark for it"
    );
}

const NO_FIELDS: &[Field] = &[];

#[test]
fn sections_come_in_an_order_that_can_run() {
    let titles: Vec<String> = sections(&registry()).into_iter().map(|s| s.title).collect();
    let expect = [
        "Everything is the owner's",
        "Base",
        "Search",
        "Change log and outbox",
        "club.people",
        "club.clubs",
        "club.visits",
        "club.tasks",
        "Links",
        "Row-level security and grants",
        "club/club.sql",
        "Sweep functions",
        "Triggers",
        "Functions of the definer",
        "Functions of nobody in particular",
        "Partitions",
    ];
    assert_eq!(titles, expect);
}

#[test]
fn definers_of_other_houses_are_left_out() {
    let names: Vec<_> = definers::of(&registry()).into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["record_changes", "erase_changes", "make_change_partitions", "sweep_tasks"]);
    contains("revoke execute on function record_changes from public;");
    contains("grant execute on function erase_changes to atlvs_app;");
}

#[test]
fn rows_leave_by_rules_that_an_index_serves() {
    contains(
        "create index tasks_sweep0_idx on tasks (created_at) where person_id is not null;\n\
         create index tasks_sweep1_idx on tasks (created_at) where (note is not null);",
    );
    contains("grant select, delete, update (id) on tasks to atlvs_definer;");
    contains("grant select, update (note) on tasks to atlvs_definer;");
    contains("where created_at < p_now - make_interval(secs => 172800) and (note is not null)");
    contains("grant execute on function sweep_tasks to atlvs_work;");
    lacks("sweep_people");
}
