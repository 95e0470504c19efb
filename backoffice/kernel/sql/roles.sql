-- Roles of the cluster. Idempotent; run by a superuser once per cluster and again after an upgrade.
-- Passwords are set apart (`alter role … password …`), so that this file holds no secret.
--
--   atlvs_owner    owns every table and function that is not a definer's; nobody logs in as it.
--   atlvs_definer  owns the functions of one list (kernel/src/ddl/definers.rs) and passes row-level
--                  security; nobody logs in as it.
--   atlvs_migrate  runs migrations and backups; passes row-level security.
--   atlvs_app      requests and actions; always under row-level security.
--   atlvs_portal   public and portal requests; no grants until a portal exists.
--   atlvs_work     claims rows of machine tables; sees no tenant table.

do $$
declare
    v_role text;
begin
    -- Two installations may prepare one cluster at the same moment.
    perform pg_advisory_xact_lock(4146001);
    foreach v_role in array array['atlvs_owner', 'atlvs_definer', 'atlvs_migrate', 'atlvs_app', 'atlvs_portal', 'atlvs_work'] loop
        if not exists (select from pg_roles where rolname = v_role) then
            execute format('create role %I', v_role);
        end if;
    end loop;
    alter role atlvs_owner nologin nosuperuser nocreatedb nocreaterole nobypassrls;
    alter role atlvs_definer nologin nosuperuser nocreatedb nocreaterole bypassrls;
    -- createdb: `backoffice schema diff` compares two scratch databases.
    alter role atlvs_migrate login nosuperuser createdb nocreaterole bypassrls;
    alter role atlvs_app login nosuperuser nocreatedb nocreaterole nobypassrls;
    alter role atlvs_portal login nosuperuser nocreatedb nocreaterole nobypassrls;
    alter role atlvs_work login nosuperuser nocreatedb nocreaterole nobypassrls;

    grant atlvs_definer to atlvs_owner;
    grant atlvs_owner to atlvs_migrate;

    -- A request is answered within seconds or not at all; a lock is not waited for longer than that.
    alter role atlvs_app set statement_timeout = '15s';
    alter role atlvs_app set lock_timeout = '5s';
    alter role atlvs_app set idle_in_transaction_session_timeout = '20s';
    alter role atlvs_portal set statement_timeout = '5s';
    alter role atlvs_portal set lock_timeout = '2s';
    alter role atlvs_portal set idle_in_transaction_session_timeout = '10s';
    alter role atlvs_work set statement_timeout = '60s';
    alter role atlvs_work set lock_timeout = '30s';
    alter role atlvs_work set idle_in_transaction_session_timeout = '120s';
    -- A migration that cannot get its lock must not queue every request behind it.
    alter role atlvs_migrate set lock_timeout = '10s';
end
$$;
