package clients

// One nsqd process per test, on ports and a data path of its own.

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// deadline bounds every wait for something that must happen but has no due time.
	deadline = 10 * time.Second
	// slack is how far the clocks of two processes may be apart.
	slack = 10 * time.Millisecond
)

// late is how long after its due time a message may arrive. SANSQ_LATE_MS raises it for an nsqd
// that only looks at its timers now and then.
var late = lateness()

func lateness() time.Duration {
	ms, err := strconv.Atoi(os.Getenv("SANSQ_LATE_MS"))
	if err != nil {
		ms = 2000
	}
	return time.Duration(ms) * time.Millisecond
}

// command is the nsqd under test: SANSQ_NSQD, words split at spaces, or the workspace's release build.
func command() []string {
	if words := strings.Fields(os.Getenv("SANSQ_NSQD")); len(words) > 0 {
		return words
	}
	return []string{"../../../target/release/nsqd"}
}

// host is the address that nsqd listens on. SANSQ_HOST names another one, where nsqd runs on another host than the clients.
var host = hostOfNsqd()

func hostOfNsqd() string {
	if host := os.Getenv("SANSQ_HOST"); host != "" {
		return host
	}
	return "127.0.0.1"
}

// clientHost is the address that nsqd finds a server of ours at.
func clientHost(t *testing.T) string {
	t.Helper()
	// Nothing is sent: the system only chooses an address of this host for what would be.
	socket, err := net.Dial("udp", host+":9")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	return socket.LocalAddr().(*net.UDPAddr).IP.String()
}

type nsqd struct {
	t        *testing.T
	dataPath string
	tcp      string
	http     string
	flags    []string
	process  *exec.Cmd
	logDone  chan struct{}
	log      strings.Builder
}

// startNsqd runs an nsqd until the end of the test, which also checks that it exits cleanly.
func startNsqd(t *testing.T, flags ...string) *nsqd {
	t.Helper()
	n := &nsqd{t: t, dataPath: t.TempDir(), tcp: host + ":0", http: host + ":0", flags: flags}
	t.Cleanup(func() {
		n.stop()
		if t.Failed() {
			t.Logf("nsqd wrote:\n%s", n.log.String())
		}
	})
	n.start()
	return n
}

var listening = regexp.MustCompile(`(TCP|HTTP): listening on (` + regexp.QuoteMeta(host) + `:\d+)`)

// start runs nsqd and learns its ports from its log; a second start uses the same ports.
func (n *nsqd) start() {
	n.t.Helper()
	words := append(command(), "-data-path", n.dataPath, "-tcp-address", n.tcp, "-http-address", n.http)
	words = append(words, n.flags...)
	process := exec.Command(words[0], words[1:]...)
	stderr, err := process.StderrPipe()
	if err == nil {
		err = process.Start()
	}
	if err != nil {
		n.t.Fatalf("start nsqd: %v", err)
	}
	n.process = process
	n.logDone = make(chan struct{})
	addresses := make(chan []string, 8)
	go n.readLog(stderr, addresses)
	learnt := map[string]string{}
	for learnt["TCP"] == "" || learnt["HTTP"] == "" {
		select {
		case match := <-addresses:
			learnt[match[1]] = match[2]
		case <-n.logDone:
			n.t.Fatal("nsqd ended before it listened")
		case <-time.After(deadline):
			n.t.Fatal("nsqd does not listen")
		}
	}
	n.tcp, n.http = learnt["TCP"], learnt["HTTP"]
}

func (n *nsqd) readLog(stderr io.Reader, addresses chan<- []string) {
	defer close(n.logDone)
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if !strings.Contains(lines.Text(), "GET /stats") {
			n.log.WriteString(lines.Text() + "\n")
		}
		if match := listening.FindStringSubmatch(lines.Text()); match != nil {
			addresses <- match
		}
	}
}

// stop sends SIGTERM and expects exit status 0.
func (n *nsqd) stop() {
	n.t.Helper()
	process := n.process
	if process == nil {
		return
	}
	n.process = nil
	_ = process.Process.Signal(syscall.SIGTERM)
	select {
	case <-n.logDone:
	case <-time.After(deadline):
		_ = process.Process.Kill()
		<-n.logDone
		n.t.Error("nsqd did not end on SIGTERM")
	}
	if err := process.Wait(); err != nil {
		n.t.Errorf("nsqd ended with %v", err)
	}
}

