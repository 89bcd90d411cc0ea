package clients

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nsqio/go-nsq"
)

// SIGTERM loses nothing: what is in flight, queued, deferred or in a topic without channels comes
// after the next start, to clients that only had to reconnect.
func TestRestart(t *testing.T) {
	t.Parallel()
	n := startNsqd(t)
	var answering atomic.Bool
	answering.Store(true)
	config := newConfig()
	config.MaxInFlight = 1
	c := consume(t, n, "channel_a", config, func(m *nsq.Message) error {
		if answering.Load() {
			return nil
		}
		return errNoAnswer
	})
	p := produce(t, n)
	publish(t, p, "finished")
	n.awaitSettled(topic, "channel_a", 1)

	answering.Store(false)
	publish(t, p, "in flight")
	c.await(t, 2)
	publish(t, p, "queued 0", "queued 1")
	check(t, p.DeferredPublish(topic, 500*time.Millisecond, []byte("deferred")))
	check(t, p.Publish("no_channel_yet", []byte("waiting")))
	n.stop()
	answering.Store(true)
	c.giveUp()
	n.start()

	c.await(t, 6)
	n.awaitChannel(topic, "channel_a", "empty", channelStats.empty)
	after := sortedBodies(c.all()[2:])
	expectBodies(t, "the consumer after the restart", after, "deferred", "in flight", "queued 0", "queued 1")

	// The first publish may still find the broken connection.
	await(t, deadline, func() string {
		if err := p.Publish(topic, []byte("again")); err != nil {
			return fmt.Sprint("publish after the restart: ", err)
		}
		return ""
	})
	c.await(t, 7)
	n.createChannels("no_channel_yet", "channel_a")
	n.awaitChannel("no_channel_yet", "channel_a", "given its message", func(s channelStats) bool { return s.Depth == 1 })
}

// An ephemeral channel lives as long as it has consumers.
func TestEphemeralChannel(t *testing.T) {
	t.Parallel()
	const channel = "watchers#ephemeral"
	n := startNsqd(t)
	first := consume(t, n, channel, newConfig(), finish)
	second := consume(t, n, channel, newConfig(), finish)
	n.awaitConsumers(topic, channel, 2)
	p := produce(t, n)
	publish(t, p, "seen")
	n.awaitSettled(topic, channel, 1)
	first.stop(t)
	n.awaitConsumers(topic, channel, 1)
	publish(t, p, "seen too")
	n.awaitSettled(topic, channel, 2)
	second.stop(t)
	await(t, deadline, func() string {
		if stats, ok := n.channel(topic, channel); ok {
			return fmt.Sprintf("the channel is still there: %+v", stats)
		}
		return ""
	})
}
