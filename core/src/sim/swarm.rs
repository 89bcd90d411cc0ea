//! The scenario `swarm`: a seed alone draws configuration, topology, workload and faults. First everything is disturbed, then
//! healed, and then every channel has to drain: what a [trial](super::trial) checks.
//!
//! One generator for each concern, so that a draw more in one does not change the others.

use std::fmt::Write;
use std::time::Duration;

use crate::rng::Rng;
use crate::time::Instant;

use super::script::{ActionError, Script};
use super::values::show_time;

/// How long things are disturbed at most.
const DISTURBED: Duration = Duration::from_secs(30);
/// How long channels have to drain. More than any time-out, deferral and delay that is drawn, one after the other.
const DRAIN: Duration = Duration::from_secs(150);
/// Which steps a script has at least, so that cutting one short has a place to start.
const MILLIS: u64 = 1_000_000;

const CONFIGURATION: u64 = 1;
const TOPOLOGY: u64 = 2;
const WORKLOAD: u64 = 3;
const FAULTS: u64 = 4;
const SOUR: u64 = 5;

/// What a seed drew.
#[derive(Clone, Debug)]
pub struct Swarm {
    seed: u64,
    setup: Vec<String>,
    /// Disturbances, in order.
    disturbances: Vec<(Duration, String)>,
    healing: Vec<String>,
    healed_at: Duration,
}

struct Channel {
    topic: usize,
    name: String,
}

/// Draws from lists and ranges.
struct Draw(Rng);

impl Draw {
    fn new(seed: u64, concern: u64) -> Self {
        let mut rng = Rng::new(seed ^ concern << 56);
        Self(Rng::new(rng.next_u64() ^ concern))
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.0.below(of.len() as u64) as usize]
    }

    fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.0.below(to - from + 1)
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.0.below(100) < percent
    }

    fn time(&mut self, from: Duration, to: Duration) -> Duration {
        let millis = |time: Duration| time.as_millis() as u64;
        // A grid of its own, so that things seldom happen at the very same time, and sometimes do.
        Duration::from_nanos(self.between(millis(from), millis(to)) * MILLIS)
    }
}

impl Swarm {
    /// What `seed` draws.
    pub fn new(seed: u64) -> Self {
        let mut swarm = Self {
            seed,
            setup: Vec::new(),
            disturbances: Vec::new(),
            healing: Vec::new(),
            healed_at: Draw::new(seed, WORKLOAD).time(DISTURBED / 6, DISTURBED),
        };
        let mut topology = Draw::new(seed, TOPOLOGY);
        let nodes = [1, 1, 1, 2, 2, 3][topology.between(0, 5) as usize];
        let topics = topology.between(1, 3) as usize;
        swarm.draw_nodes(nodes);
        let mut channels = swarm.draw_channels(&mut topology, topics);
        let mut workload = Draw::new(seed, WORKLOAD ^ 0x80);
        let producers = topology.between(1, 4) as usize;
        (0..producers).for_each(|index| swarm.draw_producer(&mut workload, index, topics, nodes));
        let consumers = topology.between(1, 5) as usize + channels.len() / 2;
        (0..consumers).for_each(|index| swarm.draw_consumer(&mut workload, index, &channels));
        swarm.draw_faults(nodes, producers, consumers, &channels);
        channels.extend(swarm.draw_sour(topics, producers));
        swarm.disturbances.sort_by_key(|(at, _)| *at);
        swarm.heal(nodes, producers, consumers, &channels);
        swarm
    }

    /// The whole of it.
    pub fn script(&self) -> Script {
        let mut script = self.cut(self.healed_at);
        script.scenario = Some(super::scenario::SWARM);
        script
    }

