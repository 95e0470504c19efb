-- Background work: the queue, what callers may do to their jobs, and who a job acts for. Each function
-- is the definer's (list in kernel/src/ddl/definers.rs) and takes the organization from the setting.

-- Claims read by priority and time, or an organization's own.
create index job_queue_due_idx on job_queue (priority, due_at, id);
create index job_queue_org_idx on job_queue (org_id, priority, due_at, id);
-- At most one unfinished job of a name and key in an organization.
create unique index job_queue_key_key on job_queue (org_id, name, key) where key is not null;
create index jobs_org_idx on jobs (org_id, id);
create index jobs_dead_idx on jobs (org_id, name) where state in ('failed', 'dead');

-- Rows live for seconds and are updated in place: vacuum by number of rows, not by share of the table.
alter table job_queue set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
alter table jobs set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0);
alter table outbox set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

alter table outbox_deliveries set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

-- A consumer reads what is open of each organization, in the order of events.
create index outbox_deliveries_open_idx on outbox_deliveries (consumer, org_id, event) where parked_at is null;
-- What follows an event of the same row waits for it.
create index outbox_deliveries_row_idx on outbox_deliveries (consumer, row_id, event) where parked_at is null;

grant select, update, delete on outbox_deliveries to atlvs_definer;
grant select, insert on change_seals to atlvs_definer;
-- Seals stay as they were made, whoever asks.
create or replace trigger change_seals_append_only before update or delete on change_seals
    for each row execute function append_only();
create or replace trigger change_seals_append_only_truncate before truncate on change_seals
    for each statement execute function append_only();

grant select, insert, update, delete on job_queue to atlvs_definer;
grant update on jobs to atlvs_definer;

-- Adds a job of the active organization, wanted by this actor; answers its id, or that of the unfinished
-- one with this key. Runs with the rights of whoever calls it.
create or replace function put_job(
    p_id uuid, p_name text, p_payload jsonb, p_due timestamptz, p_key text, p_priority bigint, p_user uuid,
    p_token uuid, p_kind text, p_actor text, p_request uuid, p_causation bigint, p_schedule uuid,
    p_now timestamptz)
returns uuid
language plpgsql volatile
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_id uuid;
begin
    loop
        insert into job_queue (id, org_id, name, key, priority, due_at)
        values (p_id, v_org, p_name, p_key, p_priority, p_due)
        on conflict (org_id, name, key) where key is not null do nothing;
        if found then
            exit;
        end if;
        -- Held until this transaction ends: a worker that took it before would not see what is written here.
        select id into v_id from job_queue where org_id = v_org and name = p_name and key = p_key
           for key share;
        -- The other one may have ended since: then there is room now.
        if found then
            -- One that runs may have read already what this one is about.
            update job_queue set again = true where id = v_id and leased_by is not null and not again;
            return v_id;
        end if;
    end loop;
    insert into jobs (id, org_id, created_at, name, payload, due_at, priority, user_id, token_id, actor_kind,
                      actor_id, request_id, causation, schedule_id)
    values (p_id, v_org, p_now, p_name, p_payload, p_due, p_priority, p_user, p_token, p_kind, p_actor,
            p_request, p_causation, p_schedule);
    return p_id;
end
$$;

-- The same, wanted by whoever acts.
create or replace function enqueue_job(
    p_id uuid, p_name text, p_payload jsonb, p_due timestamptz, p_key text, p_priority bigint, p_user uuid,
    p_token uuid, p_now timestamptz)
returns uuid
language sql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select put_job(p_id, p_name, p_payload, p_due, p_key, p_priority, p_user, p_token,
                   coalesce(nullif(current_setting('app.actor_kind', true), ''), 'system'),
                   nullif(current_setting('app.actor_id', true), ''),
                   nullif(current_setting('app.request_id', true), '')::uuid,
                   coalesce(nullif(current_setting('app.causation', true), ''), '0')::bigint, null, p_now)
$$;

-- Whether this process still holds the job; if so, nobody else can claim it before the transaction ends.
create or replace function hold_job(p_id uuid, p_process uuid, p_attempt bigint)
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    perform from job_queue
      where org_id = nullif(current_setting('app.org_id', true), '')::uuid
        and id = p_id and leased_by = p_process and attempts = p_attempt
        for key share;
    return found;
end
$$;

