//! Tables of the queue: one row that workers claim and one that people see, by the same id. The
//! first is small and short-lived; the second stays until the sweep.

use jiff::SignedDuration;

use crate::entity::{
    Entity, Group, Retention, boolean, choice, id, instant, integer, json, link, slug, text,
};

/// What an organization sees of its background work.
pub static JOB: Entity =
    Entity::new("jobs")
        .machine()
        .readable()
        .grant("work.jobs")
        .group(Group::Workflows)
        .about("Work in the background: what it is, how far it is, how it ended.")
        .label("name")
        .fields(&[
            text("name").required().by_action().about("Area and verb: csv.import."),
            choice("state", STATES).required().default("'queued'").by_action().about(
                "failed: refused for good; dead: every attempt failed. Both can be replayed.",
            ),
            link("user_id", "accounts.users").by_action().about("The person behind it."),
            slug("actor_kind").required().by_action(),
            text("actor_id").by_action(),
            id("token_id").by_action().about("The API token that it acts by."),
            id("request_id").by_action().about("The request that enqueued it."),
            json("payload").required().secret(),
            instant("due_at").required().by_action(),
            integer("priority", 0, 2).required().default("1").by_action(),
            integer("attempts", 0, i64::MAX).required().default("0").by_action(),
            integer("causation", 0, 100).required().default("0").by_action(),
            integer("done", 0, i64::MAX).by_action().about("Steps done."),
            integer("total", 0, i64::MAX).by_action().about("Steps in all, when known."),
            json("result").by_action(),
            json("error").by_action().about("Problem with code and detail of the last failed run."),
            instant("started_at").by_action(),
            instant("finished_at").by_action(),
            instant("cancel_asked_at").by_action(),
            id("schedule_id").by_action().about("The schedule that wanted it, in /schedules."),
        ])
        .retention(&[
            Retention::days("finished_at", 30),
            // Jobs of the house that went well: nobody looks at them.
            Retention::new("finished_at", SignedDuration::from_hours(1))
                .only("org_id = '00000000-0000-0000-0000-000000000000'::uuid and state = 'done'"),
            // No worker knows its name any more.
            Retention::days("due_at", UNCLAIMED_DAYS).only("finished_at is null"),
        ]);

pub(super) const STATES: &[&str] = &["queued", "running", "done", "failed", "canceled", "dead"];

/// What workers claim; rows of finished jobs are gone.
pub(crate) static JOB_QUEUE: Entity = Entity::new("job_queue")
    .machine()
    .about("A job that is not finished: when it may be claimed, and who holds it.")
    .fields(&[
        text("name").required(),
        text("key"),
        integer("priority", 0, 2).required(),
        instant("due_at").required().about("May be claimed from then on."),
        id("leased_by").about("The process that works on it; null between two runs."),
        instant("leased_until")
            .about("From then on another may claim it; by the clock of the database."),
        boolean("again")
            .required()
            .default("false")
            .about("Somebody enqueued it once more while it ran: it runs again when it has ended."),
        integer("attempts", 0, i64::MAX).required().default("0"),
    ])
    .retention(&[Retention::days("due_at", UNCLAIMED_DAYS).only("leased_by is null")]);

/// A job that nobody claimed for so long belongs to no release that still runs: longer than any
/// house is without workers.
const UNCLAIMED_DAYS: i64 = 90;
