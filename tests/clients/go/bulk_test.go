package clients

import (
	"bytes"
	"fmt"
	"sort"
	"testing"
	"time"
)

// longestGap is far more than a link needs on a busy machine, and far less than a heartbeat.
const longestGap = 5 * time.Second

// Bodies of 1 byte to 5 MB, one message at a time or thousands, to one connection or many: as long as the consumer
// finishes what it gets, it never waits for the next. Heartbeats are rare, so that none of them hides a connection that
// sleeps.
func TestBodiesOfAnySize(t *testing.T) {
	for _, load := range []struct{ bytes, count, inFlight, consumers int }{
		{1, 3000, 2500, 1},
		{1, 300, 1, 1},
		{1448, 2000, 200, 1},
		{1448, 1000, 1, 20},
		{65_536, 100, 10, 1},
		{200_000, 20, 1, 1},
		{200_000, 40, 2500, 4},
		{5 << 20, 4, 2, 1},
	} {
		name := fmt.Sprintf("%d bytes, %d in flight, %d consumers", load.bytes, load.inFlight, load.consumers)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNsqd(t, "-max-msg-size", "6000000", "-max-body-size", "64000000")
			n.createChannels(topic, "channel_a")
			config := newConfig()
			config.MsgTimeout, config.HeartbeatInterval = time.Minute, 50*time.Second
			config.MaxInFlight = load.inFlight
			body := bytes.Repeat([]byte("."), load.bytes)
			p := produce(t, n)
			for left := load.count; left > 0; left -= 10 {
				check(t, p.MultiPublish(topic, [][]byte{body, body, body, body, body, body, body, body, body, body}[:min(left, 10)]))
			}
			var consumers []*consumer
			began := time.Now()
			for range load.consumers {
				consumers = append(consumers, consume(t, n, "channel_a", config, finish))
			}
			all := func() (all []delivery) {
				for _, c := range consumers {
					all = append(all, c.all()...)
				}
				return all
			}
			await(t, deadline+late, func() string {
				if got := len(all()); got != load.count {
					return fmt.Sprintf("%d of %d deliveries", got, load.count)
				}
				return ""
			})
			deliveries := all()
			sort.Slice(deliveries, func(i, j int) bool { return deliveries[i].at.Before(deliveries[j].at) })
			for _, d := range deliveries {
				if len(d.body) != load.bytes || d.attempts != 1 {
					t.Fatalf("%d bytes with attempts %d", len(d.body), d.attempts)
				}
				if gap := d.at.Sub(began); gap > longestGap {
					t.Fatalf("nothing came for %v", gap)
				}
				began = d.at
			}
			n.awaitSettled(topic, "channel_a", load.count)
		})
	}
}
