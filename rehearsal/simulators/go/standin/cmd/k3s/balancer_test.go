package main

import (
	"context"
	"io"
	"net"
	"slices"
	"testing"
)

// listen serves its own name to everybody who connects.
func listen(t *testing.T, name string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, name)
			conn.Close()
		}
	}()
	return listener.Addr().String()
}

// ask is what the server behind the balancer says; "" where there was none.
func ask(b *balancer) string {
	near, far := net.Pipe()
	go b.serve(context.Background(), far)
	said, _ := io.ReadAll(near)
	return string(said)
}

func TestTheBalancerPassesByAServerThatIsGone(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	alive := listen(t, "alive")
	b := &balancer{servers: []string{gone.Addr().String(), alive}}
	if said := ask(b); said != "alive" {
		t.Errorf("found %q, expected the server that is there", said)
	}
	if known := b.known(); known[0] != alive {
		t.Errorf("found %q, expected the one that answered in front", known)
	}
	if said := ask(&balancer{servers: []string{gone.Addr().String()}}); said != "" {
		t.Errorf("found %q, expected the connection closed", said)
	}
}

func TestTheBalancerLearnsServersOnce(t *testing.T) {
	b := &balancer{servers: []string{"a:6443"}}
	b.learn([]string{"b:6443", "a:6443"})
	b.learn([]string{"b:6443"})
	if found := b.known(); !slices.Equal(found, []string{"a:6443", "b:6443"}) {
		t.Errorf("found %q", found)
	}
}
