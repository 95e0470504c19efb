-- === Everything is the owner's ===

set local check_function_bodies = off;
set local role atlvs_owner;

-- === Base ===

-- Schema rights and the functions that tables themselves use.

revoke create on schema public from public;
grant usage on schema public to atlvs_app, atlvs_portal, atlvs_work, atlvs_definer;
-- The partition function of the definer makes tables.
grant create on schema public to atlvs_definer;

-- A UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, then the fraction of the millisecond in
-- 12 bits (section 6.2, method 3), so that ids of one session sort by time to the microsecond. Every
-- row has one: an expression alone, which the planner puts where it is called.
create or replace function uuid7_at(p_microseconds bigint) returns uuid
language sql volatile parallel safe
as $$
    select encode(overlay(uuid_send(gen_random_uuid())
        placing int8send((p_microseconds / 1000) << 16 | 28672 | p_microseconds % 1000 * 4096 / 1000)
        from 1 for 8), 'hex')::uuid
$$;

create or replace function uuid7() returns uuid
language sql volatile parallel safe
as $$
    select uuid7_at(microseconds)
      from (select (extract(epoch from clock_timestamp()) * 1000000)::bigint offset 0) as clock (microseconds)
$$;

-- The smallest UUID of an instant: bounds of partitions and of searches by time.
create or replace function uuid7_floor(p_at timestamptz) returns uuid
language sql immutable parallel safe
set search_path = pg_catalog
as $$
    select (lpad(to_hex(floor(extract(epoch from p_at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Before every update: the version grows by one whoever writes, identity never changes.
create or replace function touch() returns trigger
language plpgsql
set search_path = pg_catalog
as $$
begin
    if new.id <> old.id or new.created_at <> old.created_at then
        raise exception using errcode = 'restrict_violation',
            message = format('%s: id and created_at never change', tg_table_name);
    end if;
    new.version := old.version + 1;
    if new.updated_at is not distinct from old.updated_at then
        new.updated_at := now();
    end if;
    return new;
end
$$;

-- Before update or delete of a log: its rows stay as they were written.
create or replace function append_only() returns trigger
language plpgsql
set search_path = pg_catalog
as $$
begin
    raise exception using errcode = 'restrict_violation',
        message = format('%s is append-only', tg_table_name);
end
$$;

-- === Search ===

-- Search by words: what a word is, for the columns that hold them and for what is asked. Neither
-- passes row-level security; the functions that do are generated, one for each searched column.

-- A text as its words: lower case, without accents, punctuation between words only. So `Zürich` is
-- found by `zurich`, and the parts of `ATL-2026/7` are words. Longer texts are searched up to here.
create or replace function search_fold(p_text text) returns text
language sql immutable strict parallel safe
as $$
    select pg_catalog.left(pg_catalog.translate(
        case when pg_catalog.octet_length(p_text) = pg_catalog.char_length(p_text)
             then pg_catalog.lower(p_text)
             else pg_catalog.replace(pg_catalog.translate(
                 pg_catalog.regexp_replace(pg_catalog.normalize(pg_catalog.lower(p_text), 'NFKD'),
                                           '[\u0300-\u036f]', '', 'g'),
                 'øłđıħ', 'oldih'), 'ß', 'ss') end,
        '-_./\@#:;,+*&%$!?()[]{}<>=|^~`''"', '                                   '), 20000)
$$;

-- The words of an organization's own texts, each behind the key of its field: `=house_no=7`. The sign
-- is no part of a word, so nobody's words, nor beginnings of words, ask for these unless `search_query`
-- makes them.
create or replace function search_custom(p_custom jsonb) returns tsvector
language sql immutable strict parallel safe
as $$
    select coalesce(pg_catalog.string_agg(
               pg_catalog.quote_literal('=' || own.key || '=' || word.lexeme) || ':'
               || pg_catalog.array_to_string(word.positions, ','), ' '), '')::pg_catalog.tsvector
      from pg_catalog.jsonb_each(p_custom) own
     cross join lateral pg_catalog.unnest(
               pg_catalog.to_tsvector('pg_catalog.simple'::pg_catalog.regconfig,
                                      public.search_fold(own.value #>> '{}'))) word
     where pg_catalog.jsonb_typeof(own.value) = 'string'
$$;

-- What the caller's words ask for: all words, the last one as a beginning; `"a phrase"` as it stands;
-- `-word` not. Any text is a query, and none of its words is passed over (a list bounds its characters);
-- one without words is null. Each is looked for in the entity's own
-- words and in those of these fields of the organization's.
create or replace function search_query(p_words text, p_keys text[]) returns tsquery
language plpgsql immutable parallel safe
set search_path = pg_catalog, public
as $$
declare
    v_query tsquery;
    v_one tsquery;
    v_plain text;
    v_key text;
    r record;
begin
    for r in
        select m[1] = '-' as negated, m[2] is null as plain, coalesce(m[2], m[3]) as term,
               n = count(*) over () as last
          from (select m, n from regexp_matches(p_words, '(-?)(?:"([^"]*)"|([^\s"]+))', 'g')
                               with ordinality as found (m, n)) terms
         order by n
    loop
        v_one := phraseto_tsquery('simple', search_fold(r.term));
        continue when numnode(v_one) = 0;
        if r.last and r.plain and not r.negated then
            v_one := (v_one::text || ':*')::tsquery;
        end if;
        v_plain := v_one::text;
        foreach v_key in array p_keys loop
            v_one := v_one || regexp_replace(v_plain, '''([^'']+)''', '''=' || v_key || '=\1''', 'g')::tsquery;
        end loop;
        if r.negated then
            v_one := !! v_one;
        end if;
        v_query := coalesce(v_query && v_one, v_one);
    end loop;
    return v_query;
end
$$;

-- === Change log and outbox ===

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
        ), context as materialized (
            select *, change_head_tail(actor_kind, actor_id, request_id, now()) as tail from (
            select coalesce(nullif(current_setting('app.actor_kind', true), ''), 'system') as actor_kind,
                   nullif(current_setting('app.actor_id', true), '') as actor_id,
                   nullif(current_setting('app.request_id', true), '')::uuid as request_id,
                   nullif(current_setting('app.reason', true), '') as reason,
                   coalesce(nullif(current_setting('app.causation', true), ''), '0')::bigint as causation,
                   -- Automation leaves such changes alone: an import said so.
                   case when current_setting('app.quiet', true) = 'on' then '{"quiet": true}'::jsonb else '{}' end as mark) as context
        ), proved as materialized (
            select entry.*, context.*, change_values_digest(salt, before, after, reason) as values_digest
              from context cross join (
                select entry.*, uuid7_at(microseconds) as id, uuid_send(gen_random_uuid()) as salt
                  from (select entry.*, (date_part('epoch', clock_timestamp()) * 1000000)::bigint as microseconds
                          from entry offset 0) as entry offset 0) as entry
        ), logged as (
            insert into changes (org_id, id, table_name, row_id, op, version, before, after, actor_kind, actor_id,
                                 request_id, reason, at, salt, values_digest, digest)
            select org_id, id, table_name, row_id, op, version, before, after, actor_kind, actor_id,
                   request_id, reason, now(), salt, values_digest,
                   change_head_digest(org_id, id, table_name, row_id, op, version, tail, values_digest)
              from proved
        )
        insert into outbox (org_id, topic, row_id, change_id, causation, body)
        select org_id, table_name || '.' || op, row_id, id, causation,
               jsonb_build_object('version', version, 'fields', fields) || mark
          from proved;
    elsif tg_op = 'DELETE' then
        with entry as (
            select o.org_id, tg_table_name::text as table_name, o.id as row_id, 'delete' as op, null::bigint as version,
                   told.before, null::jsonb as after, told.fields
              from old_rows o
             cross join lateral (
                select jsonb_object_agg(key, value) as before, jsonb_agg(key) as fields
                  from jsonb_each(to_jsonb(o) - v_untold) where value <> 'null') told
        ), context as materialized (
            select *, change_head_tail(actor_kind, actor_id, request_id, now()) as tail from (
            select coalesce(nullif(current_setting('app.actor_kind', true), ''), 'system') as actor_kind,
                   nullif(current_setting('app.actor_id', true), '') as actor_id,
                   nullif(current_setting('app.request_id', true), '')::uuid as request_id,
                   nullif(current_setting('app.reason', true), '') as reason,
                   coalesce(nullif(current_setting('app.causation', true), ''), '0')::bigint as causation,
                   -- Automation leaves such changes alone: an import said so.
                   case when current_setting('app.quiet', true) = 'on' then '{"quiet": true}'::jsonb else '{}' end as mark) as context
        ), proved as materialized (
            select entry.*, context.*, change_values_digest(salt, before, after, reason) as values_digest
              from context cross join (
                select entry.*, uuid7_at(microseconds) as id, uuid_send(gen_random_uuid()) as salt
                  from (select entry.*, (date_part('epoch', clock_timestamp()) * 1000000)::bigint as microseconds
                          from entry offset 0) as entry offset 0) as entry
        ), logged as (
            insert into changes (org_id, id, table_name, row_id, op, version, before, after, actor_kind, actor_id,
                                 request_id, reason, at, salt, values_digest, digest)
            select org_id, id, table_name, row_id, op, version, before, after, actor_kind, actor_id,
                   request_id, reason, now(), salt, values_digest,
                   change_head_digest(org_id, id, table_name, row_id, op, version, tail, values_digest)
              from proved
        )
        insert into outbox (org_id, topic, row_id, change_id, causation, body)
        select org_id, table_name || '.' || op, row_id, id, causation,
               jsonb_build_object('version', version, 'fields', fields) || mark
          from proved;
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
        ), context as materialized (
            select *, change_head_tail(actor_kind, actor_id, request_id, now()) as tail from (
            select coalesce(nullif(current_setting('app.actor_kind', true), ''), 'system') as actor_kind,
                   nullif(current_setting('app.actor_id', true), '') as actor_id,
                   nullif(current_setting('app.request_id', true), '')::uuid as request_id,
                   nullif(current_setting('app.reason', true), '') as reason,
                   coalesce(nullif(current_setting('app.causation', true), ''), '0')::bigint as causation,
                   -- Automation leaves such changes alone: an import said so.
                   case when current_setting('app.quiet', true) = 'on' then '{"quiet": true}'::jsonb else '{}' end as mark) as context
        ), proved as materialized (
            select entry.*, context.*, change_values_digest(salt, before, after, reason) as values_digest
              from context cross join (
                select entry.*, uuid7_at(microseconds) as id, uuid_send(gen_random_uuid()) as salt
                  from (select entry.*, (date_part('epoch', clock_timestamp()) * 1000000)::bigint as microseconds
                          from entry offset 0) as entry offset 0) as entry
        ), logged as (
            insert into changes (org_id, id, table_name, row_id, op, version, before, after, actor_kind, actor_id,
                                 request_id, reason, at, salt, values_digest, digest)
            select org_id, id, table_name, row_id, op, version, before, after, actor_kind, actor_id,
                   request_id, reason, now(), salt, values_digest,
                   change_head_digest(org_id, id, table_name, row_id, op, version, tail, values_digest)
              from proved
        )
        insert into outbox (org_id, topic, row_id, change_id, causation, body)
        select org_id, table_name || '.' || op, row_id, id, causation,
               jsonb_build_object('version', version, 'fields', fields) || mark
          from proved;
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
        ), context as materialized (
            select *, change_head_tail(actor_kind, actor_id, request_id, now()) as tail from (
            select coalesce(nullif(current_setting('app.actor_kind', true), ''), 'system') as actor_kind,
                   nullif(current_setting('app.actor_id', true), '') as actor_id,
                   nullif(current_setting('app.request_id', true), '')::uuid as request_id,
                   nullif(current_setting('app.reason', true), '') as reason,
                   coalesce(nullif(current_setting('app.causation', true), ''), '0')::bigint as causation,
                   -- Automation leaves such changes alone: an import said so.
                   case when current_setting('app.quiet', true) = 'on' then '{"quiet": true}'::jsonb else '{}' end as mark) as context
        ), proved as materialized (
            select entry.*, context.*, change_values_digest(salt, before, after, reason) as values_digest
              from context cross join (
                select entry.*, uuid7_at(microseconds) as id, uuid_send(gen_random_uuid()) as salt
                  from (select entry.*, (date_part('epoch', clock_timestamp()) * 1000000)::bigint as microseconds
                          from entry offset 0) as entry offset 0) as entry
        ), logged as (
            insert into changes (org_id, id, table_name, row_id, op, version, before, after, actor_kind, actor_id,
                                 request_id, reason, at, salt, values_digest, digest)
            select org_id, id, table_name, row_id, op, version, before, after, actor_kind, actor_id,
                   request_id, reason, now(), salt, values_digest,
                   change_head_digest(org_id, id, table_name, row_id, op, version, tail, values_digest)
              from proved
        )
        insert into outbox (org_id, topic, row_id, change_id, causation, body)
        select org_id, table_name || '.' || op, row_id, id, causation,
               jsonb_build_object('version', version, 'fields', fields) || mark
          from proved;
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

-- === accounts.organizations ===

create table organizations (
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    name text not null,
    slug text not null,
    plan text default 'core' not null,
    sso_issuer text,
    constraint organizations_pkey primary key (id),
    constraint organizations_name_check check (char_length(name) <= 300),
    constraint organizations_slug_check check (slug ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    constraint organizations_plan_check check (plan in ('core', 'pro', 'enterprise')),
    constraint organizations_sso_issuer_check check (char_length(sso_issuer) <= 300)
);
create unique index organizations_slug_key on organizations (slug);

-- === accounts.users ===

create table users (
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    email text not null,
    email_key text generated always as (lower(email)) stored,
    name text not null,
    password_hash text,
    verified_at timestamp with time zone,
    disabled_at timestamp with time zone,
    constraint users_pkey primary key (id),
    constraint users_email_check check (char_length(email) <= 254 and position('@' in email) > 1),
    constraint users_email_key_check check (char_length(email_key) <= 300),
    constraint users_name_check check (char_length(name) <= 300),
    constraint users_password_hash_check check (char_length(password_hash) <= 300)
);
create unique index users_email_key on users (email_key);

-- === accounts.identities ===

create table identities (
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    user_id uuid not null,
    issuer text not null,
    subject text not null,
    linked_by text default 'person' not null,
    constraint identities_pkey primary key (id),
    constraint identities_issuer_check check (char_length(issuer) <= 300),
    constraint identities_subject_check check (char_length(subject) <= 300),
    constraint identities_linked_by_check check (linked_by in ('person', 'organization'))
);
create unique index identities_subject_key on identities (issuer, subject);
create index identities_user_id_idx on identities (user_id);

-- === accounts.sessions ===

create table sessions (
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    user_id uuid not null,
    token_hash bytea not null,
    expires_at timestamp with time zone not null,
    last_seen_at timestamp with time zone not null,
    revoked_at timestamp with time zone,
    user_agent text,
    issuer text,
    constraint sessions_pkey primary key (id),
    constraint sessions_token_hash_check check (octet_length(token_hash) <= 32),
    constraint sessions_user_agent_check check (char_length(user_agent) <= 300),
    constraint sessions_issuer_check check (char_length(issuer) <= 300)
);
create unique index sessions_token_key on sessions (token_hash);
create index sessions_user_id_idx on sessions (user_id);
create index sessions_sweep0_idx on sessions (expires_at);

-- === accounts.proofs ===

create table proofs (
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    user_id uuid not null,
    purpose text not null,
    email text not null,
    token_hash bytea not null,
    expires_at timestamp with time zone not null,
    used_at timestamp with time zone,
    constraint proofs_pkey primary key (id),
    constraint proofs_purpose_check check (purpose in ('reset_password', 'change_email')),
    constraint proofs_email_check check (char_length(email) <= 254 and position('@' in email) > 1),
    constraint proofs_token_hash_check check (octet_length(token_hash) <= 32)
);
create unique index proofs_token_key on proofs (token_hash);
create index proofs_user_id_idx on proofs (user_id);
create index proofs_sweep0_idx on proofs (expires_at);

-- === accounts.roles ===

create table roles (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    key text not null,
    name text not null,
    built_in boolean default false not null,
    grants jsonb not null,
    custom jsonb default '{}'::jsonb not null,
    constraint roles_pkey primary key (org_id, id),
    constraint roles_key_check check (key ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    constraint roles_name_check check (char_length(name) <= 300),
    constraint roles_grants_check check (octet_length(grants::text) <= 65536)
);
create unique index roles_key_key on roles (org_id, key) where deleted_at is null;

-- === accounts.service_accounts ===

create table service_accounts (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    name text not null,
    purpose text,
    custom jsonb default '{}'::jsonb not null,
    constraint service_accounts_pkey primary key (org_id, id),
    constraint service_accounts_name_check check (char_length(name) <= 300),
    constraint service_accounts_purpose_check check (char_length(purpose) <= 20000)
);
create unique index service_accounts_name_key on service_accounts (org_id, name) where deleted_at is null;

-- === accounts.memberships ===

create table memberships (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    user_id uuid,
    service_account_id uuid,
    role_id uuid not null,
    ends_at timestamp with time zone,
    custom jsonb default '{}'::jsonb not null,
    constraint memberships_pkey primary key (org_id, id),
    constraint memberships_one_holder check (num_nonnulls(user_id, service_account_id) = 1)
);
create unique index memberships_user_role_key on memberships (org_id, user_id, role_id) where deleted_at is null;
create unique index memberships_service_account_role_key on memberships (org_id, service_account_id, role_id) where deleted_at is null;
create index memberships_user_id_idx on memberships (org_id, user_id);
create index memberships_service_account_id_idx on memberships (org_id, service_account_id);
create index memberships_role_id_idx on memberships (org_id, role_id);

-- === accounts.invitations ===

create table invitations (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    email text not null,
    name text,
    role_id uuid not null,
    invited_by_id uuid,
    token_hash bytea not null,
    ends_at timestamp with time zone,
    expires_at timestamp with time zone not null,
    accepted_at timestamp with time zone,
    custom jsonb default '{}'::jsonb not null,
    constraint invitations_pkey primary key (org_id, id),
    constraint invitations_email_check check (char_length(email) <= 254 and position('@' in email) > 1),
    constraint invitations_name_check check (char_length(name) <= 300),
    constraint invitations_token_hash_check check (octet_length(token_hash) <= 32)
);
create index invitations_token_hash_lookup on invitations (token_hash);
create index invitations_role_id_idx on invitations (org_id, role_id);
create index invitations_invited_by_id_idx on invitations (org_id, invited_by_id);
create index invitations_sweep0_idx on invitations (expires_at);

-- === accounts.api_tokens ===

create table api_tokens (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    user_id uuid,
    service_account_id uuid,
    name text not null,
    token_hash bytea not null,
    hint text not null,
    grants jsonb not null,
    expires_at timestamp with time zone,
    issued_by_id uuid,
    last_used_at timestamp with time zone,
    custom jsonb default '{}'::jsonb not null,
    constraint api_tokens_pkey primary key (org_id, id),
    constraint api_tokens_name_check check (char_length(name) <= 300),
    constraint api_tokens_token_hash_check check (octet_length(token_hash) <= 32),
    constraint api_tokens_hint_check check (char_length(hint) <= 300),
    constraint api_tokens_grants_check check (octet_length(grants::text) <= 65536),
    constraint api_tokens_one_holder check (num_nonnulls(user_id, service_account_id) = 1)
);
create index api_tokens_token_hash_lookup on api_tokens (token_hash);
create index api_tokens_user_id_idx on api_tokens (org_id, user_id);
create index api_tokens_service_account_id_idx on api_tokens (org_id, service_account_id);
create index api_tokens_issued_by_id_idx on api_tokens (org_id, issued_by_id);

-- === accounts.devices ===

create table devices (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    name text not null,
    grants jsonb not null,
    token_hash bytea not null,
    hint text not null,
    expires_at timestamp with time zone,
    made_by_id uuid,
    made_by_account_id uuid,
    issued_by_id uuid,
    last_used_at timestamp with time zone,
    custom jsonb default '{}'::jsonb not null,
    constraint devices_pkey primary key (org_id, id),
    constraint devices_name_check check (char_length(name) <= 300),
    constraint devices_grants_check check (octet_length(grants::text) <= 65536),
    constraint devices_token_hash_check check (octet_length(token_hash) <= 32),
    constraint devices_hint_check check (char_length(hint) <= 300)
);
create unique index devices_name_key on devices (org_id, name) where deleted_at is null;
create index devices_token_hash_lookup on devices (token_hash);
create index devices_made_by_id_idx on devices (org_id, made_by_id);
create index devices_made_by_account_id_idx on devices (org_id, made_by_account_id);
create index devices_issued_by_id_idx on devices (org_id, issued_by_id);

-- === accounts.portal_accounts ===

create table portal_accounts (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    kind text not null,
    party_id uuid not null,
    email text not null,
    email_key text generated always as (lower(email)) stored,
    name text,
    last_used_at timestamp with time zone,
    custom jsonb default '{}'::jsonb not null,
    constraint portal_accounts_pkey primary key (org_id, id),
    constraint portal_accounts_kind_check check (kind in ('talent', 'partner', 'vendor', 'attendee')),
    constraint portal_accounts_email_check check (char_length(email) <= 254 and position('@' in email) > 1),
    constraint portal_accounts_email_key_check check (char_length(email_key) <= 300),
    constraint portal_accounts_name_check check (char_length(name) <= 300)
);
create unique index portal_accounts_email_key on portal_accounts (org_id, email_key, kind) where deleted_at is null;
create index portal_accounts_party_id_idx on portal_accounts (org_id, party_id);

-- === accounts.portal_sessions ===

create table portal_sessions (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    portal_account_id uuid not null,
    link_hash bytea not null,
    link_expires_at timestamp with time zone not null,
    token_hash bytea,
    opened_at timestamp with time zone,
    expires_at timestamp with time zone,
    user_agent text,
    custom jsonb default '{}'::jsonb not null,
    constraint portal_sessions_pkey primary key (org_id, id),
    constraint portal_sessions_link_hash_check check (octet_length(link_hash) <= 32),
    constraint portal_sessions_token_hash_check check (octet_length(token_hash) <= 32),
    constraint portal_sessions_user_agent_check check (char_length(user_agent) <= 300)
);
create index portal_sessions_link_hash_lookup on portal_sessions (link_hash);
create index portal_sessions_token_hash_lookup on portal_sessions (token_hash);
create index portal_sessions_portal_account_id_idx on portal_sessions (org_id, portal_account_id);
create index portal_sessions_sweep0_idx on portal_sessions (expires_at) where expires_at is not null;
create index portal_sessions_sweep1_idx on portal_sessions (link_expires_at) where expires_at is null;

-- === accounts.links ===

create table links (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    table_name text not null,
    row_id uuid not null,
    purpose text not null,
    token_hash bytea not null,
    expires_at timestamp with time zone not null,
    made_by_id uuid,
    made_by_account_id uuid,
    issued_by_id uuid,
    last_used_at timestamp with time zone,
    custom jsonb default '{}'::jsonb not null,
    constraint links_pkey primary key (org_id, id),
    constraint links_table_name_check check (char_length(table_name) <= 300),
    constraint links_purpose_check check (char_length(purpose) <= 300),
    constraint links_token_hash_check check (octet_length(token_hash) <= 32)
);
create index links_row_id_idx on links (org_id, row_id);
create index links_token_hash_lookup on links (token_hash);
create index links_made_by_id_idx on links (org_id, made_by_id);
create index links_made_by_account_id_idx on links (org_id, made_by_account_id);
create index links_issued_by_id_idx on links (org_id, issued_by_id);
create index links_sweep0_idx on links (expires_at);

-- === accounts.teams ===

create table teams (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    name text not null,
    custom jsonb default '{}'::jsonb not null,
    constraint teams_pkey primary key (org_id, id),
    constraint teams_name_check check (char_length(name) <= 300)
);
create unique index teams_name_key on teams (org_id, name) where deleted_at is null;

-- === accounts.team_members ===

create table team_members (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    team_id uuid not null,
    user_id uuid not null,
    custom jsonb default '{}'::jsonb not null,
    constraint team_members_pkey primary key (org_id, id)
);
create unique index team_members_user_key on team_members (org_id, user_id, team_id) where deleted_at is null;
create index team_members_team_id_idx on team_members (org_id, team_id);
create index team_members_user_id_idx on team_members (org_id, user_id);

-- === accounts.personal_reads ===

create table personal_reads (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    created_at timestamp with time zone default now() not null,
    actor_kind text not null,
    actor_id text not null,
    request_id uuid not null,
    table_name text not null,
    row_count bigint not null,
    row_ids text[] not null,
    field_names text[] not null,
    constraint personal_reads_pkey primary key (org_id, id),
    constraint personal_reads_actor_kind_check check (char_length(actor_kind) <= 300),
    constraint personal_reads_actor_id_check check (char_length(actor_id) <= 300),
    constraint personal_reads_table_name_check check (char_length(table_name) <= 300),
    constraint personal_reads_row_count_check check (row_count >= 1),
    constraint personal_reads_row_ids_check check (cardinality(row_ids) <= 200 and array_position(row_ids, null) is null),
    constraint personal_reads_field_names_check check (cardinality(field_names) <= 200 and array_position(field_names, null) is null)
);
create index personal_reads_actor_id_idx on personal_reads (org_id, actor_id);
create index personal_reads_table_name_idx on personal_reads (org_id, table_name);

-- === accounts.operations ===

create table operations (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    kind text not null,
    status text default 'pending' not null,
    result jsonb,
    error jsonb,
    finished_at timestamp with time zone,
    custom jsonb default '{}'::jsonb not null,
    constraint operations_pkey primary key (org_id, id),
    constraint operations_kind_check check (char_length(kind) <= 300),
    constraint operations_status_check check (status in ('pending', 'done', 'failed')),
    constraint operations_result_check check (octet_length(result::text) <= 65536),
    constraint operations_error_check check (octet_length(error::text) <= 65536)
);

-- === accounts.messages ===

create table messages (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    created_at timestamp with time zone default now() not null,
    purpose text not null,
    recipient text not null,
    subject text not null,
    body text not null,
    sealed_secret bytea,
    status text default 'queued' not null,
    sent_at timestamp with time zone,
    constraint messages_pkey primary key (id),
    constraint messages_purpose_check check (char_length(purpose) <= 300),
    constraint messages_recipient_check check (char_length(recipient) <= 254 and position('@' in recipient) > 1),
    constraint messages_subject_check check (char_length(subject) <= 300),
    constraint messages_body_check check (char_length(body) <= 20000),
    constraint messages_sealed_secret_check check (octet_length(sealed_secret) <= 512),
    constraint messages_status_check check (status in ('queued', 'sent', 'refused', 'dropped'))
);
create index messages_sweep0_idx on messages (sent_at) where sent_at is not null;
create index messages_sweep1_idx on messages (created_at) where status = 'dropped';
create index messages_sweep2_idx on messages (created_at) where status = 'queued';

-- === accounts.custom_fields ===

create table custom_fields (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    entity text not null,
    key text not null,
    label text not null,
    kind text not null,
    options text[],
    required boolean default false not null,
    searched boolean default false not null,
    level text default 'open' not null,
    position bigint default 0 not null,
    status text default 'active' not null,
    custom jsonb default '{}'::jsonb not null,
    constraint custom_fields_pkey primary key (org_id, id),
    constraint custom_fields_entity_check check (char_length(entity) <= 300),
    constraint custom_fields_key_check check (key ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    constraint custom_fields_label_check check (char_length(label) <= 300),
    constraint custom_fields_kind_check check (kind in ('text', 'long_text', 'boolean', 'integer', 'decimal', 'money', 'date', 'instant', 'choice', 'email', 'phone', 'url', 'country', 'currency')),
    constraint custom_fields_options_check check (cardinality(options) <= 100 and array_position(options, null) is null),
    constraint custom_fields_level_check check (level in ('open', 'personal', 'confidential')),
    constraint custom_fields_position_check check (position between 0 and 10000),
    constraint custom_fields_status_check check (status in ('active', 'retired'))
);
create unique index custom_fields_key_key on custom_fields (org_id, key, entity);
create index custom_fields_entity_idx on custom_fields (org_id, entity);

-- === accounts.erasures ===

create table erasures (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    user_id uuid,
    entity text not null,
    row_id uuid not null,
    status text not null,
    counts jsonb default '{}' not null,
    job_id uuid,
    error jsonb,
    finished_at timestamp with time zone,
    custom jsonb default '{}'::jsonb not null,
    constraint erasures_pkey primary key (org_id, id),
    constraint erasures_entity_check check (char_length(entity) <= 300),
    constraint erasures_status_check check (status in ('counted', 'running', 'done', 'failed')),
    constraint erasures_counts_check check (octet_length(counts::text) <= 65536),
    constraint erasures_error_check check (octet_length(error::text) <= 65536)
);
create index erasures_user_id_idx on erasures (org_id, user_id);

-- === accounts.idempotency_keys ===

create table idempotency_keys (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    created_at timestamp with time zone default now() not null,
    request_hash bytea not null,
    rights_hash bytea not null,
    expires_at timestamp with time zone not null,
    kept boolean default false not null,
    status bigint,
    body bytea,
    row_version bigint,
    location text,
    operation_id uuid,
    row_id uuid,
    constraint idempotency_keys_pkey primary key (id),
    constraint idempotency_keys_request_hash_check check (octet_length(request_hash) <= 32),
    constraint idempotency_keys_rights_hash_check check (octet_length(rights_hash) <= 32),
    constraint idempotency_keys_status_check check (status between 100 and 599),
    constraint idempotency_keys_body_check check (octet_length(body) <= 524288),
    constraint idempotency_keys_row_version_check check (row_version >= 0),
    constraint idempotency_keys_location_check check (char_length(location) <= 300)
);
create index idempotency_keys_sweep0_idx on idempotency_keys (expires_at);

-- === work.installations ===

create table installations (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    created_at timestamp with time zone default now() not null,
    cluster text not null,
    place text not null,
    feed_epoch uuid not null,
    held_at timestamp with time zone,
    held_why text,
    dropped_at timestamp with time zone,
    constraint installations_pkey primary key (id),
    constraint installations_cluster_check check (char_length(cluster) <= 300),
    constraint installations_place_check check (char_length(place) <= 300),
    constraint installations_held_why_check check (char_length(held_why) <= 300)
);

-- === work.jobs ===

create table jobs (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    created_at timestamp with time zone default now() not null,
    name text not null,
    state text default 'queued' not null,
    user_id uuid,
    actor_kind text not null,
    actor_id text,
    token_id uuid,
    request_id uuid,
    payload jsonb not null,
    due_at timestamp with time zone not null,
    priority bigint default 1 not null,
    attempts bigint default 0 not null,
    causation bigint default 0 not null,
    done bigint,
    total bigint,
    result jsonb,
    error jsonb,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    cancel_asked_at timestamp with time zone,
    schedule_id uuid,
    constraint jobs_pkey primary key (id),
    constraint jobs_name_check check (char_length(name) <= 300),
    constraint jobs_state_check check (state in ('queued', 'running', 'done', 'failed', 'canceled', 'dead')),
    constraint jobs_actor_kind_check check (actor_kind ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    constraint jobs_actor_id_check check (char_length(actor_id) <= 300),
    constraint jobs_payload_check check (octet_length(payload::text) <= 65536),
    constraint jobs_priority_check check (priority between 0 and 2),
    constraint jobs_attempts_check check (attempts >= 0),
    constraint jobs_causation_check check (causation between 0 and 100),
    constraint jobs_done_check check (done >= 0),
    constraint jobs_total_check check (total >= 0),
    constraint jobs_result_check check (octet_length(result::text) <= 65536),
    constraint jobs_error_check check (octet_length(error::text) <= 65536)
);
create index jobs_user_id_idx on jobs (user_id);
create index jobs_sweep0_idx on jobs (finished_at) where finished_at is not null;
create index jobs_sweep1_idx on jobs (finished_at) where finished_at is not null and org_id = '00000000-0000-0000-0000-000000000000'::uuid and state = 'done';
create index jobs_sweep2_idx on jobs (due_at) where finished_at is null;

-- === work.job_queue ===

create table job_queue (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    created_at timestamp with time zone default now() not null,
    name text not null,
    key text,
    priority bigint not null,
    due_at timestamp with time zone not null,
    leased_by uuid,
    leased_until timestamp with time zone,
    again boolean default false not null,
    attempts bigint default 0 not null,
    constraint job_queue_pkey primary key (id),
    constraint job_queue_name_check check (char_length(name) <= 300),
    constraint job_queue_key_check check (char_length(key) <= 300),
    constraint job_queue_priority_check check (priority between 0 and 2),
    constraint job_queue_attempts_check check (attempts >= 0)
);
create index job_queue_sweep0_idx on job_queue (due_at) where leased_by is null;

-- === work.cron_ticks ===

create table cron_ticks (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    created_at timestamp with time zone default now() not null,
    name text not null,
    spec text not null,
    next_at timestamp with time zone not null,
    last_at timestamp with time zone,
    constraint cron_ticks_pkey primary key (id),
    constraint cron_ticks_name_check check (char_length(name) <= 300),
    constraint cron_ticks_spec_check check (char_length(spec) <= 300)
);
create unique index cron_ticks_name_key on cron_ticks (name);

-- === work.schedules ===

create table schedules (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    user_id uuid,
    name text not null,
    job text not null,
    input jsonb default '{}' not null,
    cron text,
    every_minutes bigint,
    at timestamp with time zone,
    zone text default 'UTC' not null,
    active boolean default true not null,
    next_run_at timestamp with time zone,
    last_due_at timestamp with time zone,
    last_run_at timestamp with time zone,
    last_state text,
    last_job_id uuid,
    runs_as_id uuid,
    actor_kind text,
    actor_id text,
    token_id uuid,
    custom jsonb default '{}'::jsonb not null,
    constraint schedules_pkey primary key (org_id, id),
    constraint schedules_name_check check (char_length(name) <= 300),
    constraint schedules_job_check check (char_length(job) <= 300),
    constraint schedules_input_check check (octet_length(input::text) <= 65536),
    constraint schedules_cron_check check (char_length(cron) <= 300),
    constraint schedules_every_minutes_check check (every_minutes between 1 and 527040),
    constraint schedules_zone_check check (char_length(zone) <= 64),
    constraint schedules_last_state_check check (last_state in ('queued', 'running', 'done', 'failed', 'canceled', 'dead', 'skipped')),
    constraint schedules_actor_kind_check check (actor_kind ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    constraint schedules_actor_id_check check (char_length(actor_id) <= 300),
    constraint schedules_when check (num_nonnulls(cron, every_minutes, at) = 1)
);
create index schedules_user_id_idx on schedules (org_id, user_id);
create index schedules_runs_as_id_idx on schedules (org_id, runs_as_id);

-- === work.outbox_deliveries ===

create table outbox_deliveries (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    created_at timestamp with time zone default now() not null,
    consumer text not null,
    event bigint not null,
    topic text not null,
    row_id uuid not null,
    change_id uuid,
    body jsonb not null,
    at timestamp with time zone not null,
    causation bigint not null,
    due_at timestamp with time zone not null,
    attempts bigint default 0 not null,
    error text,
    parked_at timestamp with time zone,
    constraint outbox_deliveries_pkey primary key (id),
    constraint outbox_deliveries_consumer_check check (char_length(consumer) <= 300),
    constraint outbox_deliveries_event_check check (event >= 1),
    constraint outbox_deliveries_topic_check check (char_length(topic) <= 300),
    constraint outbox_deliveries_body_check check (octet_length(body::text) <= 65536),
    constraint outbox_deliveries_causation_check check (causation >= 0),
    constraint outbox_deliveries_attempts_check check (attempts >= 0),
    constraint outbox_deliveries_error_check check (char_length(error) <= 20000)
);
create unique index outbox_deliveries_key on outbox_deliveries (consumer, event);
create index outbox_deliveries_sweep0_idx on outbox_deliveries (parked_at) where parked_at is not null;
create index outbox_deliveries_sweep1_idx on outbox_deliveries (at);

-- === work.change_seals ===

create table change_seals (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    created_at timestamp with time zone default now() not null,
    number bigint not null,
    members bytea not null,
    previous bytea not null,
    digest bytea not null,
    constraint change_seals_pkey primary key (id),
    constraint change_seals_number_check check (number >= 1),
    constraint change_seals_members_check check (octet_length(members) <= 8000),
    constraint change_seals_previous_check check (octet_length(previous) <= 32),
    constraint change_seals_digest_check check (octet_length(digest) <= 32)
);
create unique index change_seals_number_key on change_seals (org_id, number);

-- === lists.imports ===

create table imports (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    user_id uuid,
    entity text not null,
    status text default 'uploading' not null,
    mode text not null,
    matching text not null,
    dry_run boolean not null,
    quiet boolean not null,
    mapping jsonb not null,
    rows_total bigint default 0 not null,
    rows_done bigint default 0 not null,
    rows_create bigint default 0 not null,
    rows_update bigint default 0 not null,
    rows_unchanged bigint default 0 not null,
    rows_faulty bigint default 0 not null,
    job_id uuid,
    error jsonb,
    finished_at timestamp with time zone,
    custom jsonb default '{}'::jsonb not null,
    constraint imports_pkey primary key (org_id, id),
    constraint imports_entity_check check (char_length(entity) <= 300),
    constraint imports_status_check check (status in ('uploading', 'checking', 'checked', 'importing', 'done', 'failed', 'canceled', 'undoing', 'undone', 'expired')),
    constraint imports_mode_check check (mode in ('all', 'each')),
    constraint imports_matching_check check (matching in ('create', 'update', 'upsert')),
    constraint imports_mapping_check check (octet_length(mapping::text) <= 65536),
    constraint imports_rows_total_check check (rows_total >= 0),
    constraint imports_rows_done_check check (rows_done >= 0),
    constraint imports_rows_create_check check (rows_create >= 0),
    constraint imports_rows_update_check check (rows_update >= 0),
    constraint imports_rows_unchanged_check check (rows_unchanged >= 0),
    constraint imports_rows_faulty_check check (rows_faulty >= 0),
    constraint imports_error_check check (octet_length(error::text) <= 65536)
);
create index imports_status_idx on imports (org_id, status);
create index imports_user_id_idx on imports (org_id, user_id);
create index imports_sweep0_idx on imports (finished_at) where finished_at is not null;

-- === lists.import_chunks ===

create table import_chunks (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    import_id uuid not null,
    seq bigint not null,
    row_count bigint not null,
    row_first bigint not null,
    row_last bigint not null,
    done boolean default false not null,
    records bytea,
    outcome bytea,
    fates jsonb,
    custom jsonb default '{}'::jsonb not null,
    constraint import_chunks_pkey primary key (org_id, id),
    constraint import_chunks_seq_check check (seq >= 0),
    constraint import_chunks_row_count_check check (row_count >= 0),
    constraint import_chunks_row_first_check check (row_first >= 0),
    constraint import_chunks_row_last_check check (row_last >= 0),
    constraint import_chunks_records_check check (octet_length(records) <= 4194304),
    constraint import_chunks_outcome_check check (octet_length(outcome) <= 4194304),
    constraint import_chunks_fates_check check (octet_length(fates::text) <= 65536)
);
create unique index import_chunks_seq_key on import_chunks (org_id, import_id, seq);
create index import_chunks_sweep0_idx on import_chunks (created_at) where (records is not null);
create index import_chunks_sweep1_idx on import_chunks (created_at);

-- === lists.saved_views ===

create table saved_views (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    user_id uuid,
    entity text not null,
    name text not null,
    kind text default 'table' not null,
    query jsonb not null,
    settings jsonb,
    visibility text default 'private' not null,
    team_id uuid,
    is_default boolean default false not null,
    default_for text generated always as (CASE WHEN is_default THEN entity END) stored,
    position bigint default 0 not null,
    custom jsonb default '{}'::jsonb not null,
    constraint saved_views_pkey primary key (org_id, id),
    constraint saved_views_entity_check check (char_length(entity) <= 300),
    constraint saved_views_name_check check (char_length(name) <= 300),
    constraint saved_views_kind_check check (kind in ('list', 'table', 'board', 'calendar', 'timeline', 'gantt', 'workload', 'map', 'tree', 'form', 'dashboard', 'activity', 'public')),
    constraint saved_views_query_check check (octet_length(query::text) <= 65536),
    constraint saved_views_settings_check check (octet_length(settings::text) <= 65536),
    constraint saved_views_visibility_check check (visibility in ('private', 'team', 'shared')),
    constraint saved_views_default_for_check check (char_length(default_for) <= 300),
    constraint saved_views_position_check check (position between 0 and 1000000)
);
create unique index saved_views_default_key on saved_views (org_id, user_id, default_for) where deleted_at is null;
create index saved_views_entity_idx on saved_views (org_id, entity);
create index saved_views_user_id_idx on saved_views (org_id, user_id);
create index saved_views_team_id_idx on saved_views (org_id, team_id);

-- === identity.currencies ===

create table currencies (
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    code text not null,
    numeric_code bigint not null,
    name text not null,
    exponent bigint not null,
    active boolean default true not null,
    constraint currencies_pkey primary key (id),
    constraint currencies_code_check check (code ~ '^[A-Z]{3}$'),
    constraint currencies_numeric_code_check check (numeric_code between 1 and 999),
    constraint currencies_name_check check (char_length(name) <= 300),
    constraint currencies_exponent_check check (exponent between 0 and 4)
);
create unique index currencies_code_key on currencies (code);

-- === identity.calendars ===

create table calendars (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    name text not null,
    time_zone text not null,
    monday boolean default true not null,
    tuesday boolean default true not null,
    wednesday boolean default true not null,
    thursday boolean default true not null,
    friday boolean default true not null,
    saturday boolean default false not null,
    sunday boolean default false not null,
    custom jsonb default '{}'::jsonb not null,
    constraint calendars_pkey primary key (org_id, id),
    constraint calendars_name_check check (char_length(name) <= 300),
    constraint calendars_time_zone_check check (char_length(time_zone) <= 64)
);
create unique index calendars_name_key on calendars (org_id, name) where deleted_at is null;

-- === identity.calendar_holidays ===

create table calendar_holidays (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    calendar_id uuid not null,
    day date not null,
    name text not null,
    part text default 'whole' not null,
    custom jsonb default '{}'::jsonb not null,
    constraint calendar_holidays_pkey primary key (org_id, id),
    constraint calendar_holidays_name_check check (char_length(name) <= 300),
    constraint calendar_holidays_part_check check (part in ('whole', 'morning', 'afternoon'))
);
create unique index calendar_holidays_day_key on calendar_holidays (org_id, calendar_id, day, part) where deleted_at is null;
create index calendar_holidays_calendar_id_idx on calendar_holidays (org_id, calendar_id);

-- === identity.parties ===

create table parties (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    kind text not null,
    name text not null,
    given_name text,
    family_name text,
    legal_name text,
    born_on date,
    language text,
    website text,
    notes text,
    custom jsonb default '{}'::jsonb not null,
    search tsvector generated always as (array_to_tsvector(array['@' || org_id::text]) || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(legal_name, ''))), 'A') || (case when custom = '{}'::jsonb then ''::tsvector else search_custom(custom) end)) stored,
    search_personal tsvector generated always as (array_to_tsvector(array['@' || org_id::text]) || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(name, ''))), 'A') || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(given_name, ''))), 'B') || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(family_name, ''))), 'B') || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(legal_name, ''))), 'A') || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(notes, ''))), 'D') || (case when custom = '{}'::jsonb then ''::tsvector else search_custom(custom) end)) stored,
    constraint parties_pkey primary key (org_id, id),
    constraint parties_kind_check check (kind in ('person', 'organization')),
    constraint parties_name_check check (char_length(name) <= 300),
    constraint parties_given_name_check check (char_length(given_name) <= 300),
    constraint parties_family_name_check check (char_length(family_name) <= 300),
    constraint parties_legal_name_check check (char_length(legal_name) <= 300),
    constraint parties_language_check check (char_length(language) <= 35),
    constraint parties_website_check check (char_length(website) <= 2000),
    constraint parties_notes_check check (char_length(notes) <= 20000),
    constraint parties_name_parts_of_person check (kind = 'person' OR (given_name IS NULL AND family_name IS NULL AND born_on IS NULL)),
    constraint parties_legal_name_of_organization check (kind = 'organization' OR legal_name IS NULL)
);
create index parties_name_idx on parties (org_id, name);
create index parties_search_idx on parties using gin (search) with (gin_pending_list_limit = 512);
create index parties_search_personal_idx on parties using gin (search_personal) with (gin_pending_list_limit = 512);

