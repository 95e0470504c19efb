-- Who sees a saved view: its owner, the team that it is shared with, or all. The rights on views say
-- who may read views at all; this holds beside them, whoever asks. Like every policy it repeats the
-- wall between organizations, so that it stands for itself.

drop policy if exists saved_views_visible on saved_views;
create policy saved_views_visible on saved_views as restrictive to atlvs_app
    using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)
        and (visibility = 'shared'
            or user_id = (select nullif(current_setting('app.user_id', true), '')::uuid)
            or (visibility = 'team' and team_id in (
                select m.team_id from team_members m
                 where m.org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)
                   and m.user_id = (select nullif(current_setting('app.user_id', true), '')::uuid)
                   and m.deleted_at is null))));
