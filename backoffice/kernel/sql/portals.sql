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
returns table (session_id uuid, account_id uuid, organization_id uuid, kind text, party_id uuid)
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
    select session_id, account_id, org_id, kind, party_id from found
$$;

-- What a link allows.
create or replace function account_link(p_hash bytea, p_now timestamptz)
returns table (link_id uuid, organization_id uuid, table_name text, row_id uuid, purpose text)
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    update links set last_used_at = p_now
     where token_hash = p_hash and deleted_at is null
       and (last_used_at is null or last_used_at < p_now - interval '1 minute');
    select id, org_id, table_name, row_id, purpose from links
     where token_hash = p_hash and deleted_at is null and expires_at > p_now
$$;