-- === identity.party_addresses ===

create table party_addresses (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    party_id uuid not null,
    purpose text default 'main' not null,
    line1 text,
    line2 text,
    postal_code text,
    city text not null,
    region text,
    country text not null,
    is_primary boolean default false not null,
    primary_of uuid generated always as (CASE WHEN is_primary THEN party_id END) stored,
    custom jsonb default '{}'::jsonb not null,
    constraint party_addresses_pkey primary key (org_id, id),
    constraint party_addresses_purpose_check check (purpose in ('main', 'billing', 'shipping', 'private', 'work', 'other')),
    constraint party_addresses_line1_check check (char_length(line1) <= 300),
    constraint party_addresses_line2_check check (char_length(line2) <= 300),
    constraint party_addresses_postal_code_check check (char_length(postal_code) <= 300),
    constraint party_addresses_city_check check (char_length(city) <= 300),
    constraint party_addresses_region_check check (char_length(region) <= 300),
    constraint party_addresses_country_check check (country ~ '^[A-Z]{2}$')
);
create unique index party_addresses_primary_key on party_addresses (org_id, primary_of) where deleted_at is null;
create index party_addresses_party_id_idx on party_addresses (org_id, party_id);

-- === identity.party_emails ===

create table party_emails (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    party_id uuid not null,
    purpose text default 'main' not null,
    email text not null,
    email_key text generated always as (lower(email)) stored,
    is_primary boolean default false not null,
    primary_of uuid generated always as (CASE WHEN is_primary THEN party_id END) stored,
    custom jsonb default '{}'::jsonb not null,
    search_personal tsvector generated always as (array_to_tsvector(array['@' || org_id::text]) || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(email, ''))), 'A') || (case when custom = '{}'::jsonb then ''::tsvector else search_custom(custom) end)) stored,
    constraint party_emails_pkey primary key (org_id, id),
    constraint party_emails_purpose_check check (purpose in ('main', 'billing', 'shipping', 'private', 'work', 'other')),
    constraint party_emails_email_check check (char_length(email) <= 254 and position('@' in email) > 1),
    constraint party_emails_email_key_check check (char_length(email_key) <= 300)
);
create unique index party_emails_email_key on party_emails (org_id, party_id, email_key) where deleted_at is null;
create unique index party_emails_primary_key on party_emails (org_id, primary_of) where deleted_at is null;
create index party_emails_email_key_idx on party_emails (org_id, email_key);
create index party_emails_party_id_idx on party_emails (org_id, party_id);
create index party_emails_search_personal_idx on party_emails using gin (search_personal) with (gin_pending_list_limit = 512);

-- === identity.party_phones ===

create table party_phones (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    party_id uuid not null,
    purpose text default 'main' not null,
    phone text not null,
    is_primary boolean default false not null,
    primary_of uuid generated always as (CASE WHEN is_primary THEN party_id END) stored,
    custom jsonb default '{}'::jsonb not null,
    constraint party_phones_pkey primary key (org_id, id),
    constraint party_phones_purpose_check check (purpose in ('main', 'billing', 'shipping', 'private', 'work', 'other')),
    constraint party_phones_phone_check check (char_length(phone) <= 40)
);
create unique index party_phones_phone_key on party_phones (org_id, party_id, phone) where deleted_at is null;
create unique index party_phones_primary_key on party_phones (org_id, primary_of) where deleted_at is null;
create index party_phones_phone_idx on party_phones (org_id, phone);
create index party_phones_party_id_idx on party_phones (org_id, party_id);

-- === identity.party_tax_ids ===

create table party_tax_ids (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    party_id uuid not null,
    scheme text not null,
    country text not null,
    value text not null,
    value_key text generated always as (upper(regexp_replace(value, '[^[:alnum:]]', '', 'g'))) stored,
    custom jsonb default '{}'::jsonb not null,
    constraint party_tax_ids_pkey primary key (org_id, id),
    constraint party_tax_ids_scheme_check check (scheme in ('vat', 'tax_number', 'eori', 'company_register', 'other')),
    constraint party_tax_ids_country_check check (country ~ '^[A-Z]{2}$'),
    constraint party_tax_ids_value_check check (char_length(value) <= 300),
    constraint party_tax_ids_value_key_check check (char_length(value_key) <= 300)
);
create unique index party_tax_ids_value_key on party_tax_ids (org_id, party_id, scheme, country, value_key) where deleted_at is null;
create index party_tax_ids_value_key_idx on party_tax_ids (org_id, value_key);
create index party_tax_ids_party_id_idx on party_tax_ids (org_id, party_id);

-- === identity.units ===

create table units (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    name text not null,
    code text not null,
    kind text default 'department' not null,
    parent_id uuid,
    custom jsonb default '{}'::jsonb not null,
    search tsvector generated always as (array_to_tsvector(array['@' || org_id::text]) || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(name, ''))), 'A') || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(code, ''))), 'B') || (case when custom = '{}'::jsonb then ''::tsvector else search_custom(custom) end)) stored,
    constraint units_pkey primary key (org_id, id),
    constraint units_name_check check (char_length(name) <= 300),
    constraint units_code_check check (code ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    constraint units_kind_check check (kind in ('company', 'division', 'department', 'team', 'other'))
);
create unique index units_code_key on units (org_id, code) where deleted_at is null;
create index units_parent_id_idx on units (org_id, parent_id);
create index units_search_idx on units using gin (search) with (gin_pending_list_limit = 512);

-- === identity.unit_members ===

create table unit_members (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    unit_id uuid not null,
    user_id uuid not null,
    custom jsonb default '{}'::jsonb not null,
    constraint unit_members_pkey primary key (org_id, id)
);
create unique index unit_members_user_key on unit_members (org_id, user_id, unit_id) where deleted_at is null;
create index unit_members_unit_id_idx on unit_members (org_id, unit_id);
create index unit_members_user_id_idx on unit_members (org_id, user_id);

-- === identity.locations ===

create table locations (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    name text not null,
    kind text default 'venue' not null,
    parent_id uuid,
    line1 text,
    line2 text,
    postal_code text,
    city text,
    region text,
    country text,
    latitude numeric(28,6),
    longitude numeric(28,6),
    time_zone text,
    capacity bigint,
    calendar_id uuid,
    custom jsonb default '{}'::jsonb not null,
    search tsvector generated always as (array_to_tsvector(array['@' || org_id::text]) || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(name, ''))), 'A') || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(line1, ''))), 'D') || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(postal_code, ''))), 'D') || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(city, ''))), 'B') || (case when custom = '{}'::jsonb then ''::tsvector else search_custom(custom) end)) stored,
    constraint locations_pkey primary key (org_id, id),
    constraint locations_name_check check (char_length(name) <= 300),
    constraint locations_kind_check check (kind in ('venue', 'hall', 'room', 'area', 'office', 'warehouse', 'other')),
    constraint locations_line1_check check (char_length(line1) <= 300),
    constraint locations_line2_check check (char_length(line2) <= 300),
    constraint locations_postal_code_check check (char_length(postal_code) <= 300),
    constraint locations_city_check check (char_length(city) <= 300),
    constraint locations_region_check check (char_length(region) <= 300),
    constraint locations_country_check check (country ~ '^[A-Z]{2}$'),
    constraint locations_time_zone_check check (char_length(time_zone) <= 64),
    constraint locations_capacity_check check (capacity between 0 and 10000000),
    constraint locations_latitude_range check (latitude BETWEEN -90 AND 90),
    constraint locations_longitude_range check (longitude BETWEEN -180 AND 180)
);
create index locations_parent_id_idx on locations (org_id, parent_id);
create index locations_calendar_id_idx on locations (org_id, calendar_id);
create index locations_search_idx on locations using gin (search) with (gin_pending_list_limit = 512);

-- === identity.legal_entities ===

create table legal_entities (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    party_id uuid not null,
    name text not null,
    country text not null,
    functional_currency text not null,
    fiscal_year_start_month bigint default 1 not null,
    fiscal_year_start_day bigint default 1 not null,
    time_zone text not null,
    calendar_id uuid,
    unit_id uuid,
    custom jsonb default '{}'::jsonb not null,
    search tsvector generated always as (array_to_tsvector(array['@' || org_id::text]) || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(name, ''))), 'A') || (case when custom = '{}'::jsonb then ''::tsvector else search_custom(custom) end)) stored,
    constraint legal_entities_pkey primary key (org_id, id),
    constraint legal_entities_name_check check (char_length(name) <= 300),
    constraint legal_entities_country_check check (country ~ '^[A-Z]{2}$'),
    constraint legal_entities_functional_currency_check check (functional_currency ~ '^[A-Z]{3}$'),
    constraint legal_entities_fiscal_year_start_month_check check (fiscal_year_start_month between 1 and 12),
    constraint legal_entities_fiscal_year_start_day_check check (fiscal_year_start_day between 1 and 28),
    constraint legal_entities_time_zone_check check (char_length(time_zone) <= 64)
);
create unique index legal_entities_party_key on legal_entities (org_id, party_id) where deleted_at is null;
create unique index legal_entities_name_key on legal_entities (org_id, name) where deleted_at is null;
create index legal_entities_party_id_idx on legal_entities (org_id, party_id);
create index legal_entities_calendar_id_idx on legal_entities (org_id, calendar_id);
create index legal_entities_unit_id_idx on legal_entities (org_id, unit_id);
create index legal_entities_search_idx on legal_entities using gin (search) with (gin_pending_list_limit = 512);

-- === identity.number_series ===

create table number_series (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    code text not null,
    legal_entity_id uuid,
    prefix text default '' not null,
    width bigint default 1 not null,
    gapless boolean default true not null,
    next_number bigint default 1 not null,
    custom jsonb default '{}'::jsonb not null,
    constraint number_series_pkey primary key (org_id, id),
    constraint number_series_code_check check (code ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    constraint number_series_prefix_check check (char_length(prefix) <= 300),
    constraint number_series_width_check check (width between 1 and 18),
    constraint number_series_next_number_check check (next_number between 1 and 999999999999999999),
    constraint number_series_prefix_length check (char_length(prefix) <= 40)
);
create unique index number_series_code_key on number_series (org_id, code) where deleted_at is null;
create index number_series_legal_entity_id_idx on number_series (org_id, legal_entity_id);

-- === identity.external_refs ===

create table external_refs (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    system text not null,
    external_id text not null,
    table_name text not null,
    row_id uuid not null,
    custom jsonb default '{}'::jsonb not null,
    constraint external_refs_pkey primary key (org_id, id),
    constraint external_refs_system_check check (system ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    constraint external_refs_external_id_check check (char_length(external_id) <= 300),
    constraint external_refs_table_name_check check (table_name ~ '^[a-z0-9][a-z0-9_-]{0,62}$')
);
create unique index external_refs_external_key on external_refs (org_id, system, table_name, external_id) where deleted_at is null;
create unique index external_refs_row_key on external_refs (org_id, system, table_name, row_id) where deleted_at is null;
create index external_refs_table_name_row_id_idx on external_refs (org_id, table_name, row_id);

-- === events.events ===

create table events (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    name text not null,
    number bigint default 0 not null,
    description text,
    starts_at timestamp with time zone not null,
    ends_at timestamp with time zone not null,
    doors_at timestamp with time zone,
    admission_ends_at timestamp with time zone,
    day_starts_min bigint default 0 not null,
    time_zone text not null,
    currency text not null,
    legal_entity_id uuid,
    location_id uuid,
    owner_id uuid,
    team_id uuid,
    unit_id uuid,
    status text default 'draft' not null,
    sales_opened_at timestamp with time zone,
    canceled_at timestamp with time zone,
    cancel_reason text,
    custom jsonb default '{}'::jsonb not null,
    search tsvector generated always as (array_to_tsvector(array['@' || org_id::text]) || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(name, ''))), 'A') || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(description, ''))), 'C') || (case when custom = '{}'::jsonb then ''::tsvector else search_custom(custom) end)) stored,
    constraint events_pkey primary key (org_id, id),
    constraint events_name_check check (char_length(name) <= 300),
    constraint events_number_check check (number between 0 and 4294967295),
    constraint events_description_check check (char_length(description) <= 20000),
    constraint events_day_starts_min_check check (day_starts_min between 0 and 1439),
    constraint events_time_zone_check check (char_length(time_zone) <= 64),
    constraint events_currency_check check (currency ~ '^[A-Z]{3}$'),
    constraint events_status_check check (status in ('draft', 'on_sale', 'sale_closed', 'completed', 'canceled')),
    constraint events_cancel_reason_check check (char_length(cancel_reason) <= 300),
    constraint events_end_after_start check (ends_at > starts_at),
    constraint events_doors_before_end check (doors_at < ends_at),
    constraint events_admission_after_start check (admission_ends_at > starts_at and admission_ends_at > doors_at is not false)
);
create index events_starts_at_idx on events (org_id, starts_at);
create index events_status_idx on events (org_id, status);
create index events_legal_entity_id_idx on events (org_id, legal_entity_id);
create index events_location_id_idx on events (org_id, location_id);
create index events_owner_id_idx on events (org_id, owner_id);
create index events_team_id_idx on events (org_id, team_id);
create index events_unit_id_idx on events (org_id, unit_id);
create index events_search_idx on events using gin (search) with (gin_pending_list_limit = 512);

-- === ticketing.quotas ===

create table quotas (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    event_id uuid not null,
    number bigint default 0 not null,
    name text not null,
    size bigint,
    custom jsonb default '{}'::jsonb not null,
    constraint quotas_pkey primary key (org_id, id),
    constraint quotas_number_check check (number between 0 and 4096),
    constraint quotas_name_check check (char_length(name) <= 300),
    constraint quotas_size_check check (size between 0 and 100000000)
);
create unique index quotas_name_key on quotas (org_id, event_id, name) where deleted_at is null;
create index quotas_event_id_idx on quotas (org_id, event_id);

-- === ticketing.ticket_types ===

create table ticket_types (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    event_id uuid not null,
    number bigint default 0 not null,
    name text not null,
    description text,
    price numeric(19,4) not null,
    price_currency text not null,
    fee numeric(19,4),
    fee_currency text,
    tax_rate numeric(28,2) default 0 not null,
    sale_from timestamp with time zone,
    sale_until timestamp with time zone,
    valid_from timestamp with time zone,
    valid_until timestamp with time zone,
    max_per_order bigint,
    rotating boolean default false not null,
    attention boolean default false not null,
    active boolean default true not null,
    position bigint default 0 not null,
    custom jsonb default '{}'::jsonb not null,
    search tsvector generated always as (array_to_tsvector(array['@' || org_id::text]) || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(name, ''))), 'A') || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(description, ''))), 'C') || (case when custom = '{}'::jsonb then ''::tsvector else search_custom(custom) end)) stored,
    constraint ticket_types_pkey primary key (org_id, id),
    constraint ticket_types_number_check check (number between 0 and 4096),
    constraint ticket_types_name_check check (char_length(name) <= 300),
    constraint ticket_types_description_check check (char_length(description) <= 20000),
    constraint ticket_types_price_check check ((price is null) = (price_currency is null) and price_currency ~ '^[A-Z]{3}$'),
    constraint ticket_types_fee_check check ((fee is null) = (fee_currency is null) and fee_currency ~ '^[A-Z]{3}$'),
    constraint ticket_types_max_per_order_check check (max_per_order between 1 and 1000),
    constraint ticket_types_position_check check (position between 0 and 100000),
    constraint ticket_types_price_range check (price BETWEEN 0 AND 1000000000),
    constraint ticket_types_fee_range check (fee BETWEEN 0 AND 1000000000),
    constraint ticket_types_tax_rate_range check (tax_rate BETWEEN 0 AND 100),
    constraint ticket_types_sale_window check (sale_until > sale_from),
    constraint ticket_types_valid_window check (valid_until > valid_from)
);
create unique index ticket_types_name_key on ticket_types (org_id, event_id, name) where deleted_at is null;
create index ticket_types_event_id_idx on ticket_types (org_id, event_id);
create index ticket_types_search_idx on ticket_types using gin (search) with (gin_pending_list_limit = 512);

-- === ticketing.quota_ticket_types ===

create table quota_ticket_types (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    quota_id uuid not null,
    ticket_type_id uuid not null,
    custom jsonb default '{}'::jsonb not null,
    constraint quota_ticket_types_pkey primary key (org_id, id)
);
create unique index quota_ticket_types_pair_key on quota_ticket_types (org_id, quota_id, ticket_type_id) where deleted_at is null;
create index quota_ticket_types_quota_id_idx on quota_ticket_types (org_id, quota_id);
create index quota_ticket_types_ticket_type_id_idx on quota_ticket_types (org_id, ticket_type_id);

-- === ticketing.check_in_zones ===

