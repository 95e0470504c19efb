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
