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
