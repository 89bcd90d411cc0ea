//! Merging: what several nsqlookupds and nsqds say becomes one picture. And what a picture says of the one before.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::sync::Arc;

use serde_json::json;

use super::*;

fn producer(host: &str, http_port: u16) -> Producer {
    let info: Info = serde_json::from_value(json!({
        "hostname": format!("host-{host}"), "broadcast_address": host, "tcp_port": http_port - 1, "http_port": http_port,
        "topology_region": "r", "topology_zone": "z",
    }))
    .unwrap();
    Producer::from(info)
}

fn topics(stats: serde_json::Value) -> Vec<TopicStats> {
    serde_json::from_value::<StatsAnswer>(json!({ "topics": stats })).unwrap().topics
}

fn report(host: &str, stats: serde_json::Value) -> Vec<TopicStats> {
    Report { producer: producer(host, 4151), topics: topics(stats) }.labelled(1000)
}

fn nodes(answer: serde_json::Value) -> Vec<NodeProducer> {
    serde_json::from_value::<NodesAnswer>(json!({ "producers": answer })).unwrap().producers
}

#[test]
fn nodes_of_several_nsqlookupds_are_one_each() {
    let node = |address: &str, version: &str, topics: serde_json::Value, tombstones: serde_json::Value| {
        json!({
            "remote_address": format!("{address}:999"), "hostname": "h", "broadcast_address": address, "tcp_port": 4150,
            "http_port": 4151, "version": version, "topics": topics, "tombstones": tombstones,
        })
    };
    let first = nodes(json!([
        node("b", "1.3.0", json!(["t", "a"]), json!([true])),
        node("a", "1.2.1-alpha", json!(null), json!(null)),
    ]));
    let second =
        nodes(json!([node("b", "1.3.0", json!(["other"]), json!([])), node("::1", "1.2.1", json!([]), json!([]))]));
    let merged = merge_nodes([("l1:4161".to_owned(), first), ("l2:4161".to_owned(), second)]);
    let addresses: Vec<String> = merged.iter().map(Producer::http_address).collect();
    assert_eq!(addresses, ["[::1]:4151", "a:4151", "b:4151"], "of one host, by address");
    assert_eq!(merged[2].remote_addresses, ["l1:4161/b:999", "l2:4161/b:999"]);
    let topics: Vec<(&str, bool)> = merged[2].topics.iter().map(|own| (own.topic.as_str(), own.tombstoned)).collect();
    assert_eq!(topics, [("a", false), ("t", true)], "sorted, and a tombstone that is not told of is none");
    assert!(!merged[2].serves("t") && merged[2].serves("a") && !merged[2].serves("other"));
    let old: Vec<bool> = merged.iter().map(|producer| producer.out_of_date).collect();
    assert_eq!(old, [true, true, false]);
    assert_eq!(merged[0].tcp_address(), "[::1]:4150");
    let named = merge_producers([vec![LookupProducer::default()], vec![LookupProducer::default()]]);
    assert_eq!(named.len(), 1);
}

#[test]
fn an_old_nsqd_is_known_by_the_address_it_was_asked_at() {
    let asked = |address: &str| Producer::asked(address, Info::default(), ["t".to_owned()]);
    assert_eq!(asked("db:4151").http_address(), "db:4151");
    assert_eq!(asked("[::1]:4151").http_address(), "[::1]:4151");
    assert_eq!(asked("[::1]:4151").hostname, "::1");
    assert_eq!(asked("nonsense").http_address(), "nonsense:0");
    assert!(asked("db:4151").serves("t"));
}

