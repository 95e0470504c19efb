-- The change log and the outbox. One trigger writes both; no product role writes the log.

create table changes (
    org_id uuid not null,
    id uuid not null default uuid7(),
    table_name text not null,
    row_id uuid not null,
    -- insert, update, delete (a soft delete is one), restore; erase: earlier values of the row were
    -- taken out of the log
    op text not null,
    -- Version of the row after the change; null when the row is gone.
    version bigint,
    -- Values of changed fields only; secret fields are never here.
    before jsonb,
    after jsonb,
    actor_kind text not null,
    actor_id text,
    request_id uuid,
    reason text,
    at timestamptz not null default now(),
    -- Erasing a person nulls before, after, reason and salt; the digests stay and prove the rest.
    salt bytea,
    values_digest bytea not null,
    digest bytea not null,
    erased_at timestamptz,
    constraint changes_pkey primary key (org_id, id),
    constraint changes_op_check check (op in ('insert', 'update', 'delete', 'restore', 'erase')),
    constraint changes_digest_check check (octet_length(digest) = 32 and octet_length(values_digest) = 32),
    constraint changes_erased_check check ((salt is null) = (erased_at is not null)),
    constraint changes_empty_check
        check (erased_at is null or (before is null and after is null and reason is null))
) partition by range (id);
-- A row id is met in one table; the name of the table would double the entry for nothing.
create index changes_row_idx on changes (org_id, row_id, id);
alter table changes enable row level security;
alter table changes force row level security;
create policy changes_tenant on changes
    using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));

create table outbox (
    id bigint generated always as identity,
    org_id uuid not null,
    -- table.op, as in the change: events.update
    topic text not null,
    row_id uuid not null,
    change_id uuid,
    body jsonb not null default '{}'::jsonb,
    created_at timestamptz not null default now(),
    -- Links of the outbox that led to this change: consumers stop a chain that goes on for too long.
    causation bigint not null default 0,
    constraint outbox_pkey primary key (id)
);
alter table outbox enable row level security;
alter table outbox force row level security;
create policy outbox_work on outbox to atlvs_work using (true) with check (true);

-- What a change proves is two digests (SHA-256), one inside the other: that of its values with a salt,
-- and that of its head with the first. Erasing values takes the salt too, so nobody can try values
-- against the digest that stays; the head is still proved by it.
create or replace function change_values_digest(p_salt bytea, p_before jsonb, p_after jsonb, p_reason text)
returns bytea
language sql stable parallel safe
as $$
    select sha256(p_salt || convert_to(
        '[' || coalesce(p_before::text, 'null') || ', ' || coalesce(p_after::text, 'null') || ', '
            || coalesce(to_json(p_reason)::text, 'null') || ']', 'UTF8'))
$$;

-- Canonical is the text of a JSON array as jsonb prints it (keys in one order, a blank behind commas),
-- with the time in UTC to the microsecond; a null among the values is a null in the array. The text is
-- put together here (names of tables need no escape): it stands in the way of every write, and an array that is built to be printed
-- takes three times as long. What all entries of a statement share is its tail.
create or replace function change_head_tail(
    p_actor_kind text, p_actor_id text, p_request uuid, p_at timestamptz)
returns text
language sql stable parallel safe
as $$
    select to_json(p_actor_kind) || ', ' || coalesce(to_json(p_actor_id)::text, 'null') || ', '
        || coalesce('"' || p_request || '"', 'null') || ', "'
        || to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"]'
$$;

create or replace function change_head_digest(
    p_org uuid, p_id uuid, p_table text, p_row uuid, p_op text, p_version bigint, p_tail text, p_values bytea)
returns bytea
language sql stable parallel safe
as $$
    select sha256(p_values || convert_to(
        '["' || p_org || '", "' || p_id || '", "' || p_table || '", "' || p_row || '", "' || p_op || '", '
            || coalesce(p_version::text, 'null') || ', ' || p_tail, 'UTF8'))
$$;

-- The digest that an entry should have; of one that lost its values, by the digest that they had.
create or replace function change_digest(c changes) returns bytea
language sql stable parallel safe
as $$
    select change_head_digest(c.org_id, c.id, c.table_name, c.row_id, c.op, c.version,
        change_head_tail(c.actor_kind, c.actor_id, c.request_id, c.at),
        case when c.salt is null then c.values_digest
             else change_values_digest(c.salt, c.before, c.after, c.reason) end)
$$;

-- After every statement that inserts, updates or deletes rows of a tenant table that is not a log: one
-- entry a row. Arguments of the trigger: columns whose values are never written here, columns that are
-- not told at all, columns with JSON in them. The organization is the row's own; an entry of an update
-- that takes a row elsewhere is told there and here.
create or replace function record_changes() returns trigger
language plpgsql security definer
set search_path = pg_catalog, public, pg_temp
set timezone = 'UTC'
as $$
declare
    v_secret constant text[] := tg_argv[0];
    v_json constant text[] := tg_argv[2];
    v_untold constant text[] := v_secret || tg_argv[1]::text[]
        || '{org_id, id, version, created_at, updated_at}'::text[];