    /// The same, but healed as soon as `at`.
    pub fn cut(&self, at: Duration) -> Script {
        let mut text = format!("seed {}\ntitle Swarm {}\n", self.seed, self.seed);
        // Writing to a string cannot fail.
        _ = writeln!(text, "until {}", show_time(at + DRAIN));
        for line in &self.setup {
            _ = writeln!(text, "{line}");
        }
        for (time, line) in self.disturbances.iter().filter(|(time, _)| *time < at) {
            _ = writeln!(text, "at {} {line}", show_time(*time));
        }
        // A node that was stopping then can only be started later, has its own disk, and may remember what was paused.
        let again = self.healing.iter().filter(|line| line.starts_with("unpause") || line.starts_with("disk"));
        for (index, line) in std::iter::once("start *").chain(again.map(String::as_str)).enumerate() {
            let time = at + DRAIN / 8 + Duration::from_secs(index as u64);
            _ = writeln!(text, "at {} {line}", show_time(time));
        }
        for (index, line) in self.healing.iter().enumerate() {
            // One after the other, in a time that no fault is drawn for.
            let time = at + Duration::from_micros(100 * (index as u64 + 1));
            _ = writeln!(text, "at {} {line}", show_time(time));
        }
        let script: Result<Script, ActionError> = text.parse();
        script.expect("what is drawn is a script")
    }

    /// When its faults are healed.
    pub fn healed_at(&self) -> Instant {
        Instant::ZERO + self.healed_at
    }

    /// Times to cut it at, in order: after each disturbance.
    pub fn cuts(&self) -> Vec<Duration> {
        let mut cuts: Vec<Duration> = self.disturbances.iter().map(|(at, _)| *at + Duration::from_millis(1)).collect();
        cuts.dedup();
        cuts
    }

    /// Its disturbances by verb.
    pub fn faults(&self) -> impl Iterator<Item = &str> {
        self.disturbances.iter().filter_map(|(_, line)| line.split(' ').next())
    }

    fn draw_nodes(&mut self, count: usize) {
        let mut draw = Draw::new(self.seed, CONFIGURATION);
        let latency = draw.one(&["0", "50us", "200us", "1ms", "5ms", "30ms"]);
        let jitter = draw.one(&["0", "20us", "1ms", "10ms", "50ms"]);
        self.setup.push(format!("network latency={latency} jitter={jitter}"));
        // Nodes of one kind show more of it, mixed ones more combinations.
        let ack = draw.one(&["accepted", "accepted", "written", "synced", "synced", "mixed"]);
        for index in 1..=count {
            let ack = if ack == "mixed" { draw.one(&["accepted", "written", "synced"]) } else { ack };
            self.setup.push(format!(
                "node n{index} publish-ack={ack} mem-queue-size={} msg-timeout={} max-msg-timeout={} disk-latency={} \
                 sync-every={} sync-timeout={} max-bytes-per-file={} max-rdy-count={}",
                draw.one(&["0", "1", "2", "10", "100", "10000"]),
                draw.one(&["500ms", "1s", "3s", "6s"]),
                draw.one(&["2s", "5s", "15s"]),
                draw.one(&["0", "100us", "1ms", "8ms", "60ms"]),
                draw.one(&["1", "3", "20", "2500"]),
                draw.one(&["20ms", "200ms", "2s"]),
                draw.one(&["150", "700", "4096", "104857600"]),
                draw.one(&["50", "2500"]),
            ));
        }
    }

    fn draw_channels(&mut self, draw: &mut Draw, topics: usize) -> Vec<Channel> {
        let mut channels = Vec::new();
        for topic in 0..topics {
            for index in 0..draw.between(1, 3) {
                let ephemeral = if draw.percent(12) { "#ephemeral" } else { "" };
                channels.push(Channel { topic, name: format!("c{index}{ephemeral}") });
            }
        }
        // Some exist before the first message, others come with their consumers.
        for channel in &channels {
            if draw.percent(60) {
                self.setup.push(format!("at 1ms channel * t{} {}", channel.topic, channel.name));
            }
        }
        channels
    }