#[test]
fn parts_keep_their_own_numbers() {
    let stats = |depth: i64| {
        json!([{
            "topic_name": "t", "depth": 1, "backend_depth": 1, "message_count": depth + 1, "zone_local_msg_count": 1,
            "channels": [{"channel_name": "c", "depth": depth, "backend_depth": 2, "paused": depth == 7}],
        }])
    };
    let whole = merge_topic("t", [report("b", stats(5)), report("a", stats(7))].concat());
    assert_eq!((whole.node.as_str(), whole.depth, whole.backend_depth, whole.memory_depth), ("*", 2, 2, 0));
    assert_eq!((whole.message_count, whole.delivery_msg_count, whole.paused), (14, 2, false));
    let parts = whole.nodes.as_ref().unwrap();
    let shown: Vec<(&str, i64)> = parts.iter().map(|part| (part.node.as_str(), part.channels[0].depth)).collect();
    assert_eq!(shown, [("a:4151", 7), ("b:4151", 5)]);
    let channel = &whole.channels[0];
    assert_eq!((channel.depth, channel.memory_depth, channel.paused, channel.topic_name.as_str()), (12, 8, true, "t"));
    let shown: Vec<(&str, i64)> =
        channel.nodes.iter().flatten().map(|part| (part.hostname.as_str(), part.memory_depth)).collect();
    assert_eq!(shown, [("host-a", 5), ("host-b", 3)]);
    assert_eq!(channel.clients, None, "nobody asked for them");
}

#[test]
fn nothing_merged_is_nothing() {
    let whole = merge_topic("t", Vec::new());
    assert_eq!((whole.nodes, whole.channels, whole.message_count), (Some(Vec::new()), Vec::new(), 0));
    let json = serde_json::to_value(merge_channel("t", "c", Vec::new())).unwrap();
    assert_eq!((&json["clients"], &json["nodes"]), (&json!(null), &json!([])));
    assert_eq!(
        json["e2e_processing_latency"],
        json!({"count": 0, "percentiles": null, "topic": "t", "channel": "c", "host": "*"})
    );
    for absent in ["rate", "out", "history", "zone_local_msg_count", "delivery_msg_count"] {
        assert!(json.get(absent).is_none(), "{absent}");
    }
}

#[test]
fn percentiles_are_weighted_and_limits_are_limits() {
    let stats = |count: i64, p99: f64, p50: f64| {
        json!([{
            "topic_name": "t",
            "e2e_processing_latency": {
                "count": count, "percentiles": [{"quantile": 0.5, "value": p50}, {"quantile": 0.99, "value": p99}],
            },
        }])
    };
    let parts =
        [report("a", stats(10, 100.0, 20.0)), report("b", stats(30, 500.0, 40.0)), report("c", stats(0, 0.0, 0.0))];
    let latency = merge_topic("t", parts.concat()).e2e_processing_latency;
    let shown: Vec<_> =
        latency.percentiles.iter().map(|p| (p.quantile, p.average, p.min, p.max, p.count, p.value)).collect();
    assert_eq!(shown, [(0.99, 400.0, 100.0, 500.0, 40.0, None), (0.5, 35.0, 20.0, 40.0, 40.0, None)]);
    let shown = serde_json::to_value(&latency).unwrap();
    assert_eq!(
        (&shown["count"], &shown["topic"], &shown["channel"], &shown["host"]),
        (&json!(40), &json!("t"), &json!(""), &json!("*"))
    );
    // A quantile that only one has, and one that is no number.
    let odd = json!([{"topic_name": "t", "e2e_processing_latency": {"count": 1, "percentiles": [{"quantile": 0.1, "value": null}]}}]);
    let latency = merge_topic("t", [report("a", stats(1, 9.0, 9.0)), report("b", odd)].concat()).e2e_processing_latency;
    assert_eq!(latency.percentiles.len(), 3);
}

#[test]
fn clients_near_by_come_first() {
    let client = |name: &str, region: &str, zone: &str| json!({"client_id": name, "topology_region": region, "topology_zone": zone, "connect_ts": 990});
    let stats = |clients: serde_json::Value| json!([{"topic_name": "t", "channels": [{"channel_name": "c", "client_count": 1, "clients": clients}]}]);
    let far =
        [client("far", "q", "z"), client("farther", "s", "a"), client("region", "r", "y"), client("zone", "r", "z")];
    let parts = [report("b", stats(json!(far))), report("a", stats(json!([client("other node", "", "")])))];
    let channels = parts.concat().into_iter().flat_map(|part| part.channels).collect();
    let clients = merge_channel("t", "c", channels).clients.unwrap();
    let names: Vec<&str> = clients.iter().map(|client| client.client_id.as_str()).collect();
    assert_eq!(names, ["other node", "zone", "region", "far", "farther"]);
    assert_eq!((clients[1].node.as_str(), clients[1].node_topology_zone.as_str()), ("b:4151", "z"));
    assert_eq!(clients[1].connected, 10_000_000_000);
}