// createChannels makes a topic and its channels before anybody is connected.
func (n *nsqd) createChannels(topic string, channels ...string) {
	n.t.Helper()
	n.post("/topic/create", url.Values{"topic": {topic}})
	for _, channel := range channels {
		n.post("/channel/create", url.Values{"topic": {topic}, "channel": {channel}})
	}
}

func (n *nsqd) post(path string, query url.Values) {
	n.t.Helper()
	response, err := http.Post("http://"+n.http+path+"?"+query.Encode(), "", nil)
	if err != nil {
		n.t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		n.t.Fatalf("%s: %s", path, response.Status)
	}
}

type channelStats struct {
	Name         string `json:"channel_name"`
	Depth        int    `json:"depth"`
	InFlight     int    `json:"in_flight_count"`
	Deferred     int    `json:"deferred_count"`
	MessageCount int    `json:"message_count"`
	RequeueCount int    `json:"requeue_count"`
	TimeoutCount int    `json:"timeout_count"`
	Clients      []struct {
		ReadyCount int `json:"ready_count"`
	} `json:"clients"`
}

func (s channelStats) empty() bool {
	return s.Depth == 0 && s.InFlight == 0 && s.Deferred == 0
}

// channel returns the statistics of a channel, and whether it exists.
func (n *nsqd) channel(topic, channel string) (channelStats, bool) {
	n.t.Helper()
	query := url.Values{"format": {"json"}, "topic": {topic}, "channel": {channel}}
	response, err := http.Get("http://" + n.http + "/stats?" + query.Encode())
	if err != nil {
		n.t.Fatal(err)
	}
	defer response.Body.Close()
	var stats struct {
		Topics []struct {
			Channels []channelStats `json:"channels"`
		} `json:"topics"`
	}
	if err := json.NewDecoder(response.Body).Decode(&stats); err != nil {
		n.t.Fatal(err)
	}
	for _, topic := range stats.Topics {
		for _, found := range topic.Channels {
			if found.Name == channel {
				return found, true
			}
		}
	}
	return channelStats{}, false
}

// awaitChannel polls a channel's statistics until they satisfy a condition.
func (n *nsqd) awaitChannel(topic, channel, what string, is func(channelStats) bool) channelStats {
	n.t.Helper()
	var stats channelStats
	await(n.t, deadline+late, func() string {
		found, ok := n.channel(topic, channel)
		if stats = found; ok && is(found) {
			return ""
		}
		return fmt.Sprintf("%s:%s is not %s: %+v", topic, channel, what, stats)
	})
	return stats
}

// awaitSettled waits until count messages have come to the channel and none of them is queued, in
// flight or deferred. After that none can be delivered again. A restart sets the count to 0.
func (n *nsqd) awaitSettled(topic, channel string, count int) channelStats {
	n.t.Helper()
	return n.awaitChannel(topic, channel, fmt.Sprintf("done with %d messages", count), func(s channelStats) bool {
		return s.MessageCount == count && s.empty()
	})
}

// awaitConsumers waits until a channel has so many connected consumers that take messages.
func (n *nsqd) awaitConsumers(topic, channel string, count int) {
	n.t.Helper()
	n.awaitChannel(topic, channel, fmt.Sprintf("consumed by %d", count), func(s channelStats) bool {
		ready := 0
		for _, client := range s.Clients {
			if client.ReadyCount > 0 {
				ready++
			}
		}
		return ready == count
	})
}

// await calls check until it returns "" or the time is over; then the test fails with what it said.
func await(t *testing.T, timeout time.Duration, check func() string) {
	t.Helper()
	for end := time.Now().Add(timeout); ; time.Sleep(10 * time.Millisecond) {
		missing := check()
		if missing == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after %v: %s", timeout, missing)
		}
	}
}

// journal collects deliveries as they come.
type journal struct {
	mutex      sync.Mutex
	deliveries []delivery
}

type delivery struct {
	body     string
	attempts uint16
	at       time.Time
}

func (j *journal) add(d delivery) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	j.deliveries = append(j.deliveries, d)
}

func (j *journal) all() []delivery {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return append([]delivery(nil), j.deliveries...)
}

// await returns the deliveries once there are at least count.
func (j *journal) await(t *testing.T, count int) []delivery {
	t.Helper()
	await(t, deadline+late, func() string {
		if got := len(j.all()); got < count {
			return fmt.Sprintf("%d of %d deliveries", got, count)
		}
		return ""
	})
	return j.all()
}
