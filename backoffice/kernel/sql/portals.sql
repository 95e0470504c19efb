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