-- Ends a job; false when this process does not hold it any more. One that was enqueued again while it
-- ran is due once more, unless it was canceled. Runs with the rights of whoever calls it.
create or replace function close_job(
    p_id uuid, p_process uuid, p_attempt bigint, p_state text, p_result jsonb, p_error jsonb, p_now timestamptz)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, public, pg_temp
as $$
begin
    delete from job_queue
     where id = p_id and leased_by = p_process and attempts = p_attempt and (not again or p_state = 'canceled');
    if found then
        update jobs set state = p_state, result = p_result, error = p_error, finished_at = p_now where id = p_id;
        return true;
    end if;
    update job_queue set leased_by = null, leased_until = null, again = false, attempts = 0, due_at = p_now
     where id = p_id and leased_by = p_process and attempts = p_attempt;
    if found then
        update jobs set state = 'queued', result = p_result, error = p_error, attempts = 0, due_at = p_now
         where id = p_id;
        return true;
    end if;
    return false;
end
$$;

-- Ends a job of the active organization well in the transaction of its effects; false when this process
-- does not hold it any more.
create or replace function finish_job(p_id uuid, p_process uuid, p_attempt bigint, p_result jsonb, p_now timestamptz)
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    return exists (select from job_queue
                    where id = p_id and org_id = nullif(current_setting('app.org_id', true), '')::uuid)
       and close_job(p_id, p_process, p_attempt, 'done', p_result, null, p_now);
end
$$;

-- Ends a job of the active organization badly, in the transaction in which somebody is told.
create or replace function end_job(
    p_id uuid, p_process uuid, p_attempt bigint, p_state text, p_error jsonb, p_now timestamptz)
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    return p_state in ('failed', 'dead', 'canceled')
       and exists (select from job_queue
                    where id = p_id and org_id = nullif(current_setting('app.org_id', true), '')::uuid)
       and close_job(p_id, p_process, p_attempt, p_state, null, p_error, p_now);
end
$$;

-- Cancels a job of the active organization that nobody works on; asks the one that works on it to stop.
-- Of jobs named in p_told somebody is told: a worker takes them to do so. Answers the state before, null
-- when there is no such job.
create or replace function cancel_job(p_id uuid, p_now timestamptz, p_told text[])
returns text
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_state text;
    v_waits boolean;
    v_told boolean;
begin
    -- The queue first, as everybody does. A run holds its row's key for as long as its transaction is open
    -- and is not waited for: nothing here takes a key away from it.
    select leased_by is null, name = any(p_told) into v_waits, v_told
      from job_queue where org_id = v_org and id = p_id for no key update;
    select state into v_state from jobs where org_id = v_org and id = p_id for no key update;
    if v_waits and not v_told then
        delete from job_queue where org_id = v_org and id = p_id;
        update jobs set state = 'canceled', cancel_asked_at = p_now, finished_at = p_now
         where org_id = v_org and id = p_id;
    elsif v_state in ('queued', 'running') then
        update job_queue set due_at = least(due_at, p_now) where org_id = v_org and id = p_id and leased_by is null;
        update jobs set cancel_asked_at = p_now where org_id = v_org and id = p_id;
    end if;
    return v_state;
end
$$;

-- Cancels the unfinished job of the active organization with this key; answers its id.
create or replace function cancel_job_by_key(p_name text, p_key text, p_now timestamptz, p_told text[])
returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_id uuid;
begin
    select id into v_id from job_queue
     where org_id = nullif(current_setting('app.org_id', true), '')::uuid and name = p_name and key = p_key;
    if found then
        perform cancel_job(v_id, p_now, p_told);
    end if;
    return v_id;
end
$$;

-- Runs jobs of the active organization that ended badly once more, with all their attempts: one by id,
-- or all failed and dead ones, of one name if one is given. Answers how many.
create or replace function replay_jobs(p_id uuid, p_name text, p_now timestamptz, p_most bigint)
returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_count bigint;
begin
    with again as (
        select id from jobs
         where org_id = v_org
           and case when p_id is null then state in ('failed', 'dead') and (p_name is null or name = p_name)
                    else id = p_id and state in ('failed', 'dead', 'canceled') end
         order by id limit p_most for update
    ), moved as (
        update jobs j set state = 'queued', error = null, cancel_asked_at = null, finished_at = null,
                          attempts = 0, due_at = p_now
          from again where j.org_id = v_org and j.id = again.id
        returning j.id, j.name, j.priority
    )
    -- The key is not taken back: another job may have it by now.
    insert into job_queue (id, org_id, name, priority, due_at)
    select id, v_org, name, priority, p_now from moved;
    get diagnostics v_count = row_count;
    return v_count;
