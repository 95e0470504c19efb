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
