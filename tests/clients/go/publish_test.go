package clients

import (
	"testing"
	"time"
)

var hellos = []string{"hello xiaoxu 0", "hello xiaoxu 1", "hello xiaoxu 2"}

// Each channel gets every message, the consumers of a channel share them.
func TestFanOut(t *testing.T) {
	for _, consumersFirst := range []bool{true, false} {
		name := map[bool]string{true: "consumers first", false: "messages first"}[consumersFirst]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNsqd(t)
			n.createChannels(topic, "channel_a", "channel_b")
			p := produce(t, n)
			if !consumersFirst {
				publish(t, p, hellos...)
			}
			a1 := consume(t, n, "channel_a", newConfig(), finish)
			a2 := consume(t, n, "channel_a", newConfig(), finish)
			b := consume(t, n, "channel_b", newConfig(), finish)
			if consumersFirst {
				n.awaitConsumers(topic, "channel_a", 2)
				n.awaitConsumers(topic, "channel_b", 1)
				publish(t, p, hellos...)
			}
			n.awaitSettled(topic, "channel_a", 3)
			n.awaitSettled(topic, "channel_b", 3)
			expectBodies(t, "A1 and A2", sortedBodies(a1.all(), a2.all()), hellos...)
			expectBodies(t, "B", sortedBodies(b.all()), hellos...)
		})
	}
}

func TestMultiPublish(t *testing.T) {
	t.Parallel()
	n := startNsqd(t)
	c := consume(t, n, "channel_a", newConfig(), finish)
	var bodies [][]byte
	for _, body := range hellos {
		bodies = append(bodies, []byte(body))
	}
	check(t, produce(t, n).MultiPublish(topic, bodies))
	n.awaitSettled(topic, "channel_a", 3)
	expectBodies(t, "the consumer", sortedBodies(c.all()), hellos...)
}

func TestDeferredPublish(t *testing.T) {
	t.Parallel()
	n := startNsqd(t)
	c := consume(t, n, "channel_a", newConfig(), finish)
	n.awaitConsumers(topic, "channel_a", 1)
	p := produce(t, n)
	const delay = 700 * time.Millisecond
	asked := time.Now()
	check(t, p.DeferredPublish(topic, delay, []byte("later")))
	answered := time.Now()
	publish(t, p, "now")
	got := c.await(t, 2)
	if got[0].body != "now" || got[1].body != "later" {
		t.Fatalf("came as %q, %q", got[0].body, got[1].body)
	}
	expectArrival(t, got[1], asked, answered, delay)
	n.awaitSettled(topic, "channel_a", 2)
}

// A client that asks for compression gets its messages as they are.
func TestCompression(t *testing.T) {
	for _, codec := range []string{"snappy", "deflate"} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			n := startNsqd(t)
			config := newConfig()
			check(t, config.Set(codec, true))
			expectExchange(t, n, config)
		})
	}
}
