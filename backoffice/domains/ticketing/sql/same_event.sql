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
