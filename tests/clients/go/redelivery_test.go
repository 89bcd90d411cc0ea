package clients

import (
	"errors"
	"testing"
	"time"

	"github.com/nsqio/go-nsq"
)

// A handler's error requeues the message and makes the consumer back off to RDY 0.
func TestFailingHandler(t *testing.T) {
	t.Parallel()
	n := startNsqd(t)
	c := consume(t, n, "channel_a", newConfig(), func(m *nsq.Message) error {
		if string(m.Body) == "hard" && m.Attempts < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	readyIs := func(count int) func(channelStats) bool {
		return func(s channelStats) bool { return len(s.Clients) == 1 && s.Clients[0].ReadyCount == count }
	}
	n.awaitChannel(topic, "channel_a", "ready", readyIs(5))
	p := produce(t, n)
	publish(t, p, "hard")
	n.awaitChannel(topic, "channel_a", "backed off", readyIs(0))
	for i, d := range c.await(t, 3) {
		if d.body != "hard" || int(d.attempts) != i+1 {
			t.Errorf("delivery %d is %q with attempts %d", i+1, d.body, d.attempts)
		}
	}
	if stats := n.awaitSettled(topic, "channel_a", 1); stats.RequeueCount != 2 || stats.TimeoutCount != 0 {
		t.Errorf("counted %+v", stats)
	}
	// Each success takes back a step of the backoff, except one that comes while the consumer waits.
	n.awaitChannel(topic, "channel_a", "ready again", func(s channelStats) bool {
		if readyIs(5)(s) {
			return true
		}
		publish(t, p, "easy")
		return false
	})
}

// A message without an answer comes again when its time is over.
func TestSilentHandler(t *testing.T) {
	t.Parallel()
	n := startNsqd(t)
	c := consume(t, n, "channel_a", newConfig(), func(m *nsq.Message) error {
		if m.Attempts == 1 {
			return errNoAnswer
		}
		return nil
	})
	p := produce(t, n)
	published := time.Now()
	publish(t, p, "forgotten")
	got := c.await(t, 2)
	if got[0].attempts != 1 || got[1].attempts != 2 {
		t.Errorf("attempts %d, %d", got[0].attempts, got[1].attempts)
	}
	expectArrival(t, got[1], published, got[0].at, msgTimeout)
	if stats := n.awaitSettled(topic, "channel_a", 1); stats.TimeoutCount != 1 || stats.RequeueCount != 0 {
		t.Errorf("counted %+v", stats)
	}
}

// TOUCH gives a slow handler more time, so nobody else gets its message.
func TestTouch(t *testing.T) {
	t.Parallel()
	n := startNsqd(t)
	c := consume(t, n, "channel_a", newConfig(), func(m *nsq.Message) error {
		steps := time.NewTicker(msgTimeout / 5)
		defer steps.Stop()
		for i := 0; i < 12; i++ {
			<-steps.C
			m.Touch()
		}
		return nil
	})
	publish(t, produce(t, n), "slow")
	if stats := n.awaitSettled(topic, "channel_a", 1); stats.TimeoutCount != 0 {
		t.Errorf("counted %+v", stats)
	}
	expectBodies(t, "the consumer", sortedBodies(c.all()), "slow")
}

// What a killed consumer was working on goes to another one.
func TestKilledConsumer(t *testing.T) {
	t.Parallel()
	n := startNsqd(t)
	received, kill := startStuckConsumer(t, n)
	n.awaitConsumers(topic, "channel_a", 1)
	publish(t, produce(t, n), "orphan")
	select {
	case line := <-received:
		if line != "orphan 1" {
			t.Fatalf("the first consumer says %q", line)
		}
	case <-time.After(deadline):
		t.Fatal("the first consumer got nothing")
	}
	heir := consume(t, n, "channel_a", newConfig(), finish)
	n.awaitConsumers(topic, "channel_a", 2)
	kill()
	if got := heir.await(t, 1)[0]; got.body != "orphan" || got.attempts != 2 {
		t.Errorf("got %q with attempts %d", got.body, got.attempts)
	}
	n.awaitSettled(topic, "channel_a", 1)
}
