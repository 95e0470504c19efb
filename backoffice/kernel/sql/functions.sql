-- Everybody may execute a new function until that is taken back. What is not the definer's runs with
-- the rights of its caller: our roles may call it, nobody else on the server. A trigger asks nobody
-- when it fires, but who makes a partition (the definer) puts the triggers of its table on it.
do $$
declare
    v_function regprocedure;
begin
    for v_function in
        select p.oid from pg_proc p
         where p.pronamespace = 'public'::regnamespace and p.proowner = 'atlvs_owner'::regrole
         order by p.oid::regprocedure::text
    loop
        execute format('revoke execute on function %s from public', v_function);
        execute format('grant execute on function %s to atlvs_definer', v_function);
        if (select prorettype <> 'trigger'::regtype from pg_proc where oid = v_function) then
            execute format(
                'grant execute on function %s to atlvs_app, atlvs_portal, atlvs_work',
                v_function
            );
        end if;
    end loop;
end
$$;
