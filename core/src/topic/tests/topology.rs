//! Consumption that prefers consumers near by.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const FAR: ConnId = ConnId(20);
const NEAR: ConnId = ConnId(21);
const NEARER: ConnId = ConnId(22);

fn subscribe(rig: &mut Rig, conn: ConnId, locality: Locality, ready: u32) {
    let options = ConsumerOptions { counted_as: locality, served_as: locality, ..OPTIONS };
    rig.subscribe_with(conn, "c", options).unwrap();
    rig.command(conn, ConsumerCommand::Ready { count: ready });
}

/// Who got how many since the last call.
fn shares(rig: &mut Rig) -> BTreeMap<ConnId, usize> {
    let mut shares = BTreeMap::new();
    for (conn, ..) in std::mem::take(&mut rig.deliveries) {
        *shares.entry(conn).or_default() += 1;
    }
    shares
}

/// Deliveries from memory: in the zone, in the region, elsewhere.
fn counts(rig: &Rig) -> (u64, u64, u64) {
    let stats = rig.stats("c");
    (stats.zone_local_count, stats.region_local_count, stats.global_count)
}

#[test]
fn the_nearest_who_is_ready_is_served_first() {
    let mut rig = Rig::new(Config::default());
    subscribe(&mut rig, FAR, Locality::Anywhere, 100);
    subscribe(&mut rig, NEAR, Locality::Region, 3);
    subscribe(&mut rig, NEARER, Locality::Zone, 2);
    rig.publish(&["m"; 7]);
    assert_eq!(shares(&mut rig), BTreeMap::from([(FAR, 2), (NEAR, 3), (NEARER, 2)]));
    assert_eq!(counts(&rig), (2, 3, 2));
}

#[test]
fn whoever_is_ready_again_comes_before_those_further_away() {
    let mut rig = Rig::new(Config::default());
    subscribe(&mut rig, FAR, Locality::Anywhere, 100);
    subscribe(&mut rig, NEARER, Locality::Zone, 1);
    rig.publish(&["x"]);
    let id = rig.deliveries[0].1;
    rig.publish(&["y"]);
    assert_eq!(shares(&mut rig), BTreeMap::from([(NEARER, 1), (FAR, 1)]));
    rig.finish(NEARER, id);
    rig.publish(&["z"]);
    assert_eq!(shares(&mut rig), BTreeMap::from([(NEARER, 1)]));
}

#[test]
fn those_equally_near_share() {
    let mut rig = Rig::new(Config::default());
    subscribe(&mut rig, FAR, Locality::Anywhere, 2500);
    subscribe(&mut rig, NEAR, Locality::Zone, 2500);
    subscribe(&mut rig, NEARER, Locality::Zone, 2500);
    rig.publish(&["m"; 200]);
    let shares = shares(&mut rig);
    assert!((70..=130).contains(&shares[&NEAR]) && !shares.contains_key(&FAR), "{shares:?}");
    for _ in 0..10 {
        rig.publish(&["m"]);
    }
    assert_eq!(self::shares(&mut rig), BTreeMap::from([(NEAR, 5), (NEARER, 5)]));
}

#[test]
fn those_further_away_are_served_when_the_near_are_gone() {
    let mut rig = Rig::new(Config::default());
    subscribe(&mut rig, FAR, Locality::Anywhere, 100);
    subscribe(&mut rig, NEARER, Locality::Zone, 100);
    rig.topic.handle_disconnect(rig.now, NEARER);
    rig.publish(&["m"]);
    assert_eq!(shares(&mut rig), BTreeMap::from([(FAR, 1)]));
}

#[test]
fn what_comes_from_disk_counts_nowhere() {
    let mut rig = Rig::new(without_memory());
    rig.publish(&["m"]);
    subscribe(&mut rig, NEARER, Locality::Zone, 1);
    assert_eq!((shares(&mut rig).len(), counts(&rig)), (1, (0, 0, 0)));
}
