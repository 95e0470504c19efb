-- What machine tables and imported files hold of a person who is erased. The definer's: requests may
-- not read these tables.

grant select, delete on messages to atlvs_definer;
grant select, update on outbox to atlvs_definer;

-- Whether a text names one of these. Files and answers are bytes: escaped, ASCII stays what it is.
create or replace function names_any(p_text text, p_terms text[]) returns boolean
language sql immutable parallel safe
as $$
    select exists (select from unnest(p_terms) as term where position(term in lower(p_text)) > 0)
$$;

-- Counts, or with p_erase takes away, what names one of the terms (lower case) in the active
-- organization: mails go, answers kept for repeated requests are kept no more, jobs that wait are
-- canceled and those that ended lose what they held, so do events and files.
create or replace function erase_traces(p_terms text[], p_erase boolean)
returns table (name text, rows bigint)
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
#variable_conflict use_column
declare
    v_org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_bytes text[];
    v_ids uuid[];
begin
    select array_agg(lower(encode(convert_to(term, 'UTF8'), 'escape'))) into v_bytes from unnest(p_terms) as term;

    select coalesce(array_agg(m.id), '{}') into v_ids from messages m
     where m.org_id = v_org and names_any(concat_ws(' ', m.recipient, m.subject, m.body), p_terms);
    if p_erase then
        delete from messages where org_id = v_org and id = any(v_ids);
    end if;
    return query select 'messages', cardinality(v_ids)::bigint;

    select coalesce(array_agg(k.id), '{}') into v_ids from idempotency_keys k
     where k.org_id = v_org and (k.row_id::text = any(p_terms) or names_any(k.location, p_terms)
                                 or names_any(encode(k.body, 'escape'), v_bytes));
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
         where c.org_id = v_org and (names_any(encode(c.records, 'escape'), v_bytes)
                                     or names_any(encode(c.outcome, 'escape'), v_bytes));
        if p_erase then
            if exists (select from import_chunks c join imports i on i.org_id = c.org_id and i.id = c.import_id
                        where c.org_id = v_org and c.id = any(v_ids) and i.finished_at is null) then
                raise exception using errcode = 'lock_not_available',
                    message = 'an import that is under way names the person';
            end if;
            update import_chunks set records = '' where org_id = v_org and id = any(v_ids);
        end if;
        return query select 'import_chunks', cardinality(v_ids)::bigint;
    end if;
end
$$;
