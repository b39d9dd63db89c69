package kube

import (
	"context"
	"log"
	"time"
)

const (
	settle    = 100 * time.Millisecond // one read for a burst of events
	whenWatch = 5 * time.Second
	whenPoll  = time.Second
)

// Run calls step after every ring of the bell and at least every five seconds (every second while a watch is
// down), until ctx ends. A step may ask to be called again sooner by returning a positive duration. An error of
// a step is logged once per text and never ends the loop.
func Run(ctx context.Context, bell *Bell, logger *log.Logger, step func(context.Context) (time.Duration, error)) {
	lastError := ""
	for ctx.Err() == nil {
		again, err := step(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			if err.Error() != lastError {
				lastError = err.Error()
				logger.Printf("the API does not answer as expected, trying again: %v", err)
			}
			again = whenPoll
		case err == nil && lastError != "":
			lastError = ""
			logger.Print("the API answers again")
		}
		bell.wait(ctx, pause(again, bell.Watching()))
	}
}

func pause(asked time.Duration, watching bool) time.Duration {
	limit := whenPoll
	if watching {
		limit = whenWatch
	}
	if asked > 0 && asked < limit {
		return asked
	}
	return limit
}

func (b *Bell) wait(ctx context.Context, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-b.C:
		select {
		case <-ctx.Done():
		case <-time.After(settle):
		}
		select { // what rang while settling is covered by the read to come
		case <-b.C:
		default:
		}
	}
}
