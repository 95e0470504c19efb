-- Persons, their addresses and passwords, invitations, outside identities: the only ways to the
-- global tables beside accounts.sql. Each function is the definer's (list in
-- kernel/src/ddl/definers.rs). Times come from the caller, the organization from the setting or from
-- the row that was found.

-- Ends what is signed in as a person, but for one session.
create or replace function account_end_sessions(p_user uuid, p_but uuid, p_now timestamptz)
returns bigint
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    with ended as (
        update sessions set revoked_at = p_now
         where user_id = p_user and revoked_at is null and id is distinct from p_but
         returning id)
    select count(*) from ended
$$;

-- The person who proved to read the mail at this address. An address that nobody proved before takes
-- name and password from now, and whatever was signed in or issued under it ends: it was somebody
-- else's making. A person who was proved before stays untouched.
create or replace function account_prove(
    p_id uuid, p_email text, p_name text, p_password_hash text, p_now timestamptz)
returns table (user_id uuid, newly boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_verified timestamptz;
begin
    insert into users (id, email, name, password_hash, verified_at, created_at, updated_at)
    values (p_id, p_email, p_name, p_password_hash, p_now, p_now, p_now)
    on conflict (email_key) do nothing;
    newly := found;
    select u.id, u.verified_at into user_id, v_verified
      from users u where u.email_key = lower(p_email) for update;
    if v_verified is null then
        newly := true;
        update users u
           set email = p_email, name = p_name, password_hash = p_password_hash, verified_at = p_now
         where u.id = user_id;
        perform account_end_sessions(user_id, null, p_now);
        update proofs p set used_at = p_now where p.user_id = account_prove.user_id and p.used_at is null;
        delete from identities i where i.user_id = account_prove.user_id;
        update api_tokens t set deleted_at = p_now
         where t.user_id = account_prove.user_id and t.deleted_at is null;
        update devices d set deleted_at = p_now
         where d.made_by_id = account_prove.user_id and d.deleted_at is null;
        update links l set deleted_at = p_now
         where l.made_by_id = account_prove.user_id and l.deleted_at is null;
    end if;
    return next;
end
$$;

-- A living invitation by its secret, with what its holder may know.
create or replace function invitation_open(p_hash bytea, p_now timestamptz)
returns table (org_id uuid, id uuid, email text, name text, role_id uuid, ends_at timestamptz,
               expires_at timestamptz, organization_name text, role_name text, known boolean)
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select i.org_id, i.id, i.email, i.name, i.role_id, i.ends_at, i.expires_at, o.name, r.name,
           exists (select from users u where u.email_key = lower(i.email) and u.verified_at is not null)
      from invitations i
      join organizations o on o.id = i.org_id
      join roles r on r.org_id = i.org_id and r.id = i.role_id and r.deleted_at is null
     where i.token_hash = p_hash and i.accepted_at is null and i.deleted_at is null
       and i.expires_at > p_now and (i.ends_at is null or i.ends_at > p_now)
$$;

create or replace function organization_name() returns text
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select name from organizations where id = nullif(current_setting('app.org_id', true), '')::uuid
$$;

-- Who belongs to the active organization, with the role of each membership.
create or replace function organization_members()
returns table (membership_id uuid, user_id uuid, email text, name text, role_id uuid, role_key text,
               role_name text, since timestamptz, ends_at timestamptz)
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select m.id, u.id, u.email, u.name, r.id, r.key, r.name, m.created_at, m.ends_at
      from memberships m
      join users u on u.id = m.user_id
      join roles r on r.org_id = m.org_id and r.id = m.role_id
     where m.org_id = nullif(current_setting('app.org_id', true), '')::uuid and m.deleted_at is null
     order by u.name, u.id, r.name
     limit 10000
$$;

-- Whether a person belongs to the active organization.
create or replace function is_member(p_user uuid, p_now timestamptz) returns boolean
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select exists (
        select from memberships m join users u on u.id = m.user_id and u.verified_at is not null
         where m.org_id = nullif(current_setting('app.org_id', true), '')::uuid
           and m.user_id = p_user and m.deleted_at is null
           and (m.ends_at is null or m.ends_at > p_now))
$$;

-- Opens the way to a new password for the person with this address, unless there were many ways
-- lately; no row when there is none.
create or replace function account_reset_open(
    p_id uuid, p_email text, p_hash bytea, p_now timestamptz, p_expires timestamptz, p_most integer)
returns table (email text)
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    with person as (
        select u.id, u.email from users u
         where u.email_key = lower(p_email) and u.verified_at is not null and u.disabled_at is null
           and (select count(*) from proofs p
                 where p.user_id = u.id and p.purpose = 'reset_password'
                   and p.created_at > p_now - (p_expires - p_now)) < p_most),
    opened as (
        insert into proofs (id, user_id, purpose, email, token_hash, expires_at, created_at)
        select p_id, id, 'reset_password', person.email, p_hash, p_expires, p_now from person
        returning proofs.email)
    select opened.email from opened
$$;

create or replace function account_proof_is_open(p_hash bytea, p_purpose text, p_now timestamptz)
returns boolean
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select exists (select from proofs
                    where token_hash = p_hash and purpose = p_purpose and used_at is null
                      and expires_at > p_now)
$$;

-- Sets the password by a mailed secret, once; no row when the secret is not good. It is good only
-- while the person still has the address it went to.
create or replace function account_reset_use(p_hash bytea, p_password_hash text, p_now timestamptz)
returns table (user_id uuid, email text)
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_user uuid;
    v_email text;
begin
    update proofs p set used_at = p_now
     where p.token_hash = p_hash and p.purpose = 'reset_password' and p.used_at is null
       and p.expires_at > p_now
    returning p.user_id, p.email into v_user, v_email;
    update users u set password_hash = p_password_hash
     where u.id = v_user and u.email_key = lower(v_email) and u.disabled_at is null
    returning u.email into email;
    if not found then
        return;
    end if;
    update proofs p set used_at = p_now where p.user_id = v_user and p.used_at is null;
    perform account_end_sessions(v_user, null, p_now);
    user_id := v_user;
    return next;
end
$$;

create or replace function account_password_of(p_user uuid) returns text
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select password_hash from users where id = p_user and disabled_at is null
$$;

-- Sets a signed-in person's password and ends their other sessions; answers the address.
create or replace function account_password_set(
    p_user uuid, p_session uuid, p_password_hash text, p_now timestamptz)
returns text
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    update proofs set used_at = p_now
     where user_id = p_user and purpose = 'reset_password' and used_at is null;
    select account_end_sessions(p_user, p_session, p_now);
    update users set password_hash = p_password_hash where id = p_user returning email;
$$;

-- Opens the way to a new address; false when there were many ways lately.
create or replace function account_email_open(
    p_id uuid, p_user uuid, p_email text, p_hash bytea, p_now timestamptz, p_expires timestamptz,
    p_most integer)
returns boolean
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    with opened as (
        insert into proofs (id, user_id, purpose, email, token_hash, expires_at, created_at)
        select p_id, u.id, 'change_email', p_email, p_hash, p_expires, p_now from users u
         where u.id = p_user
           and (select count(*) from proofs p
                 where p.user_id = u.id and p.purpose = 'change_email'
                   and p.created_at > p_now - (p_expires - p_now)) < p_most
        returning id)
    select exists (select from opened)
$$;

-- Gives the person the address that the secret went to; a taken one breaks users_email_key.
create or replace function account_email_use(p_hash bytea, p_user uuid, p_now timestamptz)
returns table (old_email text, new_email text)
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    update proofs p set used_at = p_now
     where p.token_hash = p_hash and p.user_id = p_user and p.purpose = 'change_email'
       and p.used_at is null and p.expires_at > p_now
    returning p.email into new_email;
    if not found then
        return;
    end if;
    select u.email into old_email from users u where u.id = p_user for update;
    -- Ways to a new password went to the old address.
    update proofs p set used_at = p_now where p.user_id = p_user and p.used_at is null;
    update users u set email = new_email, verified_at = p_now where u.id = p_user;
    return next;
end
$$;

-- The operators' three: they own the house, and no role that answers requests may call them.
create or replace function account_operator_password(p_email text, p_password_hash text, p_now timestamptz)
returns uuid
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select account_end_sessions(id, null, p_now) from users where email_key = lower(p_email);
    update users set password_hash = p_password_hash, verified_at = coalesce(verified_at, p_now)
     where email_key = lower(p_email) returning id;
$$;

create or replace function account_operator_disable(p_email text, p_now timestamptz) returns uuid
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select account_end_sessions(id, null, p_now) from users where email_key = lower(p_email);
    update users set disabled_at = p_now where email_key = lower(p_email) returning id;
$$;

create or replace function account_operator_enable(p_email text) returns uuid
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    update users set disabled_at = null where email_key = lower(p_email) returning id;
$$;

-- The lines of the roles that a person, or a service account, has in an organization now: one row a
-- role, none for somebody who is shut out or gone. It passes no row-level security of its own; the
-- functions of the definer call it.
create or replace function account_roles(p_org uuid, p_user uuid, p_account uuid, p_now timestamptz)
returns table (grants jsonb)
language sql stable
set search_path = pg_catalog, public, pg_temp
as $$
    select r.grants
      from memberships m
      join roles r on r.org_id = m.org_id and r.id = m.role_id and r.deleted_at is null
      left join users u on u.id = m.user_id and u.disabled_at is null and u.verified_at is not null
      left join service_accounts a
             on a.org_id = m.org_id and a.id = m.service_account_id and a.deleted_at is null
     where m.org_id = p_org and (m.user_id = p_user or m.service_account_id = p_account)
       and m.deleted_at is null and (m.ends_at is null or m.ends_at > p_now)
       and num_nonnulls(u.id, a.id) = 1
$$;

-- A living device by its token, with the roles that its maker has now: one row a role. A device whose
-- maker has none any more leaves nothing; one that the house itself made has its own lines for them.
create or replace function account_device(p_hash bytea, p_now timestamptz)
returns table (device_id uuid, organization_id uuid, plan text, device_grants jsonb, grants jsonb)
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    update devices set last_used_at = p_now
     where token_hash = p_hash and deleted_at is null
       and (last_used_at is null or last_used_at < p_now - interval '1 minute');
    select d.id, d.org_id, o.plan, d.grants, coalesce(maker.grants, d.grants)
      from devices d
      join organizations o on o.id = d.org_id
      left join api_tokens t on t.org_id = d.org_id and t.id = d.issued_by_id and t.deleted_at is null
      left join lateral account_roles(d.org_id, d.made_by_id, d.made_by_account_id, p_now) maker on true
     where d.token_hash = p_hash and d.deleted_at is null
       and (d.expires_at is null or d.expires_at > p_now)
       and (d.issued_by_id is null or t.id is not null)
       and (maker.grants is not null or num_nonnulls(d.made_by_id, d.made_by_account_id) = 0);
$$;

-- A revoked token takes along what it issued, however deep: tokens, devices, links.
create or replace function api_tokens_revoke_issued() returns trigger
language plpgsql
set search_path = pg_catalog, public
as $$
begin
    update api_tokens set deleted_at = new.deleted_at
     where org_id = new.org_id and issued_by_id = new.id and deleted_at is null;
    update devices set deleted_at = new.deleted_at
     where org_id = new.org_id and issued_by_id = new.id and deleted_at is null;
    update links set deleted_at = new.deleted_at
     where org_id = new.org_id and issued_by_id = new.id and deleted_at is null;
    return null;
end
$$;

create or replace trigger api_tokens_revoke_issued
    after update of deleted_at on api_tokens
    for each row when (old.deleted_at is null and new.deleted_at is not null)
    execute function api_tokens_revoke_issued();

-- What would be refused in the end is refused when it is offered.
create or replace trigger invitations_auditor_ends
    before insert or update of ends_at, role_id, deleted_at on invitations
    for each row execute function memberships_auditor_ends();

-- What a person holds, and what goes on without their password, in all their organizations.
create or replace function account_keys(p_user uuid, p_now timestamptz, p_most integer)
returns table (kind text, id uuid, name text, hint text, organization_name text,
               created_at timestamptz, expires_at timestamptz)
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select kept.kind, kept.id, kept.name, kept.hint, o.name, kept.created_at, kept.expires_at
      from (select 'api_token' as kind, t.org_id, t.id, t.name, t.hint, t.created_at, t.expires_at
              from api_tokens t where t.user_id = p_user and t.deleted_at is null
            union all
            select 'device', d.org_id, d.id, d.name, d.hint, d.created_at, d.expires_at
              from devices d where d.made_by_id = p_user and d.deleted_at is null
            union all
            select 'link', l.org_id, l.id, l.table_name || ': ' || l.purpose, null, l.created_at, l.expires_at
              from links l where l.made_by_id = p_user and l.deleted_at is null) as kept
      join organizations o on o.id = kept.org_id
     where kept.expires_at is null or kept.expires_at > p_now
     order by kept.created_at desc, kept.id limit p_most
$$;

-- Takes one of them back; false when there is none such of this person.
create or replace function account_key_revoke(p_user uuid, p_id uuid, p_now timestamptz)
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_count integer;
    v_all integer := 0;
begin
    update api_tokens set deleted_at = p_now where id = p_id and user_id = p_user and deleted_at is null;
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    update devices set deleted_at = p_now where id = p_id and made_by_id = p_user and deleted_at is null;
    get diagnostics v_count = row_count;
    v_all := v_all + v_count;
    update links set deleted_at = p_now where id = p_id and made_by_id = p_user and deleted_at is null;
    get diagnostics v_count = row_count;
    return v_all + v_count > 0;
end
$$;

-- Taking back what a person holds, and what was issued under an address that proved to be another's.
grant update (deleted_at, version, updated_at) on api_tokens, devices, links to atlvs_definer;