#[test]
fn what_an_nsqd_of_another_version_says_is_read_as_far_as_it_goes() {
    let odd = topics(json!([
        {"topic_name": "t", "depth": null, "channels": null, "news": {"x": [1]}, "e2e_processing_latency": null},
        {"topic_name": "u", "channels": [{"channel_name": "c", "clients": null, "depth": i64::MAX, "backend_depth": -5}]},
    ]));
    assert_eq!((odd[0].depth, odd[0].channels.len()), (0, 0));
    // Sums stop at their limit.
    let part = Report { producer: producer("a", 4151), topics: odd }.labelled(i64::MIN);
    let whole = merge_topic("u", vec![part[1].clone(), part[1].clone()]);
    assert_eq!((whole.channels[0].depth, whole.channels[0].memory_depth), (i64::MAX, i64::MAX));
    assert!(serde_json::from_value::<StatsAnswer>(json!({})).unwrap().topics.is_empty());
    assert!(serde_json::from_value::<StatsAnswer>(json!({"topics": null})).unwrap().topics.is_empty());
    assert!(serde_json::from_value::<LookupAnswer>(json!({"producers": null, "channels": null})).is_ok());
    assert_eq!(union([vec!["b".to_owned(), "a".to_owned()], vec!["b".to_owned()]]), ["a", "b"]);
}

/// What the nsqd `host` says of the topic `t` and its channel `c`.
fn view(host: &str, at_ms: u64, count: i64, depth: i64) -> NodeView {
    let stats = json!([{
        "topic_name": "t", "message_count": count,
        "channels": [{"channel_name": "c", "message_count": count, "depth": depth}],
    }]);
    let mut producer = producer(host, 4151);
    producer.topics = vec![ProducerTopic { topic: "t".to_owned(), tombstoned: false }];
    let node = producer.http_address();
    NodeView { node, producer, at_ms, topics: Some(NodeView::sorted(topics(stats))), error: String::new() }
}

fn snapshot(nodes: Vec<Arc<NodeView>>) -> Snapshot {
    Snapshot { nodes, topics: vec!["lonely".to_owned(), "t".to_owned()], with_clients: false }
}

fn rates(snapshot: &Snapshot) -> (Option<f64>, Option<f64>) {
    let summary = snapshot.summaries().into_iter().find(|summary| summary.topic_name == "t").unwrap();
    (summary.rate, summary.out)
}

#[test]
fn rates_are_those_of_each_nsqd_added_up() {
    let mut motion = Motion::new(500);
    let mut poll = |views: Vec<NodeView>| snapshot(views.into_iter().map(|view| motion.measure(view)).collect());
    assert_eq!(rates(&poll(vec![view("a", 0, 100, 50), view("b", 0, 10, 0)])), (None, None));
    assert_eq!(rates(&poll(vec![view("a", 2000, 120, 40), view("b", 2000, 20, 0)])), (Some(15.0), Some(20.0)));
    // One that does not answer is missing from the sum, and no jump when it comes back.
    let gone = NodeView { topics: None, ..view("b", 4000, 0, 0) };
    assert_eq!(rates(&poll(vec![view("a", 4000, 140, 40), gone])), (Some(10.0), Some(10.0)));
    assert_eq!(rates(&poll(vec![view("a", 6000, 140, 40), view("b", 6000, 60, 0)])), (Some(10.0), Some(10.0)));
    // One that was started anew began to count anew.
    assert_eq!(rates(&poll(vec![view("a", 8000, 3, 3), view("b", 8000, 60, 0)])), (Some(0.0), Some(0.0)));
    // Two polls close together are both measured by an earlier one.
    assert_eq!(rates(&poll(vec![view("a", 10_000, 13, 13)])), (Some(5.0), Some(0.0)));
    assert_eq!(rates(&poll(vec![view("a", 10_001, 14, 14)])), (Some(1.0 / 0.001), Some(0.0)));
}