create table check_in_zones (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    event_id uuid not null,
    number bigint default 0 not null,
    key text not null,
    name text not null,
    policy text default 'single_entry' not null,
    policy_max bigint,
    interval_min bigint,
    passback text default 'off' not null,
    leaves text[],
    exit_to text,
    capacity bigint,
    opens_at timestamp with time zone,
    closes_at timestamp with time zone,
    exit_all_at_min bigint,
    custom jsonb default '{}'::jsonb not null,
    constraint check_in_zones_pkey primary key (org_id, id),
    constraint check_in_zones_number_check check (number between 0 and 31),
    constraint check_in_zones_key_check check (key ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    constraint check_in_zones_name_check check (char_length(name) <= 300),
    constraint check_in_zones_policy_check check (policy in ('single_entry', 'reentry', 'entries', 'once_a_day', 'days', 'interval', 'free_flow')),
    constraint check_in_zones_policy_max_check check (policy_max between 1 and 10000),
    constraint check_in_zones_interval_min_check check (interval_min between 1 and 10080),
    constraint check_in_zones_passback_check check (passback in ('off', 'soft', 'hard')),
    constraint check_in_zones_leaves_check check (cardinality(leaves) <= 31 and array_position(leaves, null) is null),
    constraint check_in_zones_exit_to_check check (exit_to ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    constraint check_in_zones_capacity_check check (capacity between 1 and 10000000),
    constraint check_in_zones_exit_all_at_min_check check (exit_all_at_min between 0 and 1439),
    constraint check_in_zones_policy_max check ((policy in ('entries', 'days')) = (policy_max is not null)),
    constraint check_in_zones_interval_min check ((policy = 'interval') = (interval_min is not null)),
    constraint check_in_zones_open_window check (closes_at > opens_at)
);
create unique index check_in_zones_key_key on check_in_zones (org_id, event_id, key) where deleted_at is null;
create index check_in_zones_event_id_idx on check_in_zones (org_id, event_id);

-- === ticketing.check_in_lanes ===

create table check_in_lanes (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    event_id uuid not null,
    number bigint default 0 not null,
    name text not null,
    two_phase boolean default false not null,
    lease_s bigint default 10 not null,
    lease_end text default 'passed' not null,
    mode text default 'local' not null,
    rotating_offline text default 'refuse' not null,
    custom jsonb default '{}'::jsonb not null,
    constraint check_in_lanes_pkey primary key (org_id, id),
    constraint check_in_lanes_number_check check (number between 0 and 1024),
    constraint check_in_lanes_name_check check (char_length(name) <= 64),
    constraint check_in_lanes_lease_s_check check (lease_s between 1 and 600),
    constraint check_in_lanes_lease_end_check check (lease_end in ('passed', 'not_passed')),
    constraint check_in_lanes_mode_check check (mode in ('local', 'secure', 'open')),
    constraint check_in_lanes_rotating_offline_check check (rotating_offline in ('refuse', 'static_ok'))
);
create unique index check_in_lanes_name_key on check_in_lanes (org_id, event_id, name) where deleted_at is null;
create index check_in_lanes_event_id_idx on check_in_lanes (org_id, event_id);

-- === ticketing.check_in_lane_types ===

create table check_in_lane_types (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    lane_id uuid not null,
    ticket_type_id uuid not null,
    custom jsonb default '{}'::jsonb not null,
    constraint check_in_lane_types_pkey primary key (org_id, id)
);
create unique index check_in_lane_types_pair_key on check_in_lane_types (org_id, lane_id, ticket_type_id) where deleted_at is null;
create index check_in_lane_types_lane_id_idx on check_in_lane_types (org_id, lane_id);
create index check_in_lane_types_ticket_type_id_idx on check_in_lane_types (org_id, ticket_type_id);

-- === ticketing.check_in_questions ===

create table check_in_questions (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    event_id uuid not null,
    number bigint default 0 not null,
    text text not null,
    kind text default 'confirm' not null,
    options text[],
    custom jsonb default '{}'::jsonb not null,
    constraint check_in_questions_pkey primary key (org_id, id),
    constraint check_in_questions_number_check check (number between 0 and 64),
    constraint check_in_questions_text_check check (char_length(text) <= 300),
    constraint check_in_questions_kind_check check (kind in ('confirm', 'text', 'choice')),
    constraint check_in_questions_options_check check (cardinality(options) <= 20 and array_position(options, null) is null),
    constraint check_in_questions_options check ((kind = 'choice') = (coalesce(cardinality(options), 0) > 0))
);
create unique index check_in_questions_text_key on check_in_questions (org_id, event_id, text) where deleted_at is null;
create index check_in_questions_event_id_idx on check_in_questions (org_id, event_id);

-- === ticketing.check_in_question_types ===

create table check_in_question_types (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    question_id uuid not null,
    ticket_type_id uuid not null,
    custom jsonb default '{}'::jsonb not null,
    constraint check_in_question_types_pkey primary key (org_id, id)
);
create unique index check_in_question_types_pair_key on check_in_question_types (org_id, question_id, ticket_type_id) where deleted_at is null;
create index check_in_question_types_question_id_idx on check_in_question_types (org_id, question_id);
create index check_in_question_types_ticket_type_id_idx on check_in_question_types (org_id, ticket_type_id);

-- === ticketing.ticket_type_zones ===

create table ticket_type_zones (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    ticket_type_id uuid not null,
    zone_id uuid not null,
    custom jsonb default '{}'::jsonb not null,
    constraint ticket_type_zones_pkey primary key (org_id, id)
);
create unique index ticket_type_zones_pair_key on ticket_type_zones (org_id, ticket_type_id, zone_id) where deleted_at is null;
create index ticket_type_zones_ticket_type_id_idx on ticket_type_zones (org_id, ticket_type_id);
create index ticket_type_zones_zone_id_idx on ticket_type_zones (org_id, zone_id);

-- === ticketing.ticket_type_windows ===

create table ticket_type_windows (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    ticket_type_id uuid not null,
    zone_id uuid not null,
    opens_at timestamp with time zone not null,
    closes_at timestamp with time zone,
    custom jsonb default '{}'::jsonb not null,
    constraint ticket_type_windows_pkey primary key (org_id, id),
    constraint ticket_type_windows_order check (closes_at > opens_at)
);
create index ticket_type_windows_ticket_type_id_idx on ticket_type_windows (org_id, ticket_type_id);
create index ticket_type_windows_zone_id_idx on ticket_type_windows (org_id, zone_id);

-- === ticketing.check_in_devices ===

create table check_in_devices (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    name text not null,
    may_force boolean default false not null,
    lanes text[],
    zones text[],
    directions text default 'both' not null,
    expires_at timestamp with time zone,
    token_issued_at timestamp with time zone,
    revoked_at timestamp with time zone,
    token_hash text,
    custom jsonb default '{}'::jsonb not null,
    constraint check_in_devices_pkey primary key (org_id, id),
    constraint check_in_devices_name_check check (char_length(name) <= 300),
    constraint check_in_devices_lanes_check check (cardinality(lanes) <= 100 and array_position(lanes, null) is null),
    constraint check_in_devices_zones_check check (cardinality(zones) <= 32 and array_position(zones, null) is null),
    constraint check_in_devices_directions_check check (directions in ('both', 'entry', 'exit')),
    constraint check_in_devices_token_hash_check check (char_length(token_hash) <= 300)
);
create unique index check_in_devices_name_key on check_in_devices (org_id, name) where deleted_at is null;
create unique index check_in_devices_token_key on check_in_devices (org_id, token_hash) where deleted_at is null;

-- === ticketing.check_in_device_events ===

create table check_in_device_events (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    deleted_at timestamp with time zone,
    device_id uuid not null,
    event_id uuid not null,
    custom jsonb default '{}'::jsonb not null,
    constraint check_in_device_events_pkey primary key (org_id, id)
);
create unique index check_in_device_events_pair_key on check_in_device_events (org_id, device_id, event_id) where deleted_at is null;
create index check_in_device_events_device_id_idx on check_in_device_events (org_id, device_id);
create index check_in_device_events_event_id_idx on check_in_device_events (org_id, event_id);

-- === ticketing.ticket_orders ===

create table ticket_orders (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    event_id uuid not null,
    number bigint not null,
    code text not null,
    status text not null,
    channel text not null,
    payment_method text not null,
    total numeric(19,4) not null,
    total_currency text not null,
    tax numeric(19,4) not null,
    tax_currency text not null,
    buyer_name text,
    buyer_email text,
    party_id uuid,
    hold_id uuid,
    confirmed_at timestamp with time zone not null,
    canceled_at timestamp with time zone,
    notes text,
    custom jsonb default '{}'::jsonb not null,
    search tsvector generated always as (array_to_tsvector(array['@' || org_id::text]) || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(code, ''))), 'A') || (case when custom = '{}'::jsonb then ''::tsvector else search_custom(custom) end)) stored,
    search_personal tsvector generated always as (array_to_tsvector(array['@' || org_id::text]) || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(code, ''))), 'A') || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(buyer_name, ''))), 'B') || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(buyer_email, ''))), 'B') || (case when custom = '{}'::jsonb then ''::tsvector else search_custom(custom) end)) stored,
    constraint ticket_orders_pkey primary key (org_id, id),
    constraint ticket_orders_number_check check (number >= 1),
    constraint ticket_orders_code_check check (char_length(code) <= 300),
    constraint ticket_orders_status_check check (status in ('confirmed', 'canceled')),
    constraint ticket_orders_channel_check check (channel in ('shop', 'box_office', 'comp', 'import')),
    constraint ticket_orders_payment_method_check check (payment_method in ('free', 'invoice', 'card')),
    constraint ticket_orders_total_check check ((total is null) = (total_currency is null) and total_currency ~ '^[A-Z]{3}$'),
    constraint ticket_orders_tax_check check ((tax is null) = (tax_currency is null) and tax_currency ~ '^[A-Z]{3}$'),
    constraint ticket_orders_buyer_name_check check (char_length(buyer_name) <= 300),
    constraint ticket_orders_buyer_email_check check (char_length(buyer_email) <= 300),
    constraint ticket_orders_notes_check check (char_length(notes) <= 20000)
);
create unique index ticket_orders_number_key on ticket_orders (org_id, event_id, number);
create unique index ticket_orders_code_key on ticket_orders (org_id, event_id, code);
create index ticket_orders_party_id_idx on ticket_orders (org_id, party_id);
create index ticket_orders_confirmed_at_idx on ticket_orders (org_id, confirmed_at);
create index ticket_orders_search_idx on ticket_orders using gin (search) with (gin_pending_list_limit = 512);
create index ticket_orders_search_personal_idx on ticket_orders using gin (search_personal) with (gin_pending_list_limit = 512);

-- === ticketing.event_registrations ===

create table event_registrations (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    event_id uuid not null,
    order_id uuid not null,
    ticket_type_id uuid not null,
    ticket_number bigint not null,
    ticket text not null,
    position bigint not null,
    status text not null,
    blocked boolean default false not null,
    revision bigint default 0 not null,
    channel text not null,
    attendee_name text,
    attendee_email text,
    party_id uuid,
    notes text,
    confirmed_at timestamp with time zone not null,
    checked_in_at timestamp with time zone,
    canceled_at timestamp with time zone,
    custom jsonb default '{}'::jsonb not null,
    search tsvector generated always as (array_to_tsvector(array['@' || org_id::text]) || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(ticket, ''))), 'A') || (case when custom = '{}'::jsonb then ''::tsvector else search_custom(custom) end)) stored,
    search_personal tsvector generated always as (array_to_tsvector(array['@' || org_id::text]) || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(ticket, ''))), 'A') || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(attendee_name, ''))), 'B') || setweight(to_tsvector('simple'::regconfig, search_fold(coalesce(attendee_email, ''))), 'B') || (case when custom = '{}'::jsonb then ''::tsvector else search_custom(custom) end)) stored,
    constraint event_registrations_pkey primary key (org_id, id),
    constraint event_registrations_ticket_number_check check (ticket_number >= 1),
    constraint event_registrations_ticket_check check (char_length(ticket) <= 300),
    constraint event_registrations_position_check check (position >= 1),
    constraint event_registrations_status_check check (status in ('confirmed', 'checked_in', 'canceled')),
    constraint event_registrations_revision_check check (revision between 0 and 65535),
    constraint event_registrations_channel_check check (channel in ('shop', 'box_office', 'comp', 'import')),
    constraint event_registrations_attendee_name_check check (char_length(attendee_name) <= 300),
    constraint event_registrations_attendee_email_check check (char_length(attendee_email) <= 254 and position('@' in attendee_email) > 1),
    constraint event_registrations_notes_check check (char_length(notes) <= 20000)
);
create unique index event_registrations_ticket_key on event_registrations (org_id, event_id, ticket_number);
create index event_registrations_order_id_idx on event_registrations (org_id, order_id);
create index event_registrations_party_id_idx on event_registrations (org_id, party_id);
create index event_registrations_event_id_status_idx on event_registrations (org_id, event_id, status);
create index event_registrations_ticket_type_id_idx on event_registrations (org_id, ticket_type_id);
create index event_registrations_search_idx on event_registrations using gin (search) with (gin_pending_list_limit = 512);
create index event_registrations_search_personal_idx on event_registrations using gin (search_personal) with (gin_pending_list_limit = 512);

-- === ticketing.registration_line_items ===

create table registration_line_items (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    registration_id uuid not null,
    order_id uuid not null,
    ticket_type_id uuid not null,
    description text not null,
    quantity bigint default 1 not null,
    price numeric(19,4) not null,
    price_currency text not null,
    discount numeric(19,4) not null,
    discount_currency text not null,
    fee numeric(19,4) not null,
    fee_currency text not null,
    tax numeric(19,4) not null,
    tax_currency text not null,
    total numeric(19,4) not null,
    total_currency text not null,
    custom jsonb default '{}'::jsonb not null,
    constraint registration_line_items_pkey primary key (org_id, id),
    constraint registration_line_items_description_check check (char_length(description) <= 300),
    constraint registration_line_items_quantity_check check (quantity between 1 and 1000000),
    constraint registration_line_items_price_check check ((price is null) = (price_currency is null) and price_currency ~ '^[A-Z]{3}$'),
    constraint registration_line_items_discount_check check ((discount is null) = (discount_currency is null) and discount_currency ~ '^[A-Z]{3}$'),
    constraint registration_line_items_fee_check check ((fee is null) = (fee_currency is null) and fee_currency ~ '^[A-Z]{3}$'),
    constraint registration_line_items_tax_check check ((tax is null) = (tax_currency is null) and tax_currency ~ '^[A-Z]{3}$'),
    constraint registration_line_items_total_check check ((total is null) = (total_currency is null) and total_currency ~ '^[A-Z]{3}$')
);
create index registration_line_items_registration_id_idx on registration_line_items (org_id, registration_id);
create index registration_line_items_order_id_idx on registration_line_items (org_id, order_id);
create index registration_line_items_ticket_type_id_idx on registration_line_items (org_id, ticket_type_id);

-- === ticketing.order_data_keys ===

create table order_data_keys (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    event_id uuid not null,
    sealed_key bytea,
    custom jsonb default '{}'::jsonb not null,
    constraint order_data_keys_pkey primary key (org_id, id),
    constraint order_data_keys_sealed_key_check check (octet_length(sealed_key) <= 256)
);
create index order_data_keys_event_id_idx on order_data_keys (org_id, event_id);

-- === ticketing.credential_access_log ===

create table credential_access_log (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    created_at timestamp with time zone default now() not null,
    event_id uuid not null,
    journal_seq bigint not null,
    scan text not null,
    registration_id uuid,
    ticket_number bigint,
    device_id uuid,
    lane text not null,
    zone text not null,
    direction text not null,
    verdict text not null,
    of_seq bigint,
    offline boolean default false not null,
    reason text,
    rule text,
    forced boolean default false not null,
    checked_in_by uuid,
    scanned_at timestamp with time zone not null,
    constraint credential_access_log_pkey primary key (org_id, id),
    constraint credential_access_log_journal_seq_check check (journal_seq >= 1),
    constraint credential_access_log_scan_check check (char_length(scan) <= 300),
    constraint credential_access_log_ticket_number_check check (ticket_number >= 1),
    constraint credential_access_log_lane_check check (char_length(lane) <= 1000),
    constraint credential_access_log_zone_check check (char_length(zone) <= 1000),
    constraint credential_access_log_direction_check check (direction in ('entry', 'exit')),
    constraint credential_access_log_verdict_check check (verdict in ('admit', 'deny', 'reserve', 'passed', 'not_passed', 'annulled')),
    constraint credential_access_log_of_seq_check check (of_seq >= 1),
    constraint credential_access_log_reason_check check (char_length(reason) <= 1000),
    constraint credential_access_log_rule_check check (char_length(rule) <= 1000)
);
create unique index credential_access_log_seq_key on credential_access_log (org_id, event_id, journal_seq);
create index credential_access_log_registration_id_idx on credential_access_log (org_id, registration_id);
create index credential_access_log_event_id_scanned_at_idx on credential_access_log (org_id, event_id, scanned_at);
create index credential_access_log_event_id_of_seq_idx on credential_access_log (org_id, event_id, of_seq);

-- === ticketing.event_keys ===

create table event_keys (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    event_id uuid not null,
    kid text not null,
    public_key bytea not null,
    not_before timestamp with time zone not null,
    not_after timestamp with time zone,
    revoked_at timestamp with time zone,
    sealed jsonb not null,
    custom jsonb default '{}'::jsonb not null,
    constraint event_keys_pkey primary key (org_id, id),
    constraint event_keys_kid_check check (char_length(kid) <= 300),
    constraint event_keys_public_key_check check (octet_length(public_key) <= 32),
    constraint event_keys_sealed_check check (octet_length(sealed::text) <= 65536),
    constraint event_keys_window check (not_after > not_before)
);
create unique index event_keys_kid_key on event_keys (org_id, event_id, kid);

-- === ticketing.event_secrets ===

create table event_secrets (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    event_id uuid not null,
    sealed_secret bytea not null,
    custom jsonb default '{}'::jsonb not null,
    constraint event_secrets_pkey primary key (org_id, id),
    constraint event_secrets_sealed_secret_check check (octet_length(sealed_secret) <= 256)
);
create unique index event_secrets_event_key on event_secrets (org_id, event_id);

-- === ticketing.gate_instructions ===

create table gate_instructions (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    event_id uuid not null,
    kind text not null,
    status text not null,
    order_id uuid,
    operation_id uuid,
    finished_at timestamp with time zone,
    body jsonb,
    custom jsonb default '{}'::jsonb not null,
    constraint gate_instructions_pkey primary key (org_id, id),
    constraint gate_instructions_kind_check check (char_length(kind) <= 300),
    constraint gate_instructions_status_check check (status in ('pending', 'done', 'refused')),
    constraint gate_instructions_body_check check (octet_length(body::text) <= 65536)
);
create index gate_instructions_event_id_status_idx on gate_instructions (org_id, event_id, status);

-- === ticketing.gate_journal ===

create table gate_journal (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    created_at timestamp with time zone default now() not null,
    event_id uuid not null,
    seq bigint not null,
    prev_hash bytea not null,
    hash bytea not null,
    at_ms bigint not null,
    v bigint not null,
    kind text not null,
    data text not null,
    constraint gate_journal_pkey primary key (org_id, id),
    constraint gate_journal_seq_check check (seq >= 1),
    constraint gate_journal_prev_hash_check check (octet_length(prev_hash) <= 32),
    constraint gate_journal_hash_check check (octet_length(hash) <= 32),
    constraint gate_journal_v_check check (v between 0 and 65535),
    constraint gate_journal_kind_check check (char_length(kind) <= 300),
    constraint gate_journal_data_check check (char_length(data) <= 2000000)
);
create unique index gate_journal_seq_key on gate_journal (org_id, event_id, seq);

-- === ticketing.gate_cursors ===

create table gate_cursors (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    event_id uuid not null,
    seq bigint default 0 not null,
    hash bytea not null,
    projected_seq bigint default 0 not null,
    state text default 'running' not null,
    cause text,
    custom jsonb default '{}'::jsonb not null,
    constraint gate_cursors_pkey primary key (org_id, id),
    constraint gate_cursors_seq_check check (seq >= 0),
    constraint gate_cursors_hash_check check (octet_length(hash) <= 32),
    constraint gate_cursors_projected_seq_check check (projected_seq >= 0),
    constraint gate_cursors_state_check check (state in ('running', 'stopped')),
    constraint gate_cursors_cause_check check (char_length(cause) <= 20000),
    constraint gate_cursors_projected_after_stored check (projected_seq <= seq)
);
create unique index gate_cursors_event_key on gate_cursors (org_id, event_id);

-- === ticketing.gate_parked ===

create table gate_parked (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    version bigint default 1 not null,
    created_at timestamp with time zone default now() not null,
    updated_at timestamp with time zone default now() not null,
    event_id uuid not null,
    seq bigint not null,
    order_id uuid,
    state text default 'parked' not null,
    cause text not null,
    attempts bigint default 0 not null,
    retry_at timestamp with time zone not null,
    custom jsonb default '{}'::jsonb not null,
    constraint gate_parked_pkey primary key (org_id, id),
    constraint gate_parked_seq_check check (seq >= 1),
    constraint gate_parked_state_check check (state in ('parked', 'done')),
    constraint gate_parked_cause_check check (char_length(cause) <= 20000),
    constraint gate_parked_attempts_check check (attempts between 0 and 1000000)
);
create unique index gate_parked_seq_key on gate_parked (org_id, event_id, seq);
create index gate_parked_event_id_state_seq_idx on gate_parked (org_id, event_id, state, seq);

-- === ticketing.catalogue_documents ===

create table catalogue_documents (
    org_id uuid default nullif(current_setting('app.org_id', true), '')::uuid not null,
    id uuid default uuid7() not null,
    created_at timestamp with time zone default now() not null,
    kind text not null,
    cursor bigint not null,
    body text,
    gone_at timestamp with time zone,
    constraint catalogue_documents_pkey primary key (id),
    constraint catalogue_documents_kind_check check (kind in ('event', 'device', 'instruction')),
    constraint catalogue_documents_cursor_check check (cursor >= 1),
    constraint catalogue_documents_body_check check (char_length(body) <= 2000000)
);
create unique index catalogue_documents_cursor_key on catalogue_documents (cursor);

-- === Links ===

alter table identities add constraint identities_user_id_fkey foreign key (user_id) references users (id) on delete cascade;
alter table sessions add constraint sessions_user_id_fkey foreign key (user_id) references users (id) on delete cascade;
alter table proofs add constraint proofs_user_id_fkey foreign key (user_id) references users (id) on delete cascade;
alter table memberships add constraint memberships_user_id_fkey foreign key (user_id) references users (id);
alter table memberships add constraint memberships_service_account_id_fkey foreign key (org_id, service_account_id) references service_accounts (org_id, id) on delete cascade;
alter table memberships add constraint memberships_role_id_fkey foreign key (org_id, role_id) references roles (org_id, id);
alter table invitations add constraint invitations_role_id_fkey foreign key (org_id, role_id) references roles (org_id, id) on delete cascade;
alter table invitations add constraint invitations_invited_by_id_fkey foreign key (invited_by_id) references users (id);
alter table api_tokens add constraint api_tokens_user_id_fkey foreign key (user_id) references users (id);
alter table api_tokens add constraint api_tokens_service_account_id_fkey foreign key (org_id, service_account_id) references service_accounts (org_id, id) on delete cascade;
alter table api_tokens add constraint api_tokens_issued_by_id_fkey foreign key (org_id, issued_by_id) references api_tokens (org_id, id) on delete cascade;
alter table devices add constraint devices_made_by_id_fkey foreign key (made_by_id) references users (id);
alter table devices add constraint devices_made_by_account_id_fkey foreign key (org_id, made_by_account_id) references service_accounts (org_id, id) on delete cascade;
alter table devices add constraint devices_issued_by_id_fkey foreign key (org_id, issued_by_id) references api_tokens (org_id, id) on delete cascade;
alter table portal_sessions add constraint portal_sessions_portal_account_id_fkey foreign key (org_id, portal_account_id) references portal_accounts (org_id, id) on delete cascade;
alter table links add constraint links_made_by_id_fkey foreign key (made_by_id) references users (id);
alter table links add constraint links_made_by_account_id_fkey foreign key (org_id, made_by_account_id) references service_accounts (org_id, id) on delete cascade;
alter table links add constraint links_issued_by_id_fkey foreign key (org_id, issued_by_id) references api_tokens (org_id, id) on delete cascade;
alter table team_members add constraint team_members_team_id_fkey foreign key (org_id, team_id) references teams (org_id, id) on delete cascade;
alter table team_members add constraint team_members_user_id_fkey foreign key (user_id) references users (id);
alter table erasures add constraint erasures_user_id_fkey foreign key (user_id) references users (id);
alter table jobs add constraint jobs_user_id_fkey foreign key (user_id) references users (id);
alter table schedules add constraint schedules_user_id_fkey foreign key (user_id) references users (id);
alter table schedules add constraint schedules_runs_as_id_fkey foreign key (runs_as_id) references users (id);
alter table imports add constraint imports_user_id_fkey foreign key (user_id) references users (id);
alter table import_chunks add constraint import_chunks_import_id_fkey foreign key (org_id, import_id) references imports (org_id, id) on delete cascade;
alter table saved_views add constraint saved_views_user_id_fkey foreign key (user_id) references users (id);
alter table saved_views add constraint saved_views_team_id_fkey foreign key (org_id, team_id) references teams (org_id, id);
alter table calendar_holidays add constraint calendar_holidays_calendar_id_fkey foreign key (org_id, calendar_id) references calendars (org_id, id) on delete cascade;
alter table party_addresses add constraint party_addresses_party_id_fkey foreign key (org_id, party_id) references parties (org_id, id) on delete cascade;
alter table party_emails add constraint party_emails_party_id_fkey foreign key (org_id, party_id) references parties (org_id, id) on delete cascade;
alter table party_phones add constraint party_phones_party_id_fkey foreign key (org_id, party_id) references parties (org_id, id) on delete cascade;
alter table party_tax_ids add constraint party_tax_ids_party_id_fkey foreign key (org_id, party_id) references parties (org_id, id) on delete cascade;
alter table units add constraint units_parent_id_fkey foreign key (org_id, parent_id) references units (org_id, id);
alter table unit_members add constraint unit_members_unit_id_fkey foreign key (org_id, unit_id) references units (org_id, id) on delete cascade;
alter table unit_members add constraint unit_members_user_id_fkey foreign key (user_id) references users (id);
alter table locations add constraint locations_parent_id_fkey foreign key (org_id, parent_id) references locations (org_id, id);
alter table locations add constraint locations_calendar_id_fkey foreign key (org_id, calendar_id) references calendars (org_id, id);
alter table legal_entities add constraint legal_entities_party_id_fkey foreign key (org_id, party_id) references parties (org_id, id);
alter table legal_entities add constraint legal_entities_calendar_id_fkey foreign key (org_id, calendar_id) references calendars (org_id, id);
alter table legal_entities add constraint legal_entities_unit_id_fkey foreign key (org_id, unit_id) references units (org_id, id);
alter table number_series add constraint number_series_legal_entity_id_fkey foreign key (org_id, legal_entity_id) references legal_entities (org_id, id);
alter table events add constraint events_legal_entity_id_fkey foreign key (org_id, legal_entity_id) references legal_entities (org_id, id);
alter table events add constraint events_location_id_fkey foreign key (org_id, location_id) references locations (org_id, id);
alter table events add constraint events_owner_id_fkey foreign key (owner_id) references users (id);
alter table events add constraint events_team_id_fkey foreign key (org_id, team_id) references teams (org_id, id);
alter table events add constraint events_unit_id_fkey foreign key (org_id, unit_id) references units (org_id, id);
alter table quotas add constraint quotas_event_id_fkey foreign key (org_id, event_id) references events (org_id, id);
alter table ticket_types add constraint ticket_types_event_id_fkey foreign key (org_id, event_id) references events (org_id, id);
alter table quota_ticket_types add constraint quota_ticket_types_quota_id_fkey foreign key (org_id, quota_id) references quotas (org_id, id);
alter table quota_ticket_types add constraint quota_ticket_types_ticket_type_id_fkey foreign key (org_id, ticket_type_id) references ticket_types (org_id, id);
alter table check_in_zones add constraint check_in_zones_event_id_fkey foreign key (org_id, event_id) references events (org_id, id);
alter table check_in_lanes add constraint check_in_lanes_event_id_fkey foreign key (org_id, event_id) references events (org_id, id);
alter table check_in_lane_types add constraint check_in_lane_types_lane_id_fkey foreign key (org_id, lane_id) references check_in_lanes (org_id, id);
alter table check_in_lane_types add constraint check_in_lane_types_ticket_type_id_fkey foreign key (org_id, ticket_type_id) references ticket_types (org_id, id);
alter table check_in_questions add constraint check_in_questions_event_id_fkey foreign key (org_id, event_id) references events (org_id, id);
alter table check_in_question_types add constraint check_in_question_types_question_id_fkey foreign key (org_id, question_id) references check_in_questions (org_id, id);
alter table check_in_question_types add constraint check_in_question_types_ticket_type_id_fkey foreign key (org_id, ticket_type_id) references ticket_types (org_id, id);
alter table ticket_type_zones add constraint ticket_type_zones_ticket_type_id_fkey foreign key (org_id, ticket_type_id) references ticket_types (org_id, id);
alter table ticket_type_zones add constraint ticket_type_zones_zone_id_fkey foreign key (org_id, zone_id) references check_in_zones (org_id, id);
alter table ticket_type_windows add constraint ticket_type_windows_ticket_type_id_fkey foreign key (org_id, ticket_type_id) references ticket_types (org_id, id);
alter table ticket_type_windows add constraint ticket_type_windows_zone_id_fkey foreign key (org_id, zone_id) references check_in_zones (org_id, id);
alter table check_in_device_events add constraint check_in_device_events_device_id_fkey foreign key (org_id, device_id) references check_in_devices (org_id, id);
alter table check_in_device_events add constraint check_in_device_events_event_id_fkey foreign key (org_id, event_id) references events (org_id, id);
alter table ticket_orders add constraint ticket_orders_event_id_fkey foreign key (org_id, event_id) references events (org_id, id);
alter table ticket_orders add constraint ticket_orders_party_id_fkey foreign key (org_id, party_id) references parties (org_id, id);
alter table event_registrations add constraint event_registrations_event_id_fkey foreign key (org_id, event_id) references events (org_id, id);
alter table event_registrations add constraint event_registrations_order_id_fkey foreign key (org_id, order_id) references ticket_orders (org_id, id);
alter table event_registrations add constraint event_registrations_ticket_type_id_fkey foreign key (org_id, ticket_type_id) references ticket_types (org_id, id);
alter table event_registrations add constraint event_registrations_party_id_fkey foreign key (org_id, party_id) references parties (org_id, id);
alter table registration_line_items add constraint registration_line_items_registration_id_fkey foreign key (org_id, registration_id) references event_registrations (org_id, id);
alter table registration_line_items add constraint registration_line_items_order_id_fkey foreign key (org_id, order_id) references ticket_orders (org_id, id);
alter table registration_line_items add constraint registration_line_items_ticket_type_id_fkey foreign key (org_id, ticket_type_id) references ticket_types (org_id, id);
alter table order_data_keys add constraint order_data_keys_event_id_fkey foreign key (org_id, event_id) references events (org_id, id);
alter table credential_access_log add constraint credential_access_log_event_id_fkey foreign key (org_id, event_id) references events (org_id, id);
alter table credential_access_log add constraint credential_access_log_registration_id_fkey foreign key (org_id, registration_id) references event_registrations (org_id, id);
alter table event_keys add constraint event_keys_event_id_fkey foreign key (org_id, event_id) references events (org_id, id);
alter table event_secrets add constraint event_secrets_event_id_fkey foreign key (org_id, event_id) references events (org_id, id);
alter table gate_instructions add constraint gate_instructions_event_id_fkey foreign key (org_id, event_id) references events (org_id, id);
alter table gate_journal add constraint gate_journal_event_id_fkey foreign key (org_id, event_id) references events (org_id, id);
alter table gate_cursors add constraint gate_cursors_event_id_fkey foreign key (org_id, event_id) references events (org_id, id);
alter table gate_parked add constraint gate_parked_event_id_fkey foreign key (org_id, event_id) references events (org_id, id);

-- === Row-level security and grants ===

