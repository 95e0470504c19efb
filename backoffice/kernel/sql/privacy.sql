-- What machine tables and imported files hold of a person who is erased. The definer's: requests may
-- not read these tables.

grant select, delete on messages to atlvs_definer;
grant select, update on outbox to atlvs_definer;
grant delete on sessions, identities, proofs to atlvs_definer;

-- A mail address as a whole: neither the end nor the beginning of another one (RFC 5322, 3.4.1). What
-- stands between an address and a letter continues it, what stands before it alone does not: 'a@b.c' in
-- quotes, one behind a dash, one at the end of a sentence.
create or replace function address_pattern(p_address text) returns text
language sql immutable parallel safe
as $$
    select '(?<![[:alnum:]_%+])(?<![[:alnum:]_][-.''&])'
        || regexp_replace(p_address, '([!-/:-@\[-`{-~])', '\\\1', 'g')
        || '(?![.]?[-_]*[[:alnum:]])'
$$;

-- A telephone number with its country's code (+49…), with whatever people write between its digits, as a
-- whole: not the beginning of a longer one. `00` stands for the plus, and `(0)` for no digit.
create or replace function number_pattern(p_number text) returns text
language sql immutable parallel safe
as $$
    select '(?<![0-9])(?:[+]|00)' || gap || '*'
        || regexp_replace(substr(p_number, 2), '([0-9])(?=[0-9])', '\1' || replace(gap, '\', '\\') || '*', 'g')
        || '(?!' || gap || '?[0-9])'
      from (values ('(?:\(0\)|[- ./()\u00a0\u2007\u202f\u2010-\u2013])')) as written (gap)
$$;

-- Whether a text names one of these: ids, addresses with an @, numbers that begin with +, all in lower
-- case, numbers without separators. Escapes of JSON for what does not print end a word.
create or replace function names_any(p_text text, p_terms text[]) returns boolean
language sql immutable parallel safe
as $$
    with shown as materialized (
        select regexp_replace(lower(p_text), '\\(u[0-9a-f]{4}|[bfnrt])', E'\n', 'g') as said),
    told as materialized (
        select said, regexp_replace(replace(said, '(0)', ''), '[^0-9]', '', 'g') as digits from shown)
    select exists (
        select from told, unnest(p_terms) as term
         where case
               when term like '+%' then
                   position(substr(term, 2) in digits) > 0 and said ~ number_pattern(term)
               when term like '%@%' then position(term in said) > 0 and said ~ address_pattern(term)
               else position(term in said) > 0
               end)
$$;

-- Imports that are not finished and whose file names one of the terms: their rows would come back.
create or replace function open_imports_naming(p_terms text[]) returns setof uuid
language plpgsql stable
as $$
begin
    if to_regclass('public.import_chunks') is null then
        return;
    end if;
    return query
        select distinct i.id from imports i join import_chunks c on c.org_id = i.org_id and c.import_id = i.id
         where i.org_id = nullif(current_setting('app.org_id', true), '')::uuid and i.finished_at is null
           and (names_any(convert_from(c.records, 'UTF8'), p_terms)
                or names_any(convert_from(c.outcome, 'UTF8'), p_terms));
end
$$;

-- Counts, or with p_erase takes away, what names one of the terms (lower case) in the active
-- organization: mails go, jobs that wait are canceled and those that ended lose what they held, so do
-- events and files. Answers kept for repeated requests are sealed with keys that are not kept, so nobody
-- can tell whom they name: all of them are kept no more. Who repeats such a request is told that it was
-- done, and nothing is done twice.
create or replace function erase_traces(p_terms text[], p_erase boolean)
returns table (name text, rows bigint)
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
#variable_conflict use_column
declare
    v_org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_ids uuid[];
begin
    select coalesce(array_agg(m.id), '{}') into v_ids from messages m
     where m.org_id = v_org and names_any(concat_ws(' ', m.recipient, m.subject, m.body), p_terms);
    if p_erase then
        delete from messages where org_id = v_org and id = any(v_ids);
    end if;
    return query select 'messages', cardinality(v_ids)::bigint;

    select coalesce(array_agg(k.id), '{}') into v_ids from idempotency_keys k
     where k.org_id = v_org and (k.kept and (k.body is not null or k.row_id::text = any(p_terms))
                                 or names_any(k.location, p_terms));
    if p_erase then
        update idempotency_keys set kept = false, body = null, location = null where id = any(v_ids);
    end if;
    return query select 'idempotency_keys', cardinality(v_ids)::bigint;

    if to_regclass('public.jobs') is not null then
        select coalesce(array_agg(j.id), '{}') into v_ids from jobs j
         where j.org_id = v_org and names_any(concat_ws(' ', j.payload, j.result, j.error), p_terms)
            or j.id in (select q.id from job_queue q where q.org_id = v_org and names_any(q.key, p_terms));
        if p_erase then
            with freed as (
                delete from job_queue where id = any(v_ids) and leased_by is null returning id
            )
            update jobs j set payload = '{}', result = null, error = null,
                   state = case when freed.id is null then j.state else 'canceled' end,
                   finished_at = case when freed.id is null then j.finished_at else now() end
              from jobs own left join freed on freed.id = own.id
             where own.id = any(v_ids) and j.id = own.id;
            update job_queue set key = null where id = any(v_ids);
        end if;
        return query select 'jobs', cardinality(v_ids)::bigint;

        return query select 'outbox_deliveries', count(*) from outbox_deliveries d
         where d.org_id = v_org and names_any(concat_ws(' ', d.body, d.error), p_terms);
        if p_erase then
            update outbox_deliveries set body = '{}', error = null
             where org_id = v_org and names_any(concat_ws(' ', body, error), p_terms);
        end if;
    end if;

    return query select 'outbox', count(*) from outbox o where o.org_id = v_org and names_any(o.body::text, p_terms);
    if p_erase then
        update outbox set body = '{}' where org_id = v_org and names_any(body::text, p_terms);
    end if;

    if to_regclass('public.import_chunks') is not null then
        select coalesce(array_agg(c.id), '{}') into v_ids from import_chunks c
         where c.org_id = v_org and (names_any(convert_from(c.records, 'UTF8'), p_terms)
                                     or names_any(convert_from(c.outcome, 'UTF8'), p_terms));
        if p_erase then
            update import_chunks set records = '' where org_id = v_org and id = any(v_ids);
        end if;
        return query select 'import_chunks', cardinality(v_ids)::bigint;
    end if;
end
$$;

-- Accounts with one of these addresses (lower case) of people who belong, or belonged, to the active
-- organization, and whether no other one has a membership of it. Those that nobody has one of are
-- erased with p_erase: the row stays, since logs and rows name it; name, address, password, sessions,
-- outside identities and what was mailed to the person alone go.
create or replace function erase_accounts(p_terms text[], p_now timestamptz, p_erase boolean)
returns table (user_id uuid, last_here boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
#variable_conflict use_column
declare
    v_org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_found uuid[];
    v_gone uuid[];
begin
    select coalesce(array_agg(u.id), '{}') into v_found from users u
     where u.email_key = any(p_terms)
       and exists (select from memberships m where m.org_id = v_org and m.user_id = u.id);
    if p_erase then
        -- Whoever takes the person in meanwhile comes before this, or finds nobody with the address.
        perform from users where id = any(v_found) order by id for update;
        select coalesce(array_agg(found), '{}') into v_gone from unnest(v_found) as found
         where not exists (select from memberships m
                            where m.user_id = found and m.deleted_at is null
                              and (m.ends_at is null or m.ends_at > p_now));
        delete from messages m using users u
         where u.id = any(v_gone) and m.org_id = '00000000-0000-0000-0000-000000000000'
           and lower(m.recipient) = u.email_key;
        delete from sessions where user_id = any(v_gone);
        delete from identities where user_id = any(v_gone);
        delete from proofs where user_id = any(v_gone);
        update users set email = 'erased-' || id || '@erased.invalid', name = 'erased ' || id,
               password_hash = null, verified_at = null, disabled_at = p_now
         where id = any(v_gone);
    end if;
    return query
        select found, not exists (select from memberships m
                                   where m.user_id = found and m.org_id <> v_org and m.deleted_at is null
                                     and (m.ends_at is null or m.ends_at > p_now))
          from unnest(v_found) as found;
end
$$;
