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
