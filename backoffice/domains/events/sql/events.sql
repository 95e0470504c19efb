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