grant select, insert, update, delete on organizations to atlvs_definer;
grant select, insert, update, delete on users to atlvs_definer;
grant select, insert, update, delete on identities to atlvs_definer;
grant select, insert, update, delete on sessions to atlvs_definer;
grant select, insert, update, delete on proofs to atlvs_definer;
alter table roles enable row level security;
alter table roles force row level security;
create policy roles_tenant on roles using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on roles to atlvs_app;
grant select on roles to atlvs_definer;
alter table service_accounts enable row level security;
alter table service_accounts force row level security;
create policy service_accounts_tenant on service_accounts using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on service_accounts to atlvs_app;
grant select on service_accounts to atlvs_definer;
alter table memberships enable row level security;
alter table memberships force row level security;
create policy memberships_tenant on memberships using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on memberships to atlvs_app;
grant select on memberships to atlvs_definer;
alter table invitations enable row level security;
alter table invitations force row level security;
create policy invitations_tenant on invitations using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on invitations to atlvs_app;
grant select on invitations to atlvs_definer;
grant select, delete, update (id) on invitations to atlvs_definer;
alter table api_tokens enable row level security;
alter table api_tokens force row level security;
create policy api_tokens_tenant on api_tokens using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on api_tokens to atlvs_app;
grant select on api_tokens to atlvs_definer;
grant update (last_used_at) on api_tokens to atlvs_definer;
alter table devices enable row level security;
alter table devices force row level security;
create policy devices_tenant on devices using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on devices to atlvs_app;
grant select on devices to atlvs_definer;
grant update (last_used_at) on devices to atlvs_definer;
alter table portal_accounts enable row level security;
alter table portal_accounts force row level security;
create policy portal_accounts_tenant on portal_accounts using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on portal_accounts to atlvs_app;
grant select on portal_accounts to atlvs_definer;
grant update (last_used_at) on portal_accounts to atlvs_definer;
alter table portal_sessions enable row level security;
alter table portal_sessions force row level security;
create policy portal_sessions_tenant on portal_sessions using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on portal_sessions to atlvs_app;
grant select on portal_sessions to atlvs_definer;
grant select, delete, update (id) on portal_sessions to atlvs_definer;
alter table links enable row level security;
alter table links force row level security;
create policy links_tenant on links using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on links to atlvs_app;
grant select on links to atlvs_definer;
grant update (last_used_at) on links to atlvs_definer;
grant select, delete, update (id) on links to atlvs_definer;
alter table teams enable row level security;
alter table teams force row level security;
create policy teams_tenant on teams using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on teams to atlvs_app;
grant select on teams to atlvs_definer;
alter table team_members enable row level security;
alter table team_members force row level security;
create policy team_members_tenant on team_members using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on team_members to atlvs_app;
grant select on team_members to atlvs_definer;
alter table personal_reads enable row level security;
alter table personal_reads force row level security;
create policy personal_reads_tenant on personal_reads using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert on personal_reads to atlvs_app;
grant select on personal_reads to atlvs_definer;
alter table operations enable row level security;
alter table operations force row level security;
create policy operations_tenant on operations using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on operations to atlvs_app;
grant select on operations to atlvs_definer;
alter table messages enable row level security;
alter table messages force row level security;
create policy messages_work on messages to atlvs_work using (true) with check (true);
grant insert on messages to atlvs_definer;
grant select, insert, update, delete on messages to atlvs_work;
create policy messages_enqueue on messages for insert to atlvs_app with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant insert on messages to atlvs_app;
grant select, delete, update (id) on messages to atlvs_definer;
alter table custom_fields enable row level security;
alter table custom_fields force row level security;
create policy custom_fields_tenant on custom_fields using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on custom_fields to atlvs_app;
grant select on custom_fields to atlvs_definer;
alter table erasures enable row level security;
alter table erasures force row level security;
create policy erasures_tenant on erasures using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on erasures to atlvs_app;
grant select on erasures to atlvs_definer;
alter table idempotency_keys enable row level security;
alter table idempotency_keys force row level security;
create policy idempotency_keys_work on idempotency_keys to atlvs_work using (true) with check (true);
grant insert on idempotency_keys to atlvs_definer;
grant select, insert, update, delete on idempotency_keys to atlvs_work;
grant select, delete, update (id) on idempotency_keys to atlvs_definer;
alter table installations enable row level security;
alter table installations force row level security;
create policy installations_work on installations to atlvs_work using (true) with check (true);
grant insert on installations to atlvs_definer;
grant select, insert, update, delete on installations to atlvs_work;
alter table jobs enable row level security;
alter table jobs force row level security;
create policy jobs_work on jobs to atlvs_work using (true) with check (true);
grant insert on jobs to atlvs_definer;
grant select, insert, update, delete on jobs to atlvs_work;
create policy jobs_read on jobs for select to atlvs_app using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select on jobs to atlvs_app, atlvs_definer;
grant select, delete, update (id) on jobs to atlvs_definer;
alter table job_queue enable row level security;
alter table job_queue force row level security;
create policy job_queue_work on job_queue to atlvs_work using (true) with check (true);
grant insert on job_queue to atlvs_definer;
grant select, insert, update, delete on job_queue to atlvs_work;
grant select, delete, update (id) on job_queue to atlvs_definer;
alter table cron_ticks enable row level security;
alter table cron_ticks force row level security;
create policy cron_ticks_work on cron_ticks to atlvs_work using (true) with check (true);
grant insert on cron_ticks to atlvs_definer;
grant select, insert, update, delete on cron_ticks to atlvs_work;
alter table schedules enable row level security;
alter table schedules force row level security;
create policy schedules_tenant on schedules using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on schedules to atlvs_app;
grant select on schedules to atlvs_definer;
grant update (next_run_at, last_due_at, last_run_at, last_state, last_job_id, runs_as_id, actor_kind, actor_id, token_id) on schedules to atlvs_definer;
alter table outbox_deliveries enable row level security;
alter table outbox_deliveries force row level security;
create policy outbox_deliveries_work on outbox_deliveries to atlvs_work using (true) with check (true);
grant insert on outbox_deliveries to atlvs_definer;
grant select, insert, update, delete on outbox_deliveries to atlvs_work;
grant select, delete, update (id) on outbox_deliveries to atlvs_definer;
alter table change_seals enable row level security;
alter table change_seals force row level security;
create policy change_seals_work on change_seals to atlvs_work using (true) with check (true);
grant insert on change_seals to atlvs_definer;
grant select, insert, update, delete on change_seals to atlvs_work;
alter table imports enable row level security;
alter table imports force row level security;
create policy imports_tenant on imports using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on imports to atlvs_app;
grant select on imports to atlvs_definer;
grant select, delete, update (id) on imports to atlvs_definer;
alter table import_chunks enable row level security;
alter table import_chunks force row level security;
create policy import_chunks_tenant on import_chunks using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on import_chunks to atlvs_app;
grant select on import_chunks to atlvs_definer;
grant update (done, records, outcome, fates) on import_chunks to atlvs_definer;
grant select, delete, update (id) on import_chunks to atlvs_definer;
grant select, update (records) on import_chunks to atlvs_definer;
alter table saved_views enable row level security;
alter table saved_views force row level security;
create policy saved_views_tenant on saved_views using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on saved_views to atlvs_app;
grant select on saved_views to atlvs_definer;
grant select, insert, update, delete on currencies to atlvs_definer;
alter table calendars enable row level security;
alter table calendars force row level security;
create policy calendars_tenant on calendars using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on calendars to atlvs_app;
grant select on calendars to atlvs_definer;
alter table calendar_holidays enable row level security;
alter table calendar_holidays force row level security;
create policy calendar_holidays_tenant on calendar_holidays using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on calendar_holidays to atlvs_app;
grant select on calendar_holidays to atlvs_definer;
alter table parties enable row level security;
alter table parties force row level security;
create policy parties_tenant on parties using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on parties to atlvs_app;
grant select on parties to atlvs_definer;
alter table party_addresses enable row level security;
alter table party_addresses force row level security;
create policy party_addresses_tenant on party_addresses using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on party_addresses to atlvs_app;
grant select on party_addresses to atlvs_definer;
grant select (org_id, id, created_at, version, updated_at, deleted_at, party_id, purpose, line1, line2, postal_code, city, region, country, is_primary) on party_addresses to atlvs_portal;
grant update (line1, line2, postal_code, city, region, country, version, updated_at) on party_addresses to atlvs_portal;
create policy party_addresses_portal on party_addresses as restrictive to atlvs_portal
    using (((select current_setting('app.portal_kind', true)) = 'talent' and party_id = (select nullif(current_setting('app.portal_party', true), '')::uuid)) or ((select current_setting('app.portal_kind', true)) = 'partner' and party_id = (select nullif(current_setting('app.portal_party', true), '')::uuid)) or ((select current_setting('app.portal_kind', true)) = 'vendor' and party_id = (select nullif(current_setting('app.portal_party', true), '')::uuid)) or ((select current_setting('app.portal_kind', true)) = 'attendee' and party_id = (select nullif(current_setting('app.portal_party', true), '')::uuid)))
    with check (((select current_setting('app.portal_kind', true)) = 'talent' and party_id = (select nullif(current_setting('app.portal_party', true), '')::uuid)) or ((select current_setting('app.portal_kind', true)) = 'partner' and party_id = (select nullif(current_setting('app.portal_party', true), '')::uuid)) or ((select current_setting('app.portal_kind', true)) = 'vendor' and party_id = (select nullif(current_setting('app.portal_party', true), '')::uuid)) or ((select current_setting('app.portal_kind', true)) = 'attendee' and party_id = (select nullif(current_setting('app.portal_party', true), '')::uuid)));
alter table party_emails enable row level security;
alter table party_emails force row level security;
create policy party_emails_tenant on party_emails using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on party_emails to atlvs_app;
grant select on party_emails to atlvs_definer;
alter table party_phones enable row level security;
alter table party_phones force row level security;
create policy party_phones_tenant on party_phones using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on party_phones to atlvs_app;
grant select on party_phones to atlvs_definer;
grant select (org_id, id, created_at, version, updated_at, deleted_at, party_id, purpose, phone, is_primary) on party_phones to atlvs_portal;
grant update (phone, version, updated_at) on party_phones to atlvs_portal;
create policy party_phones_portal on party_phones as restrictive to atlvs_portal
    using (((select current_setting('app.portal_kind', true)) = 'talent' and party_id = (select nullif(current_setting('app.portal_party', true), '')::uuid)) or ((select current_setting('app.portal_kind', true)) = 'partner' and party_id = (select nullif(current_setting('app.portal_party', true), '')::uuid)) or ((select current_setting('app.portal_kind', true)) = 'vendor' and party_id = (select nullif(current_setting('app.portal_party', true), '')::uuid)) or ((select current_setting('app.portal_kind', true)) = 'attendee' and party_id = (select nullif(current_setting('app.portal_party', true), '')::uuid)))
    with check (((select current_setting('app.portal_kind', true)) = 'talent' and party_id = (select nullif(current_setting('app.portal_party', true), '')::uuid)) or ((select current_setting('app.portal_kind', true)) = 'partner' and party_id = (select nullif(current_setting('app.portal_party', true), '')::uuid)) or ((select current_setting('app.portal_kind', true)) = 'vendor' and party_id = (select nullif(current_setting('app.portal_party', true), '')::uuid)) or ((select current_setting('app.portal_kind', true)) = 'attendee' and party_id = (select nullif(current_setting('app.portal_party', true), '')::uuid)));
alter table party_tax_ids enable row level security;
alter table party_tax_ids force row level security;
create policy party_tax_ids_tenant on party_tax_ids using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on party_tax_ids to atlvs_app;
grant select on party_tax_ids to atlvs_definer;
alter table units enable row level security;
alter table units force row level security;
create policy units_tenant on units using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on units to atlvs_app;
grant select on units to atlvs_definer;
alter table unit_members enable row level security;
alter table unit_members force row level security;
create policy unit_members_tenant on unit_members using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on unit_members to atlvs_app;
grant select on unit_members to atlvs_definer;
alter table locations enable row level security;
alter table locations force row level security;
create policy locations_tenant on locations using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on locations to atlvs_app;
grant select on locations to atlvs_definer;
alter table legal_entities enable row level security;
alter table legal_entities force row level security;
create policy legal_entities_tenant on legal_entities using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on legal_entities to atlvs_app;
grant select on legal_entities to atlvs_definer;
alter table number_series enable row level security;
alter table number_series force row level security;
create policy number_series_tenant on number_series using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on number_series to atlvs_app;
grant select on number_series to atlvs_definer;
alter table external_refs enable row level security;
alter table external_refs force row level security;
create policy external_refs_tenant on external_refs using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on external_refs to atlvs_app;
grant select on external_refs to atlvs_definer;
alter table events enable row level security;
alter table events force row level security;
create policy events_tenant on events using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on events to atlvs_app;
grant select on events to atlvs_definer;
alter table quotas enable row level security;
alter table quotas force row level security;
create policy quotas_tenant on quotas using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on quotas to atlvs_app;
grant select on quotas to atlvs_definer;
alter table ticket_types enable row level security;
alter table ticket_types force row level security;
create policy ticket_types_tenant on ticket_types using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on ticket_types to atlvs_app;
grant select on ticket_types to atlvs_definer;
alter table quota_ticket_types enable row level security;
alter table quota_ticket_types force row level security;
create policy quota_ticket_types_tenant on quota_ticket_types using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on quota_ticket_types to atlvs_app;
grant select on quota_ticket_types to atlvs_definer;
alter table check_in_zones enable row level security;
alter table check_in_zones force row level security;
create policy check_in_zones_tenant on check_in_zones using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on check_in_zones to atlvs_app;
grant select on check_in_zones to atlvs_definer;
alter table check_in_lanes enable row level security;
alter table check_in_lanes force row level security;
create policy check_in_lanes_tenant on check_in_lanes using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on check_in_lanes to atlvs_app;
grant select on check_in_lanes to atlvs_definer;
alter table check_in_lane_types enable row level security;
alter table check_in_lane_types force row level security;
create policy check_in_lane_types_tenant on check_in_lane_types using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on check_in_lane_types to atlvs_app;
grant select on check_in_lane_types to atlvs_definer;
alter table check_in_questions enable row level security;
alter table check_in_questions force row level security;
create policy check_in_questions_tenant on check_in_questions using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on check_in_questions to atlvs_app;
grant select on check_in_questions to atlvs_definer;
alter table check_in_question_types enable row level security;
alter table check_in_question_types force row level security;
create policy check_in_question_types_tenant on check_in_question_types using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on check_in_question_types to atlvs_app;
grant select on check_in_question_types to atlvs_definer;
alter table ticket_type_zones enable row level security;
alter table ticket_type_zones force row level security;
create policy ticket_type_zones_tenant on ticket_type_zones using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on ticket_type_zones to atlvs_app;
grant select on ticket_type_zones to atlvs_definer;
alter table ticket_type_windows enable row level security;
alter table ticket_type_windows force row level security;
create policy ticket_type_windows_tenant on ticket_type_windows using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on ticket_type_windows to atlvs_app;
grant select on ticket_type_windows to atlvs_definer;
alter table check_in_devices enable row level security;
alter table check_in_devices force row level security;
create policy check_in_devices_tenant on check_in_devices using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on check_in_devices to atlvs_app;
grant select on check_in_devices to atlvs_definer;
alter table check_in_device_events enable row level security;
alter table check_in_device_events force row level security;
create policy check_in_device_events_tenant on check_in_device_events using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on check_in_device_events to atlvs_app;
grant select on check_in_device_events to atlvs_definer;
alter table ticket_orders enable row level security;
alter table ticket_orders force row level security;
create policy ticket_orders_tenant on ticket_orders using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on ticket_orders to atlvs_app;
grant select on ticket_orders to atlvs_definer;
grant select (org_id, id, created_at, version, updated_at, party_id, event_id, number, code, status, payment_method, total, total_currency, tax, tax_currency, buyer_name, buyer_email, confirmed_at, canceled_at) on ticket_orders to atlvs_portal;
create policy ticket_orders_portal on ticket_orders as restrictive to atlvs_portal
    using (((select current_setting('app.portal_kind', true)) = 'attendee' and party_id = (select nullif(current_setting('app.portal_party', true), '')::uuid)))
    with check (((select current_setting('app.portal_kind', true)) = 'attendee' and party_id = (select nullif(current_setting('app.portal_party', true), '')::uuid)));
alter table event_registrations enable row level security;
alter table event_registrations force row level security;
create policy event_registrations_tenant on event_registrations using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on event_registrations to atlvs_app;
grant select on event_registrations to atlvs_definer;
grant select (org_id, id, created_at, version, updated_at, party_id, event_id, ticket_type_id, ticket, status, attendee_name, attendee_email, confirmed_at, checked_in_at, canceled_at) on event_registrations to atlvs_portal;
grant update (attendee_name, version, updated_at) on event_registrations to atlvs_portal;
create policy event_registrations_portal on event_registrations as restrictive to atlvs_portal
    using (((select current_setting('app.portal_kind', true)) = 'attendee' and party_id = (select nullif(current_setting('app.portal_party', true), '')::uuid)))
    with check (((select current_setting('app.portal_kind', true)) = 'attendee' and party_id = (select nullif(current_setting('app.portal_party', true), '')::uuid)));
alter table registration_line_items enable row level security;
alter table registration_line_items force row level security;
create policy registration_line_items_tenant on registration_line_items using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on registration_line_items to atlvs_app;
grant select on registration_line_items to atlvs_definer;
alter table order_data_keys enable row level security;
alter table order_data_keys force row level security;
create policy order_data_keys_tenant on order_data_keys using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on order_data_keys to atlvs_app;
grant select on order_data_keys to atlvs_definer;
alter table credential_access_log enable row level security;
alter table credential_access_log force row level security;
create policy credential_access_log_tenant on credential_access_log using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert on credential_access_log to atlvs_app;
grant select on credential_access_log to atlvs_definer;
alter table event_keys enable row level security;
alter table event_keys force row level security;
create policy event_keys_tenant on event_keys using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on event_keys to atlvs_app;
grant select on event_keys to atlvs_definer;
alter table event_secrets enable row level security;
alter table event_secrets force row level security;
create policy event_secrets_tenant on event_secrets using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on event_secrets to atlvs_app;
grant select on event_secrets to atlvs_definer;
alter table gate_instructions enable row level security;
alter table gate_instructions force row level security;
create policy gate_instructions_tenant on gate_instructions using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on gate_instructions to atlvs_app;
grant select on gate_instructions to atlvs_definer;
alter table gate_journal enable row level security;
alter table gate_journal force row level security;
create policy gate_journal_tenant on gate_journal using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert on gate_journal to atlvs_app;
grant select on gate_journal to atlvs_definer;
alter table gate_cursors enable row level security;
alter table gate_cursors force row level security;
create policy gate_cursors_tenant on gate_cursors using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on gate_cursors to atlvs_app;
grant select on gate_cursors to atlvs_definer;
alter table gate_parked enable row level security;
alter table gate_parked force row level security;
create policy gate_parked_tenant on gate_parked using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)) with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
grant select, insert, update on gate_parked to atlvs_app;
grant select on gate_parked to atlvs_definer;
alter table catalogue_documents enable row level security;
alter table catalogue_documents force row level security;
create policy catalogue_documents_work on catalogue_documents to atlvs_work using (true) with check (true);
grant insert on catalogue_documents to atlvs_definer;
grant select, insert, update, delete on catalogue_documents to atlvs_work;

-- === accounts/accounts.sql ===

-- Who someone is: the only ways to the global tables. Each function is the definer's (list in
-- kernel/src/ddl/definers.rs). Times come from the caller, the organization from the setting.

-- A person by e-mail address, whatever its case, with what sign-in compares.
create or replace function account_for_sign_in(p_email text)
returns table (user_id uuid, password_hash text, disabled boolean)
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select id, password_hash, disabled_at is not null or verified_at is null
      from users where email_key = lower(p_email)
$$;

-- Opens a session; of too many the longest unused ends. Those that one issuer vouched for are counted
-- for themselves, so that no issuer ends what the person opened.
create or replace function account_session_open(
    p_id uuid, p_user uuid, p_hash bytea, p_now timestamptz, p_expires timestamptz,
    p_user_agent text, p_issuer text, p_sessions_max integer)
returns void
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    insert into sessions (id, user_id, token_hash, expires_at, last_seen_at, user_agent, issuer)
    values (p_id, p_user, p_hash, p_expires, p_now, p_user_agent, p_issuer);
    update sessions set revoked_at = p_now
     where id in (select id from sessions
                   where user_id = p_user and revoked_at is null and expires_at > p_now and id <> p_id
                     and issuer is not distinct from p_issuer
                   order by last_seen_at desc, id offset greatest(p_sessions_max - 1, 0));
$$;

-- The person's units and all below them in the organization. The kernel knows no units: the domain
-- that has them replaces this function. It passes no row-level security of its own; the functions
-- below call it as the definer.
create or replace function account_units(p_org uuid, p_user uuid)
returns uuid[]
language sql stable
set search_path = pg_catalog, public, pg_temp
as $$
    select '{}'::uuid[]
$$;

-- What was found, as one text: two findings are the same when their digests are.
create or replace function rows_digest(p_rows text[]) returns text
language sql stable
as $$
    select encode(sha256(convert_to(array_to_string(p_rows, e'\n'), 'UTF8')), 'hex')
$$;

-- A living session with every membership of its person: one row a role, one with nulls without any.
-- Part of the definer's functions below, whose plans take it in: so it sets nothing of its own.
create or replace function session_rows(p_hash bytea, p_now timestamptz)
returns table (session_id uuid, user_id uuid, expires_at timestamptz, email text, user_name text,
               organization_id uuid, organization_name text, organization_slug text, plan text,
               grants jsonb, units uuid[], is_vouched boolean)
language sql stable
as $$
    select s.id, u.id, s.expires_at, u.email, u.name, o.id, o.name, o.slug, o.plan, r.grants,
           case when o.id is not null then public.account_units(o.id, u.id) end, s.issuer is not null
      from public.sessions s
      join public.users u on u.id = s.user_id and u.disabled_at is null and u.verified_at is not null
      left join (public.memberships m
                 join public.roles r
                   on r.org_id = m.org_id and r.id = m.role_id and r.deleted_at is null
                 join public.organizations o on o.id = m.org_id)
        on m.user_id = u.id and m.deleted_at is null and (m.ends_at is null or m.ends_at > p_now)
            and (s.issuer is null or s.issuer = o.sso_issuer)
     where s.token_hash = p_hash and s.revoked_at is null and s.expires_at > p_now
$$;

-- A living API token with the roles that its holder has now in its organization: one row a role. A
-- person or service account without a role there, or one that is shut out, leaves nothing. Part of the
-- definer's functions below, like the one above.
create or replace function token_rows(p_hash bytea, p_now timestamptz)
returns table (token_id uuid, user_id uuid, service_account_id uuid, organization_id uuid,
               plan text, token_grants jsonb, grants jsonb, units uuid[])
language sql stable
as $$
    select t.id, u.id, a.id, t.org_id, o.plan, t.grants, r.grants,
           case when u.id is not null then public.account_units(t.org_id, u.id) else '{}' end
      from public.api_tokens t
      join public.organizations o on o.id = t.org_id
      left join public.users u
             on u.id = t.user_id and u.disabled_at is null and u.verified_at is not null
      left join public.service_accounts a
             on a.org_id = t.org_id and a.id = t.service_account_id and a.deleted_at is null
      join public.memberships m on m.org_id = t.org_id and m.deleted_at is null
                        and (m.ends_at is null or m.ends_at > p_now)
                        and (m.user_id = u.id or m.service_account_id = a.id)
      join public.roles r on r.org_id = m.org_id and r.id = m.role_id and r.deleted_at is null
     where t.token_hash = p_hash and t.deleted_at is null
       and (t.expires_at is null or t.expires_at > p_now)
$$;

-- The session's rows, each beside the digest of all. Seen is written once a minute at most, so that
-- reading stays cheap.
create or replace function account_session(p_hash bytea, p_now timestamptz)
returns table (session_id uuid, user_id uuid, expires_at timestamptz, email text, user_name text,
               organization_id uuid, organization_name text, organization_slug text, plan text,
               grants jsonb, units uuid[], is_vouched boolean, digest text)
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    update sessions set last_seen_at = p_now
     where token_hash = p_hash and last_seen_at < p_now - interval '1 minute';
    with found as materialized (select * from session_rows(p_hash, p_now))
    select found.*, (select rows_digest(array(select f::text from found f order by 1)))
      from found order by organization_name, organization_id;
$$;

create or replace function account_token(p_hash bytea, p_now timestamptz)
returns table (token_id uuid, user_id uuid, service_account_id uuid, organization_id uuid,
               plan text, token_grants jsonb, grants jsonb, units uuid[], digest text)
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    update api_tokens set last_used_at = p_now
     where token_hash = p_hash and deleted_at is null
       and (last_used_at is null or last_used_at < p_now - interval '1 minute');
    with found as materialized (select * from token_rows(p_hash, p_now))
    select found.*, (select rows_digest(array(select f::text from found f order by 1))) from found;
$$;

-- The digest of what `account_session` or `account_token` finds now: whoever knows what they found a
-- moment ago sees whether that still holds. Null where they would note the use, too.
create or replace function account_digest(p_kind text, p_hash bytea, p_now timestamptz)
returns text
language plpgsql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    if p_kind = 'session' then
        return (select rows_digest(array(select f::text from session_rows(p_hash, p_now) f order by 1))
                 where exists (select from sessions where token_hash = p_hash
                                  and last_seen_at >= p_now - interval '1 minute'));
    elsif p_kind = 'token' then
        return (select rows_digest(array(select f::text from token_rows(p_hash, p_now) f order by 1))
                 where exists (select from api_tokens where token_hash = p_hash and deleted_at is null
                                  and last_used_at >= p_now - interval '1 minute'));
    end if;
    return null;
end
$$;

create or replace function account_sessions(p_user uuid, p_now timestamptz)
returns table (id uuid, created_at timestamptz, last_seen_at timestamptz, expires_at timestamptz, user_agent text)
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select id, created_at, last_seen_at, expires_at, user_agent from sessions
     where user_id = p_user and revoked_at is null and expires_at > p_now
     order by last_seen_at desc, id
$$;

-- Ends a session of this person; false when there is none such.
create or replace function account_session_revoke(p_user uuid, p_session uuid, p_now timestamptz)
returns boolean
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    with ended as (
        update sessions set revoked_at = p_now
         where id = p_session and user_id = p_user and revoked_at is null
         returning id)
    select exists (select from ended)
$$;

-- The active organization, new. Its id is the setting's, so nobody makes rows in another's name.
create or replace function organization_open(p_name text, p_slug text)
returns void
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    insert into organizations (id, name, slug)
    values (nullif(current_setting('app.org_id', true), '')::uuid, p_name, p_slug)
$$;

-- Whether the active organization exists already, by its slug.
create or replace function organization_by_slug(p_slug text)
returns uuid
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select id from organizations where slug = p_slug
$$;

-- An organization keeps an owner whose membership has no end. The owner's role is locked first, so
-- that two owners who remove each other at the same moment come one after the other.
create or replace function memberships_keep_owner() returns trigger
language plpgsql
set search_path = pg_catalog, public
as $$
begin
    perform from roles
      where org_id = old.org_id and id = old.role_id and key = 'owner' and built_in
        for no key update;
    if found and not exists (
        select from memberships
         where org_id = old.org_id and role_id = old.role_id and deleted_at is null and ends_at is null)
    then
        raise exception using
            errcode = 'check_violation', constraint = 'memberships_keep_owner',
            table = 'memberships', message = 'an organization keeps an owner';
    end if;
    return null;
end
$$;

create or replace trigger memberships_keep_owner
    after update of deleted_at, role_id, ends_at on memberships
    for each row execute function memberships_keep_owner();

-- Who audits does so for a time.
create or replace function memberships_auditor_ends() returns trigger
language plpgsql
set search_path = pg_catalog, public
as $$
begin
    if new.ends_at is null and new.deleted_at is null and exists (
        select from roles
         where org_id = new.org_id and id = new.role_id and key = 'auditor' and built_in)
    then
        raise exception using
            errcode = 'check_violation', constraint = 'memberships_auditor_ends',
            table = 'memberships', column = 'ends_at', message = 'an auditor''s membership has an end';
    end if;
    return new;
end
$$;

create or replace trigger memberships_auditor_ends
    before insert or update of ends_at, role_id, deleted_at on memberships
    for each row execute function memberships_auditor_ends();

-- Built-in roles stay as they are: rules speak of them by their key.
create or replace function roles_keep_built_in() returns trigger
language plpgsql
set search_path = pg_catalog, public
as $$
begin
    if old.built_in and new.deleted_at is not null then
        raise exception using
            errcode = 'check_violation', constraint = 'roles_keep_built_in',
            table = 'roles', message = 'a built-in role is not deleted';
    end if;
    return new;
end
$$;

create or replace trigger roles_keep_built_in
    before update of deleted_at on roles
    for each row execute function roles_keep_built_in();

-- === accounts/people.sql ===

-- Persons, their addresses and passwords, invitations, outside identities: the only ways to the
-- global tables beside accounts.sql. Each function is the definer's (list in
-- kernel/src/ddl/definers.rs). Times come from the caller, the organization from the setting or from
-- the row that was found.

-- Ends what is signed in as a person, but for one session.
create or replace function account_end_sessions(p_user uuid, p_but uuid, p_now timestamptz)
returns bigint
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    with ended as (
        update sessions set revoked_at = p_now
         where user_id = p_user and revoked_at is null and id is distinct from p_but
         returning id)
    select count(*) from ended
$$;

-- The person who proved to read the mail at this address. An address that nobody proved before takes
-- name and password from now, and whatever was signed in or issued under it ends: it was somebody
-- else's making. A person who was proved before stays untouched.
create or replace function account_prove(
    p_id uuid, p_email text, p_name text, p_password_hash text, p_now timestamptz)