#[test]
fn a_list_says_where_most_messages_wait() {
    let mut paused = view("b", 0, 9, 7);
    for topic in paused.topics.iter_mut().flatten() {
        (topic.paused, topic.depth) = (true, 3);
        topic.channels.push(ChannelStats {
            channel_name: "d".to_owned(),
            client_count: 2,
            in_flight_count: 1,
            ..ChannelStats::default()
        });
    }
    let cluster = snapshot(vec![Arc::new(view("a", 0, 5, 2)), Arc::new(paused)]);
    let [lonely, t] = cluster.summaries().try_into().unwrap();
    assert_eq!((lonely.topic_name.as_str(), lonely.nodes, lonely.worst), ("lonely", 0, None));
    assert_eq!((t.depth, t.message_count, t.channels, t.nodes, t.paused), (12, 14, 2, 2, true));
    assert_eq!((t.client_count, t.in_flight_count), (2, 1));
    assert_eq!(t.worst.unwrap(), Worst { channel_name: "c".to_owned(), node: "b:4151".to_owned(), depth: 7 });
    assert!(cluster.topic("lonely", 0).unwrap().nodes.unwrap().is_empty());
    assert!(cluster.topic("nope", 0).is_none() && cluster.channel("t", "nope", 0).is_none());
    assert_eq!(cluster.channel("t", "c", 0).unwrap().depth, 9);
    assert_eq!(cluster.node("a:4151").unwrap().labelled(0).next().unwrap().channels[0].topic_name, "t");
}

#[test]
fn an_nsqd_that_is_tombstoned_for_a_topic_is_not_in_it() {
    let mut hidden = view("b", 0, 9, 7);
    hidden.producer.topics[0].tombstoned = true;
    let cluster = snapshot(vec![Arc::new(view("a", 0, 5, 2)), Arc::new(hidden)]);
    assert_eq!(cluster.topic("t", 0).unwrap().message_count, 5);
    assert_eq!(cluster.summaries()[1].nodes, 1);
}

#[test]
fn history_is_even_however_polls_come() {
    let mut history = History::new(2000);
    let mut motion = Motion::new(1000);
    let mut record = |history: &mut History, at_ms: u64, count: i64, depth: i64| {
        let node = motion.measure(view("a", at_ms, count, depth));
        history.record(at_ms, Some(&snapshot(vec![node])));
    };
    record(&mut history, 0, 0, 10);
    let slot = history.slot();
    record(&mut history, 300, 0, 10);
    assert_eq!(history.slot(), slot, "of two polls in a slot, the first counts");
    record(&mut history, 2100, 21, 20);
    history.record(4000, None);
    record(&mut history, 6000, 60, 20);
    // Nobody looked for a while.
    record(&mut history, 14_000, 140, 60);
    assert_eq!(history.slot() - slot, 7);
    let some = |depths: &[u32]| depths.iter().map(|depth| Some(*depth)).collect::<Vec<_>>();
    for samples in
        [history.topic("t", 99), history.channel("t", "c", 99), history.node("a:4151", 99), history.total(99)]
    {
        assert_eq!(samples.interval_ms, 2000);
        assert_eq!(samples.depth, [&some(&[10, 20])[..], &[None], &some(&[20, 30, 40, 50, 60])].concat());
        let rate = [None, Some(10.0), None, Some(10.0), Some(10.0), Some(10.0), Some(10.0), Some(10.0)];
        assert_eq!(samples.rate, rate);
    }
    assert_eq!(history.topic("t", 2).depth, some(&[50, 60]));
    assert_eq!(history.topic("lonely", 1).depth, [None]);
    for poll in 8..200 {
        record(&mut history, poll * 2000, 140, 60);
    }
    assert_eq!(history.topic("t", 999).depth.len(), SAMPLES_MAX);
    history.record(400_000, Some(&Snapshot::default()));
    assert!(history.topic("t", 9).depth.is_empty(), "who goes missing is forgotten");
}