end
$$;

-- What whoever wanted a job may do in the active organization now, found by token, by person or by
-- device: one row a role. Nothing when there is no such one any more, or no role.
create or replace function job_actor(p_token uuid, p_user uuid, p_device uuid, p_now timestamptz)
returns table (user_id uuid, service_account_id uuid, plan text, token_grants jsonb, grants jsonb,
               units uuid[])
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select u.id, a.id, o.plan, t.grants, r.grants,
           case when u.id is not null then account_units(o.id, u.id) else '{}' end
      from (select id, plan from organizations
             where id = nullif(current_setting('app.org_id', true), '')::uuid) as o
      left join api_tokens t on t.org_id = o.id and t.id = p_token and t.deleted_at is null
                            and (t.expires_at is null or t.expires_at > p_now)
      left join users u on u.id = case when p_token is null then p_user else t.user_id end
                       and u.disabled_at is null and u.verified_at is not null
      left join service_accounts a
             on a.org_id = o.id and a.id = t.service_account_id and a.deleted_at is null
      join memberships m on m.org_id = o.id and m.deleted_at is null
                        and (m.ends_at is null or m.ends_at > p_now)
                        and (m.user_id = u.id or m.service_account_id = a.id)
      join roles r on r.org_id = m.org_id and r.id = m.role_id and r.deleted_at is null
    union all
    select null, null, o.plan, d.grants, coalesce(maker.grants, d.grants), '{}'
      from devices d
      join organizations o on o.id = d.org_id
      left join lateral account_roles(d.org_id, d.made_by_id, d.made_by_account_id, p_now) maker on true
     where d.org_id = nullif(current_setting('app.org_id', true), '')::uuid and d.id = p_device
       and d.deleted_at is null and (d.expires_at is null or d.expires_at > p_now)
       and (maker.grants is not null or num_nonnulls(d.made_by_id, d.made_by_account_id) = 0)
$$;

-- Ends deliveries to a consumer in the transaction of its effects; answers how many were open.
create or replace function delivered(p_consumer text, p_events bigint[])
returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_count bigint;
begin
    delete from outbox_deliveries
     where org_id = nullif(current_setting('app.org_id', true), '')::uuid
       and consumer = p_consumer and event = any(p_events);
    get diagnostics v_count = row_count;
    return v_count;
end
$$;

-- What a seal proves: its number, organization, id and time, the seal before it, and each change's id
-- and digest.
create or replace function seal_digest(
    p_org uuid, p_id uuid, p_number bigint, p_at timestamptz, p_previous bytea, p_changes bytea)
returns bytea
language sql immutable parallel safe
set search_path = pg_catalog
as $$
    select sha256(p_previous || int8send(p_number) || uuid_send(p_org) || uuid_send(p_id)
                  || timestamptz_send(p_at) || p_changes)
$$;

-- Chains changes of the active organization, in the order given, to its last seal. A change that is gone
-- already has a digest of zeros, which no change has: the verification names it.
create or replace function seal_changes(p_ids uuid[], p_now timestamptz)
returns void
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_zeros constant bytea := decode(repeat('00', 32), 'hex');
    v_id constant uuid := uuid7();
    v_number bigint;
    v_previous bytea;
    v_members bytea;
    v_changes bytea;
begin
    select number, digest into v_number, v_previous from change_seals
     where org_id = v_org order by number desc limit 1;
    v_number := coalesce(v_number, 0) + 1;
    v_previous := coalesce(v_previous, v_zeros);
    select string_agg(uuid_send(given.id), ''::bytea order by given.place),
           string_agg(uuid_send(given.id) || coalesce(c.digest, v_zeros), ''::bytea order by given.place)
      into v_members, v_changes
      from unnest(p_ids) with ordinality as given (id, place)
      left join changes c on c.org_id = v_org and c.id = given.id;
    insert into change_seals (org_id, id, created_at, number, members, previous, digest)
    values (v_org, v_id, p_now, v_number, v_members, v_previous,
            seal_digest(v_org, v_id, v_number, p_now, v_previous, v_changes));
end
$$;