returns table (user_id uuid, newly boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_verified timestamptz;
begin
    insert into users (id, email, name, password_hash, verified_at, created_at, updated_at)
    values (p_id, p_email, p_name, p_password_hash, p_now, p_now, p_now)
    on conflict (email_key) do nothing;
    newly := found;
    select u.id, u.verified_at into user_id, v_verified
      from users u where u.email_key = lower(p_email) for update;
    if v_verified is null then
        newly := true;
        update users u
           set email = p_email, name = p_name, password_hash = p_password_hash, verified_at = p_now
         where u.id = user_id;
        perform account_end_sessions(user_id, null, p_now);
        update proofs p set used_at = p_now where p.user_id = account_prove.user_id and p.used_at is null;
        delete from identities i where i.user_id = account_prove.user_id;
        update api_tokens t set deleted_at = p_now
         where t.user_id = account_prove.user_id and t.deleted_at is null;
        update devices d set deleted_at = p_now
         where d.made_by_id = account_prove.user_id and d.deleted_at is null;
        update links l set deleted_at = p_now
         where l.made_by_id = account_prove.user_id and l.deleted_at is null;
    end if;
    return next;
end
$$;

-- A living invitation by its secret, with what its holder may know.
create or replace function invitation_open(p_hash bytea, p_now timestamptz)
returns table (org_id uuid, id uuid, email text, name text, role_id uuid, ends_at timestamptz,
               expires_at timestamptz, organization_name text, role_name text, known boolean)
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select i.org_id, i.id, i.email, i.name, i.role_id, i.ends_at, i.expires_at, o.name, r.name,
           exists (select from users u where u.email_key = lower(i.email) and u.verified_at is not null)
      from invitations i
      join organizations o on o.id = i.org_id
      join roles r on r.org_id = i.org_id and r.id = i.role_id and r.deleted_at is null
     where i.token_hash = p_hash and i.accepted_at is null and i.deleted_at is null
       and i.expires_at > p_now and (i.ends_at is null or i.ends_at > p_now)
$$;

create or replace function organization_name() returns text
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select name from organizations where id = nullif(current_setting('app.org_id', true), '')::uuid
$$;

-- Who belongs to the active organization, with the role of each membership.
create or replace function organization_members()
returns table (membership_id uuid, user_id uuid, email text, name text, role_id uuid, role_key text,
               role_name text, since timestamptz, ends_at timestamptz)
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select m.id, u.id, u.email, u.name, r.id, r.key, r.name, m.created_at, m.ends_at
      from memberships m
      join users u on u.id = m.user_id
      join roles r on r.org_id = m.org_id and r.id = m.role_id
     where m.org_id = nullif(current_setting('app.org_id', true), '')::uuid and m.deleted_at is null
     order by u.name, u.id, r.name
     limit 10000
$$;

-- Whether a person belongs to the active organization.
create or replace function is_member(p_user uuid, p_now timestamptz) returns boolean
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select exists (
        select from memberships m join users u on u.id = m.user_id and u.verified_at is not null
         where m.org_id = nullif(current_setting('app.org_id', true), '')::uuid
           and m.user_id = p_user and m.deleted_at is null
           and (m.ends_at is null or m.ends_at > p_now))
$$;

-- Opens the way to a new password for the person with this address, unless there were many ways
-- lately; no row when there is none.
create or replace function account_reset_open(
    p_id uuid, p_email text, p_hash bytea, p_now timestamptz, p_expires timestamptz, p_most integer)
returns table (email text)
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    with person as (
        select u.id, u.email from users u
         where u.email_key = lower(p_email) and u.verified_at is not null and u.disabled_at is null
           and (select count(*) from proofs p
                 where p.user_id = u.id and p.purpose = 'reset_password'
                   and p.created_at > p_now - (p_expires - p_now)) < p_most),
    opened as (
        insert into proofs (id, user_id, purpose, email, token_hash, expires_at, created_at)
        select p_id, id, 'reset_password', person.email, p_hash, p_expires, p_now from person
        returning proofs.email)
    select opened.email from opened
$$;

create or replace function account_proof_is_open(p_hash bytea, p_purpose text, p_now timestamptz)
returns boolean
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select exists (select from proofs
                    where token_hash = p_hash and purpose = p_purpose and used_at is null
                      and expires_at > p_now)
$$;

-- Sets the password by a mailed secret, once; no row when the secret is not good. It is good only
-- while the person still has the address it went to.
create or replace function account_reset_use(p_hash bytea, p_password_hash text, p_now timestamptz)
returns table (user_id uuid, email text)
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_user uuid;
    v_email text;
begin
    update proofs p set used_at = p_now
     where p.token_hash = p_hash and p.purpose = 'reset_password' and p.used_at is null
       and p.expires_at > p_now
    returning p.user_id, p.email into v_user, v_email;
    update users u set password_hash = p_password_hash
     where u.id = v_user and u.email_key = lower(v_email) and u.disabled_at is null
    returning u.email into email;
    if not found then
        return;
    end if;
    update proofs p set used_at = p_now where p.user_id = v_user and p.used_at is null;
    perform account_end_sessions(v_user, null, p_now);
    user_id := v_user;
    return next;
end
$$;

create or replace function account_password_of(p_user uuid) returns text
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select password_hash from users where id = p_user and disabled_at is null
$$;

-- Sets a signed-in person's password and ends their other sessions; answers the address.
create or replace function account_password_set(
    p_user uuid, p_session uuid, p_password_hash text, p_now timestamptz)
returns text
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    update proofs set used_at = p_now
     where user_id = p_user and purpose = 'reset_password' and used_at is null;
    select account_end_sessions(p_user, p_session, p_now);
    update users set password_hash = p_password_hash where id = p_user returning email;
$$;

-- Opens the way to a new address; false when there were many ways lately.
create or replace function account_email_open(
    p_id uuid, p_user uuid, p_email text, p_hash bytea, p_now timestamptz, p_expires timestamptz,
    p_most integer)
returns boolean
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    with opened as (
        insert into proofs (id, user_id, purpose, email, token_hash, expires_at, created_at)
        select p_id, u.id, 'change_email', p_email, p_hash, p_expires, p_now from users u
         where u.id = p_user
           and (select count(*) from proofs p
                 where p.user_id = u.id and p.purpose = 'change_email'
                   and p.created_at > p_now - (p_expires - p_now)) < p_most
        returning id)
    select exists (select from opened)
$$;

-- Gives the person the address that the secret went to; a taken one breaks users_email_key.
create or replace function account_email_use(p_hash bytea, p_user uuid, p_now timestamptz)
returns table (old_email text, new_email text)
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    update proofs p set used_at = p_now
     where p.token_hash = p_hash and p.user_id = p_user and p.purpose = 'change_email'
       and p.used_at is null and p.expires_at > p_now
    returning p.email into new_email;
    if not found then
        return;
    end if;
    select u.email into old_email from users u where u.id = p_user for update;
    -- Ways to a new password went to the old address.
    update proofs p set used_at = p_now where p.user_id = p_user and p.used_at is null;
    update users u set email = new_email, verified_at = p_now where u.id = p_user;
    return next;
end
$$;

-- The operators' three: they own the house, and no role that answers requests may call them.
create or replace function account_operator_password(p_email text, p_password_hash text, p_now timestamptz)
returns uuid
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select account_end_sessions(id, null, p_now) from users where email_key = lower(p_email);
    update users set password_hash = p_password_hash, verified_at = coalesce(verified_at, p_now)
     where email_key = lower(p_email) returning id;
$$;

create or replace function account_operator_disable(p_email text, p_now timestamptz) returns uuid
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select account_end_sessions(id, null, p_now) from users where email_key = lower(p_email);
    update users set disabled_at = p_now where email_key = lower(p_email) returning id;
$$;

create or replace function account_operator_enable(p_email text) returns uuid
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    update users set disabled_at = null where email_key = lower(p_email) returning id;
$$;

-- The lines of the roles that a person, or a service account, has in an organization now: one row a
-- role, none for somebody who is shut out or gone. It passes no row-level security of its own; the
-- functions of the definer call it.
create or replace function account_roles(p_org uuid, p_user uuid, p_account uuid, p_now timestamptz)
returns table (grants jsonb)
language sql stable
set search_path = pg_catalog, public, pg_temp
as $$
    select r.grants
      from memberships m
      join roles r on r.org_id = m.org_id and r.id = m.role_id and r.deleted_at is null
      left join users u on u.id = m.user_id and u.disabled_at is null and u.verified_at is not null
      left join service_accounts a
             on a.org_id = m.org_id and a.id = m.service_account_id and a.deleted_at is null
     where m.org_id = p_org and (m.user_id = p_user or m.service_account_id = p_account)
       and m.deleted_at is null and (m.ends_at is null or m.ends_at > p_now)
       and num_nonnulls(u.id, a.id) = 1
$$;

-- A living device by its token, with the roles that its maker has now: one row a role. A device whose
-- maker has none any more leaves nothing; one that the house itself made has its own lines for them.
create or replace function account_device(p_hash bytea, p_now timestamptz)
returns table (device_id uuid, organization_id uuid, plan text, device_grants jsonb, grants jsonb)
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    update devices set last_used_at = p_now
     where token_hash = p_hash and deleted_at is null
       and (last_used_at is null or last_used_at < p_now - interval '1 minute');
    select d.id, d.org_id, o.plan, d.grants, coalesce(maker.grants, d.grants)
      from devices d
      join organizations o on o.id = d.org_id
      left join api_tokens t on t.org_id = d.org_id and t.id = d.issued_by_id and t.deleted_at is null
      left join lateral account_roles(d.org_id, d.made_by_id, d.made_by_account_id, p_now) maker on true
     where d.token_hash = p_hash and d.deleted_at is null
       and (d.expires_at is null or d.expires_at > p_now)
       and (d.issued_by_id is null or t.id is not null)
       and (maker.grants is not null or num_nonnulls(d.made_by_id, d.made_by_account_id) = 0);
$$;

-- A revoked token takes along what it issued, however deep: tokens, devices, links.
create or replace function api_tokens_revoke_issued() returns trigger
language plpgsql
set search_path = pg_catalog, public
as $$
begin
    update api_tokens set deleted_at = new.deleted_at
     where org_id = new.org_id and issued_by_id = new.id and deleted_at is null;
    update devices set deleted_at = new.deleted_at
     where org_id = new.org_id and issued_by_id = new.id and deleted_at is null;
    update links set deleted_at = new.deleted_at
     where org_id = new.org_id and issued_by_id = new.id and deleted_at is null;
    return null;
end
$$;

create or replace trigger api_tokens_revoke_issued
    after update of deleted_at on api_tokens
    for each row when (old.deleted_at is null and new.deleted_at is not null)
    execute function api_tokens_revoke_issued();

-- What would be refused in the end is refused when it is offered.
create or replace trigger invitations_auditor_ends
    before insert or update of ends_at, role_id, deleted_at on invitations
    for each row execute function memberships_auditor_ends();

-- What a person holds, and what goes on without their password, in all their organizations.
create or replace function account_keys(p_user uuid, p_now timestamptz, p_most integer)
returns table (kind text, id uuid, name text, hint text, organization_name text,
               created_at timestamptz, expires_at timestamptz)
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select kept.kind, kept.id, kept.name, kept.hint, o.name, kept.created_at, kept.expires_at
      from (select 'api_token' as kind, t.org_id, t.id, t.name, t.hint, t.created_at, t.expires_at
              from api_tokens t where t.user_id = p_user and t.deleted_at is null
            union all
            select 'device', d.org_id, d.id, d.name, d.hint, d.created_at, d.expires_at
              from devices d where d.made_by_id = p_user and d.deleted_at is null
            union all
            select 'link', l.org_id, l.id, l.table_name || ': ' || l.purpose, null, l.created_at, l.expires_at
              from links l where l.made_by_id = p_user and l.deleted_at is null) as kept
      join organizations o on o.id = kept.org_id
     where kept.expires_at is null or kept.expires_at > p_now
     order by kept.created_at desc, kept.id limit p_most
$$;

-- Takes one of them back; false when there is none such of this person.
create or replace function account_key_revoke(p_user uuid, p_id uuid, p_now timestamptz)
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_count integer;
    v_all integer := 0;
begin
    update api_tokens set deleted_at = p_now where id = p_id and user_id = p_user and deleted_at is null;
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    update devices set deleted_at = p_now where id = p_id and made_by_id = p_user and deleted_at is null;
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    update links set deleted_at = p_now where id = p_id and made_by_id = p_user and deleted_at is null;
    get diagnostics v_count = row_count;
    return v_all + v_count > 0;
end
$$;

-- Taking back what a person holds, and what was issued under an address that proved to be another's.
grant update (deleted_at, version, updated_at) on api_tokens, devices, links to atlvs_definer;

-- === accounts/external.sql ===

-- Identities at outside issuers, and what operators say of an organization. Each function is the definer's (list in
-- kernel/src/ddl/definers.rs).

-- The living person behind an identity, and whether they linked it themselves.
create or replace function identity_find(p_issuer text, p_subject text)
returns table (user_id uuid, by_person boolean)
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select u.id, i.linked_by = 'person'
      from identities i
      join users u on u.id = i.user_id and u.disabled_at is null and u.verified_at is not null
     where i.issuer = p_issuer and i.subject = p_subject
$$;

-- Links an unknown identity to the proved person with this address, when an organization that they
-- belong to trusts the issuer; null when there is none such or the identity is taken.
create or replace function identity_adopt(p_id uuid, p_issuer text, p_subject text, p_email text)
returns uuid
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    insert into identities (id, user_id, issuer, subject, linked_by)
    select p_id, u.id, p_issuer, p_subject, 'organization' from users u
     where u.email_key = lower(p_email) and u.verified_at is not null and u.disabled_at is null
       and exists (select from memberships m join organizations o on o.id = m.org_id
                    where m.user_id = u.id and m.deleted_at is null and o.sso_issuer = p_issuer)
    on conflict (issuer, subject) do nothing
    returning user_id
$$;

-- False when the identity is another person's. One that an organization linked becomes the person's.
create or replace function identity_link(p_id uuid, p_user uuid, p_issuer text, p_subject text)
returns boolean
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    insert into identities (id, user_id, issuer, subject, linked_by)
    values (p_id, p_user, p_issuer, p_subject, 'person')
    on conflict (issuer, subject) do update set linked_by = 'person'
     where identities.user_id = excluded.user_id;
    select exists (select from identities
                    where issuer = p_issuer and subject = p_subject and user_id = p_user);
$$;

create or replace function identity_unlink(p_user uuid, p_issuer text, p_subject text, p_now timestamptz)
returns boolean
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    update sessions set revoked_at = p_now
     where user_id = p_user and issuer = p_issuer and revoked_at is null
       and exists (select from identities
                    where user_id = p_user and issuer = p_issuer and subject = p_subject);
    with gone as (
        delete from identities
         where user_id = p_user and issuer = p_issuer and subject = p_subject
         returning id)
    select exists (select from gone);
$$;

-- The active organization trusts this issuer, or with null nobody; false when there is no such
-- organization.
create or replace function organization_trust(p_issuer text) returns boolean
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    with changed as (
        update organizations set sso_issuer = p_issuer
         where id = nullif(current_setting('app.org_id', true), '')::uuid
        returning id)
    select exists (select from changed)
$$;

create or replace function organization_set_plan(p_plan text) returns boolean
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    with changed as (
        update organizations set plan = p_plan
         where id = nullif(current_setting('app.org_id', true), '')::uuid
        returning id)
    select exists (select from changed)
$$;

-- === accounts/writing.sql ===

-- What writing needs beside the engine: kept answers for repeated requests, names for the history.
-- Each function is the definer's (list in kernel/src/ddl/definers.rs) and takes the organization from
-- the setting.

grant select, insert, update on idempotency_keys to atlvs_definer;

-- Takes a key for the request of this transaction. A key that another transaction is taking is waited
-- for; one that is past its time is as good as new. Answers what is kept, or that the key is fresh.
create or replace function idempotency_claim(p_id uuid, p_hash bytea, p_rights bytea, p_now timestamptz,
    p_expires timestamptz)
returns table (fresh boolean, request_hash bytea, rights_hash bytea, kept boolean, status bigint, body bytea, row_version bigint,
    location text, operation_id uuid, row_id uuid)
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
#variable_conflict use_column
declare
    v_org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
begin
    insert into idempotency_keys as k (id, org_id, created_at, request_hash, rights_hash, expires_at)
    values (p_id, v_org, p_now, p_hash, p_rights, p_expires)
    on conflict (id) do update
        set created_at = excluded.created_at, request_hash = excluded.request_hash,
            rights_hash = excluded.rights_hash, expires_at = excluded.expires_at, kept = false, status = null, body = null, row_version = null, location = null,
            operation_id = null, row_id = null
        where k.expires_at <= p_now and k.org_id = v_org;
    if found then
        return query select true, null::bytea, null::bytea, null::boolean, null::bigint, null::bytea, null::bigint,
            null::text, null::uuid, null::uuid;
        return;
    end if;
    return query
        select false, k.request_hash, k.rights_hash, k.kept, k.status, k.body, k.row_version, k.location,
               k.operation_id, k.row_id
          from idempotency_keys k where k.id = p_id and k.org_id = v_org;
end
$$;

-- Keeps the answer with the effect: in one transaction, so that there is never one without the other.
create or replace function idempotency_keep(p_id uuid, p_kept boolean, p_status bigint, p_body bytea,
    p_row_version bigint, p_location text, p_operation uuid, p_row uuid)
returns void
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    update idempotency_keys
       set kept = p_kept, status = p_status, body = p_body, row_version = p_row_version, location = p_location,
           operation_id = p_operation, row_id = p_row
     where id = p_id and org_id = nullif(current_setting('app.org_id', true), '')::uuid
$$;

-- Names of people and tokens that act or acted in the active organization.
create or replace function account_names(p_ids uuid[])
returns table (id uuid, name text)
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select u.id, u.name from users u
     where u.id = any(p_ids)
       and exists (select from memberships m
                    where m.user_id = u.id and m.org_id = nullif(current_setting('app.org_id', true), '')::uuid)
    union all
    select t.id, t.name from api_tokens t
     where t.id = any(p_ids) and t.org_id = nullif(current_setting('app.org_id', true), '')::uuid
$$;

-- === accounts/portals.sql ===

-- Portals and links, found before an organization is active. Each function is the definer's (list in
-- kernel/src/ddl/definers.rs).

-- A mailed way into a portal that nobody took yet.
create or replace function portal_link(p_hash bytea, p_now timestamptz)
returns table (org_id uuid, id uuid)
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select s.org_id, s.id from portal_sessions s
      join portal_accounts a
        on a.org_id = s.org_id and a.id = s.portal_account_id and a.deleted_at is null
     where s.link_hash = p_hash and s.opened_at is null and s.deleted_at is null
       and s.link_expires_at > p_now
$$;

-- The account behind a portal's session.
create or replace function account_portal(p_hash bytea, p_now timestamptz)
returns table (session_id uuid, account_id uuid, organization_id uuid, plan text, kind text,
               party_id uuid)
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    with found as (
        select s.id as session_id, a.id as account_id, a.org_id, a.kind, a.party_id, a.last_used_at
          from portal_sessions s
          join portal_accounts a
            on a.org_id = s.org_id and a.id = s.portal_account_id and a.deleted_at is null
         where s.token_hash = p_hash and s.deleted_at is null and s.expires_at > p_now),
    used as (
        update portal_accounts a set last_used_at = p_now from found
         where a.org_id = found.org_id and a.id = found.account_id
           and (found.last_used_at is null or found.last_used_at < p_now - interval '1 minute'))
    select found.session_id, found.account_id, found.org_id, o.plan, found.kind, found.party_id
      from found join organizations o on o.id = found.org_id
$$;

-- What a link allows, with the roles that its maker has now: one row a role, one with nulls for a link
-- that the house itself made. A maker without a role leaves nothing.
create or replace function account_link(p_hash bytea, p_now timestamptz)
returns table (link_id uuid, organization_id uuid, plan text, table_name text, row_id uuid,
               purpose text, made_by uuid, token_grants jsonb, grants jsonb, units uuid[])
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    update links set last_used_at = p_now
     where token_hash = p_hash and deleted_at is null
       and (last_used_at is null or last_used_at < p_now - interval '1 minute');
    select l.id, l.org_id, o.plan, l.table_name, l.row_id, l.purpose,
           coalesce(l.made_by_id, l.made_by_account_id), t.grants, maker.grants,
           case when l.made_by_id is not null then account_units(l.org_id, l.made_by_id) else '{}' end
      from links l
      join organizations o on o.id = l.org_id
      left join api_tokens t on t.org_id = l.org_id and t.id = l.issued_by_id and t.deleted_at is null
      left join lateral account_roles(l.org_id, l.made_by_id, l.made_by_account_id, p_now) maker on true
     where l.token_hash = p_hash and l.deleted_at is null and l.expires_at > p_now
       and (l.issued_by_id is null or t.id is not null)
       and (maker.grants is not null or num_nonnulls(l.made_by_id, l.made_by_account_id) = 0)
$$;

-- === accounts/privacy.sql ===

-- What machine tables and imported files hold of a person who is erased. The definer's: requests may
-- not read these tables.

grant select, delete on messages to atlvs_definer;
grant select, update on outbox to atlvs_definer;
grant delete on sessions, identities, proofs to atlvs_definer;

-- A mail address as a whole: neither the end nor the beginning of another one (RFC 5322, 3.4.1). What
-- stands between an address and a letter continues it, what stands before it alone does not: 'a@b.c' in
-- quotes, one behind a dash, one at the end of a sentence.
create or replace function address_pattern(p_address text) returns text
language sql immutable parallel safe
as $$
    select '(?<![[:alnum:]_%+])(?<![[:alnum:]_][-.''&])'
        || regexp_replace(p_address, '([!-/:-@\[-`{-~])', '\\\1', 'g')
        || '(?![.]?[-_]*[[:alnum:]])'
$$;

-- A telephone number with its country's code (+49…), with whatever people write between its digits, as a
-- whole: not the beginning of a longer one. `00` stands for the plus, and `(0)` for no digit.
create or replace function number_pattern(p_number text) returns text
language sql immutable parallel safe
as $$
    select '(?<![0-9])(?:[+]|00)' || gap || '*'
        || regexp_replace(substr(p_number, 2), '([0-9])(?=[0-9])', '\1' || replace(gap, '\', '\\') || '*', 'g')
        || '(?!' || gap || '?[0-9])'
      from (values ('(?:\(0\)|[- ./()\u00a0\u2007\u202f\u2010-\u2013])')) as written (gap)
$$;

-- Whether a text names one of these: ids, addresses with an @, numbers that begin with +, all in lower
-- case, numbers without separators. Escapes of JSON for what does not print end a word.
create or replace function names_any(p_text text, p_terms text[]) returns boolean
language sql immutable parallel safe
as $$
    with shown as materialized (
        select regexp_replace(lower(p_text), '\\(u[0-9a-f]{4}|[bfnrt])', E'\n', 'g') as said),
    told as materialized (
        select said, regexp_replace(replace(said, '(0)', ''), '[^0-9]', '', 'g') as digits from shown)
    select exists (
        select from told, unnest(p_terms) as term
         where case
               when term like '+%' then
                   position(substr(term, 2) in digits) > 0 and said ~ number_pattern(term)
               when term like '%@%' then position(term in said) > 0 and said ~ address_pattern(term)
               else position(term in said) > 0
               end)
$$;

-- Imports that are not finished and whose file names one of the terms: their rows would come back.
create or replace function open_imports_naming(p_terms text[]) returns setof uuid
language plpgsql stable
as $$
begin
    if to_regclass('public.import_chunks') is null then
        return;
    end if;
    return query
        select distinct i.id from imports i join import_chunks c on c.org_id = i.org_id and c.import_id = i.id
         where i.org_id = nullif(current_setting('app.org_id', true), '')::uuid and i.finished_at is null
           and (names_any(convert_from(c.records, 'UTF8'), p_terms)
                or names_any(convert_from(c.outcome, 'UTF8'), p_terms));
end
$$;

-- Counts, or with p_erase takes away, what names one of the terms (lower case) in the active
-- organization: mails go, jobs that wait are canceled and those that ended lose what they held, so do
-- events and files. Answers kept for repeated requests are sealed with keys that are not kept, so nobody
-- can tell whom they name: all of them are kept no more. Who repeats such a request is told that it was
-- done, and nothing is done twice.
create or replace function erase_traces(p_terms text[], p_erase boolean)
returns table (name text, rows bigint)
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
#variable_conflict use_column
declare
    v_org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_ids uuid[];
begin
    select coalesce(array_agg(m.id), '{}') into v_ids from messages m
     where m.org_id = v_org and names_any(concat_ws(' ', m.recipient, m.subject, m.body), p_terms);
    if p_erase then
        delete from messages where org_id = v_org and id = any(v_ids);
    end if;
    return query select 'messages', cardinality(v_ids)::bigint;

    select coalesce(array_agg(k.id), '{}') into v_ids from idempotency_keys k
     where k.org_id = v_org and (k.kept and (k.body is not null or k.row_id::text = any(p_terms))
                                 or names_any(k.location, p_terms));
    if p_erase then
        update idempotency_keys set kept = false, body = null, location = null where id = any(v_ids);
    end if;
    return query select 'idempotency_keys', cardinality(v_ids)::bigint;

    if to_regclass('public.jobs') is not null then
        select coalesce(array_agg(j.id), '{}') into v_ids from jobs j
         where j.org_id = v_org and names_any(concat_ws(' ', j.payload, j.result, j.error), p_terms)
            or j.id in (select q.id from job_queue q where q.org_id = v_org and names_any(q.key, p_terms));
        if p_erase then
            with freed as (
                delete from job_queue where id = any(v_ids) and leased_by is null returning id
            )
            update jobs j set payload = '{}', result = null, error = null,
                   state = case when freed.id is null then j.state else 'canceled' end,
                   finished_at = case when freed.id is null then j.finished_at else now() end
              from jobs own left join freed on freed.id = own.id
             where own.id = any(v_ids) and j.id = own.id;
            update job_queue set key = null where id = any(v_ids);
        end if;
        return query select 'jobs', cardinality(v_ids)::bigint;

        return query select 'outbox_deliveries', count(*) from outbox_deliveries d
         where d.org_id = v_org and names_any(concat_ws(' ', d.body, d.error), p_terms);
        if p_erase then
            update outbox_deliveries set body = '{}', error = null
             where org_id = v_org and names_any(concat_ws(' ', body, error), p_terms);
        end if;
    end if;

    return query select 'outbox', count(*) from outbox o where o.org_id = v_org and names_any(o.body::text, p_terms);
    if p_erase then
        update outbox set body = '{}' where org_id = v_org and names_any(body::text, p_terms);
    end if;

    if to_regclass('public.import_chunks') is not null then
        select coalesce(array_agg(c.id), '{}') into v_ids from import_chunks c
         where c.org_id = v_org and (names_any(convert_from(c.records, 'UTF8'), p_terms)
                                     or names_any(convert_from(c.outcome, 'UTF8'), p_terms));
        if p_erase then
            update import_chunks set records = '' where org_id = v_org and id = any(v_ids);
        end if;
        return query select 'import_chunks', cardinality(v_ids)::bigint;
    end if;
end
$$;

-- Accounts with one of these addresses (lower case) of people who belong, or belonged, to the active
-- organization, and whether no other one has a membership of it. Those that nobody has one of are
-- erased with p_erase: the row stays, since logs and rows name it; name, address, password, sessions,
-- outside identities and what was mailed to the person alone go.
create or replace function erase_accounts(p_terms text[], p_now timestamptz, p_erase boolean)
returns table (user_id uuid, last_here boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
#variable_conflict use_column
declare
    v_org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_found uuid[];
    v_gone uuid[];
begin
    select coalesce(array_agg(u.id), '{}') into v_found from users u
     where u.email_key = any(p_terms)
       and exists (select from memberships m where m.org_id = v_org and m.user_id = u.id);
    if p_erase then
        -- Whoever takes the person in meanwhile comes before this, or finds nobody with the address.
        perform from users where id = any(v_found) order by id for update;
        select coalesce(array_agg(found), '{}') into v_gone from unnest(v_found) as found
         where not exists (select from memberships m
                            where m.user_id = found and m.deleted_at is null
                              and (m.ends_at is null or m.ends_at > p_now));
        delete from messages m using users u
         where u.id = any(v_gone) and m.org_id = '00000000-0000-0000-0000-000000000000'
           and lower(m.recipient) = u.email_key;
        delete from sessions where user_id = any(v_gone);
        delete from identities where user_id = any(v_gone);
        delete from proofs where user_id = any(v_gone);
        update users set email = 'erased-' || id || '@erased.invalid', name = 'erased ' || id,
               password_hash = null, verified_at = null, disabled_at = p_now
         where id = any(v_gone);
    end if;
    return query
        select found, not exists (select from memberships m
                                   where m.user_id = found and m.org_id <> v_org and m.deleted_at is null
                                     and (m.ends_at is null or m.ends_at > p_now))
          from unnest(v_found) as found;
end
$$;

-- === work/installation.sql ===

-- Where the database lives, and whether work may be done on it.

-- The server and the database, as the server names them: a copy has other ones.
create or replace function here(out cluster text, out place text)
language sql stable
set search_path = pg_catalog, public, pg_temp
as $$
    select (select system_identifier::text from pg_control_system()),
           (select oid::text from pg_database where datname = current_database())
$$;

-- Why no work may be done on the database; null when it may.
create or replace function held() returns text
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select case when i.id is null then 'nobody has said where it lives'
                when i.held_at is not null then coalesce(i.held_why, 'by an operator')
                when (i.cluster, i.place) is distinct from (h.cluster, h.place)
                then 'it is a copy: it was made elsewhere' end
      from here() h left join installations i on true
$$;

-- Stands at the beginning of every transaction of the background.
create or replace function demand_released() returns void
language plpgsql stable
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_why constant text := held();
begin
    if v_why is not null then
        raise exception using errcode = 'AT001', message = 'the database is held: ' || v_why;
    end if;
end
$$;

-- The database lives here, if nothing else was said; what its feed tells is numbered anew.
create or replace function settle_here() returns void
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    insert into installations (org_id, cluster, place, feed_epoch)
    select '00000000-0000-0000-0000-000000000000', h.cluster, h.place, uuid7() from here() h
     where not exists (select from installations)
$$;

grant select on installations to atlvs_definer;

-- === work/work.sql ===

-- Background work: the queue, what callers may do to their jobs, and who a job acts for. Each function
-- is the definer's (list in kernel/src/ddl/definers.rs) and takes the organization from the setting.

-- Claims read by priority and time, or an organization's own.
create index job_queue_due_idx on job_queue (priority, due_at, id);
create index job_queue_org_idx on job_queue (org_id, priority, due_at, id);
-- At most one unfinished job of a name and key in an organization.
create unique index job_queue_key_key on job_queue (org_id, name, key) where key is not null;
create index jobs_org_idx on jobs (org_id, id);
create index jobs_dead_idx on jobs (org_id, name) where state in ('failed', 'dead');

-- Rows live for seconds and are updated in place: vacuum by number of rows, not by share of the table.
alter table job_queue set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
alter table jobs set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0);
alter table outbox set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

alter table outbox_deliveries set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

-- A consumer reads what is open of each organization, in the order of events.
create index outbox_deliveries_open_idx on outbox_deliveries (consumer, org_id, event) where parked_at is null;
-- What follows an event of the same row waits for it.
create index outbox_deliveries_row_idx on outbox_deliveries (consumer, row_id, event) where parked_at is null;

grant select, update, delete on outbox_deliveries to atlvs_definer;
grant select, insert on change_seals to atlvs_definer;
-- Seals stay as they were made, whoever asks.
create or replace trigger change_seals_append_only before update or delete on change_seals
    for each row execute function append_only();
create or replace trigger change_seals_append_only_truncate before truncate on change_seals
    for each statement execute function append_only();

grant select, insert, update, delete on job_queue to atlvs_definer;
grant update on jobs to atlvs_definer;

-- Adds a job of the active organization, wanted by this actor; answers its id, or that of the unfinished
-- one with this key. Runs with the rights of whoever calls it.
create or replace function put_job(
    p_id uuid, p_name text, p_payload jsonb, p_due timestamptz, p_key text, p_priority bigint, p_user uuid,
    p_token uuid, p_kind text, p_actor text, p_request uuid, p_causation bigint, p_schedule uuid,
    p_now timestamptz)
returns uuid
language plpgsql volatile
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_id uuid;
begin
    loop
        insert into job_queue (id, org_id, name, key, priority, due_at)
        values (p_id, v_org, p_name, p_key, p_priority, p_due)
        on conflict (org_id, name, key) where key is not null do nothing;
        if found then
            exit;
        end if;
        -- Held until this transaction ends: a worker that took it before would not see what is written here.
        select id into v_id from job_queue where org_id = v_org and name = p_name and key = p_key
           for key share;
        -- The other one may have ended since: then there is room now.
        if found then
            -- One that runs may have read already what this one is about.
            update job_queue set again = true where id = v_id and leased_by is not null and not again;
            return v_id;
        end if;
    end loop;
    insert into jobs (id, org_id, created_at, name, payload, due_at, priority, user_id, token_id, actor_kind,
                      actor_id, request_id, causation, schedule_id)
    values (p_id, v_org, p_now, p_name, p_payload, p_due, p_priority, p_user, p_token, p_kind, p_actor,
            p_request, p_causation, p_schedule);
    return p_id;
end
$$;

-- The same, wanted by whoever acts.
create or replace function enqueue_job(
    p_id uuid, p_name text, p_payload jsonb, p_due timestamptz, p_key text, p_priority bigint, p_user uuid,
    p_token uuid, p_now timestamptz)
returns uuid
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select put_job(p_id, p_name, p_payload, p_due, p_key, p_priority, p_user, p_token,
                   coalesce(nullif(current_setting('app.actor_kind', true), ''), 'system'),
                   nullif(current_setting('app.actor_id', true), ''),
                   nullif(current_setting('app.request_id', true), '')::uuid,
                   coalesce(nullif(current_setting('app.causation', true), ''), '0')::bigint, null, p_now)
$$;

-- Whether this process still holds the job; if so, nobody else can claim it before the transaction ends.
create or replace function hold_job(p_id uuid, p_process uuid, p_attempt bigint)
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    perform from job_queue
      where org_id = nullif(current_setting('app.org_id', true), '')::uuid
        and id = p_id and leased_by = p_process and attempts = p_attempt
        for key share;
    return found;
end
$$;

-- Ends a job; false when this process does not hold it any more. One that was enqueued again while it
-- ran is due once more, unless it was canceled. Runs with the rights of whoever calls it.
create or replace function close_job(
    p_id uuid, p_process uuid, p_attempt bigint, p_state text, p_result jsonb, p_error jsonb, p_now timestamptz)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, public, pg_temp
as $$
begin
    delete from job_queue
     where id = p_id and leased_by = p_process and attempts = p_attempt and (not again or p_state = 'canceled');
    if found then
        update jobs set state = p_state, result = p_result, error = p_error, finished_at = p_now where id = p_id;
        return true;
    end if;
    update job_queue set leased_by = null, leased_until = null, again = false, attempts = 0, due_at = p_now
     where id = p_id and leased_by = p_process and attempts = p_attempt;
    if found then
        update jobs set state = 'queued', result = p_result, error = p_error, attempts = 0, due_at = p_now
         where id = p_id;
        return true;
    end if;
    return false;
end
$$;

-- Ends a job of the active organization well in the transaction of its effects; false when this process
-- does not hold it any more.
create or replace function finish_job(p_id uuid, p_process uuid, p_attempt bigint, p_result jsonb, p_now timestamptz)
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    return exists (select from job_queue
                    where id = p_id and org_id = nullif(current_setting('app.org_id', true), '')::uuid)
       and close_job(p_id, p_process, p_attempt, 'done', p_result, null, p_now);
end
$$;

-- Ends a job of the active organization badly, in the transaction in which somebody is told.
create or replace function end_job(
    p_id uuid, p_process uuid, p_attempt bigint, p_state text, p_error jsonb, p_now timestamptz)
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    return p_state in ('failed', 'dead', 'canceled')
       and exists (select from job_queue
                    where id = p_id and org_id = nullif(current_setting('app.org_id', true), '')::uuid)
       and close_job(p_id, p_process, p_attempt, p_state, null, p_error, p_now);
end
$$;

-- Cancels a job of the active organization that nobody works on; asks the one that works on it to stop.
-- Of jobs named in p_told somebody is told: a worker takes them to do so. Answers the state before, null
-- when there is no such job.
create or replace function cancel_job(p_id uuid, p_now timestamptz, p_told text[])
returns text
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_state text;
    v_waits boolean;
    v_told boolean;
begin
    -- The queue first, as everybody does. A run holds its row's key for as long as its transaction is open
    -- and is not waited for: nothing here takes a key away from it.
    select leased_by is null, name = any(p_told) into v_waits, v_told
      from job_queue where org_id = v_org and id = p_id for no key update;
    select state into v_state from jobs where org_id = v_org and id = p_id for no key update;
    if v_waits and not v_told then
        delete from job_queue where org_id = v_org and id = p_id;
        update jobs set state = 'canceled', cancel_asked_at = p_now, finished_at = p_now
         where org_id = v_org and id = p_id;
    elsif v_state in ('queued', 'running') then
        update job_queue set due_at = least(due_at, p_now) where org_id = v_org and id = p_id and leased_by is null;
        update jobs set cancel_asked_at = p_now where org_id = v_org and id = p_id;
    end if;
    return v_state;
end
$$;

-- Cancels the unfinished job of the active organization with this key; answers its id.
create or replace function cancel_job_by_key(p_name text, p_key text, p_now timestamptz, p_told text[])
returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_id uuid;
begin
    select id into v_id from job_queue
     where org_id = nullif(current_setting('app.org_id', true), '')::uuid and name = p_name and key = p_key;
    if found then
        perform cancel_job(v_id, p_now, p_told);
    end if;
    return v_id;
end
$$;

-- Runs jobs of the active organization that ended badly once more, with all their attempts: one by id,
-- or all failed and dead ones, of one name if one is given. Answers how many.
create or replace function replay_jobs(p_id uuid, p_name text, p_now timestamptz, p_most bigint)
returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_count bigint;
begin
    with again as (
        select id from jobs
         where org_id = v_org
           and case when p_id is null then state in ('failed', 'dead') and (p_name is null or name = p_name)
                    else id = p_id and state in ('failed', 'dead', 'canceled') end
         order by id limit p_most for update
    ), moved as (
        update jobs j set state = 'queued', error = null, cancel_asked_at = null, finished_at = null,
                          attempts = 0, due_at = p_now
          from again where j.org_id = v_org and j.id = again.id
        returning j.id, j.name, j.priority
    )
    -- The key is not taken back: another job may have it by now.
    insert into job_queue (id, org_id, name, priority, due_at)
    select id, v_org, name, priority, p_now from moved;
    get diagnostics v_count = row_count;
    return v_count;
end
$$;

-- What whoever wanted a job may do in the active organization now, found by token, by person or by
-- device: one row a role. Nothing when there is no such one any more, or no role.
create or replace function job_actor(p_token uuid, p_user uuid, p_device uuid, p_now timestamptz)
returns table (user_id uuid, service_account_id uuid, plan text, token_grants jsonb, grants jsonb,
               units uuid[])
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select u.id, a.id, o.plan, t.grants, r.grants,
           case when u.id is not null then account_units(o.id, u.id) else '{}' end
      from (select id, plan from organizations
             where id = nullif(current_setting('app.org_id', true), '')::uuid) as o
      left join api_tokens t on t.org_id = o.id and t.id = p_token and t.deleted_at is null
                            and (t.expires_at is null or t.expires_at > p_now)
      left join users u on u.id = case when p_token is null then p_user else t.user_id end
                       and u.disabled_at is null and u.verified_at is not null
      left join service_accounts a
             on a.org_id = o.id and a.id = t.service_account_id and a.deleted_at is null
      join memberships m on m.org_id = o.id and m.deleted_at is null
                        and (m.ends_at is null or m.ends_at > p_now)
                        and (m.user_id = u.id or m.service_account_id = a.id)
      join roles r on r.org_id = m.org_id and r.id = m.role_id and r.deleted_at is null
    union all
    select null, null, o.plan, d.grants, coalesce(maker.grants, d.grants), '{}'
      from devices d
      join organizations o on o.id = d.org_id
      left join lateral account_roles(d.org_id, d.made_by_id, d.made_by_account_id, p_now) maker on true
     where d.org_id = nullif(current_setting('app.org_id', true), '')::uuid and d.id = p_device
       and d.deleted_at is null and (d.expires_at is null or d.expires_at > p_now)
       and (maker.grants is not null or num_nonnulls(d.made_by_id, d.made_by_account_id) = 0)
$$;

-- Ends deliveries to a consumer in the transaction of its effects; answers how many were open.
create or replace function delivered(p_consumer text, p_events bigint[])
returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_count bigint;
begin
    delete from outbox_deliveries
     where org_id = nullif(current_setting('app.org_id', true), '')::uuid
       and consumer = p_consumer and event = any(p_events);
    get diagnostics v_count = row_count;
    return v_count;
end
$$;

-- What a seal proves: its number, organization, id and time, the seal before it, and each change's id
-- and digest.
create or replace function seal_digest(
    p_org uuid, p_id uuid, p_number bigint, p_at timestamptz, p_previous bytea, p_changes bytea)
returns bytea
language sql immutable parallel safe
set search_path = pg_catalog
as $$
    select sha256(p_previous || int8send(p_number) || uuid_send(p_org) || uuid_send(p_id)
                  || timestamptz_send(p_at) || p_changes)
$$;

-- Chains changes of the active organization, in the order given, to its last seal. A change that is gone
-- already has a digest of zeros, which no change has: the verification names it.
create or replace function seal_changes(p_ids uuid[], p_now timestamptz)
returns void
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_zeros constant bytea := decode(repeat('00', 32), 'hex');
    v_id constant uuid := uuid7();
    v_number bigint;
    v_previous bytea;
    v_members bytea;
    v_changes bytea;
begin
    select number, digest into v_number, v_previous from change_seals
     where org_id = v_org order by number desc limit 1;
    v_number := coalesce(v_number, 0) + 1;
    v_previous := coalesce(v_previous, v_zeros);
    select string_agg(uuid_send(given.id), ''::bytea order by given.place),
           string_agg(uuid_send(given.id) || coalesce(c.digest, v_zeros), ''::bytea order by given.place)
      into v_members, v_changes
      from unnest(p_ids) with ordinality as given (id, place)
      left join changes c on c.org_id = v_org and c.id = given.id;
    insert into change_seals (org_id, id, created_at, number, members, previous, digest)
    values (v_org, v_id, p_now, v_number, v_members, v_previous,
            seal_digest(v_org, v_id, v_number, p_now, v_previous, v_changes));
end
$$;

-- === work/schedules.sql ===

-- Schedules of organizations: what is due, who was first, and how the last run is or ended. Each function
-- is the definer's (list in kernel/src/ddl/definers.rs).

create index schedules_due_idx on schedules (next_run_at)
    where active and deleted_at is null and next_run_at is not null;

-- What is due, of all organizations, what waits longest first. It says no more than whose it is.
create or replace function due_schedules(p_now timestamptz, p_most bigint)
returns table (org_id uuid, id uuid)
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select s.org_id, s.id from schedules s
     where s.active and s.deleted_at is null and s.next_run_at <= p_now
     order by s.next_run_at limit p_most
$$;

-- When a schedule of the active organization comes next, and as whom it runs.
create or replace function plan_schedule(
    p_id uuid, p_next timestamptz, p_kind text, p_actor text, p_user uuid, p_token uuid)
returns void
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    update schedules set next_run_at = p_next, actor_kind = p_kind, actor_id = p_actor, runs_as_id = p_user,
                         token_id = p_token
     where org_id = nullif(current_setting('app.org_id', true), '')::uuid and id = p_id;
end
$$;

-- Takes a due time of a schedule of the active organization: its job is on the queue, and the next time
-- is set. A run that is still on the queue stands for this one, too; one that is under way runs once
-- more. Without p_job the time is only passed over. False when somebody else was first: then nothing of
-- this transaction may stay. The queue comes before the schedule, as when a job ends.
create or replace function run_schedule(
    p_id uuid, p_due timestamptz, p_next timestamptz, p_job uuid, p_now timestamptz)
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_schedule record;
    v_job uuid;
begin
    select * into v_schedule from schedules where org_id = v_org and id = p_id;
    if p_job is not null then
        v_job := put_job(p_job, v_schedule.job, v_schedule.input, p_now, 'schedule ' || p_id, 1,
                         v_schedule.runs_as_id, v_schedule.token_id, v_schedule.actor_kind,
                         v_schedule.actor_id, null, 0, p_id, p_now);
    end if;
    update schedules
       set next_run_at = p_next, last_due_at = p_due, last_job_id = coalesce(v_job, last_job_id),
           last_run_at = case when v_job is null then last_run_at else p_now end,
           last_state = case when v_job is null then 'skipped' else 'queued' end
     where org_id = v_org and id = p_id and next_run_at = p_due and active and deleted_at is null;
    return found;
end
$$;

-- How a schedule's last run is or ended.
create or replace function tell_schedule() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    update schedules set last_state = new.state
     where org_id = new.org_id and id = new.schedule_id and last_job_id = new.id;
    return null;
end
$$;

create or replace trigger jobs_tell_schedule after update of state on jobs
    for each row when (new.schedule_id is not null and new.state is distinct from old.state)
    execute function tell_schedule();

-- === lists/views.sql ===

-- Who sees a saved view: its owner, the team that it is shared with, or all. The rights on views say
-- who may read views at all; this holds beside them, whoever asks. Like every policy it repeats the
-- wall between organizations, so that it stands for itself.

drop policy if exists saved_views_visible on saved_views;
create policy saved_views_visible on saved_views as restrictive to atlvs_app
    using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)
        and (visibility = 'shared'
            or user_id = (select nullif(current_setting('app.user_id', true), '')::uuid)
            or (visibility = 'team' and team_id in (
                select m.team_id from team_members m
                 where m.org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)
                   and m.user_id = (select nullif(current_setting('app.user_id', true), '')::uuid)
                   and m.deleted_at is null))));

