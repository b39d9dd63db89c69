package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	balancerAddress = "127.0.0.1:6444"
	balancerURL     = "https://" + balancerAddress
	balancerFile    = agentDir + "/etc/k3s-agent-load-balancer.json"
	// tcpUserTimeout is the kernel's limit for data that nobody acknowledges (TCP_USER_TIMEOUT).
	tcpUserTimeout = 18
)

// balancer is an agent's way to the servers: it listens on this machine and hands every connection to
// a server that answers. The servers it has heard of are kept on disk, so that an agent starts
// although the one it first joined is gone.
type balancer struct {
	mutex   sync.Mutex
	servers []string // host:port, the one that answered last at first
	url     string   // the configured server, and its host:port
	host    string
}

// balancerState is the file's content.
type balancerState struct {
	ServerURL       string
	ServerAddresses []string
}

// startBalancer listens, with the servers of an earlier start after the configured one.
func startBalancer(ctx context.Context, serverURL string) (*balancer, error) {
	parsed, err := url.Parse(serverURL)
	if err != nil || parsed.Host == "" {
		return nil, fmt.Errorf("Invalid server url, failed to parse: %s", serverURL)
	}
	if parsed.Scheme != "https" {
		return nil, fmt.Errorf("only https:// URLs are supported, invalid scheme: %s", serverURL)
	}
	host := parsed.Host
	if parsed.Port() == "" {
		host = net.JoinHostPort(parsed.Hostname(), "443")
	}
	b := &balancer{servers: []string{host}, url: serverURL, host: host}
	b.learn(rememberedServers())
	listener, err := net.Listen("tcp", balancerAddress)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { listener.Close() })
	logInfo("Running load balancer k3s-agent-load-balancer %s -> %v [default: %s]", balancerAddress, b.known(), host)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go b.serve(ctx, conn)
		}
	}()
	return b, nil
}

func rememberedServers() []string {
	content, err := os.ReadFile(balancerFile)
	if err != nil {
		return nil
	}
	var state balancerState
	_ = json.Unmarshal(content, &state) // an unreadable file is as good as none
	return state.ServerAddresses
}

func (b *balancer) known() []string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return slices.Clone(b.servers)
}

// learn adds servers that were not known.
func (b *balancer) learn(servers []string) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for _, server := range servers {
		if !slices.Contains(b.servers, server) {
			b.servers = append(b.servers, server)
		}
	}
}

// prefer puts the server that answered in front.
func (b *balancer) prefer(server string) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.servers = slices.DeleteFunc(b.servers, func(other string) bool { return other == server })
	b.servers = slices.Insert(b.servers, 0, server)
}

// replace makes servers the known ones, the configured server staying the last resort, and keeps them.
func (b *balancer) replace(servers []string) error {
	if len(servers) == 0 {
		return nil
	}
	b.mutex.Lock()
	front := b.servers[0]
	b.servers = slices.Clone(servers)
	if at := slices.Index(b.servers, front); at > 0 {
		b.servers = slices.Insert(slices.Delete(b.servers, at, at+1), 0, front)
	}
	if !slices.Contains(b.servers, b.host) {
		b.servers = append(b.servers, b.host)
	}
	b.mutex.Unlock()
	content, err := json.Marshal(balancerState{b.url, servers})
	if err != nil {
		return err
	}
	return writeFile(balancerFile, content, 0o600)
}

// serve carries one connection, or closes it where no server answers: the caller sees EOF, as in k3s.
func (b *balancer) serve(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	for _, server := range b.known() {
		upstream, err := dialServer(ctx, server)
		if err != nil {
			logInfo("Server %s->FAILED from failed dial: %v", server, err)
			continue
		}
		b.prefer(server)
		stop := context.AfterFunc(ctx, func() { upstream.Close() })
		go func() {
			_, _ = io.Copy(upstream, conn) // either side's end ends both
			upstream.Close()
		}()
		_, _ = io.Copy(conn, upstream)
		upstream.Close()
		stop()
		return
	}
}

// dialServer connects so that a server which vanished without a word is noticed within seconds.
func dialServer(ctx context.Context, server string) (net.Conn, error) {
	dialer := net.Dialer{
		Timeout:         5 * time.Second,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3},
		Control: func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) {
				_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, 10000) // keep-alives remain
			})
		},
	}
	return dialer.DialContext(ctx, "tcp", server)
}

// follow keeps the list of servers up to date.
func (b *balancer) follow(ctx context.Context, through *server) {
	for {
		content, err := through.get(ctx, "apiservers", nil)
		var servers []string
		if err == nil && json.Unmarshal(content, &servers) == nil {
			if err := b.replace(servers); err != nil {
				logWarn("k3s-agent-load-balancer: %v", err)
			}
		}
		if pause(ctx, 5*time.Second) != nil {
			return
		}
	}
}
