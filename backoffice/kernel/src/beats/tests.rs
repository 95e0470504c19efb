use super::*;

#[test]
fn a_loop_is_well_while_it_beats() {
    let beats = Beats::default();
    let (begun, late) = (Instant::now(), SILENCE_MAX + Duration::from_secs(60));
    assert_eq!(beats.faults(begun), Vec::<String>::new());
    beats.begun(("quiet", ""));
    beats.beat(("jobs", ""));
    beats.beat(("consumers", "hall.greeter"));
    assert_eq!(beats.faults(begun + SILENCE_MAX / 2), Vec::<String>::new());
    let silent = beats.faults(begun + late);
    assert_eq!(silent.len(), 2, "one that never beats owes nothing: {silent:?}");
    assert!(silent[0].starts_with("the loop consumers (hall.greeter) gave no sign for 2"));
    beats.failed(("jobs", ""));
    assert_eq!(beats.faults(begun), ["the loop jobs failed"]);
    beats.beat(("jobs", ""));
    assert_eq!(beats.faults(begun), Vec::<String>::new());
}
