-- The change log and the outbox. One trigger writes both; no product role writes the log.

create table changes (
    org_id uuid not null,
    id uuid not null default uuid7(),
    table_name text not null,
    row_id uuid not null,
    -- insert, update, delete (a soft delete is one), restore
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
    -- Erasing a person nulls before, after and salt; the digest stays and proves that a change was.
    salt bytea,
    digest bytea not null,
    erased_at timestamptz,
    constraint changes_pkey primary key (org_id, id),
    constraint changes_op_check check (op in ('insert', 'update', 'delete', 'restore')),
    constraint changes_digest_check check (octet_length(digest) = 32),
    constraint changes_erased_check check ((salt is null) = (erased_at is not null))
) partition by range (id);
create index changes_row_idx on changes (org_id, table_name, row_id, id);
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
create policy outbox_enqueue on outbox for insert to atlvs_app
    with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
create policy outbox_work on outbox to atlvs_work using (true) with check (true);

-- The digest of a change: SHA-256 over its canonical text and its salt. Canonical is the text of a
-- JSON array (jsonb prints keys in one order), with the time in UTC to the microsecond.
create or replace function change_digest(c changes) returns bytea
language sql stable parallel safe
set search_path = pg_catalog, public
as $$
    select sha256(convert_to(jsonb_build_array(
        c.org_id, c.id, c.table_name, c.row_id, c.op, c.version, c.before, c.after,
        c.actor_kind, c.actor_id, c.request_id, c.reason,
        to_char(c.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))::text, 'UTF8') || c.salt)
$$;

-- After every insert, update and delete of a tenant table that is not a log. Arguments of the trigger
-- are the columns that are never written here. The organization is the row's own.
create or replace function record_change() returns trigger
language plpgsql security definer
set search_path = pg_catalog, public, pg_temp
set timezone = 'UTC'
as $$
declare
    v_hidden constant text[] := coalesce(tg_argv, '{}') || array['org_id', 'id', 'version', 'created_at', 'updated_at'];
    v_old jsonb;
    v_new jsonb;
    c changes;
begin
    if tg_op <> 'INSERT' then
        v_old := to_jsonb(old) - v_hidden;
        c.org_id := old.org_id;
        c.row_id := old.id;
    end if;
    if tg_op <> 'DELETE' then
        v_new := to_jsonb(new) - v_hidden;
        c.org_id := new.org_id;
        c.row_id := new.id;
        c.version := new.version;
    end if;
    if tg_op = 'INSERT' then
        -- The same without a comparison: files bring a hundred thousand rows.
        select jsonb_object_agg(key, value) into c.after from jsonb_each(v_new) where value <> 'null';
    else
        select jsonb_object_agg(key, o.value) filter (where o.value <> 'null'),
               jsonb_object_agg(key, n.value) filter (where n.value <> 'null' or tg_op = 'UPDATE')
          into c.before, c.after
          from jsonb_each(v_old) o full join jsonb_each(v_new) n using (key)
         where o.value is distinct from n.value;
    end if;
    -- An update of secrets alone is told without values; an update of nothing is not told at all.
    if tg_op = 'UPDATE' and c.before is null and c.after is null
        and (to_jsonb(old) - array['version', 'updated_at']) = (to_jsonb(new) - array['version', 'updated_at']) then
        return null;
    end if;
    c.op := case
        when tg_op = 'UPDATE' and c.after ? 'deleted_at' and c.after -> 'deleted_at' <> 'null' then 'delete'
        when tg_op = 'UPDATE' and c.before ? 'deleted_at' then 'restore'
        else lower(tg_op) end;
    c.id := uuid7();
    c.table_name := tg_table_name;
    c.actor_kind := coalesce(nullif(current_setting('app.actor_kind', true), ''), 'system');
    c.actor_id := nullif(current_setting('app.actor_id', true), '');
    c.request_id := nullif(current_setting('app.request_id', true), '')::uuid;
    c.reason := nullif(current_setting('app.reason', true), '');
    c.at := now();
    c.salt := uuid_send(gen_random_uuid());
    c.digest := change_digest(c);
    insert into changes values (c.*);
    insert into outbox (org_id, topic, row_id, change_id, causation, body)
    values (c.org_id, c.table_name || '.' || c.op, c.row_id, c.id,
            coalesce(nullif(current_setting('app.causation', true), ''), '0')::bigint,
            jsonb_build_object('version', c.version, 'fields',
                (select coalesce(jsonb_agg(key order by key), '[]')
                   from jsonb_object_keys(coalesce(c.before, '{}') || coalesce(c.after, '{}')) key))
            -- Automation leaves such changes alone: an import said so.
            || case when current_setting('app.quiet', true) = 'on' then '{"quiet": true}'::jsonb else '{}' end);
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
            and new.before is null and new.after is null and new.salt is null and new.erased_at is not null
            and (to_jsonb(new) - array['before', 'after', 'salt', 'erased_at'])
              = (to_jsonb(old) - array['before', 'after', 'salt', 'erased_at']) then
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

-- Takes a row's values out of the log of the active organization; answers how many entries lost theirs.
create or replace function erase_changes(p_table text, p_row uuid) returns bigint
language plpgsql security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_count bigint;
begin
    update changes set before = null, after = null, salt = null, erased_at = now()
     where org_id = v_org and table_name = p_table and row_id = p_row and erased_at is null;
    get diagnostics v_count = row_count;
    return v_count;
end
$$;

-- Makes the monthly partitions of the log from this month on, two years ahead; answers how many were
-- missing. Partitions get no grants: only the parent is read, under its policy.
create or replace function make_change_partitions() returns integer
language plpgsql security definer
set search_path = pg_catalog, public, pg_temp
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
            execute format('create table public.%I partition of public.changes for values from (%L) to (%L)',
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
grant insert on outbox to atlvs_app, atlvs_definer;
