//! Working weeks and holidays, for due dates, leave and schedules.

use kernel::entity::{Entity, Group, Unique, View, boolean, choice, date, link, text, time_zone};
use kernel::error::Code;

pub(crate) static CALENDARS: Entity = Entity::new("calendars")
    .grant("identity.structure")
    .group(Group::Organizations)
    .label("name")
    .about("A working week with its holidays.")
    .fields(&[
        text("name").required(),
        time_zone("time_zone").required(),
        boolean("monday").required().default("true"),
        boolean("tuesday").required().default("true"),
        boolean("wednesday").required().default("true"),
        boolean("thursday").required().default("true"),
        boolean("friday").required().default("true"),
        boolean("saturday").required().default("false"),
        boolean("sunday").required().default("false"),
    ])
    .natural(&["name"])
    .uniques(&[Unique {
        name: "calendars_name_key",
        fields: &["name"],
        code: Code::AlreadyExists,
    }]);

pub(crate) static CALENDAR_HOLIDAYS: Entity = Entity::new("calendar_holidays")
    .grant("identity.structure")
    .group(Group::Organizations)
    .label("name")
    .about("A day off in a calendar.")
    .fields(&[
        link("calendar_id", "identity.calendars").required().once().cascade(),
        date("day").required(),
        text("name").required(),
        choice("part", &["whole", "morning", "afternoon"]).required().default("'whole'"),
    ])
    .natural(&["calendar_id", "day", "part"])
    .uniques(&[Unique {
        name: "calendar_holidays_day_key",
        fields: &["calendar_id", "day", "part"],
        code: Code::AlreadyExists,
    }])
    .views(&[View::Calendar("day", "day")]);
