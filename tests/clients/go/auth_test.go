package clients

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nsqio/go-nsq"
)

// A client with a secret, and a certificate that the auth server knows, may do what that server says; one with another
// secret may not.
func TestAuthorization(t *testing.T) {
	auth := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r.URL.Query()
		if asked.Get("secret") != "open sesame" || asked.Get("common_name") != "a client" || asked.Get("tls") != "true" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, `{"ttl": 60, "identity": "ann", "authorizations": [
			{"topic": "^%s$", "channels": [".*"], "permissions": ["subscribe", "publish"]}]}`, topic)
	}))
	listener, err := net.Listen("tcp", clientHost(t)+":0")
	check(t, err)
	auth.Listener.Close()
	auth.Listener = listener
	auth.Start()
	t.Cleanup(auth.Close)
	cert, key := certificate(t, "nsqd")
	clientCert, clientKey := certificate(t, "a client")
	n := startNsqd(t, "-tls-cert", cert, "-tls-key", key, "-tls-required=tcp-https", "-tls-client-auth-policy", "require",
		"-auth-http-address", strings.TrimPrefix(auth.URL, "http://"))
	configure := func(secret string) *nsq.Config {
		config := newConfig()
		check(t, config.Set("tls_v1", true))
		check(t, config.Set("tls_root_ca_file", cert))
		check(t, config.Set("tls_cert", clientCert))
		check(t, config.Set("tls_key", clientKey))
		check(t, config.Set("auth_secret", secret))
		return config
	}
	expectExchange(t, n, configure("open sesame"))

	p, err := nsq.NewProducer(n.tcp, configure("another"))
	check(t, err)
	t.Cleanup(p.Stop)
	p.SetLogger(nil, nsq.LogLevelError)
	if err := p.Publish(topic, []byte("x")); err == nil || !strings.Contains(err.Error(), "E_AUTH_FAILED") {
		t.Fatalf("published with the wrong secret: %v", err)
	}
}
