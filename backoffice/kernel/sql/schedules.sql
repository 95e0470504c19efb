-- Schedules of organizations: what is due, who was first, and how the last run is or ended. Each function
-- is the definer's (list in kernel/src/ddl/definers.rs).

create index schedules_due_idx on schedules (next_run_at)
    where active and deleted_at is null and next_run_at is not null;

-- What is due, of all organizations, what waits longest first. It says no more than whose it is.
create or replace function due_schedules(p_now timestamptz, p_most bigint)
returns table (org_id uuid, id uuid)
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select s.org_id, s.id from schedules s
     where s.active and s.deleted_at is null and s.next_run_at <= p_now
     order by s.next_run_at limit p_most
$$;

-- When a schedule of the active organization comes next, and as whom it runs.
create or replace function plan_schedule(
    p_id uuid, p_next timestamptz, p_kind text, p_actor text, p_user uuid, p_token uuid)
returns void
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    update schedules set next_run_at = p_next, actor_kind = p_kind, actor_id = p_actor, runs_as_id = p_user,
                         token_id = p_token
     where org_id = nullif(current_setting('app.org_id', true), '')::uuid and id = p_id;
end
$$;

-- Takes a due time of a schedule of the active organization: its job is on the queue, and the next time
-- is set. A run that is still on the queue stands for this one, too; one that is under way runs once
-- more. Without p_job the time is only passed over. False when somebody else was first: then nothing of
-- this transaction may stay. The queue comes before the schedule, as when a job ends.
create or replace function run_schedule(
    p_id uuid, p_due timestamptz, p_next timestamptz, p_job uuid, p_now timestamptz)
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    v_schedule record;
    v_job uuid;
begin
    select * into v_schedule from schedules where org_id = v_org and id = p_id;
    if p_job is not null then
        v_job := put_job(p_job, v_schedule.job, v_schedule.input, p_now, 'schedule ' || p_id, 1,
                         v_schedule.runs_as_id, v_schedule.token_id, v_schedule.actor_kind,
                         v_schedule.actor_id, null, 0, p_id, p_now);
    end if;
    update schedules
       set next_run_at = p_next, last_due_at = p_due, last_job_id = coalesce(v_job, last_job_id),
           last_run_at = case when v_job is null then last_run_at else p_now end,
           last_state = case when v_job is null then 'skipped' else 'queued' end
     where org_id = v_org and id = p_id and next_run_at = p_due and active and deleted_at is null;
    return found;
end
$$;

-- How a schedule's last run is or ended.
create or replace function tell_schedule() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    update schedules set last_state = new.state
     where org_id = new.org_id and id = new.schedule_id and last_job_id = new.id;
    return null;
end
$$;

create or replace trigger jobs_tell_schedule after update of state on jobs
    for each row when (new.schedule_id is not null and new.state is distinct from old.state)
    execute function tell_schedule();
