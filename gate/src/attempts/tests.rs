use inventory::time::Millis;

use super::{Attempts, LINES_PER_S_MAX};

#[test]
fn lines_are_few_and_say_how_many_were_left_out() {
    let attempts = Attempts::default();
    let logged: Vec<Option<u64>> = (0..100).map(|ms| attempts.line(Millis(ms))).collect();
    let lines = logged.iter().filter(|line| line.is_some()).count();
    assert_eq!(lines, LINES_PER_S_MAX as usize);
    assert_eq!(attempts.line(Millis(1_000)), Some(u64::from(100 - LINES_PER_S_MAX)));
    assert_eq!(attempts.line(Millis(1_001)), Some(0));
}
