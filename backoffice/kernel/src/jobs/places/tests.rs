use proptest::prelude::*;

use super::*;

proptest! {
    /// However jobs are claimed and end, a place stays for what somebody waits for, and no
    /// organization has more than its half.
    #[test]
    fn places_are_kept(room in 1_usize..20, wants in prop::collection::vec((0_u128..4, 0_usize..3), 0..60)) {
        let places = Places::new(room);
        let mut running: Vec<(Uuid, Priority)> = Vec::new();
        for (org, rank) in wants {
            let (org, priority) = (Uuid::from_u128(org), Priority::ALL[rank]);
            let free = places.free(running.iter().copied());
            prop_assert!(free.common <= free.all);
            prop_assert_eq!(free.all, room - running.len());
            let fits = free.taken.get(&org).is_none_or(|taken| *taken < free.each);
            let left = if priority == Priority::High { free.all } else { free.common };
            if fits && left > 0 {
                running.push((org, priority));
            }
        }
        let common = running.iter().filter(|(_, priority)| *priority != Priority::High).count();
        prop_assert!(running.len() <= room);
        prop_assert!(room == 1 || common < room, "{} of {} places", common, room);
        for org in 0..4 {
            let held = running.iter().filter(|(one, _)| *one == Uuid::from_u128(org)).count();
            prop_assert!(held <= (room / 2).max(1));
        }
    }
}
