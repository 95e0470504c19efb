-- What writing needs beside the engine: kept answers for repeated requests, names for the history.
-- Each function is the definer's (list in kernel/src/ddl/definers.rs) and takes the organization from
-- the setting.

grant select, insert, update on idempotency_keys to atlvs_definer;

-- Takes a key for the request of this transaction. A key that another transaction is taking is waited
-- for; one that is past its time is as good as new. Answers what is kept, or that the key is fresh.
create or replace function idempotency_claim(p_id uuid, p_hash bytea, p_rights bytea, p_now timestamptz,
    p_expires timestamptz)
returns table (fresh boolean, request_hash bytea, rights_hash bytea, kept boolean, status bigint, body bytea, row_version bigint,
    location text, operation_id uuid, row_id uuid)
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
#variable_conflict use_column
declare
    v_org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
begin
    insert into idempotency_keys as k (id, org_id, created_at, request_hash, rights_hash, expires_at)
    values (p_id, v_org, p_now, p_hash, p_rights, p_expires)
    on conflict (id) do update
        set created_at = excluded.created_at, request_hash = excluded.request_hash,
            rights_hash = excluded.rights_hash, expires_at = excluded.expires_at, kept = false, status = null, body = null, row_version = null, location = null,
            operation_id = null, row_id = null
        where k.expires_at <= p_now and k.org_id = v_org;
    if found then
        return query select true, null::bytea, null::bytea, null::boolean, null::bigint, null::bytea, null::bigint,
            null::text, null::uuid, null::uuid;
        return;
    end if;
    return query
        select false, k.request_hash, k.rights_hash, k.kept, k.status, k.body, k.row_version, k.location,
               k.operation_id, k.row_id
          from idempotency_keys k where k.id = p_id and k.org_id = v_org;
end
$$;

-- Keeps the answer with the effect: in one transaction, so that there is never one without the other.
create or replace function idempotency_keep(p_id uuid, p_kept boolean, p_status bigint, p_body bytea,
    p_row_version bigint, p_location text, p_operation uuid, p_row uuid)
returns void
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    update idempotency_keys
       set kept = p_kept, status = p_status, body = p_body, row_version = p_row_version, location = p_location,
           operation_id = p_operation, row_id = p_row
     where id = p_id and org_id = nullif(current_setting('app.org_id', true), '')::uuid
$$;

-- Names of people and tokens that act or acted in the active organization.
create or replace function account_names(p_ids uuid[])
returns table (id uuid, name text)
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select u.id, u.name from users u
     where u.id = any(p_ids)
       and exists (select from memberships m
                    where m.user_id = u.id and m.org_id = nullif(current_setting('app.org_id', true), '')::uuid)
    union all
    select t.id, t.name from api_tokens t
     where t.id = any(p_ids) and t.org_id = nullif(current_setting('app.org_id', true), '')::uuid
$$;
