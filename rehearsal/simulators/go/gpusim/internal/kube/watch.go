package kube

import (
	"bufio"
	"context"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// A Bell rings whenever a watched collection may have changed. It carries no content: the listener reads the
// state anew, so a lost or doubled event does no harm.
type Bell struct {
	C      chan struct{}
	silent atomic.Int32
}

// NewBell watches collections until ctx ends; a watch that breaks is opened again a second later.
func (c *Client) NewBell(ctx context.Context, collections ...Collection) *Bell {
	bell := &Bell{C: make(chan struct{}, 1)}
	for _, collection := range collections {
		bell.silent.Add(1)
		go bell.follow(ctx, c, collection)
	}
	return bell
}

// Collection names what to watch: a path and its selectors.
type Collection struct {
	Path  string
	Query url.Values
}

// Watching is false while at least one watch is down, so that the listener polls instead.
func (b *Bell) Watching() bool { return b.silent.Load() == 0 }

func (b *Bell) ring() {
	select {
	case b.C <- struct{}{}:
	default:
	}
}

func (b *Bell) follow(ctx context.Context, c *Client, collection Collection) {
	for ctx.Err() == nil {
		b.listen(ctx, c, collection)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (b *Bell) listen(ctx context.Context, c *Client, collection Collection) {
	// The server ends a watch after timeoutSeconds; the client's own limit covers a server that has gone silent.
	ctx, cancel := context.WithTimeout(ctx, 330*time.Second)
	defer cancel()
	query := url.Values{"watch": {"true"}, "timeoutSeconds": {"300"}, "resourceVersion": {"0"}}
	for key, values := range collection.Query {
		query[key] = values
	}
	response, err := c.send(ctx, http.MethodGet, collection.Path+"?"+query.Encode(), "", nil)
	if err != nil {
		return
	}
	defer func() { _ = response.Body.Close() }()
	b.silent.Add(-1)
	defer b.silent.Add(1)
	lines := bufio.NewReaderSize(response.Body, 64<<10)
	for {
		_, isPrefix, err := lines.ReadLine()
		if err != nil {
			return
		}
		if !isPrefix {
			b.ring()
		}
	}
}