-- === identity/identity_units.sql ===

-- The person's units and all below them: what the scope `unit` reaches. Replaces the kernel's answer;
-- the functions that prove who somebody is call it, as the definer.
create or replace function account_units(p_org uuid, p_user uuid)
returns uuid[]
language sql stable
set search_path = pg_catalog, public, pg_temp
as $$
    with recursive mine(id) as (
        select unit_id from unit_members
         where org_id = p_org and user_id = p_user and deleted_at is null
        union
        select u.id from units u join mine on u.parent_id = mine.id
         where u.org_id = p_org and u.deleted_at is null
    )
    select coalesce(array_agg(id), '{}') from mine
$$;

-- === identity/identity_trees.sql ===

-- Refuses a row whose chain of parents comes back to it. Writers of one organization's tree wait
-- for each other, else two moves could close a circle that neither sees.
create or replace function refuse_tree_cycle() returns trigger
language plpgsql
set search_path = pg_catalog, public
as $$
declare
  closes boolean;
begin
  if new.parent_id is null then
    return new;
  end if;
  perform pg_advisory_xact_lock(hashtextextended(tg_table_name || new.org_id::text, 0));
  execute format(
    'with recursive above(id) as ('
    '  select $1::uuid'
    '  union'
    '  select t.parent_id from %1$I t join above a on t.id = a.id'
    '   where t.org_id = $3 and t.parent_id is not null'
    ') select exists (select from above where id = $2)', tg_table_name)
  into closes using new.parent_id, new.id, new.org_id;
  if closes then
    raise exception using
      errcode = 'check_violation',
      constraint = tg_table_name || '_parent_acyclic',
      table = tg_table_name,
      column = 'parent_id',
      message = 'a row cannot be above itself';
  end if;
  return new;
end
$$;

create or replace trigger units_parent_acyclic
  before insert or update of parent_id on units
  for each row execute function refuse_tree_cycle();

create or replace trigger locations_parent_acyclic
  before insert or update of parent_id on locations
  for each row execute function refuse_tree_cycle();

-- === identity/identity_currencies.sql ===

-- ISO 4217: code, numeric code, digits of the minor unit, name. The id follows from the code, so
-- that every installation has the same.
insert into currencies (id, code, numeric_code, exponent, name)
select md5('currency ' || v.code)::uuid, v.code, v.numeric_code, v.exponent, v.name
  from (values
    ('AED', 784, 2, 'United Arab Emirates dirham'),
    ('AFN', 971, 2, 'Afghan afghani'),
    ('ALL', 8, 2, 'Albanian lek'),
    ('AMD', 51, 2, 'Armenian dram'),
    ('AOA', 973, 2, 'Angolan kwanza'),
    ('ARS', 32, 2, 'Argentine peso'),
    ('AUD', 36, 2, 'Australian dollar'),
    ('AWG', 533, 2, 'Aruban florin'),
    ('AZN', 944, 2, 'Azerbaijani manat'),
    ('BAM', 977, 2, 'Bosnia and Herzegovina convertible mark'),
    ('BBD', 52, 2, 'Barbados dollar'),
    ('BDT', 50, 2, 'Bangladeshi taka'),
    ('BGN', 975, 2, 'Bulgarian lev'),
    ('BHD', 48, 3, 'Bahraini dinar'),
    ('BIF', 108, 0, 'Burundian franc'),
    ('BMD', 60, 2, 'Bermudian dollar'),
    ('BND', 96, 2, 'Brunei dollar'),
    ('BOB', 68, 2, 'Boliviano'),
    ('BRL', 986, 2, 'Brazilian real'),
    ('BSD', 44, 2, 'Bahamian dollar'),
    ('BTN', 64, 2, 'Bhutanese ngultrum'),
    ('BWP', 72, 2, 'Botswana pula'),
    ('BYN', 933, 2, 'Belarusian ruble'),
    ('BZD', 84, 2, 'Belize dollar'),
    ('CAD', 124, 2, 'Canadian dollar'),
    ('CDF', 976, 2, 'Congolese franc'),
    ('CHF', 756, 2, 'Swiss franc'),
    ('CLF', 990, 4, 'Unidad de fomento'),
    ('CLP', 152, 0, 'Chilean peso'),
    ('CNY', 156, 2, 'Renminbi'),
    ('COP', 170, 2, 'Colombian peso'),
    ('CRC', 188, 2, 'Costa Rican colon'),
    ('CUP', 192, 2, 'Cuban peso'),
    ('CVE', 132, 2, 'Cape Verdean escudo'),
    ('CZK', 203, 2, 'Czech koruna'),
    ('DJF', 262, 0, 'Djiboutian franc'),
    ('DKK', 208, 2, 'Danish krone'),
    ('DOP', 214, 2, 'Dominican peso'),
    ('DZD', 12, 2, 'Algerian dinar'),
    ('EGP', 818, 2, 'Egyptian pound'),
    ('ERN', 232, 2, 'Eritrean nakfa'),
    ('ETB', 230, 2, 'Ethiopian birr'),
    ('EUR', 978, 2, 'Euro'),
    ('FJD', 242, 2, 'Fiji dollar'),
    ('FKP', 238, 2, 'Falkland Islands pound'),
    ('GBP', 826, 2, 'Pound sterling'),
    ('GEL', 981, 2, 'Georgian lari'),
    ('GHS', 936, 2, 'Ghanaian cedi'),
    ('GIP', 292, 2, 'Gibraltar pound'),
    ('GMD', 270, 2, 'Gambian dalasi'),
    ('GNF', 324, 0, 'Guinean franc'),
    ('GTQ', 320, 2, 'Guatemalan quetzal'),
    ('GYD', 328, 2, 'Guyanese dollar'),
    ('HKD', 344, 2, 'Hong Kong dollar'),
    ('HNL', 340, 2, 'Honduran lempira'),
    ('HTG', 332, 2, 'Haitian gourde'),
    ('HUF', 348, 2, 'Hungarian forint'),
    ('IDR', 360, 2, 'Indonesian rupiah'),
    ('ILS', 376, 2, 'Israeli new shekel'),
    ('INR', 356, 2, 'Indian rupee'),
    ('IQD', 368, 3, 'Iraqi dinar'),
    ('IRR', 364, 2, 'Iranian rial'),
    ('ISK', 352, 0, 'Icelandic krona'),
    ('JMD', 388, 2, 'Jamaican dollar'),
    ('JOD', 400, 3, 'Jordanian dinar'),
    ('JPY', 392, 0, 'Japanese yen'),
    ('KES', 404, 2, 'Kenyan shilling'),
    ('KGS', 417, 2, 'Kyrgyzstani som'),
    ('KHR', 116, 2, 'Cambodian riel'),
    ('KMF', 174, 0, 'Comoro franc'),
    ('KPW', 408, 2, 'North Korean won'),
    ('KRW', 410, 0, 'South Korean won'),
    ('KWD', 414, 3, 'Kuwaiti dinar'),
    ('KYD', 136, 2, 'Cayman Islands dollar'),
    ('KZT', 398, 2, 'Kazakhstani tenge'),
    ('LAK', 418, 2, 'Lao kip'),
    ('LBP', 422, 2, 'Lebanese pound'),
    ('LKR', 144, 2, 'Sri Lankan rupee'),
    ('LRD', 430, 2, 'Liberian dollar'),
    ('LSL', 426, 2, 'Lesotho loti'),
    ('LYD', 434, 3, 'Libyan dinar'),
    ('MAD', 504, 2, 'Moroccan dirham'),
    ('MDL', 498, 2, 'Moldovan leu'),
    ('MGA', 969, 2, 'Malagasy ariary'),
    ('MKD', 807, 2, 'Macedonian denar'),
    ('MMK', 104, 2, 'Myanmar kyat'),
    ('MNT', 496, 2, 'Mongolian togrog'),
    ('MOP', 446, 2, 'Macanese pataca'),
    ('MRU', 929, 2, 'Mauritanian ouguiya'),
    ('MUR', 480, 2, 'Mauritian rupee'),
    ('MVR', 462, 2, 'Maldivian rufiyaa'),
    ('MWK', 454, 2, 'Malawian kwacha'),
    ('MXN', 484, 2, 'Mexican peso'),
    ('MYR', 458, 2, 'Malaysian ringgit'),
    ('MZN', 943, 2, 'Mozambican metical'),
    ('NAD', 516, 2, 'Namibian dollar'),
    ('NGN', 566, 2, 'Nigerian naira'),
    ('NIO', 558, 2, 'Nicaraguan cordoba'),
    ('NOK', 578, 2, 'Norwegian krone'),
    ('NPR', 524, 2, 'Nepalese rupee'),
    ('NZD', 554, 2, 'New Zealand dollar'),
    ('OMR', 512, 3, 'Omani rial'),
    ('PAB', 590, 2, 'Panamanian balboa'),
    ('PEN', 604, 2, 'Peruvian sol'),
    ('PGK', 598, 2, 'Papua New Guinean kina'),
    ('PHP', 608, 2, 'Philippine peso'),
    ('PKR', 586, 2, 'Pakistani rupee'),
    ('PLN', 985, 2, 'Polish zloty'),
    ('PYG', 600, 0, 'Paraguayan guarani'),
    ('QAR', 634, 2, 'Qatari riyal'),
    ('RON', 946, 2, 'Romanian leu'),
    ('RSD', 941, 2, 'Serbian dinar'),
    ('RUB', 643, 2, 'Russian ruble'),
    ('RWF', 646, 0, 'Rwandan franc'),
    ('SAR', 682, 2, 'Saudi riyal'),
    ('SBD', 90, 2, 'Solomon Islands dollar'),
    ('SCR', 690, 2, 'Seychelles rupee'),
    ('SDG', 938, 2, 'Sudanese pound'),
    ('SEK', 752, 2, 'Swedish krona'),
    ('SGD', 702, 2, 'Singapore dollar'),
    ('SHP', 654, 2, 'Saint Helena pound'),
    ('SLE', 925, 2, 'Sierra Leonean leone'),
    ('SOS', 706, 2, 'Somali shilling'),
    ('SRD', 968, 2, 'Surinamese dollar'),
    ('SSP', 728, 2, 'South Sudanese pound'),
    ('STN', 930, 2, 'Sao Tome and Principe dobra'),
    ('SVC', 222, 2, 'Salvadoran colon'),
    ('SYP', 760, 2, 'Syrian pound'),
    ('SZL', 748, 2, 'Swazi lilangeni'),
    ('THB', 764, 2, 'Thai baht'),
    ('TJS', 972, 2, 'Tajikistani somoni'),
    ('TMT', 934, 2, 'Turkmenistan manat'),
    ('TND', 788, 3, 'Tunisian dinar'),
    ('TOP', 776, 2, 'Tongan pa''anga'),
    ('TRY', 949, 2, 'Turkish lira'),
    ('TTD', 780, 2, 'Trinidad and Tobago dollar'),
    ('TWD', 901, 2, 'New Taiwan dollar'),
    ('TZS', 834, 2, 'Tanzanian shilling'),
    ('UAH', 980, 2, 'Ukrainian hryvnia'),
    ('UGX', 800, 0, 'Ugandan shilling'),
    ('USD', 840, 2, 'United States dollar'),
    ('UYU', 858, 2, 'Uruguayan peso'),
    ('UZS', 860, 2, 'Uzbekistani sum'),
    ('VES', 928, 2, 'Venezuelan bolivar'),
    ('VND', 704, 0, 'Vietnamese dong'),
    ('VUV', 548, 0, 'Vanuatu vatu'),
    ('WST', 882, 2, 'Samoan tala'),
    ('XAF', 950, 0, 'Central African CFA franc'),
    ('XCD', 951, 2, 'East Caribbean dollar'),
    ('XOF', 952, 0, 'West African CFA franc'),
    ('XPF', 953, 0, 'CFP franc'),
    ('YER', 886, 2, 'Yemeni rial'),
    ('ZAR', 710, 2, 'South African rand'),
    ('ZMW', 967, 2, 'Zambian kwacha')
  ) as v(code, numeric_code, exponent, name)
on conflict (code) do update
  set numeric_code = excluded.numeric_code, exponent = excluded.exponent, name = excluded.name;

-- === events/events.sql ===

-- Credentials name an event by a number of 32 bits that is unique over the installation, so one
-- sequence serves all organizations. It says nothing but how many events were made.
create sequence if not exists event_number as bigint minvalue 1 maxvalue 4294967295 no cycle;
grant usage on sequence event_number to atlvs_definer;

create or replace function next_event_number() returns bigint
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
  select nextval('public.event_number')
$$;

create or replace function events_keep_number() returns trigger
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
begin
  if tg_op = 'INSERT' then
    new.number := next_event_number();
  else
    new.number := old.number;
  end if;
  return new;
end
$$;

create or replace trigger events_keep_number
  before insert or update of number on events
  for each row execute function events_keep_number();

create unique index if not exists events_number_key on events (number);

-- An event that was on sale has tickets in people's hands: it is canceled, never removed.
create or replace function events_delete_draft() returns trigger
language plpgsql
set search_path = pg_catalog, public
as $$
begin
  if new.deleted_at is not null and old.deleted_at is null and old.status <> 'draft' then
    raise exception using
      errcode = 'check_violation', constraint = 'events_delete_draft',
      table = 'events', column = 'status',
      message = 'only a draft can be deleted';
  end if;
  return new;
end
$$;

create or replace trigger events_delete_draft
  before update of deleted_at on events
  for each row execute function events_delete_draft();

-- === ticketing/ticketing_numbers.sql ===

-- Numbers of quotas, ticket types, zones, lanes and questions within an event: given once, never reused, not even
-- after a row was deleted, because credentials and journals name them. Zones begin with 0 (a bit),
-- the others with 1.
create or replace function assign_number_in_event() returns trigger
language plpgsql
set search_path = pg_catalog, public
as $$
begin
  if tg_op = 'UPDATE' then
    new.number := old.number;
    return new;
  end if;
  perform pg_advisory_xact_lock(hashtextextended(tg_table_name || new.event_id::text, 0));
  execute format(
    'select coalesce(max(number) + 1, $3) from %I where org_id = $1 and event_id = $2',
    tg_table_name)
  into new.number using new.org_id, new.event_id, tg_argv[0]::bigint;
  return new;
end
$$;

create or replace trigger quotas_number before insert or update of number on quotas
  for each row execute function assign_number_in_event(1);
create or replace trigger ticket_types_number before insert or update of number on ticket_types
  for each row execute function assign_number_in_event(1);
create or replace trigger check_in_zones_number before insert or update of number on check_in_zones
  for each row execute function assign_number_in_event(0);
create or replace trigger check_in_lanes_number before insert or update of number on check_in_lanes
  for each row execute function assign_number_in_event(1);
create or replace trigger check_in_questions_number
  before insert or update of number on check_in_questions
  for each row execute function assign_number_in_event(1);

create unique index if not exists quotas_event_number_key
  on quotas (org_id, event_id, number);
create unique index if not exists ticket_types_event_number_key
  on ticket_types (org_id, event_id, number);
create unique index if not exists check_in_zones_event_number_key
  on check_in_zones (org_id, event_id, number);
create unique index if not exists check_in_lanes_event_number_key
  on check_in_lanes (org_id, event_id, number);
create unique index if not exists check_in_questions_event_number_key
  on check_in_questions (org_id, event_id, number);

-- === ticketing/ticketing_same_event.sql ===

-- Pairs join rows of one event; prices are in the event's currency. Row-level security hides
-- foreign rows here as everywhere; their keys are refused by the foreign keys themselves.
create or replace function quota_ticket_types_same_event() returns trigger
language plpgsql
set search_path = pg_catalog, public
as $$
begin
  if exists (
    select from quotas q join ticket_types t on t.org_id = q.org_id
     where q.org_id = new.org_id and q.id = new.quota_id and t.id = new.ticket_type_id
       and q.event_id <> t.event_id
  ) then
    raise exception using
      errcode = 'check_violation', constraint = 'quota_ticket_types_same_event',
      table = 'quota_ticket_types', column = 'ticket_type_id',
      message = 'quota and ticket type belong to different events';
  end if;
  return new;
end
$$;

create or replace trigger quota_ticket_types_same_event
  before insert or update on quota_ticket_types
  for each row execute function quota_ticket_types_same_event();

create or replace function ticket_type_zones_same_event() returns trigger
language plpgsql
set search_path = pg_catalog, public
as $$
begin
  if exists (
    select from check_in_zones z join ticket_types t on t.org_id = z.org_id
     where z.org_id = new.org_id and z.id = new.zone_id and t.id = new.ticket_type_id
       and z.event_id <> t.event_id
  ) then
    raise exception using
      errcode = 'check_violation', constraint = 'ticket_type_zones_same_event',
      table = 'ticket_type_zones', column = 'zone_id',
      message = 'zone and ticket type belong to different events';
  end if;
  return new;
end
$$;

create or replace trigger ticket_type_zones_same_event
  before insert or update on ticket_type_zones
  for each row execute function ticket_type_zones_same_event();

create or replace function ticket_types_price_currency() returns trigger
language plpgsql
set search_path = pg_catalog, public
as $$
begin
  if exists (
    select from events e
     where e.org_id = new.org_id and e.id = new.event_id
       and (new.price_currency <> e.currency or new.fee_currency <> e.currency)
  ) then
    raise exception using
      errcode = 'check_violation', constraint = 'ticket_types_price_currency',
      table = 'ticket_types', column = 'price',
      message = 'price and fee are in the currency of the event';
  end if;
  return new;
end
$$;

create or replace trigger ticket_types_price_currency
  before insert or update on ticket_types
  for each row execute function ticket_types_price_currency();

create or replace function check_in_lane_types_same_event() returns trigger
language plpgsql
set search_path = pg_catalog, public
as $$
begin
  if exists (
    select from check_in_lanes l join ticket_types t on t.org_id = l.org_id
     where l.org_id = new.org_id and l.id = new.lane_id and t.id = new.ticket_type_id
       and l.event_id <> t.event_id
  ) then
    raise exception using
      errcode = 'check_violation', constraint = 'check_in_lane_types_same_event',
      table = 'check_in_lane_types', column = 'ticket_type_id',
      message = 'both belong to different events';
  end if;
  return new;
end
$$;

create or replace trigger check_in_lane_types_same_event
  before insert or update on check_in_lane_types
  for each row execute function check_in_lane_types_same_event();

create or replace function check_in_question_types_same_event() returns trigger
language plpgsql
set search_path = pg_catalog, public
as $$
begin
  if exists (
    select from check_in_questions q join ticket_types t on t.org_id = q.org_id
     where q.org_id = new.org_id and q.id = new.question_id and t.id = new.ticket_type_id
       and q.event_id <> t.event_id
  ) then
    raise exception using
      errcode = 'check_violation', constraint = 'check_in_question_types_same_event',
      table = 'check_in_question_types', column = 'ticket_type_id',
      message = 'both belong to different events';
  end if;
  return new;
end
$$;

create or replace trigger check_in_question_types_same_event
  before insert or update on check_in_question_types
  for each row execute function check_in_question_types_same_event();

create or replace function ticket_type_windows_same_event() returns trigger
language plpgsql
set search_path = pg_catalog, public
as $$
begin
  if exists (
    select from check_in_zones z join ticket_types t on t.org_id = z.org_id
     where z.org_id = new.org_id and z.id = new.zone_id and t.id = new.ticket_type_id
       and z.event_id <> t.event_id
  ) then
    raise exception using
      errcode = 'check_violation', constraint = 'ticket_type_windows_same_event',
      table = 'ticket_type_windows', column = 'zone_id',
      message = 'both belong to different events';
  end if;
  return new;
end
$$;

create or replace trigger ticket_type_windows_same_event
  before insert or update on ticket_type_windows
  for each row execute function ticket_type_windows_same_event();