    fn draw_producer(&mut self, draw: &mut Draw, index: usize, topics: usize, nodes: usize) {
        let node = if draw.percent(50) { "*".to_owned() } else { format!("n{}", draw.between(1, nodes as u64)) };
        let defer = if draw.percent(25) { draw.one(&["1ms", "300ms", "2s", "9s"]) } else { "0" };
        let batch = draw.one(&["1", "1", "2", "7", "40"]);
        let rate: u64 = draw.one(&["2", "10", "40", "100"]).parse().unwrap_or(10);
        self.setup.push(format!(
            "producer p{index} topic=t{} node={node} rate={rate}/s batch={batch} size={} defer={defer} ack={} window={}",
            draw.0.below(topics as u64),
            draw.one(&["8", "20", "200", "1500"]),
            draw.one(&["wait", "pipeline"]),
            draw.one(&["2", "64"]),
        ));
    }

    fn draw_consumer(&mut self, draw: &mut Draw, index: usize, channels: &[Channel]) {
        let channel = &channels[draw.0.below(channels.len() as u64) as usize];
        let sample = if draw.percent(8) { draw.one(&["1", "50", "99"]) } else { "0" };
        let timeout = if draw.percent(30) { draw.one(&["1", "20"]) } else { "0" };
        let line = format!(
            "consumer k{index} topic=t{} channel={} max-in-flight={} concurrency={} handler={} jitter={} fail={} \
             requeue-delay={} timeout={timeout} touch={} msg-timeout={} backoff={} max-attempts={} sample-rate={sample}",
            channel.topic,
            channel.name,
            draw.one(&["1", "2", "5", "20", "50"]),
            draw.one(&["1", "4", "100"]),
            draw.one(&["0", "1ms", "20ms", "400ms", "2s"]),
            draw.one(&["0", "5ms", "1s"]),
            draw.one(&["0", "0", "5", "50"]),
            draw.one(&["0", "5ms", "700ms", "4s", "9s"]),
            draw.one(&["0", "0", "300ms", "2s"]),
            draw.one(&["0", "400ms", "1500ms", "8s"]),
            draw.one(&["on", "off"]),
            draw.one(&["0", "5"]),
        );
        if draw.percent(70) {
            self.setup.push(line);
        } else {
            let at = draw.time(Duration::from_millis(100), self.healed_at);
            self.disturbances.push((at, line));
        }
    }

    fn draw_faults(&mut self, nodes: usize, producers: usize, consumers: usize, channels: &[Channel]) {
        let mut draw = Draw::new(self.seed, FAULTS);
        // Each run has some kinds of fault and not others: what always fails hides what seldom does.
        const KINDS: [&str; 9] = ["kill", "stop", "wire", "partition", "client", "disk", "full", "admin", "network"];
        let kinds: Vec<&str> = KINDS.into_iter().filter(|_| draw.percent(40)).collect();
        let count = draw.one(&["0", "2", "6", "15", "40"]).parse().unwrap_or(6);
        for _ in 0..count {
            let Some(index) = (!kinds.is_empty()).then(|| draw.0.below(kinds.len() as u64)) else { return };
            let at = draw.time(Duration::from_millis(50), self.healed_at);
            let later = at + draw.time(Duration::ZERO, Duration::from_secs(6));
            let node = format!("n{}", draw.between(1, nodes as u64));
            let client = if draw.percent(40) {
                format!("p{}", draw.0.below(producers as u64))
            } else {
                format!("k{}", draw.0.below(consumers as u64))
            };
            let channel = &channels[draw.0.below(channels.len() as u64) as usize];
            let pair: (String, String) = match kinds[index as usize] {
                "kill" => (format!("kill {node}"), format!("start {node}")),
                "stop" => (format!("stop {node}"), format!("start {node}")),
                "wire" => {
                    let fault = draw.one(&["cut", "mute", "slow"]);
                    let latency = if fault == "slow" { draw.one(&[" latency=80ms", " latency=3s"]) } else { "" };
                    (format!("{fault} {client} {node}{latency}"), format!("heal {client} {node}"))
                }
                "partition" => (format!("partition {client}"), "heal *".to_owned()),
                "client" => {
                    let (one, other) = [("stall", "resume"), ("crash", "connect")][draw.0.below(2) as usize];
                    (format!("{one} {client}"), format!("{other} {client}"))
                }
                "disk" => (
                    format!(
                        "disk {node} latency={} errors={}",
                        draw.one(&["0", "2ms", "400ms"]),
                        draw.one(&["0", "5", "40"])
                    ),
                    format!("disk {node} latency=1ms errors=0"),
                ),
                "full" => (format!("fill-disk {node}"), format!("free-disk {node}")),
                "admin" => self.draw_admin(&mut draw, &node, channel),
                _ => (
                    format!("network latency={}", draw.one(&["0", "10ms", "500ms"])),
                    "network latency=200us".to_owned(),
                ),
            };
            self.disturbances.push((at, pair.0));
            if later < self.healed_at {
                self.disturbances.push((later, pair.1));
            }
        }
    }

