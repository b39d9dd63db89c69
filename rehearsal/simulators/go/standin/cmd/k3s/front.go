package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
)

// The headers in which an authenticating proxy names a request's user.
const (
	userHeader   = "X-Remote-User"
	groupHeader  = "X-Remote-Group"
	extraHeaders = "X-Remote-Extra-"
)

// front is the listener on port 6443. It answers k3s's own paths and hands the rest to
// kube-apiserver. TLS ends here, so the front checks client certificates and names their user
// in request headers, which kube-apiserver believes the holder of the
// auth-proxy certificate. Requests without a valid client certificate go on without that
// certificate, with their bearer token if they have one: kube-apiserver judges.
type front struct {
	join          *joinServer
	clients       *x509.CertPool
	named, plain  *httputil.ReverseProxy
	caCertificate []byte
}

// startFront listens before the API is up, as k3s does: /ping and /cacerts answer at once, the
// rest with 503 until the API is ready.
func startFront(keys *pki, join *joinServer) (*http.Server, error) {
	serving, err := tls.LoadX509KeyPair(tlsDir+"/serving-kube-apiserver.crt", tlsDir+"/serving-kube-apiserver.key")
	if err != nil {
		return nil, err
	}
	proxyCert, err := tls.LoadX509KeyPair(tlsDir+"/client-auth-proxy.crt", tlsDir+"/client-auth-proxy.key")
	if err != nil {
		return nil, err
	}
	clients := x509.NewCertPool()
	clients.AddCert(keys.clientCA.cert)
	handler := &front{
		join: join, clients: clients, caCertificate: keys.serverCA.pem,
		named: newProxy(keys.serverCA.pem, proxyCert), plain: newProxy(keys.serverCA.pem),
	}
	server := &http.Server{
		Handler:  handler,
		ErrorLog: log.New(logWriter{}, "", 0),
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{serving},
			MinVersion:   tls.VersionTLS12,
			// Asked for, not required: a stranger's certificate is to get 401, no broken connection.
			ClientAuth: tls.RequestClientCert,
		},
	}
	listener, err := net.Listen("tcp", ":"+frontPort)
	if err != nil {
		return nil, fmt.Errorf("failed to listen on port %s: %w", frontPort, err)
	}
	go func() {
		if err := server.ServeTLS(listener, "", ""); err != http.ErrServerClosed {
			logError("front: %v", err)
		}
	}()
	return server, nil
}

// byProtocol sends requests that change the protocol (exec, attach, port-forward) over HTTP/1.1, which can do that.
type byProtocol struct{ usual, upgrade *http.Transport }

func (b byProtocol) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Header.Get("Upgrade") != "" {
		return b.upgrade.RoundTrip(request)
	}
	return b.usual.RoundTrip(request)
}

// newProxy forwards to kube-apiserver. Watches are flushed line by line; HTTP/2 towards
// kube-apiserver keeps hundreds of them on few connections.
func newProxy(caPEM []byte, pairs ...tls.Certificate) *httputil.ReverseProxy {
	target, _ := url.Parse(apiServerURL)
	transport := byProtocol{
		usual:   httpsClient(caPEM, pairs...).Transport.(*http.Transport),
		upgrade: httpsClient(caPEM, pairs...).Transport.(*http.Transport),
	}
	transport.usual.ForceAttemptHTTP2 = true
	return &httputil.ReverseProxy{
		Transport:      transport,
		FlushInterval:  -1,
		ModifyResponse: claimRelease,
		ErrorLog:       log.New(io.Discard, "", 0), // watches that end with kube-apiserver are no news
		Rewrite:        func(request *httputil.ProxyRequest) { request.SetURL(target) },
		ErrorHandler: func(writer http.ResponseWriter, request *http.Request, err error) {
			if request.Context().Err() == nil {
				refuse(writer, http.StatusServiceUnavailable, "apiserver not ready")
			}
		},
	}
}

func (f *front) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	switch path := request.URL.Path; {
	case path == "/ping":
		fmt.Fprint(writer, "pong")
	case path == "/cacerts":
		writer.Header().Set("Content-Type", "text/plain")
		writer.Write(f.caCertificate)
	case strings.HasPrefix(path, joinPrefix), path == "/db/info":
		f.join.ServeHTTP(writer, request)
	default:
		f.forward(writer, request)
	}
}

// forward drops whatever identity the caller claims in headers and puts in the proven one.
func (f *front) forward(writer http.ResponseWriter, request *http.Request) {
	for name := range request.Header {
		if strings.HasPrefix(name, "X-Remote-") {
			request.Header.Del(name)
		}
	}
	identity := f.verify(request.TLS)
	if identity == nil {
		f.plain.ServeHTTP(writer, request)
		return
	}
	request.Header.Set(userHeader, identity.Subject.CommonName)
	request.Header[groupHeader] = identity.Subject.Organization
	f.named.ServeHTTP(writer, request)
}

// verify returns the client certificate if the client CA signed it for client use.
func (f *front) verify(state *tls.ConnectionState) *x509.Certificate {
	if len(state.PeerCertificates) == 0 {
		return nil
	}
	identity := state.PeerCertificates[0]
	_, err := identity.Verify(x509.VerifyOptions{Roots: f.clients, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return nil
	}
	return identity
}

// refuse answers with a Status object, which kubectl knows how to print.
func refuse(writer http.ResponseWriter, status int, message string) {
	writer.Header().Set("Content-Type", asJSON)
	writer.WriteHeader(status)
	_ = json.NewEncoder(writer).Encode(map[string]any{ // the caller may have gone
		"kind": "Status", "apiVersion": "v1", "metadata": map[string]any{}, "status": "Failure",
		"message": message, "reason": strings.ReplaceAll(http.StatusText(status), " ", ""), "code": status,
	})
}
