//! The time from publish to finish.

use super::*;
use crate::latency::{Latency, Quantile};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const MILLISECOND: Duration = Duration::from_millis(1);

fn measuring(fractions: &[f64]) -> Rig {
    Rig::new(Config {
        e2e_processing_latency_percentiles: fractions
            .iter()
            .map(|&fraction| Quantile::new(fraction).unwrap())
            .collect(),
        e2e_processing_latency_window_time: Duration::from_secs(60),
        ..Config::default()
    })
}

/// Publishes a message, and finishes it `after` that.
fn exchange(rig: &mut Rig, conn: ConnId, after: Duration) {
    rig.publish(&["m"]);
    rig.pass(after);
    for (to, id, ..) in std::mem::take(&mut rig.deliveries) {
        assert_eq!(to, conn);
        rig.finish(to, id);
    }
}

/// How many samples, and the percentiles in milliseconds.
fn figures(latency: Option<Latency>) -> (u64, Vec<u128>) {
    let latency = latency.expect("it is measured");
    (latency.count, latency.percentiles.iter().map(|percentile| percentile.value.as_millis()).collect())
}

#[test]
fn it_is_measured_only_if_somebody_asked() {
    let mut rig = Rig::new(Config::default());
    rig.subscribe(A, "c", 1);
    exchange(&mut rig, A, MILLISECOND);
    assert_eq!((rig.stats("c").latency, rig.topic.stats(rig.now, None, false).latency), (None, None));
}

#[test]
fn a_topic_without_channels_has_none_and_a_channel_without_messages_has_zeros() {
    let mut rig = measuring(&[1.0, 0.5]);
    assert_eq!(rig.topic.stats(rig.now, None, false).latency, None);
    rig.subscribe(A, "c", 1);
    assert_eq!(figures(rig.stats("c").latency), (0, vec![0, 0]));
    assert_eq!(figures(rig.topic.stats(rig.now, None, false).latency), (0, vec![0, 0]));
}

#[test]
fn it_lasts_from_publish_to_finish_whatever_comes_between() {
    let mut rig = measuring(&[1.0, 0.5]);
    rig.subscribe(A, "c", 1);
    exchange(&mut rig, A, 10 * MILLISECOND);
    exchange(&mut rig, A, 30 * MILLISECOND);
    rig.publish(&["m"]);
    let id = rig.deliveries[0].1;
    rig.requeue(A, id, 50 * MILLISECOND);
    assert_eq!(figures(rig.stats("c").latency).0, 2, "a requeued message is not finished");
    rig.pass(50 * MILLISECOND);
    rig.pass(70 * MILLISECOND);
    rig.finish(A, id);
    assert_eq!(figures(rig.stats("c").latency), (3, vec![120, 30]));
    rig.finish(A, id);
    assert_eq!(figures(rig.stats("c").latency).0, 3, "a FIN that fails finishes nothing");
}

#[test]
fn a_topics_is_that_of_all_its_channels_whichever_is_asked_for() {
    let mut rig = measuring(&[1.0, 0.5]);
    rig.subscribe(A, "slow", 10);
    exchange(&mut rig, A, 500 * MILLISECOND);
    rig.subscribe(B, "fast", 10);
    rig.topic.handle_disconnect(rig.now, A);
    exchange(&mut rig, B, MILLISECOND);
    exchange(&mut rig, B, MILLISECOND);
    let stats = rig.topic.stats(rig.now, Some(&ChannelName::parse("fast").unwrap()), false);
    assert_eq!(figures(stats.latency), (3, vec![500, 1]));
    assert_eq!(figures(stats.channels[0].latency.clone()), (2, vec![1, 1]));
}

#[test]
fn it_forgets_as_time_passes_and_wakes_nobody_for_that() {
    let mut rig = measuring(&[1.0]);
    rig.subscribe(A, "c", 1);
    exchange(&mut rig, A, MILLISECOND);
    assert_eq!(rig.topic.poll_timeout(), None);
    rig.pass(Duration::from_secs(29));
    assert_eq!(figures(rig.stats("c").latency), (1, vec![1]));
    rig.pass(Duration::from_secs(31));
    assert_eq!(figures(rig.stats("c").latency), (0, vec![0]));
}
