use proptest::prelude::*;

use super::Callers;

#[test]
fn a_subscriber_has_so_many_places_and_no_more() {
    let callers = Callers::new(2, vec!["10.0.0.0/8".parse().unwrap()]);
    let enter = |address: &str| callers.enter(address.parse().unwrap());
    let one = enter("2001:db8::1").unwrap();
    let two = enter("2001:db8::ffff").unwrap();
    // Other addresses of the same network are the same subscriber.
    assert!(enter("2001:db8::3").is_none());
    let other = enter("2001:db8:0:1::1").unwrap();
    drop(one);
    let again = enter("2001:db8::3").unwrap();
    assert!(enter("2001:db8::4").is_none());
    let proxied: Vec<_> = (0..100).filter_map(|_| enter("10.1.2.3")).collect();
    assert_eq!(proxied.len(), 100, "many callers share a proxy");
    drop((two, other, again, proxied));
    assert!(callers.lock().is_empty(), "nobody is remembered who holds nothing");
}

proptest! {
    #[test]
    fn places_are_counted_exactly(steps in prop::collection::vec((0_u8..4, any::<bool>()), 1..200)) {
        let callers = Callers::new(3, Vec::new());
        let mut held: [Vec<_>; 4] = Default::default();
        for (who, comes) in steps {
            let own = &mut held[usize::from(who)];
            if comes {
                let place = callers.enter(std::net::IpAddr::V4([192, 0, 2, who].into()));
                prop_assert_eq!(place.is_some(), own.len() < 3);
                own.extend(place);
            } else {
                own.pop();
            }
        }
    }
}
