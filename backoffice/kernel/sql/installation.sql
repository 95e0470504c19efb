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