begin
    if tg_op = 'INSERT' then
        with entry as (
            select n.org_id, tg_table_name::text as table_name, n.id as row_id, 'insert' as op, n.version,
                   null::jsonb as before, told.after,
                   to_jsonb(array(select jsonb_object_keys(told.after))) as fields
              from (select n.org_id, n.id, n.version, to_jsonb(n) - v_untold as told_row from new_rows n offset 0) n
             cross join lateral (
                -- Nulls are left out, but not those inside a JSON value.
                select case when v_json = '{}' then jsonb_strip_nulls(n.told_row)
                            else (select coalesce(jsonb_object_agg(key, value), '{}')
                                    from jsonb_each(n.told_row) where value <> 'null')
                       end as after offset 0) told
        ), /* log */;
    elsif tg_op = 'DELETE' then
        with entry as (
            select o.org_id, tg_table_name::text as table_name, o.id as row_id, 'delete' as op, null::bigint as version,
                   told.before, null::jsonb as after, told.fields
              from old_rows o
             cross join lateral (
                select jsonb_object_agg(key, value) as before, jsonb_agg(key) as fields
                  from jsonb_each(to_jsonb(o) - v_untold) where value <> 'null') told
        ), /* log */;
    else
        with pair as materialized (
            select coalesce(n.org_id, o.org_id) as org_id, coalesce(n.id, o.id) as row_id, n.version,
                   to_jsonb(o) as old_row, to_jsonb(n) as new_row
              from old_rows o full join new_rows n on n.org_id = o.org_id and n.id = o.id
        ), entry as (
            select org_id, tg_table_name::text as table_name, row_id,
                   case when old_row is null then 'insert'
                        when new_row is null then 'delete'
                        when after -> 'deleted_at' = 'null' then 'restore'
                        when after ? 'deleted_at' then 'delete'
                        else 'update' end as op,
                   version, before, after, coalesce(fields, '[]') as fields
              from pair
             cross join lateral (
                select jsonb_object_agg(key, old_row -> key) filter (where old_row -> key <> 'null') as before,
                       jsonb_object_agg(key, new_row -> key) filter (where new_row ? key) as after,
                       jsonb_agg(key) as fields
                  from jsonb_object_keys(coalesce(new_row, old_row) - v_untold) as key
                 where old_row -> key is distinct from new_row -> key) told
             -- An update of secrets alone is told without values; an update of nothing is not told at all.
             where fields is not null
                or exists (select from unnest(v_secret) as key where old_row -> key is distinct from new_row -> key)
        ), /* log */;
    end if;
    return null;
end
$$;

-- The log's own guard: the only edit there is takes the values and the salt away.
create or replace function guard_changes() returns trigger
language plpgsql
set search_path = pg_catalog, public
as $$
begin
    if tg_op = 'UPDATE' then
        if current_user = 'atlvs_definer' and old.erased_at is null
            and old.op <> 'erase' and new.salt is null and new.erased_at is not null
            and (to_jsonb(new) - array['before', 'after', 'reason', 'salt', 'erased_at'])
              = (to_jsonb(old) - array['before', 'after', 'reason', 'salt', 'erased_at']) then
            return new;
        end if;
    end if;
    raise exception using errcode = 'restrict_violation', message = 'the change log is append-only';
end
$$;
create trigger changes_guard before update or delete on changes
    for each row execute function guard_changes();
create trigger changes_guard_truncate before truncate on changes
    for each statement execute function guard_changes();

-- Takes a row's values out of the log of the active organization and tells that by an entry of its own,
-- which proves when; answers how many entries lost theirs.
create or replace function erase_changes(p_table text, p_row uuid) returns bigint
language plpgsql security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_count bigint;
begin
    update changes set before = null, after = null, reason = null, salt = null, erased_at = now()
     where org_id = v_org and table_name = p_table and row_id = p_row and erased_at is null and op <> 'erase';
    get diagnostics v_count = row_count;
    if v_count > 0 then
        with entry as (
            select v_org as org_id, p_table as table_name, p_row as row_id, 'erase' as op, null::bigint as version,
                   null::jsonb as before, jsonb_build_object('entries', v_count) as after, '[]'::jsonb as fields
        ), /* log */;
    end if;
    return v_count;
end
$$;

-- Makes the monthly partitions of the log from this month on, two years ahead; answers how many were
-- missing. Partitions get no grants: only the parent is read, under its policy. A table is made apart and
-- attached then: attaching takes SHARE UPDATE EXCLUSIVE, which a backup, a verification and writers do not
-- conflict with; `partition of` would take ACCESS EXCLUSIVE, and everything would queue behind it.
create or replace function make_change_partitions() returns integer
language plpgsql security definer
set search_path = pg_catalog, public, pg_temp
set lock_timeout = '1s'
as $$
declare
    v_months_ahead constant integer := 24;
    v_first constant timestamp := date_trunc('month', now() at time zone 'UTC');
    v_month timestamp;
    v_name text;
    v_made integer := 0;
begin
    -- Workers that begin together must not race for a name.
    perform pg_advisory_xact_lock(4146002);
    for v_ahead in 0 .. v_months_ahead loop
        v_month := v_first + make_interval(months => v_ahead);
        v_name := to_char(v_month, '"changes_y"YYYY"m"MM');
        if to_regclass('public.' || v_name) is null then
            execute format('create table public.%I (like public.changes including defaults including constraints)',
                v_name);
            execute format('alter table public.changes attach partition public.%I for values from (%L) to (%L)',
                v_name,
                public.uuid7_floor(v_month at time zone 'UTC'),
                public.uuid7_floor((v_month + interval '1 month') at time zone 'UTC'));
            v_made := v_made + 1;
        end if;
    end loop;
    return v_made;
end
$$;

-- Partitions are made by the definer, and only the owner of a table adds partitions to it.
alter table changes owner to atlvs_definer;
grant select on changes to atlvs_app;
grant select, insert, update, delete on outbox to atlvs_work;
grant insert on outbox to atlvs_definer;
