-- Who someone is: the only ways to the global tables. Each function is the definer's (list in
-- kernel/src/ddl/definers.rs). Times come from the caller, the organization from the setting.

-- A person by e-mail address, whatever its case, with what sign-in compares.
create or replace function account_for_sign_in(p_email text)
returns table (user_id uuid, password_hash text, disabled boolean)
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select id, password_hash, disabled_at is not null or verified_at is null
      from users where email_key = lower(p_email)
$$;

-- Opens a session; of too many the longest unused ends. Those that one issuer vouched for are counted
-- for themselves, so that no issuer ends what the person opened.
create or replace function account_session_open(
    p_id uuid, p_user uuid, p_hash bytea, p_now timestamptz, p_expires timestamptz,
    p_user_agent text, p_issuer text, p_sessions_max integer)
returns void
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    insert into sessions (id, user_id, token_hash, expires_at, last_seen_at, user_agent, issuer)
    values (p_id, p_user, p_hash, p_expires, p_now, p_user_agent, p_issuer);
    update sessions set revoked_at = p_now
     where id in (select id from sessions
                   where user_id = p_user and revoked_at is null and expires_at > p_now and id <> p_id
                     and issuer is not distinct from p_issuer
                   order by last_seen_at desc, id offset greatest(p_sessions_max - 1, 0));
$$;

-- The person's units and all below them in the organization. The kernel knows no units: the domain
-- that has them replaces this function. It passes no row-level security of its own; the functions
-- below call it as the definer.
create or replace function account_units(p_org uuid, p_user uuid)
returns uuid[]
language sql stable
set search_path = pg_catalog, public, pg_temp
as $$
    select '{}'::uuid[]
$$;

-- What was found, as one text: two findings are the same when their digests are.
create or replace function rows_digest(p_rows text[]) returns text
language sql stable
as $$
    select encode(sha256(convert_to(array_to_string(p_rows, e'\n'), 'UTF8')), 'hex')
$$;

-- A living session with every membership of its person: one row a role, one with nulls without any.
-- Part of the definer's functions below, whose plans take it in: so it sets nothing of its own.
create or replace function session_rows(p_hash bytea, p_now timestamptz)
returns table (session_id uuid, user_id uuid, expires_at timestamptz, email text, user_name text,
               organization_id uuid, organization_name text, organization_slug text, plan text,
               grants jsonb, units uuid[], is_vouched boolean)
language sql stable
as $$
    select s.id, u.id, s.expires_at, u.email, u.name, o.id, o.name, o.slug, o.plan, r.grants,
           case when o.id is not null then public.account_units(o.id, u.id) end, s.issuer is not null
      from public.sessions s
      join public.users u on u.id = s.user_id and u.disabled_at is null and u.verified_at is not null
      left join (public.memberships m
                 join public.roles r
                   on r.org_id = m.org_id and r.id = m.role_id and r.deleted_at is null
                 join public.organizations o on o.id = m.org_id)
        on m.user_id = u.id and m.deleted_at is null and (m.ends_at is null or m.ends_at > p_now)
            and (s.issuer is null or s.issuer = o.sso_issuer)
     where s.token_hash = p_hash and s.revoked_at is null and s.expires_at > p_now
$$;

-- A living API token with the roles that its holder has now in its organization: one row a role. A
-- person or service account without a role there, or one that is shut out, leaves nothing. Part of the
-- definer's functions below, like the one above.
create or replace function token_rows(p_hash bytea, p_now timestamptz)
returns table (token_id uuid, user_id uuid, service_account_id uuid, organization_id uuid,
               plan text, token_grants jsonb, grants jsonb, units uuid[])
language sql stable
as $$
    select t.id, u.id, a.id, t.org_id, o.plan, t.grants, r.grants,
           case when u.id is not null then public.account_units(t.org_id, u.id) else '{}' end
      from public.api_tokens t
      join public.organizations o on o.id = t.org_id
      left join public.users u
             on u.id = t.user_id and u.disabled_at is null and u.verified_at is not null
      left join public.service_accounts a
             on a.org_id = t.org_id and a.id = t.service_account_id and a.deleted_at is null
      join public.memberships m on m.org_id = t.org_id and m.deleted_at is null
                        and (m.ends_at is null or m.ends_at > p_now)
                        and (m.user_id = u.id or m.service_account_id = a.id)
      join public.roles r on r.org_id = m.org_id and r.id = m.role_id and r.deleted_at is null
     where t.token_hash = p_hash and t.deleted_at is null
       and (t.expires_at is null or t.expires_at > p_now)
$$;

-- The session's rows, each beside the digest of all. Seen is written once a minute at most, so that
-- reading stays cheap.
create or replace function account_session(p_hash bytea, p_now timestamptz)
returns table (session_id uuid, user_id uuid, expires_at timestamptz, email text, user_name text,
               organization_id uuid, organization_name text, organization_slug text, plan text,
               grants jsonb, units uuid[], is_vouched boolean, digest text)
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    update sessions set last_seen_at = p_now
     where token_hash = p_hash and last_seen_at < p_now - interval '1 minute';
    with found as materialized (select * from session_rows(p_hash, p_now))
    select found.*, (select rows_digest(array(select f::text from found f order by 1)))
      from found order by organization_name, organization_id;
