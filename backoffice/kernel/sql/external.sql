-- Identities at outside issuers, and what operators say of an organization. Each function is the definer's (list in
-- kernel/src/ddl/definers.rs).

-- The living person behind an identity, and whether they linked it themselves.
create or replace function identity_find(p_issuer text, p_subject text)
returns table (user_id uuid, by_person boolean)
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select u.id, i.linked_by = 'person'
      from identities i
      join users u on u.id = i.user_id and u.disabled_at is null and u.verified_at is not null
     where i.issuer = p_issuer and i.subject = p_subject
$$;

-- Links an unknown identity to the proved person with this address, when an organization that they
-- belong to trusts the issuer; null when there is none such or the identity is taken.
create or replace function identity_adopt(p_id uuid, p_issuer text, p_subject text, p_email text)
returns uuid
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    insert into identities (id, user_id, issuer, subject, linked_by)
    select p_id, u.id, p_issuer, p_subject, 'organization' from users u
     where u.email_key = lower(p_email) and u.verified_at is not null and u.disabled_at is null
       and exists (select from memberships m join organizations o on o.id = m.org_id
                    where m.user_id = u.id and m.deleted_at is null and o.sso_issuer = p_issuer)
    on conflict (issuer, subject) do nothing
    returning user_id
$$;

-- False when the identity is another person's. One that an organization linked becomes the person's.
create or replace function identity_link(p_id uuid, p_user uuid, p_issuer text, p_subject text)
returns boolean
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    insert into identities (id, user_id, issuer, subject, linked_by)
    values (p_id, p_user, p_issuer, p_subject, 'person')
    on conflict (issuer, subject) do update set linked_by = 'person'
     where identities.user_id = excluded.user_id;
    select exists (select from identities
                    where issuer = p_issuer and subject = p_subject and user_id = p_user);
$$;

create or replace function identity_unlink(p_user uuid, p_issuer text, p_subject text, p_now timestamptz)
returns boolean
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    update sessions set revoked_at = p_now
     where user_id = p_user and issuer = p_issuer and revoked_at is null
       and exists (select from identities
                    where user_id = p_user and issuer = p_issuer and subject = p_subject);
    with gone as (
        delete from identities
         where user_id = p_user and issuer = p_issuer and subject = p_subject
         returning id)
    select exists (select from gone);
$$;

-- The active organization trusts this issuer, or with null nobody; false when there is no such
-- organization.
create or replace function organization_trust(p_issuer text) returns boolean
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    with changed as (
        update organizations set sso_issuer = p_issuer
         where id = nullif(current_setting('app.org_id', true), '')::uuid
        returning id)
    select exists (select from changed)
$$;

create or replace function organization_set_plan(p_plan text) returns boolean
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    with changed as (
        update organizations set plan = p_plan
         where id = nullif(current_setting('app.org_id', true), '')::uuid
        returning id)
    select exists (select from changed)
$$;
