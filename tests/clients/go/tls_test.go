package clients

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nsqio/go-nsq"
)

// certificate writes a certificate for nsqd's host that signed itself, and its key, as PEM files.
func certificate(t *testing.T, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.ParseIP(host)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	check(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	check(t, err)
	directory := t.TempDir()
	write := func(file, kind string, der []byte) string {
		path := filepath.Join(directory, file)
		var text bytes.Buffer
		check(t, pem.Encode(&text, &pem.Block{Type: kind, Bytes: der}))
		check(t, os.WriteFile(path, text.Bytes(), 0o600))
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", pkcs8)
}

// expectExchange publishes and consumes with this configuration.
func expectExchange(t *testing.T, n *nsqd, config *nsq.Config) {
	t.Helper()
	c := consume(t, n, "channel_a", config, finish)
	p, err := nsq.NewProducer(n.tcp, config)
	check(t, err)
	t.Cleanup(p.Stop)
	p.SetLogger(nil, nsq.LogLevelError)
	publish(t, p, hellos...)
	n.awaitSettled(topic, "channel_a", len(hellos))
	expectBodies(t, "the consumer", sortedBodies(c.all()), hellos...)
}

// TLS 1.2, which is as far as go-nsq's options go, and 1.3, with and without compression on it, with a
// certificate of the client's that nsqd wants to see.
func TestTLS(t *testing.T) {
	cert, key := certificate(t, "nsqd")
	clientCert, clientKey := certificate(t, "a client")
	for _, codec := range []string{"", "snappy", "deflate"} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(tls.VersionName(version)+codec, func(t *testing.T) {
				t.Parallel()
				n := startNsqd(t, "-tls-cert", cert, "-tls-key", key, "-https-address", host+":0",
					"-tls-required=tcp-https", "-tls-client-auth-policy", "require")
				config := newConfig()
				check(t, config.Set("tls_v1", true))
				check(t, config.Set("tls_root_ca_file", cert))
				check(t, config.Set("tls_cert", clientCert))
				check(t, config.Set("tls_key", clientKey))
				config.TlsConfig.MinVersion, config.TlsConfig.MaxVersion = version, version
				if codec != "" {
					check(t, config.Set(codec, true))
				}
				expectExchange(t, n, config)
			})
		}
	}
}
