//! Who gets a place of a worker. Pure: places are few, so one of them waits for what somebody waits
//! for, and no organization takes more than half of them, however much it has enqueued.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::Priority;

/// Places that only `Priority::High` gets, where there are several.
const RESERVED: usize = 1;

/// The places of one process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    room: usize,
}

/// What may be claimed now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Free {
    /// Places that any job may get.
    pub(super) all: usize,
    /// How many of them jobs below `Priority::High` may get.
    pub(super) common: usize,
    /// Jobs of one organization that may run at once.
    pub(super) each: usize,
    /// Jobs that run, by organization.
    pub(super) taken: BTreeMap<Uuid, usize>,
}

impl Places {
    pub(super) fn new(room: usize) -> Self {
        Self { room: room.max(1) }
    }

    /// Given the organization and priority of each job that runs.
    pub(super) fn free(self, running: impl Iterator<Item = (Uuid, Priority)>) -> Free {
        let (mut taken, mut all, mut common) = (BTreeMap::new(), 0_usize, 0_usize);
        for (org, priority) in running {
            let count: &mut usize = taken.entry(org).or_default();
            *count = count.saturating_add(1);
            all = all.saturating_add(1);
            common = common.saturating_add(usize::from(priority != Priority::High));
        }
        let reserved = if self.room > RESERVED { RESERVED } else { 0 };
        let all = self.room.saturating_sub(all);
        let common = self.room.saturating_sub(reserved).saturating_sub(common);
        Free { all, common: common.min(all), each: (self.room / 2).max(1), taken }
    }
}

#[cfg(test)]
mod tests;