$$;

create or replace function account_token(p_hash bytea, p_now timestamptz)
returns table (token_id uuid, user_id uuid, service_account_id uuid, organization_id uuid,
               plan text, token_grants jsonb, grants jsonb, units uuid[], digest text)
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    update api_tokens set last_used_at = p_now
     where token_hash = p_hash and deleted_at is null
       and (last_used_at is null or last_used_at < p_now - interval '1 minute');
    with found as materialized (select * from token_rows(p_hash, p_now))
    select found.*, (select rows_digest(array(select f::text from found f order by 1))) from found;
$$;

-- The digest of what `account_session` or `account_token` finds now: whoever knows what they found a
-- moment ago sees whether that still holds. Null where they would note the use, too.
create or replace function account_digest(p_kind text, p_hash bytea, p_now timestamptz)
returns text
language plpgsql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    if p_kind = 'session' then
        return (select rows_digest(array(select f::text from session_rows(p_hash, p_now) f order by 1))
                 where exists (select from sessions where token_hash = p_hash
                                  and last_seen_at >= p_now - interval '1 minute'));
    elsif p_kind = 'token' then
        return (select rows_digest(array(select f::text from token_rows(p_hash, p_now) f order by 1))
                 where exists (select from api_tokens where token_hash = p_hash and deleted_at is null
                                  and last_used_at >= p_now - interval '1 minute'));
    end if;
    return null;
end
$$;

create or replace function account_sessions(p_user uuid, p_now timestamptz)
returns table (id uuid, created_at timestamptz, last_seen_at timestamptz, expires_at timestamptz, user_agent text)
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select id, created_at, last_seen_at, expires_at, user_agent from sessions
     where user_id = p_user and revoked_at is null and expires_at > p_now
     order by last_seen_at desc, id
$$;

-- Ends a session of this person; false when there is none such.
create or replace function account_session_revoke(p_user uuid, p_session uuid, p_now timestamptz)
returns boolean
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    with ended as (
        update sessions set revoked_at = p_now
         where id = p_session and user_id = p_user and revoked_at is null
         returning id)
    select exists (select from ended)
$$;

-- The active organization, new. Its id is the setting's, so nobody makes rows in another's name.
create or replace function organization_open(p_name text, p_slug text)
returns void
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    insert into organizations (id, name, slug)
    values (nullif(current_setting('app.org_id', true), '')::uuid, p_name, p_slug)
$$;

-- Whether the active organization exists already, by its slug.
create or replace function organization_by_slug(p_slug text)
returns uuid
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select id from organizations where slug = p_slug
$$;

-- An organization keeps an owner whose membership has no end. The owner's role is locked first, so
-- that two owners who remove each other at the same moment come one after the other.
create or replace function memberships_keep_owner() returns trigger
language plpgsql
set search_path = pg_catalog, public
as $$
begin
    perform from roles
      where org_id = old.org_id and id = old.role_id and key = 'owner' and built_in
        for no key update;
    if found and not exists (
        select from memberships
         where org_id = old.org_id and role_id = old.role_id and deleted_at is null and ends_at is null)
    then
        raise exception using
            errcode = 'check_violation', constraint = 'memberships_keep_owner',
            table = 'memberships', message = 'an organization keeps an owner';
    end if;
    return null;
end
$$;

create or replace trigger memberships_keep_owner
    after update of deleted_at, role_id, ends_at on memberships
    for each row execute function memberships_keep_owner();

-- Who audits does so for a time.
create or replace function memberships_auditor_ends() returns trigger
language plpgsql
set search_path = pg_catalog, public
as $$
begin
    if new.ends_at is null and new.deleted_at is null and exists (
        select from roles
         where org_id = new.org_id and id = new.role_id and key = 'auditor' and built_in)
    then
        raise exception using
            errcode = 'check_violation', constraint = 'memberships_auditor_ends',
            table = 'memberships', column = 'ends_at', message = 'an auditor''s membership has an end';
    end if;
    return new;
end
$$;

create or replace trigger memberships_auditor_ends
    before insert or update of ends_at, role_id, deleted_at on memberships
    for each row execute function memberships_auditor_ends();

-- Built-in roles stay as they are: rules speak of them by their key.
create or replace function roles_keep_built_in() returns trigger
language plpgsql
set search_path = pg_catalog, public
as $$
begin
    if old.built_in and new.deleted_at is not null then
        raise exception using
            errcode = 'check_violation', constraint = 'roles_keep_built_in',
            table = 'roles', message = 'a built-in role is not deleted';
    end if;
    return new;
end
$$;

create or replace trigger roles_keep_built_in
    before update of deleted_at on roles
    for each row execute function roles_keep_built_in();
