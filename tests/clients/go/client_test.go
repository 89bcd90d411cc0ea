package clients

// go-nsq consumers and producers that end with their test.

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"sort"
	"testing"
	"time"

	"github.com/nsqio/go-nsq"
)

const (
	topic      = "my_test_topic"
	msgTimeout = time.Second // the shortest that nsqd grants

	stuckConsumer = "SANSQ_TEST_STUCK_CONSUMER"
)

// TestMain also is the program of a consumer that is going to be killed, see startStuckConsumer.
func TestMain(m *testing.M) {
	if address := os.Getenv(stuckConsumer); address != "" {
		runStuckConsumer(address)
	}
	// The tests mostly wait, so all of them run at once.
	flag.Parse()
	_ = flag.Set("test.parallel", "32")
	os.Exit(m.Run())
}

func newConfig() *nsq.Config {
	config := nsq.NewConfig()
	config.MsgTimeout = msgTimeout
	config.MaxInFlight = 5
	config.LookupdPollInterval = 50 * time.Millisecond // also the reconnect interval
	config.DefaultRequeueDelay = 100 * time.Millisecond
	config.BackoffMultiplier = 150 * time.Millisecond
	return config
}

type consumer struct {
	journal
	*nsq.Consumer
	unanswered chan *nsq.Message
}

// errNoAnswer is returned by a handler that forgets its message.
var errNoAnswer = errors.New("no answer")

// finish is the handler that is content with every message.
func finish(*nsq.Message) error { return nil }

// consume starts a consumer, which hands each message to the handler after it wrote it down.
func consume(t *testing.T, n *nsqd, channel string, config *nsq.Config, handler nsq.HandlerFunc) *consumer {
	t.Helper()
	inner, err := nsq.NewConsumer(topic, channel, config)
	if err != nil {
		t.Fatal(err)
	}
	c := &consumer{Consumer: inner, unanswered: make(chan *nsq.Message, 16)}
	c.SetLogger(nil, nsq.LogLevelError)
	c.AddHandler(nsq.HandlerFunc(func(m *nsq.Message) error {
		c.add(delivery{body: string(m.Body), attempts: m.Attempts, at: time.Now()})
		err := handler(m)
		if err == errNoAnswer {
			m.DisableAutoResponse()
			c.unanswered <- m
			return nil
		}
		return err
	}))
	if err := c.ConnectToNSQD(n.tcp); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.stop(t) })
	return c
}

// giveUp answers what was left unanswered: go-nsq keeps even a broken connection until then.
func (c *consumer) giveUp() {
	for {
		select {
		case m := <-c.unanswered:
			m.Finish()
		default:
			return
		}
	}
}

func (c *consumer) stop(t *testing.T) {
	t.Helper()
	c.giveUp()
	c.Stop()
	select {
	case <-c.StopChan:
	case <-time.After(deadline):
		t.Error("consumer did not stop")
	}
}

func produce(t *testing.T, n *nsqd) *nsq.Producer {
	t.Helper()
	p, err := nsq.NewProducer(n.tcp, newConfig())
	if err != nil {
		t.Fatal(err)
	}
	p.SetLogger(nil, nsq.LogLevelError)
	t.Cleanup(p.Stop)
	return p
}

// publish sends each body with a PUB of its own.
func publish(t *testing.T, p *nsq.Producer, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		check(t, p.Publish(topic, []byte(body)))
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// startStuckConsumer runs a consumer in a process of its own, which tells of its first message and
// never answers it. The channel returned closes with that message, the function kills the process.
func startStuckConsumer(t *testing.T, n *nsqd) (received <-chan string, kill func()) {
	t.Helper()
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), stuckConsumer+"="+n.tcp)
	stdout, err := process.StdoutPipe()
	check(t, err)
	check(t, process.Start())
	lines := make(chan string, 1)
	go func() {
		if scanner := bufio.NewScanner(stdout); scanner.Scan() {
			lines <- scanner.Text()
		}
	}()
	killed := false
	kill = func() {
		if !killed {
			killed = true
			_ = process.Process.Kill()
			_ = process.Wait()
		}
	}
	t.Cleanup(kill)
	return lines, kill
}

func runStuckConsumer(address string) {
	c, err := nsq.NewConsumer(topic, "channel_a", newConfig())
	if err == nil {
		c.AddHandler(nsq.HandlerFunc(func(m *nsq.Message) error {
			fmt.Printf("%s %d\n", m.Body, m.Attempts)
			m.DisableAutoResponse()
			return nil
		}))
		err = c.ConnectToNSQD(address)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	<-c.StopChan
}

// sortedBodies are the bodies of deliveries, which come in no promised order.
func sortedBodies(deliveries ...[]delivery) []string {
	var bodies []string
	for _, part := range deliveries {
		for _, d := range part {
			bodies = append(bodies, d.body)
		}
	}
	sort.Strings(bodies)
	return bodies
}

func expectBodies(t *testing.T, who string, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s got %q, want %q", who, got, want)
	}
}

// expectArrival checks that a message came when its delay was over and not much later. When nsqd began
// to count is known only as between two moments on this side of the socket.
func expectArrival(t *testing.T, d delivery, after, before time.Time, delay time.Duration) {
	t.Helper()
	if early := after.Add(delay).Sub(d.at); early > slack {
		t.Errorf("%s came %v too early", d.body, early)
	}
	if behind := d.at.Sub(before.Add(delay)); behind > late {
		t.Errorf("%s came %v too late", d.body, behind)
	}
}
