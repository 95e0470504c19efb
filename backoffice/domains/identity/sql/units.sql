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
