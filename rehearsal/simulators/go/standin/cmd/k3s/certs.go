package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"slices"
	"time"
)

const (
	caLife   = 10 * 365 * 24 * time.Hour
	certLife = 365 * 24 * time.Hour
	// renewBefore is k3s's: a start within 120 days of the end issues anew.
	renewBefore = 120 * 24 * time.Hour
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte // the certificate as it lies on disk; a token's hash is over these bytes
}

// leaf says what a certificate is for. With client set it proves an identity
// (name is the user, groups its groups), else it serves the given hosts.
type leaf struct {
	name   string
	groups []string
	client bool
	both   bool // serves hosts and calls others with the same certificate
	hosts  []string
}

// ensureCA loads path.crt and path.key, or makes them at the first start.
func ensureCA(path, name string) (*authority, error) {
	pair, err := tls.LoadX509KeyPair(path+".crt", path+".key")
	if errors.Is(err, fs.ErrNotExist) {
		if err = createCA(path, name); err == nil {
			pair, err = tls.LoadX509KeyPair(path+".crt", path+".key")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("certificate authority %s: %w", path, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("certificate authority %s.key: found %T, expected an EC key", path, pair.PrivateKey)
	}
	content, err := os.ReadFile(path + ".crt")
	return &authority{cert: pair.Leaf, key: key, pem: content}, err
}

func createCA(path, name string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := newTemplate(pkix.Name{CommonName: fmt.Sprintf("%s@%d", name, time.Now().Unix())}, caLife)
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	return writePair(path, der, key)
}

// issue makes a new certificate and key, both as PEM.
func (a *authority) issue(want leaf) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, want.template(), a.cert, key.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	return encodePair(der, key)
}

// ensure issues path.crt and path.key unless what lies there still fits: same CA, names and
// groups, and more than 120 days to go. So clients keep their identity over restarts, and
// a changed tls-san is served after one.
func (a *authority) ensure(path string, want leaf) error {
	pair, err := tls.LoadX509KeyPair(path+".crt", path+".key")
	if err == nil && a.fits(pair.Leaf, want) {
		return nil
	}
	certPEM, keyPEM, err := a.issue(want)
	if err != nil {
		return err
	}
	return errors.Join(writeFile(path+".key", keyPEM, 0o600), writeFile(path+".crt", certPEM, 0o644))
}

func (a *authority) fits(found *x509.Certificate, want leaf) bool {
	wanted := want.template()
	return found.CheckSignatureFrom(a.cert) == nil &&
		time.Until(found.NotAfter) > renewBefore &&
		found.Subject.CommonName == want.name &&
		slices.Equal(found.Subject.Organization, want.groups) &&
		slices.Equal(found.DNSNames, wanted.DNSNames) &&
		slices.EqualFunc(found.IPAddresses, wanted.IPAddresses, net.IP.Equal)
}

func (l leaf) template() *x509.Certificate {
	template := newTemplate(pkix.Name{CommonName: l.name, Organization: l.groups}, certLife)
	template.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if l.client {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	if l.both {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	for _, host := range uniqueSorted(l.hosts) {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return template
}

func newTemplate(subject pkix.Name, life time.Duration) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    now.Add(-time.Hour), // machines' clocks may differ a little
		NotAfter:     now.Add(life),
	}
}

func encodePair(der []byte, key *ecdsa.PrivateKey) (certPEM, keyPEM []byte, err error) {
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM = pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
	return certPEM, keyPEM, nil
}

func writePair(path string, der []byte, key *ecdsa.PrivateKey) error {
	certPEM, keyPEM, err := encodePair(der, key)
	if err != nil {
		return err
	}
	// The key first: a power cut in between leaves a key without certificate, which
	// the next start replaces, never a published CA without its key.
	return errors.Join(writeFile(path+".key", keyPEM, 0o600), writeFile(path+".crt", certPEM, 0o644))
}

// splitPair takes apart what the join endpoint answers: certificate, then key.
func splitPair(both []byte) (certPEM, keyPEM []byte) {
	for block, rest := pem.Decode(both); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			certPEM = append(certPEM, pem.EncodeToMemory(block)...)
		} else {
			keyPEM = append(keyPEM, pem.EncodeToMemory(block)...)
		}
	}
	return certPEM, keyPEM
}

func uniqueSorted(values []string) []string {
	sorted := slices.Sorted(slices.Values(values))
	return slices.DeleteFunc(slices.Compact(sorted), func(value string) bool { return value == "" })
}