-- Zones name others of their event by key. A key is given once; a zone that was deleted is named in
-- vain, which harms nobody, so only what is written is looked at.
create or replace function check_in_zones_graph() returns trigger
language plpgsql
set search_path = pg_catalog, public
as $$
declare
  known text[];
begin
  if new.leaves is null and new.exit_to is null then
    return new;
  end if;
  select array_agg(key) into known from check_in_zones
   where org_id = new.org_id and event_id = new.event_id and id <> new.id
     and deleted_at is null;
  if not coalesce(new.leaves, '{}') <@ coalesce(known, '{}') then
    raise exception using
      errcode = 'check_violation', constraint = 'check_in_zones_leaves',
      table = 'check_in_zones', column = 'leaves',
      message = 'the event has no other zone of this key';
  end if;
  if not new.exit_to = any(coalesce(known, '{}')) then
    raise exception using
      errcode = 'check_violation', constraint = 'check_in_zones_exit_to',
      table = 'check_in_zones', column = 'exit_to',
      message = 'the event has no other zone of this key';
  end if;
  return new;
end
$$;

create or replace trigger check_in_zones_graph
  before insert or update of leaves, exit_to on check_in_zones
  for each row execute function check_in_zones_graph();

-- === ticketing/ticketing_feeds.sql ===

-- The stored journal is a chain: an entry comes directly after the one before it or not at all.
-- The first entry of an event follows its genesis, which the reader has checked.
create or replace function gate_journal_chain() returns trigger
language plpgsql
set search_path = pg_catalog, public
as $$
begin
  if new.seq > 1 and not exists (
    select from gate_journal
     where org_id = new.org_id and event_id = new.event_id
       and seq = new.seq - 1 and hash = new.prev_hash
  ) then
    raise exception using
      errcode = 'check_violation', constraint = 'gate_journal_chain',
      table = 'gate_journal', column = 'prev_hash',
      message = 'the entry does not follow the one before it';
  end if;
  return new;
end
$$;

create or replace trigger gate_journal_chain
  before insert on gate_journal
  for each row execute function gate_journal_chain();

-- A cursor moves forward only, and only onto an entry that is stored.
create or replace function gate_cursors_forward() returns trigger
language plpgsql
set search_path = pg_catalog, public
as $$
begin
  if new.seq < old.seq or new.projected_seq < old.projected_seq or (new.seq > old.seq and not exists (
    select from gate_journal
     where org_id = new.org_id and event_id = new.event_id and seq = new.seq and hash = new.hash
  )) then
    raise exception using
      errcode = 'check_violation', constraint = 'gate_cursors_forward',
      table = 'gate_cursors', column = 'seq',
      message = 'a cursor moves forward, onto a stored entry';
  end if;
  return new;
end
$$;

create or replace trigger gate_cursors_forward
  before update on gate_cursors
  for each row execute function gate_cursors_forward();

-- === Search functions ===

create or replace function search_parties(p_words text, p_limit bigint, p_reach text, p_user uuid, p_units uuid[], p_levels text[], p_among uuid[])
returns table (found_id uuid, found_rank bigint)
language plpgsql stable security definer rows 100
set search_path = pg_catalog, public, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_tenant constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_words constant tsquery := search_query(p_words, array(select f.key from custom_fields f where f.org_id = v_tenant and f.entity = 'parties' and f.status = 'active' and f.searched and f.level <> 'confidential' and f.level = any(p_levels)));
    v_query constant tsquery := quote_literal('@' || v_tenant)::tsquery && v_words;
begin
    return query
    select c.id, (ts_rank(c.search, v_words) * 1000000)::bigint
      from (select t.id, t.search from parties t
             where t.search @@ v_query and t.org_id = v_tenant and t.deleted_at is null
               and (p_among is null or t.id = any(p_among))
               and (p_reach = 'all')
             limit 20000) c
     order by 2 desc, 1 desc
     limit p_limit;
end
$$;
create or replace function search_parties_personal(p_words text, p_limit bigint, p_reach text, p_user uuid, p_units uuid[], p_levels text[], p_among uuid[])
returns table (found_id uuid, found_rank bigint)
language plpgsql stable security definer rows 100
set search_path = pg_catalog, public, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_tenant constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_words constant tsquery := search_query(p_words, array(select f.key from custom_fields f where f.org_id = v_tenant and f.entity = 'parties' and f.status = 'active' and f.searched and f.level <> 'confidential' and f.level = any(p_levels)));
    v_query constant tsquery := quote_literal('@' || v_tenant)::tsquery && v_words;
begin
    return query
    select c.id, (ts_rank(c.search_personal, v_words) * 1000000)::bigint
      from (select t.id, t.search_personal from parties t
             where t.search_personal @@ v_query and t.org_id = v_tenant and t.deleted_at is null
               and (p_among is null or t.id = any(p_among))
               and (p_reach = 'all')
             limit 20000) c
     order by 2 desc, 1 desc
     limit p_limit;
end
$$;
create or replace function search_party_emails_personal(p_words text, p_limit bigint, p_reach text, p_user uuid, p_units uuid[], p_levels text[], p_among uuid[])
returns table (found_id uuid, found_rank bigint)
language plpgsql stable security definer rows 100
set search_path = pg_catalog, public, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_tenant constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_words constant tsquery := search_query(p_words, array(select f.key from custom_fields f where f.org_id = v_tenant and f.entity = 'party_emails' and f.status = 'active' and f.searched and f.level <> 'confidential' and f.level = any(p_levels)));
    v_query constant tsquery := quote_literal('@' || v_tenant)::tsquery && v_words;
begin
    return query
    select c.id, (ts_rank(c.search_personal, v_words) * 1000000)::bigint
      from (select t.id, t.search_personal from party_emails t
             where t.search_personal @@ v_query and t.org_id = v_tenant and t.deleted_at is null
               and (p_among is null or t.id = any(p_among))
               and (p_reach = 'all')
             limit 20000) c
     order by 2 desc, 1 desc
     limit p_limit;
end
$$;
create or replace function search_units(p_words text, p_limit bigint, p_reach text, p_user uuid, p_units uuid[], p_levels text[], p_among uuid[])
returns table (found_id uuid, found_rank bigint)
language plpgsql stable security definer rows 100
set search_path = pg_catalog, public, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_tenant constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_words constant tsquery := search_query(p_words, array(select f.key from custom_fields f where f.org_id = v_tenant and f.entity = 'units' and f.status = 'active' and f.searched and f.level <> 'confidential' and f.level = any(p_levels)));
    v_query constant tsquery := quote_literal('@' || v_tenant)::tsquery && v_words;
begin
    return query
    select c.id, (ts_rank(c.search, v_words) * 1000000)::bigint
      from (select t.id, t.search from units t
             where t.search @@ v_query and t.org_id = v_tenant and t.deleted_at is null
               and (p_among is null or t.id = any(p_among))
               and (p_reach = 'all'
                  or p_reach = 'unit' and (t."id" = any(p_units)))
             limit 20000) c
     order by 2 desc, 1 desc
     limit p_limit;
end
$$;
create or replace function search_locations(p_words text, p_limit bigint, p_reach text, p_user uuid, p_units uuid[], p_levels text[], p_among uuid[])
returns table (found_id uuid, found_rank bigint)
language plpgsql stable security definer rows 100
set search_path = pg_catalog, public, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_tenant constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_words constant tsquery := search_query(p_words, array(select f.key from custom_fields f where f.org_id = v_tenant and f.entity = 'locations' and f.status = 'active' and f.searched and f.level <> 'confidential' and f.level = any(p_levels)));
    v_query constant tsquery := quote_literal('@' || v_tenant)::tsquery && v_words;
begin
    return query
    select c.id, (ts_rank(c.search, v_words) * 1000000)::bigint
      from (select t.id, t.search from locations t
             where t.search @@ v_query and t.org_id = v_tenant and t.deleted_at is null
               and (p_among is null or t.id = any(p_among))
               and (p_reach = 'all')
             limit 20000) c
     order by 2 desc, 1 desc
     limit p_limit;
end
$$;
create or replace function search_legal_entities(p_words text, p_limit bigint, p_reach text, p_user uuid, p_units uuid[], p_levels text[], p_among uuid[])
returns table (found_id uuid, found_rank bigint)
language plpgsql stable security definer rows 100
set search_path = pg_catalog, public, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_tenant constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_words constant tsquery := search_query(p_words, array(select f.key from custom_fields f where f.org_id = v_tenant and f.entity = 'legal_entities' and f.status = 'active' and f.searched and f.level <> 'confidential' and f.level = any(p_levels)));
    v_query constant tsquery := quote_literal('@' || v_tenant)::tsquery && v_words;
begin
    return query
    select c.id, (ts_rank(c.search, v_words) * 1000000)::bigint
      from (select t.id, t.search from legal_entities t
             where t.search @@ v_query and t.org_id = v_tenant and t.deleted_at is null
               and (p_among is null or t.id = any(p_among))
               and (p_reach = 'all'
                  or p_reach = 'unit' and (t."unit_id" = any(p_units)))
             limit 20000) c
     order by 2 desc, 1 desc
     limit p_limit;
end
$$;
create or replace function search_events(p_words text, p_limit bigint, p_reach text, p_user uuid, p_units uuid[], p_levels text[], p_among uuid[])
returns table (found_id uuid, found_rank bigint)
language plpgsql stable security definer rows 100
set search_path = pg_catalog, public, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_tenant constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_words constant tsquery := search_query(p_words, array(select f.key from custom_fields f where f.org_id = v_tenant and f.entity = 'events' and f.status = 'active' and f.searched and f.level <> 'confidential' and f.level = any(p_levels)));
    v_query constant tsquery := quote_literal('@' || v_tenant)::tsquery && v_words;
begin
    return query
    select c.id, (ts_rank(c.search, v_words) * 1000000)::bigint
      from (select t.id, t.search from events t
             where t.search @@ v_query and t.org_id = v_tenant and t.deleted_at is null
               and (p_among is null or t.id = any(p_among))
               and (p_reach = 'all'
                  or p_reach = 'own' and (t."owner_id" = p_user)
                  or p_reach = 'team' and (t."owner_id" = p_user or t."team_id" in (select mine.team_id from public.team_members as mine where mine.org_id = v_tenant and mine.user_id = p_user and mine.deleted_at is null))
                  or p_reach = 'unit' and (t."owner_id" = p_user or t."team_id" in (select mine.team_id from public.team_members as mine where mine.org_id = v_tenant and mine.user_id = p_user and mine.deleted_at is null) or t."unit_id" = any(p_units)))
             limit 20000) c
     order by 2 desc, 1 desc
     limit p_limit;
end
$$;
create or replace function search_ticket_types(p_words text, p_limit bigint, p_reach text, p_user uuid, p_units uuid[], p_levels text[], p_among uuid[])
returns table (found_id uuid, found_rank bigint)
language plpgsql stable security definer rows 100
set search_path = pg_catalog, public, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_tenant constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_words constant tsquery := search_query(p_words, array(select f.key from custom_fields f where f.org_id = v_tenant and f.entity = 'ticket_types' and f.status = 'active' and f.searched and f.level <> 'confidential' and f.level = any(p_levels)));
    v_query constant tsquery := quote_literal('@' || v_tenant)::tsquery && v_words;
begin
    return query
    select c.id, (ts_rank(c.search, v_words) * 1000000)::bigint
      from (select t.id, t.search from ticket_types t
             where t.search @@ v_query and t.org_id = v_tenant and t.deleted_at is null
               and (p_among is null or t.id = any(p_among))
               and (p_reach = 'all'
                  or p_reach = 'own' and (t."event_id" in (select above1."id" from public."events" as above1 where above1."org_id" = v_tenant and (above1."owner_id" = p_user)))
                  or p_reach = 'team' and (t."event_id" in (select above1."id" from public."events" as above1 where above1."org_id" = v_tenant and (above1."owner_id" = p_user or above1."team_id" in (select mine.team_id from public.team_members as mine where mine.org_id = v_tenant and mine.user_id = p_user and mine.deleted_at is null))))
                  or p_reach = 'unit' and (t."event_id" in (select above1."id" from public."events" as above1 where above1."org_id" = v_tenant and (above1."owner_id" = p_user or above1."team_id" in (select mine.team_id from public.team_members as mine where mine.org_id = v_tenant and mine.user_id = p_user and mine.deleted_at is null) or above1."unit_id" = any(p_units)))))
             limit 20000) c
     order by 2 desc, 1 desc
     limit p_limit;
end
$$;
create or replace function search_ticket_orders(p_words text, p_limit bigint, p_reach text, p_user uuid, p_units uuid[], p_levels text[], p_among uuid[])
returns table (found_id uuid, found_rank bigint)
language plpgsql stable security definer rows 100
set search_path = pg_catalog, public, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_tenant constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_words constant tsquery := search_query(p_words, array(select f.key from custom_fields f where f.org_id = v_tenant and f.entity = 'ticket_orders' and f.status = 'active' and f.searched and f.level <> 'confidential' and f.level = any(p_levels)));
    v_query constant tsquery := quote_literal('@' || v_tenant)::tsquery && v_words;
begin
    return query
    select c.id, (ts_rank(c.search, v_words) * 1000000)::bigint
      from (select t.id, t.search from ticket_orders t
             where t.search @@ v_query and t.org_id = v_tenant
               and (p_among is null or t.id = any(p_among))
               and (p_reach = 'all'
                  or p_reach = 'own' and (t."event_id" in (select above1."id" from public."events" as above1 where above1."org_id" = v_tenant and (above1."owner_id" = p_user)))
                  or p_reach = 'team' and (t."event_id" in (select above1."id" from public."events" as above1 where above1."org_id" = v_tenant and (above1."owner_id" = p_user or above1."team_id" in (select mine.team_id from public.team_members as mine where mine.org_id = v_tenant and mine.user_id = p_user and mine.deleted_at is null))))
                  or p_reach = 'unit' and (t."event_id" in (select above1."id" from public."events" as above1 where above1."org_id" = v_tenant and (above1."owner_id" = p_user or above1."team_id" in (select mine.team_id from public.team_members as mine where mine.org_id = v_tenant and mine.user_id = p_user and mine.deleted_at is null) or above1."unit_id" = any(p_units)))))
             limit 20000) c
     order by 2 desc, 1 desc
     limit p_limit;
end
$$;
create or replace function search_ticket_orders_personal(p_words text, p_limit bigint, p_reach text, p_user uuid, p_units uuid[], p_levels text[], p_among uuid[])
returns table (found_id uuid, found_rank bigint)
language plpgsql stable security definer rows 100
set search_path = pg_catalog, public, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_tenant constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_words constant tsquery := search_query(p_words, array(select f.key from custom_fields f where f.org_id = v_tenant and f.entity = 'ticket_orders' and f.status = 'active' and f.searched and f.level <> 'confidential' and f.level = any(p_levels)));
    v_query constant tsquery := quote_literal('@' || v_tenant)::tsquery && v_words;
begin
    return query
    select c.id, (ts_rank(c.search_personal, v_words) * 1000000)::bigint
      from (select t.id, t.search_personal from ticket_orders t
             where t.search_personal @@ v_query and t.org_id = v_tenant
               and (p_among is null or t.id = any(p_among))
               and (p_reach = 'all'
                  or p_reach = 'own' and (t."event_id" in (select above1."id" from public."events" as above1 where above1."org_id" = v_tenant and (above1."owner_id" = p_user)))
                  or p_reach = 'team' and (t."event_id" in (select above1."id" from public."events" as above1 where above1."org_id" = v_tenant and (above1."owner_id" = p_user or above1."team_id" in (select mine.team_id from public.team_members as mine where mine.org_id = v_tenant and mine.user_id = p_user and mine.deleted_at is null))))
                  or p_reach = 'unit' and (t."event_id" in (select above1."id" from public."events" as above1 where above1."org_id" = v_tenant and (above1."owner_id" = p_user or above1."team_id" in (select mine.team_id from public.team_members as mine where mine.org_id = v_tenant and mine.user_id = p_user and mine.deleted_at is null) or above1."unit_id" = any(p_units)))))
             limit 20000) c
     order by 2 desc, 1 desc
     limit p_limit;
end
$$;
create or replace function search_event_registrations(p_words text, p_limit bigint, p_reach text, p_user uuid, p_units uuid[], p_levels text[], p_among uuid[])
returns table (found_id uuid, found_rank bigint)
language plpgsql stable security definer rows 100
set search_path = pg_catalog, public, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_tenant constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_words constant tsquery := search_query(p_words, array(select f.key from custom_fields f where f.org_id = v_tenant and f.entity = 'event_registrations' and f.status = 'active' and f.searched and f.level <> 'confidential' and f.level = any(p_levels)));
    v_query constant tsquery := quote_literal('@' || v_tenant)::tsquery && v_words;
begin
    return query
    select c.id, (ts_rank(c.search, v_words) * 1000000)::bigint
      from (select t.id, t.search from event_registrations t
             where t.search @@ v_query and t.org_id = v_tenant
               and (p_among is null or t.id = any(p_among))
               and (p_reach = 'all'
                  or p_reach = 'own' and (t."event_id" in (select above1."id" from public."events" as above1 where above1."org_id" = v_tenant and (above1."owner_id" = p_user)))
                  or p_reach = 'team' and (t."event_id" in (select above1."id" from public."events" as above1 where above1."org_id" = v_tenant and (above1."owner_id" = p_user or above1."team_id" in (select mine.team_id from public.team_members as mine where mine.org_id = v_tenant and mine.user_id = p_user and mine.deleted_at is null))))
                  or p_reach = 'unit' and (t."event_id" in (select above1."id" from public."events" as above1 where above1."org_id" = v_tenant and (above1."owner_id" = p_user or above1."team_id" in (select mine.team_id from public.team_members as mine where mine.org_id = v_tenant and mine.user_id = p_user and mine.deleted_at is null) or above1."unit_id" = any(p_units)))))
             limit 20000) c
     order by 2 desc, 1 desc
     limit p_limit;
end
$$;
create or replace function search_event_registrations_personal(p_words text, p_limit bigint, p_reach text, p_user uuid, p_units uuid[], p_levels text[], p_among uuid[])
returns table (found_id uuid, found_rank bigint)
language plpgsql stable security definer rows 100
set search_path = pg_catalog, public, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_tenant constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_words constant tsquery := search_query(p_words, array(select f.key from custom_fields f where f.org_id = v_tenant and f.entity = 'event_registrations' and f.status = 'active' and f.searched and f.level <> 'confidential' and f.level = any(p_levels)));
    v_query constant tsquery := quote_literal('@' || v_tenant)::tsquery && v_words;
begin
    return query
    select c.id, (ts_rank(c.search_personal, v_words) * 1000000)::bigint
      from (select t.id, t.search_personal from event_registrations t
             where t.search_personal @@ v_query and t.org_id = v_tenant
               and (p_among is null or t.id = any(p_among))
               and (p_reach = 'all'
                  or p_reach = 'own' and (t."event_id" in (select above1."id" from public."events" as above1 where above1."org_id" = v_tenant and (above1."owner_id" = p_user)))
                  or p_reach = 'team' and (t."event_id" in (select above1."id" from public."events" as above1 where above1."org_id" = v_tenant and (above1."owner_id" = p_user or above1."team_id" in (select mine.team_id from public.team_members as mine where mine.org_id = v_tenant and mine.user_id = p_user and mine.deleted_at is null))))
                  or p_reach = 'unit' and (t."event_id" in (select above1."id" from public."events" as above1 where above1."org_id" = v_tenant and (above1."owner_id" = p_user or above1."team_id" in (select mine.team_id from public.team_members as mine where mine.org_id = v_tenant and mine.user_id = p_user and mine.deleted_at is null) or above1."unit_id" = any(p_units)))))
             limit 20000) c
     order by 2 desc, 1 desc
     limit p_limit;
end
$$;

-- === Sweep functions ===

create or replace function sweep_sessions(p_now timestamptz, p_most bigint) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_count bigint;
    v_all bigint := 0;
begin
    delete from sessions where (id) in (
        select id from sessions
         where expires_at < p_now - make_interval(secs => 2592000)
         order by expires_at limit p_most for update skip locked);
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    return v_all;
end
$$;
create or replace function sweep_proofs(p_now timestamptz, p_most bigint) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_count bigint;
    v_all bigint := 0;
begin
    delete from proofs where (id) in (
        select id from proofs
         where expires_at < p_now - make_interval(secs => 2592000)
         order by expires_at limit p_most for update skip locked);
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    return v_all;
end
$$;
create or replace function sweep_invitations(p_now timestamptz, p_most bigint) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_count bigint;
    v_all bigint := 0;
begin
    delete from invitations where (org_id, id) in (
        select org_id, id from invitations
         where expires_at < p_now - make_interval(secs => 7776000)
         order by expires_at limit p_most for update skip locked);
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    return v_all;
end
$$;
create or replace function sweep_portal_sessions(p_now timestamptz, p_most bigint) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_count bigint;
    v_all bigint := 0;
begin
    delete from portal_sessions where (org_id, id) in (
        select org_id, id from portal_sessions
         where expires_at < p_now - make_interval(secs => 2592000) and expires_at is not null
         order by expires_at limit p_most for update skip locked);
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    delete from portal_sessions where (org_id, id) in (
        select org_id, id from portal_sessions
         where link_expires_at < p_now - make_interval(secs => 2592000) and expires_at is null
         order by link_expires_at limit p_most for update skip locked);
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    return v_all;
end
$$;
create or replace function sweep_links(p_now timestamptz, p_most bigint) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_count bigint;
    v_all bigint := 0;
begin
    delete from links where (org_id, id) in (
        select org_id, id from links
         where expires_at < p_now - make_interval(secs => 2592000)
         order by expires_at limit p_most for update skip locked);
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    return v_all;
end
$$;
create or replace function sweep_messages(p_now timestamptz, p_most bigint) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_count bigint;
    v_all bigint := 0;
begin
    delete from messages where (id) in (
        select id from messages
         where sent_at < p_now - make_interval(secs => 2592000) and sent_at is not null
         order by sent_at limit p_most for update skip locked);
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    delete from messages where (id) in (
        select id from messages
         where created_at < p_now - make_interval(secs => 86400) and status = 'dropped'
         order by created_at limit p_most for update skip locked);
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    delete from messages where (id) in (
        select id from messages
         where created_at < p_now - make_interval(secs => 691200) and status = 'queued'
         order by created_at limit p_most for update skip locked);
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    return v_all;
end
$$;
create or replace function sweep_idempotency_keys(p_now timestamptz, p_most bigint) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_count bigint;
    v_all bigint := 0;
begin
    delete from idempotency_keys where (id) in (
        select id from idempotency_keys
         where expires_at < p_now - make_interval(secs => 0)
         order by expires_at limit p_most for update skip locked);
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    return v_all;
end
$$;
create or replace function sweep_jobs(p_now timestamptz, p_most bigint) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_count bigint;
    v_all bigint := 0;
begin
    delete from jobs where (id) in (
        select id from jobs
         where finished_at < p_now - make_interval(secs => 2592000) and finished_at is not null
         order by finished_at limit p_most for update skip locked);
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    delete from jobs where (id) in (
        select id from jobs
         where finished_at < p_now - make_interval(secs => 3600) and finished_at is not null and org_id = '00000000-0000-0000-0000-000000000000'::uuid and state = 'done'
         order by finished_at limit p_most for update skip locked);
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    delete from jobs where (id) in (
        select id from jobs
         where due_at < p_now - make_interval(secs => 7776000) and finished_at is null
         order by due_at limit p_most for update skip locked);
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    return v_all;
end
$$;
create or replace function sweep_job_queue(p_now timestamptz, p_most bigint) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_count bigint;
    v_all bigint := 0;
begin
    delete from job_queue where (id) in (
        select id from job_queue
         where due_at < p_now - make_interval(secs => 7776000) and leased_by is null
         order by due_at limit p_most for update skip locked);
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    return v_all;
end
$$;
create or replace function sweep_outbox_deliveries(p_now timestamptz, p_most bigint) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_count bigint;
    v_all bigint := 0;
begin
    delete from outbox_deliveries where (id) in (
        select id from outbox_deliveries
         where parked_at < p_now - make_interval(secs => 7776000) and parked_at is not null
         order by parked_at limit p_most for update skip locked);
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    delete from outbox_deliveries where (id) in (
        select id from outbox_deliveries
         where at < p_now - make_interval(secs => 10368000)
         order by at limit p_most for update skip locked);
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    return v_all;
end
$$;
create or replace function sweep_imports(p_now timestamptz, p_most bigint) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_count bigint;
    v_all bigint := 0;
begin
    delete from imports where (org_id, id) in (
        select org_id, id from imports
         where finished_at < p_now - make_interval(secs => 34560000) and finished_at is not null
         order by finished_at limit p_most for update skip locked);
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    return v_all;
end
$$;
create or replace function sweep_import_chunks(p_now timestamptz, p_most bigint) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_count bigint;
    v_all bigint := 0;
begin
    update import_chunks set records = null where (org_id, id) in (
        select org_id, id from import_chunks
         where created_at < p_now - make_interval(secs => 691200) and (records is not null)
         order by created_at limit p_most for update skip locked);
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    delete from import_chunks where (org_id, id) in (
        select org_id, id from import_chunks
         where created_at < p_now - make_interval(secs => 3888000)
         order by created_at limit p_most for update skip locked);
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    return v_all;
end
$$;

-- === Triggers ===

create trigger organizations_touch before update on organizations
    for each row execute function touch();
create trigger users_touch before update on users
    for each row execute function touch();
create trigger identities_touch before update on identities
    for each row execute function touch();
create trigger sessions_touch before update on sessions
    for each row execute function touch();
create trigger proofs_touch before update on proofs
    for each row execute function touch();
create trigger roles_touch before update on roles
    for each row execute function touch();
create trigger roles_change_insert after insert on roles referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{grants}');
create trigger roles_change_update after update on roles referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{grants}');
create trigger roles_change_delete after delete on roles referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{grants}');
create trigger service_accounts_touch before update on service_accounts
    for each row execute function touch();
create trigger service_accounts_change_insert after insert on service_accounts referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger service_accounts_change_update after update on service_accounts referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger service_accounts_change_delete after delete on service_accounts referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger memberships_touch before update on memberships
    for each row execute function touch();
create trigger memberships_change_insert after insert on memberships referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger memberships_change_update after update on memberships referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger memberships_change_delete after delete on memberships referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger invitations_touch before update on invitations
    for each row execute function touch();
create trigger invitations_change_insert after insert on invitations referencing new table as new_rows
    for each statement execute function record_changes('{token_hash}', '{}', '{}');
create trigger invitations_change_update after update on invitations referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{token_hash}', '{}', '{}');
create trigger invitations_change_delete after delete on invitations referencing old table as old_rows
    for each statement execute function record_changes('{token_hash}', '{}', '{}');
create trigger api_tokens_touch before update of org_id, id, version, created_at, updated_at, deleted_at, user_id, service_account_id, name, token_hash, hint, grants, expires_at, issued_by_id, custom on api_tokens
    for each row execute function touch();
create trigger api_tokens_change_insert after insert on api_tokens referencing new table as new_rows
    for each statement execute function record_changes('{token_hash}', '{last_used_at}', '{grants}');
create trigger api_tokens_change_update after update on api_tokens referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{token_hash}', '{last_used_at}', '{grants}');
create trigger api_tokens_change_delete after delete on api_tokens referencing old table as old_rows
    for each statement execute function record_changes('{token_hash}', '{last_used_at}', '{grants}');
create trigger devices_touch before update of org_id, id, version, created_at, updated_at, deleted_at, name, grants, token_hash, hint, expires_at, made_by_id, made_by_account_id, issued_by_id, custom on devices
    for each row execute function touch();
create trigger devices_change_insert after insert on devices referencing new table as new_rows
    for each statement execute function record_changes('{token_hash}', '{last_used_at}', '{grants}');
create trigger devices_change_update after update on devices referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{token_hash}', '{last_used_at}', '{grants}');
create trigger devices_change_delete after delete on devices referencing old table as old_rows
    for each statement execute function record_changes('{token_hash}', '{last_used_at}', '{grants}');
create trigger portal_accounts_touch before update of org_id, id, version, created_at, updated_at, deleted_at, kind, party_id, email, name, custom on portal_accounts
    for each row execute function touch();
create trigger portal_accounts_change_insert after insert on portal_accounts referencing new table as new_rows
    for each statement execute function record_changes('{}', '{last_used_at}', '{}');
create trigger portal_accounts_change_update after update on portal_accounts referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{last_used_at}', '{}');
create trigger portal_accounts_change_delete after delete on portal_accounts referencing old table as old_rows
    for each statement execute function record_changes('{}', '{last_used_at}', '{}');
create trigger portal_sessions_touch before update on portal_sessions
    for each row execute function touch();
create trigger portal_sessions_change_insert after insert on portal_sessions referencing new table as new_rows
    for each statement execute function record_changes('{link_hash,token_hash}', '{}', '{}');
create trigger portal_sessions_change_update after update on portal_sessions referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{link_hash,token_hash}', '{}', '{}');
create trigger portal_sessions_change_delete after delete on portal_sessions referencing old table as old_rows
    for each statement execute function record_changes('{link_hash,token_hash}', '{}', '{}');
create trigger links_touch before update of org_id, id, version, created_at, updated_at, deleted_at, table_name, row_id, purpose, token_hash, expires_at, made_by_id, made_by_account_id, issued_by_id, custom on links
    for each row execute function touch();
create trigger links_change_insert after insert on links referencing new table as new_rows
    for each statement execute function record_changes('{token_hash}', '{last_used_at}', '{}');
create trigger links_change_update after update on links referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{token_hash}', '{last_used_at}', '{}');
create trigger links_change_delete after delete on links referencing old table as old_rows
    for each statement execute function record_changes('{token_hash}', '{last_used_at}', '{}');
create trigger teams_touch before update on teams
    for each row execute function touch();
create trigger teams_change_insert after insert on teams referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger teams_change_update after update on teams referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger teams_change_delete after delete on teams referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger team_members_touch before update on team_members
    for each row execute function touch();
create trigger team_members_change_insert after insert on team_members referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger team_members_change_update after update on team_members referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger team_members_change_delete after delete on team_members referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger personal_reads_append_only before update or delete on personal_reads
    for each row execute function append_only();
create trigger operations_touch before update on operations
    for each row execute function touch();
create trigger operations_change_insert after insert on operations referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{result,error}');
create trigger operations_change_update after update on operations referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{result,error}');
create trigger operations_change_delete after delete on operations referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{result,error}');
create trigger custom_fields_touch before update on custom_fields
    for each row execute function touch();
create trigger custom_fields_change_insert after insert on custom_fields referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger custom_fields_change_update after update on custom_fields referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger custom_fields_change_delete after delete on custom_fields referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger erasures_touch before update on erasures
    for each row execute function touch();
create trigger erasures_change_insert after insert on erasures referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{counts,error}');
create trigger erasures_change_update after update on erasures referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{counts,error}');
create trigger erasures_change_delete after delete on erasures referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{counts,error}');
create trigger schedules_touch before update of org_id, id, version, created_at, updated_at, deleted_at, user_id, name, job, input, cron, every_minutes, at, zone, active, custom on schedules
    for each row execute function touch();
create trigger schedules_change_insert after insert on schedules referencing new table as new_rows
    for each statement execute function record_changes('{}', '{next_run_at,last_due_at,last_run_at,last_state,last_job_id,runs_as_id,actor_kind,actor_id,token_id}', '{input}');