    /// With some seeds a channel of its own whose only consumers cannot handle what they get, or some of it, and ask for it again
    /// at once. Nothing else is drawn for it, so it is there beside what the seed draws otherwise.
    fn draw_sour(&mut self, topics: usize, producers: usize) -> Option<Channel> {
        let mut draw = Draw::new(self.seed, SOUR);
        if !draw.percent(25) {
            return None;
        }
        let topic = draw.0.below(topics as u64) as usize;
        let ready = draw.between(1, 3);
        // All of it, or as much as keeps every consumer busy.
        let fails = draw.one(&["fail=100", "poison=sour"]);
        self.setup.push(format!("at 1ms channel * t{topic} sour"));
        self.setup.push(format!(
            "consumer s0 topic=t{topic} channel=sour max-in-flight={ready} concurrency={ready} handler={} {fails} \
             requeue-delay={} max-attempts=0 backoff=off msg-timeout={}",
            draw.one(&["5ms", "20ms", "100ms"]),
            draw.one(&["0", "0", "1ms", "300ms"]),
            draw.one(&["0", "1s"]),
        ));
        let at = draw.time(Duration::from_millis(2), self.healed_at / 4);
        let count = draw.between(1, ready);
        (0..producers).for_each(|index| {
            self.disturbances.push((at, format!("publish p{index} body=sour count={count}")));
        });
        Some(Channel { topic, name: "sour".to_owned() })
    }

    fn draw_admin(&self, draw: &mut Draw, node: &str, channel: &Channel) -> (String, String) {
        let whole = draw.percent(30);
        let target = if whole {
            format!("{node} t{}", channel.topic)
        } else {
            format!("{node} t{} {}", channel.topic, channel.name)
        };
        match draw.0.below(5) {
            0 => (format!("empty {target}"), format!("empty {target}")),
            1 => (format!("delete {target}"), format!("channel {node} t{} {}", channel.topic, channel.name)),
            _ => (format!("pause {target}"), format!("unpause {target}")),
        }
    }

    /// Everything works, nothing new comes, and each channel has a consumer that does its work.
    fn heal(&mut self, nodes: usize, producers: usize, consumers: usize, channels: &[Channel]) {
        let mut line = |text: String| self.healing.push(text);
        line("network latency=200us jitter=50us".to_owned());
        (0..producers).for_each(|index| line(format!("remove p{index}")));
        (0..consumers).for_each(|index| line(format!("remove k{index}")));
        if channels.iter().any(|channel| channel.name == "sour") {
            line("remove s0".to_owned());
        }
        line("heal *".to_owned());
        line("free-disk *".to_owned());
        (1..=nodes).for_each(|index| line(format!("disk n{index} latency=1ms errors=0")));
        line("start *".to_owned());
        for channel in channels {
            let Channel { topic, name } = channel;
            line(format!(
                "consumer z{topic}-{} topic=t{topic} channel={name} max-in-flight=40",
                name.trim_end_matches("#ephemeral")
            ));
            line(format!("unpause * t{topic} {name}"));
        }
        let mut topics: Vec<usize> = channels.iter().map(|channel| channel.topic).collect();
        topics.dedup();
        topics.into_iter().for_each(|topic| line(format!("unpause * t{topic}")));
    }
}