create trigger schedules_change_update after update on schedules referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{next_run_at,last_due_at,last_run_at,last_state,last_job_id,runs_as_id,actor_kind,actor_id,token_id}', '{input}');
create trigger schedules_change_delete after delete on schedules referencing old table as old_rows
    for each statement execute function record_changes('{}', '{next_run_at,last_due_at,last_run_at,last_state,last_job_id,runs_as_id,actor_kind,actor_id,token_id}', '{input}');
create trigger imports_touch before update on imports
    for each row execute function touch();
create trigger imports_change_insert after insert on imports referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{mapping,error}');
create trigger imports_change_update after update on imports referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{mapping,error}');
create trigger imports_change_delete after delete on imports referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{mapping,error}');
create trigger import_chunks_touch before update of org_id, id, version, created_at, updated_at, import_id, seq, row_count, row_first, row_last, custom on import_chunks
    for each row execute function touch();
create trigger import_chunks_change_insert after insert on import_chunks referencing new table as new_rows
    for each statement execute function record_changes('{}', '{done,records,outcome,fates}', '{}');
create trigger import_chunks_change_update after update on import_chunks referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{done,records,outcome,fates}', '{}');
create trigger import_chunks_change_delete after delete on import_chunks referencing old table as old_rows
    for each statement execute function record_changes('{}', '{done,records,outcome,fates}', '{}');
create trigger saved_views_touch before update on saved_views
    for each row execute function touch();
create trigger saved_views_change_insert after insert on saved_views referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{query,settings}');
create trigger saved_views_change_update after update on saved_views referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{query,settings}');
create trigger saved_views_change_delete after delete on saved_views referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{query,settings}');
create trigger currencies_touch before update on currencies
    for each row execute function touch();
create trigger calendars_touch before update on calendars
    for each row execute function touch();
create trigger calendars_change_insert after insert on calendars referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger calendars_change_update after update on calendars referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger calendars_change_delete after delete on calendars referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger calendar_holidays_touch before update on calendar_holidays
    for each row execute function touch();
create trigger calendar_holidays_change_insert after insert on calendar_holidays referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger calendar_holidays_change_update after update on calendar_holidays referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger calendar_holidays_change_delete after delete on calendar_holidays referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger parties_touch before update on parties
    for each row execute function touch();
create trigger parties_change_insert after insert on parties referencing new table as new_rows
    for each statement execute function record_changes('{}', '{search,search_personal}', '{}');
create trigger parties_change_update after update on parties referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{search,search_personal}', '{}');
create trigger parties_change_delete after delete on parties referencing old table as old_rows
    for each statement execute function record_changes('{}', '{search,search_personal}', '{}');
create trigger party_addresses_touch before update on party_addresses
    for each row execute function touch();
create trigger party_addresses_change_insert after insert on party_addresses referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger party_addresses_change_update after update on party_addresses referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger party_addresses_change_delete after delete on party_addresses referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger party_emails_touch before update on party_emails
    for each row execute function touch();
create trigger party_emails_change_insert after insert on party_emails referencing new table as new_rows
    for each statement execute function record_changes('{}', '{search_personal}', '{}');
create trigger party_emails_change_update after update on party_emails referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{search_personal}', '{}');
create trigger party_emails_change_delete after delete on party_emails referencing old table as old_rows
    for each statement execute function record_changes('{}', '{search_personal}', '{}');
create trigger party_phones_touch before update on party_phones
    for each row execute function touch();
create trigger party_phones_change_insert after insert on party_phones referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger party_phones_change_update after update on party_phones referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger party_phones_change_delete after delete on party_phones referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger party_tax_ids_touch before update on party_tax_ids
    for each row execute function touch();
create trigger party_tax_ids_change_insert after insert on party_tax_ids referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger party_tax_ids_change_update after update on party_tax_ids referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger party_tax_ids_change_delete after delete on party_tax_ids referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger units_touch before update on units
    for each row execute function touch();
create trigger units_change_insert after insert on units referencing new table as new_rows
    for each statement execute function record_changes('{}', '{search}', '{}');
create trigger units_change_update after update on units referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{search}', '{}');
create trigger units_change_delete after delete on units referencing old table as old_rows
    for each statement execute function record_changes('{}', '{search}', '{}');
create trigger unit_members_touch before update on unit_members
    for each row execute function touch();
create trigger unit_members_change_insert after insert on unit_members referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger unit_members_change_update after update on unit_members referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger unit_members_change_delete after delete on unit_members referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger locations_touch before update on locations
    for each row execute function touch();
create trigger locations_change_insert after insert on locations referencing new table as new_rows
    for each statement execute function record_changes('{}', '{search}', '{}');
create trigger locations_change_update after update on locations referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{search}', '{}');
create trigger locations_change_delete after delete on locations referencing old table as old_rows
    for each statement execute function record_changes('{}', '{search}', '{}');
create trigger legal_entities_touch before update on legal_entities
    for each row execute function touch();
create trigger legal_entities_change_insert after insert on legal_entities referencing new table as new_rows
    for each statement execute function record_changes('{}', '{search}', '{}');
create trigger legal_entities_change_update after update on legal_entities referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{search}', '{}');
create trigger legal_entities_change_delete after delete on legal_entities referencing old table as old_rows
    for each statement execute function record_changes('{}', '{search}', '{}');
create trigger number_series_touch before update on number_series
    for each row execute function touch();
create trigger number_series_change_insert after insert on number_series referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger number_series_change_update after update on number_series referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger number_series_change_delete after delete on number_series referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger external_refs_touch before update on external_refs
    for each row execute function touch();
create trigger external_refs_change_insert after insert on external_refs referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger external_refs_change_update after update on external_refs referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger external_refs_change_delete after delete on external_refs referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger events_touch before update on events
    for each row execute function touch();
create trigger events_change_insert after insert on events referencing new table as new_rows
    for each statement execute function record_changes('{}', '{search}', '{}');
create trigger events_change_update after update on events referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{search}', '{}');
create trigger events_change_delete after delete on events referencing old table as old_rows
    for each statement execute function record_changes('{}', '{search}', '{}');
create trigger quotas_touch before update on quotas
    for each row execute function touch();
create trigger quotas_change_insert after insert on quotas referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger quotas_change_update after update on quotas referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger quotas_change_delete after delete on quotas referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger ticket_types_touch before update on ticket_types
    for each row execute function touch();
create trigger ticket_types_change_insert after insert on ticket_types referencing new table as new_rows
    for each statement execute function record_changes('{}', '{search}', '{}');
create trigger ticket_types_change_update after update on ticket_types referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{search}', '{}');
create trigger ticket_types_change_delete after delete on ticket_types referencing old table as old_rows
    for each statement execute function record_changes('{}', '{search}', '{}');
create trigger quota_ticket_types_touch before update on quota_ticket_types
    for each row execute function touch();
create trigger quota_ticket_types_change_insert after insert on quota_ticket_types referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger quota_ticket_types_change_update after update on quota_ticket_types referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger quota_ticket_types_change_delete after delete on quota_ticket_types referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger check_in_zones_touch before update on check_in_zones
    for each row execute function touch();
create trigger check_in_zones_change_insert after insert on check_in_zones referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger check_in_zones_change_update after update on check_in_zones referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger check_in_zones_change_delete after delete on check_in_zones referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger check_in_lanes_touch before update on check_in_lanes
    for each row execute function touch();
create trigger check_in_lanes_change_insert after insert on check_in_lanes referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger check_in_lanes_change_update after update on check_in_lanes referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger check_in_lanes_change_delete after delete on check_in_lanes referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger check_in_lane_types_touch before update on check_in_lane_types
    for each row execute function touch();
create trigger check_in_lane_types_change_insert after insert on check_in_lane_types referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger check_in_lane_types_change_update after update on check_in_lane_types referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger check_in_lane_types_change_delete after delete on check_in_lane_types referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger check_in_questions_touch before update on check_in_questions
    for each row execute function touch();
create trigger check_in_questions_change_insert after insert on check_in_questions referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger check_in_questions_change_update after update on check_in_questions referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger check_in_questions_change_delete after delete on check_in_questions referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger check_in_question_types_touch before update on check_in_question_types
    for each row execute function touch();
create trigger check_in_question_types_change_insert after insert on check_in_question_types referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger check_in_question_types_change_update after update on check_in_question_types referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger check_in_question_types_change_delete after delete on check_in_question_types referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger ticket_type_zones_touch before update on ticket_type_zones
    for each row execute function touch();
create trigger ticket_type_zones_change_insert after insert on ticket_type_zones referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger ticket_type_zones_change_update after update on ticket_type_zones referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger ticket_type_zones_change_delete after delete on ticket_type_zones referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger ticket_type_windows_touch before update on ticket_type_windows
    for each row execute function touch();
create trigger ticket_type_windows_change_insert after insert on ticket_type_windows referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger ticket_type_windows_change_update after update on ticket_type_windows referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger ticket_type_windows_change_delete after delete on ticket_type_windows referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger check_in_devices_touch before update on check_in_devices
    for each row execute function touch();
create trigger check_in_devices_change_insert after insert on check_in_devices referencing new table as new_rows
    for each statement execute function record_changes('{token_hash}', '{}', '{}');
create trigger check_in_devices_change_update after update on check_in_devices referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{token_hash}', '{}', '{}');
create trigger check_in_devices_change_delete after delete on check_in_devices referencing old table as old_rows
    for each statement execute function record_changes('{token_hash}', '{}', '{}');
create trigger check_in_device_events_touch before update on check_in_device_events
    for each row execute function touch();
create trigger check_in_device_events_change_insert after insert on check_in_device_events referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger check_in_device_events_change_update after update on check_in_device_events referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger check_in_device_events_change_delete after delete on check_in_device_events referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger ticket_orders_touch before update on ticket_orders
    for each row execute function touch();
create trigger ticket_orders_change_insert after insert on ticket_orders referencing new table as new_rows
    for each statement execute function record_changes('{}', '{search,search_personal}', '{}');
create trigger ticket_orders_change_update after update on ticket_orders referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{search,search_personal}', '{}');
create trigger ticket_orders_change_delete after delete on ticket_orders referencing old table as old_rows
    for each statement execute function record_changes('{}', '{search,search_personal}', '{}');
create trigger event_registrations_touch before update on event_registrations
    for each row execute function touch();
create trigger event_registrations_change_insert after insert on event_registrations referencing new table as new_rows
    for each statement execute function record_changes('{}', '{search,search_personal}', '{}');
create trigger event_registrations_change_update after update on event_registrations referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{search,search_personal}', '{}');
create trigger event_registrations_change_delete after delete on event_registrations referencing old table as old_rows
    for each statement execute function record_changes('{}', '{search,search_personal}', '{}');
create trigger registration_line_items_touch before update on registration_line_items
    for each row execute function touch();
create trigger registration_line_items_change_insert after insert on registration_line_items referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger registration_line_items_change_update after update on registration_line_items referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger registration_line_items_change_delete after delete on registration_line_items referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger order_data_keys_touch before update on order_data_keys
    for each row execute function touch();
create trigger order_data_keys_change_insert after insert on order_data_keys referencing new table as new_rows
    for each statement execute function record_changes('{sealed_key}', '{}', '{}');
create trigger order_data_keys_change_update after update on order_data_keys referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{sealed_key}', '{}', '{}');
create trigger order_data_keys_change_delete after delete on order_data_keys referencing old table as old_rows
    for each statement execute function record_changes('{sealed_key}', '{}', '{}');
create trigger credential_access_log_append_only before update or delete on credential_access_log
    for each row execute function append_only();
create trigger event_keys_touch before update on event_keys
    for each row execute function touch();
create trigger event_keys_change_insert after insert on event_keys referencing new table as new_rows
    for each statement execute function record_changes('{sealed}', '{}', '{}');
create trigger event_keys_change_update after update on event_keys referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{sealed}', '{}', '{}');
create trigger event_keys_change_delete after delete on event_keys referencing old table as old_rows
    for each statement execute function record_changes('{sealed}', '{}', '{}');
create trigger event_secrets_touch before update on event_secrets
    for each row execute function touch();
create trigger event_secrets_change_insert after insert on event_secrets referencing new table as new_rows
    for each statement execute function record_changes('{sealed_secret}', '{}', '{}');
create trigger event_secrets_change_update after update on event_secrets referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{sealed_secret}', '{}', '{}');
create trigger event_secrets_change_delete after delete on event_secrets referencing old table as old_rows
    for each statement execute function record_changes('{sealed_secret}', '{}', '{}');
create trigger gate_instructions_touch before update on gate_instructions
    for each row execute function touch();
create trigger gate_instructions_change_insert after insert on gate_instructions referencing new table as new_rows
    for each statement execute function record_changes('{body}', '{}', '{}');
create trigger gate_instructions_change_update after update on gate_instructions referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{body}', '{}', '{}');
create trigger gate_instructions_change_delete after delete on gate_instructions referencing old table as old_rows
    for each statement execute function record_changes('{body}', '{}', '{}');
create trigger gate_journal_append_only before update or delete on gate_journal
    for each row execute function append_only();
create trigger gate_cursors_touch before update on gate_cursors
    for each row execute function touch();
create trigger gate_cursors_change_insert after insert on gate_cursors referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger gate_cursors_change_update after update on gate_cursors referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger gate_cursors_change_delete after delete on gate_cursors referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger gate_parked_touch before update on gate_parked
    for each row execute function touch();
create trigger gate_parked_change_insert after insert on gate_parked referencing new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger gate_parked_change_update after update on gate_parked referencing old table as old_rows new table as new_rows
    for each statement execute function record_changes('{}', '{}', '{}');
create trigger gate_parked_change_delete after delete on gate_parked referencing old table as old_rows
    for each statement execute function record_changes('{}', '{}', '{}');

-- === Functions of the definer ===

-- record_changes writes the change log, where no product role may insert
alter function record_changes owner to atlvs_definer;
revoke execute on function record_changes from public;
-- erase_changes takes a person's values out of the log of the active organization
alter function erase_changes owner to atlvs_definer;
revoke execute on function erase_changes from public;
grant execute on function erase_changes to atlvs_app;
-- erase_traces takes a person out of machine tables of the active organization, which app may not read
alter function erase_traces owner to atlvs_definer;
revoke execute on function erase_traces from public;
grant execute on function erase_traces to atlvs_app;
-- erase_accounts ends accounts of former members of the active organization that no other one has
alter function erase_accounts owner to atlvs_definer;
revoke execute on function erase_accounts from public;
grant execute on function erase_accounts to atlvs_app;
-- make_change_partitions owns the partitioned log and makes tables
alter function make_change_partitions owner to atlvs_definer;
revoke execute on function make_change_partitions from public;
grant execute on function make_change_partitions to atlvs_work;
-- account_for_sign_in reads the person behind an address before anyone is signed in
alter function account_for_sign_in owner to atlvs_definer;
revoke execute on function account_for_sign_in from public;
grant execute on function account_for_sign_in to atlvs_app;
-- account_session_open writes a session, which belongs to no organization
alter function account_session_open owner to atlvs_definer;
revoke execute on function account_session_open from public;
grant execute on function account_session_open to atlvs_app;
-- account_session finds person and memberships behind a session's hash
alter function account_session owner to atlvs_definer;
revoke execute on function account_session from public;
grant execute on function account_session to atlvs_app;
-- account_token finds maker and roles behind a token's hash
alter function account_token owner to atlvs_definer;
revoke execute on function account_token from public;
grant execute on function account_token to atlvs_app;
-- account_digest finds what a session or token gives behind its hash, as a digest
alter function account_digest owner to atlvs_definer;
revoke execute on function account_digest from public;
grant execute on function account_digest to atlvs_app;
-- account_sessions lists a person's own sessions
alter function account_sessions owner to atlvs_definer;
revoke execute on function account_sessions from public;
grant execute on function account_sessions to atlvs_app;
-- account_session_revoke ends a person's own session
alter function account_session_revoke owner to atlvs_definer;
revoke execute on function account_session_revoke from public;
grant execute on function account_session_revoke to atlvs_app;
-- organization_open makes the row of the active organization
alter function organization_open owner to atlvs_definer;
revoke execute on function organization_open from public;
grant execute on function organization_open to atlvs_app;
-- organization_by_slug finds an organization before one is active
alter function organization_by_slug owner to atlvs_definer;
revoke execute on function organization_by_slug from public;
grant execute on function organization_by_slug to atlvs_app;
-- account_end_sessions ends sessions, which belong to no organization
alter function account_end_sessions owner to atlvs_definer;
revoke execute on function account_end_sessions from public;
grant execute on function account_end_sessions to atlvs_app;
-- account_prove finds or makes a person, who belongs to no organization
alter function account_prove owner to atlvs_definer;
revoke execute on function account_prove from public;
grant execute on function account_prove to atlvs_app;
-- invitation_open finds an invitation before an organization is active
alter function invitation_open owner to atlvs_definer;
revoke execute on function invitation_open from public;
grant execute on function invitation_open to atlvs_app;
-- organization_name reads the row of the active organization
alter function organization_name owner to atlvs_definer;
revoke execute on function organization_name from public;
grant execute on function organization_name to atlvs_app;
-- organization_members names the people of the active organization
alter function organization_members owner to atlvs_definer;
revoke execute on function organization_members from public;
grant execute on function organization_members to atlvs_app;
-- is_member tells whether a person belongs to the active organization
alter function is_member owner to atlvs_definer;
revoke execute on function is_member from public;
grant execute on function is_member to atlvs_app;
-- account_reset_open finds a person by address before anyone is signed in
alter function account_reset_open owner to atlvs_definer;
revoke execute on function account_reset_open from public;
grant execute on function account_reset_open to atlvs_app;
-- account_proof_is_open looks at a mailed secret before anyone is signed in
alter function account_proof_is_open owner to atlvs_definer;
revoke execute on function account_proof_is_open from public;
grant execute on function account_proof_is_open to atlvs_app;
-- account_reset_use sets a password by a mailed secret
alter function account_reset_use owner to atlvs_definer;
revoke execute on function account_reset_use from public;
grant execute on function account_reset_use to atlvs_app;
-- account_password_of reads what a signed-in person's password is compared with
alter function account_password_of owner to atlvs_definer;
revoke execute on function account_password_of from public;
grant execute on function account_password_of to atlvs_app;
-- account_password_set sets a signed-in person's password
alter function account_password_set owner to atlvs_definer;
revoke execute on function account_password_set from public;
grant execute on function account_password_set to atlvs_app;
-- account_email_open notes the address that a person wants
alter function account_email_open owner to atlvs_definer;
revoke execute on function account_email_open from public;
grant execute on function account_email_open to atlvs_app;
-- account_email_use gives a person the address they proved
alter function account_email_use owner to atlvs_definer;
revoke execute on function account_email_use from public;
grant execute on function account_email_use to atlvs_app;
-- account_operator_password sets a password from the command line
alter function account_operator_password owner to atlvs_definer;
revoke execute on function account_operator_password from public;
grant execute on function account_operator_password to atlvs_migrate;
-- account_operator_disable shuts a person out from the command line
alter function account_operator_disable owner to atlvs_definer;
revoke execute on function account_operator_disable from public;
grant execute on function account_operator_disable to atlvs_migrate;
-- account_operator_enable lets a person in again from the command line
alter function account_operator_enable owner to atlvs_definer;
revoke execute on function account_operator_enable from public;
grant execute on function account_operator_enable to atlvs_migrate;
-- account_keys lists what a person holds everywhere
alter function account_keys owner to atlvs_definer;
revoke execute on function account_keys from public;
grant execute on function account_keys to atlvs_app;
-- account_key_revoke takes back what a person holds, wherever it is good
alter function account_key_revoke owner to atlvs_definer;
revoke execute on function account_key_revoke from public;
grant execute on function account_key_revoke to atlvs_app;
-- account_device finds a device behind its token's hash
alter function account_device owner to atlvs_definer;
revoke execute on function account_device from public;
grant execute on function account_device to atlvs_app;
-- identity_find finds the person behind an identity before anyone is signed in
alter function identity_find owner to atlvs_definer;
revoke execute on function identity_find from public;
grant execute on function identity_find to atlvs_app;
-- identity_adopt links an identity, which belongs to no organization
alter function identity_adopt owner to atlvs_definer;
revoke execute on function identity_adopt from public;
grant execute on function identity_adopt to atlvs_app;
-- identity_link links an identity, which belongs to no organization
alter function identity_link owner to atlvs_definer;
revoke execute on function identity_link from public;
grant execute on function identity_link to atlvs_app;
-- identity_unlink unlinks an identity, which belongs to no organization
alter function identity_unlink owner to atlvs_definer;
revoke execute on function identity_unlink from public;
grant execute on function identity_unlink to atlvs_app;
-- organization_trust sets the active organization's issuer from the command line
alter function organization_trust owner to atlvs_definer;
revoke execute on function organization_trust from public;
grant execute on function organization_trust to atlvs_migrate;
-- portal_link finds a mailed way into a portal before an organization is active
alter function portal_link owner to atlvs_definer;
revoke execute on function portal_link from public;
grant execute on function portal_link to atlvs_app;
-- account_portal finds the portal account behind a session's hash
alter function account_portal owner to atlvs_definer;
revoke execute on function account_portal from public;
grant execute on function account_portal to atlvs_app;
-- account_link finds what a link allows before an organization is active
alter function account_link owner to atlvs_definer;
revoke execute on function account_link from public;
grant execute on function account_link to atlvs_app;
-- organization_set_plan sets the active organization's plan from the command line
alter function organization_set_plan owner to atlvs_definer;
revoke execute on function organization_set_plan from public;
grant execute on function organization_set_plan to atlvs_migrate;
-- idempotency_claim takes a key in a machine table, which requests do not read
alter function idempotency_claim owner to atlvs_definer;
revoke execute on function idempotency_claim from public;
grant execute on function idempotency_claim to atlvs_app;
-- idempotency_keep keeps an answer in a machine table, which requests do not write
alter function idempotency_keep owner to atlvs_definer;
revoke execute on function idempotency_keep from public;
grant execute on function idempotency_keep to atlvs_app;
-- account_names names who acts in the active organization; people stand on global tables
alter function account_names owner to atlvs_definer;
revoke execute on function account_names from public;
grant execute on function account_names to atlvs_app;
-- next_event_number draws from the one sequence of all organizations
alter function next_event_number owner to atlvs_definer;
revoke execute on function next_event_number from public;
grant execute on function next_event_number to atlvs_app;
-- enqueue_job looks for the unfinished job with the same key, which app may not read
alter function enqueue_job owner to atlvs_definer;
revoke execute on function enqueue_job from public;
grant execute on function enqueue_job to atlvs_app;
-- held reads where the database lives, in the one row of a machine table
alter function held owner to atlvs_definer;
revoke execute on function held from public;
grant execute on function held to atlvs_app, atlvs_work;
-- settle_here writes where the database lives when its schema is made
alter function settle_here owner to atlvs_definer;
revoke execute on function settle_here from public;
grant execute on function settle_here to atlvs_migrate;
-- due_schedules finds what is due of all organizations; workers read no tenant table
alter function due_schedules owner to atlvs_definer;
revoke execute on function due_schedules from public;
grant execute on function due_schedules to atlvs_work;
-- plan_schedule sets when a schedule of the active organization comes next and as whom
alter function plan_schedule owner to atlvs_definer;
revoke execute on function plan_schedule from public;
grant execute on function plan_schedule to atlvs_app;
-- run_schedule puts a schedule's job on the queue as whoever wrote the schedule
alter function run_schedule owner to atlvs_definer;
revoke execute on function run_schedule from public;
grant execute on function run_schedule to atlvs_app;
-- tell_schedule tells a schedule how its job ended
alter function tell_schedule owner to atlvs_definer;
revoke execute on function tell_schedule from public;
-- hold_job locks the queue's row for the transaction of its job
alter function hold_job owner to atlvs_definer;
revoke execute on function hold_job from public;
grant execute on function hold_job to atlvs_app;
-- finish_job ends a job in the transaction of its effects
alter function finish_job owner to atlvs_definer;
revoke execute on function finish_job from public;
grant execute on function finish_job to atlvs_app;
-- end_job ends a job in the transaction in which somebody is told
alter function end_job owner to atlvs_definer;
revoke execute on function end_job from public;
grant execute on function end_job to atlvs_app;
-- cancel_job takes a job of the active organization off the queue
alter function cancel_job owner to atlvs_definer;
revoke execute on function cancel_job from public;
grant execute on function cancel_job to atlvs_app;
-- cancel_job_by_key finds the unfinished job with a key of the active organization
alter function cancel_job_by_key owner to atlvs_definer;
revoke execute on function cancel_job_by_key from public;
grant execute on function cancel_job_by_key to atlvs_app;
-- replay_jobs puts ended jobs of the active organization back on the queue
alter function replay_jobs owner to atlvs_definer;
revoke execute on function replay_jobs from public;
grant execute on function replay_jobs to atlvs_app;
-- delivered ends deliveries in the transaction of their effects
alter function delivered owner to atlvs_definer;
revoke execute on function delivered from public;
grant execute on function delivered to atlvs_app;
-- seal_changes reads digests of the change log for its chain of seals
alter function seal_changes owner to atlvs_definer;
revoke execute on function seal_changes from public;
grant execute on function seal_changes to atlvs_work;
-- job_actor finds what whoever enqueued a job may do now
alter function job_actor owner to atlvs_definer;
revoke execute on function job_actor from public;
grant execute on function job_actor to atlvs_app;
-- search_parties reads an index whose operator may not run before the policy
alter function search_parties owner to atlvs_definer;
revoke execute on function search_parties from public;
grant execute on function search_parties to atlvs_app;
-- search_parties_personal reads an index whose operator may not run before the policy
alter function search_parties_personal owner to atlvs_definer;
revoke execute on function search_parties_personal from public;
grant execute on function search_parties_personal to atlvs_app;
-- search_party_emails_personal reads an index whose operator may not run before the policy
alter function search_party_emails_personal owner to atlvs_definer;
revoke execute on function search_party_emails_personal from public;
grant execute on function search_party_emails_personal to atlvs_app;
-- search_units reads an index whose operator may not run before the policy
alter function search_units owner to atlvs_definer;
revoke execute on function search_units from public;
grant execute on function search_units to atlvs_app;
-- search_locations reads an index whose operator may not run before the policy
alter function search_locations owner to atlvs_definer;
revoke execute on function search_locations from public;
grant execute on function search_locations to atlvs_app;
-- search_legal_entities reads an index whose operator may not run before the policy
alter function search_legal_entities owner to atlvs_definer;
revoke execute on function search_legal_entities from public;
grant execute on function search_legal_entities to atlvs_app;
-- search_events reads an index whose operator may not run before the policy
alter function search_events owner to atlvs_definer;
revoke execute on function search_events from public;
grant execute on function search_events to atlvs_app;
-- search_ticket_types reads an index whose operator may not run before the policy
alter function search_ticket_types owner to atlvs_definer;
revoke execute on function search_ticket_types from public;
grant execute on function search_ticket_types to atlvs_app;
-- search_ticket_orders reads an index whose operator may not run before the policy
alter function search_ticket_orders owner to atlvs_definer;
revoke execute on function search_ticket_orders from public;
grant execute on function search_ticket_orders to atlvs_app;
-- search_ticket_orders_personal reads an index whose operator may not run before the policy
alter function search_ticket_orders_personal owner to atlvs_definer;
revoke execute on function search_ticket_orders_personal from public;
grant execute on function search_ticket_orders_personal to atlvs_app;
-- search_event_registrations reads an index whose operator may not run before the policy
alter function search_event_registrations owner to atlvs_definer;
revoke execute on function search_event_registrations from public;
grant execute on function search_event_registrations to atlvs_app;
-- search_event_registrations_personal reads an index whose operator may not run before the policy
alter function search_event_registrations_personal owner to atlvs_definer;
revoke execute on function search_event_registrations_personal from public;
grant execute on function search_event_registrations_personal to atlvs_app;
-- sweep_sessions removes what is past its time, of all organizations
alter function sweep_sessions owner to atlvs_definer;
revoke execute on function sweep_sessions from public;
grant execute on function sweep_sessions to atlvs_work;
-- sweep_proofs removes what is past its time, of all organizations
alter function sweep_proofs owner to atlvs_definer;
revoke execute on function sweep_proofs from public;
grant execute on function sweep_proofs to atlvs_work;
-- sweep_invitations removes what is past its time, of all organizations
alter function sweep_invitations owner to atlvs_definer;
revoke execute on function sweep_invitations from public;
grant execute on function sweep_invitations to atlvs_work;
-- sweep_portal_sessions removes what is past its time, of all organizations
alter function sweep_portal_sessions owner to atlvs_definer;
revoke execute on function sweep_portal_sessions from public;
grant execute on function sweep_portal_sessions to atlvs_work;
-- sweep_links removes what is past its time, of all organizations
alter function sweep_links owner to atlvs_definer;
revoke execute on function sweep_links from public;
grant execute on function sweep_links to atlvs_work;
-- sweep_messages removes what is past its time, of all organizations
alter function sweep_messages owner to atlvs_definer;
revoke execute on function sweep_messages from public;
grant execute on function sweep_messages to atlvs_work;
-- sweep_idempotency_keys removes what is past its time, of all organizations
alter function sweep_idempotency_keys owner to atlvs_definer;
revoke execute on function sweep_idempotency_keys from public;
grant execute on function sweep_idempotency_keys to atlvs_work;
-- sweep_jobs removes what is past its time, of all organizations
alter function sweep_jobs owner to atlvs_definer;
revoke execute on function sweep_jobs from public;
grant execute on function sweep_jobs to atlvs_work;
-- sweep_job_queue removes what is past its time, of all organizations
alter function sweep_job_queue owner to atlvs_definer;
revoke execute on function sweep_job_queue from public;
grant execute on function sweep_job_queue to atlvs_work;
-- sweep_outbox_deliveries removes what is past its time, of all organizations
alter function sweep_outbox_deliveries owner to atlvs_definer;
revoke execute on function sweep_outbox_deliveries from public;
grant execute on function sweep_outbox_deliveries to atlvs_work;
-- sweep_imports removes what is past its time, of all organizations
alter function sweep_imports owner to atlvs_definer;
revoke execute on function sweep_imports from public;
grant execute on function sweep_imports to atlvs_work;
-- sweep_import_chunks removes what is past its time, of all organizations
alter function sweep_import_chunks owner to atlvs_definer;
revoke execute on function sweep_import_chunks from public;
grant execute on function sweep_import_chunks to atlvs_work;

-- === Functions of nobody in particular ===

-- Everybody may execute a new function until that is taken back. What is not the definer's runs with
-- the rights of its caller: our roles may call it, nobody else on the server. A trigger asks nobody
-- when it fires, but who makes a partition (the definer) puts the triggers of its table on it.
do $$
declare
    v_function regprocedure;
begin
    for v_function in
        select p.oid from pg_proc p
         where p.pronamespace = 'public'::regnamespace and p.proowner = 'atlvs_owner'::regrole
         order by p.oid::regprocedure::text
    loop
        execute format('revoke execute on function %s from public', v_function);
        execute format('grant execute on function %s to atlvs_definer', v_function);
        if (select prorettype <> 'trigger'::regtype from pg_proc where oid = v_function) then
            execute format(
                'grant execute on function %s to atlvs_app, atlvs_portal, atlvs_work',
                v_function
            );
        end if;
    end loop;
end
$$;

-- === Partitions ===

select make_change_partitions();

-- === Installation ===

select settle_here();
