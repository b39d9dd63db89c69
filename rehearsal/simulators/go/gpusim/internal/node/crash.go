package node

import "time"

const backoffLimit = 300 * time.Second

// crash is a container that failed and waits to be started again, as the kubelet does it: the pause doubles.
type crash struct {
	err      error
	restarts int
	pause    time.Duration
	again    time.Time
}

// failed notes one more failure.
func (c *crash) failed(err error, first time.Duration, now time.Time) {
	c.pause = min(max(2*c.pause, first), backoffLimit)
	c.err, c.again = err, now.Add(c.pause)
	c.restarts++
}

// healed ends the pause; the restart count stays.
func (c *crash) healed() { c.err, c.pause = nil, 0 }

// waits says whether the container is down and it is not yet time to start it again.
func (c *crash) waits(now time.Time) bool { return c.err != nil && now.Before(c.again) }

// left is the time until the next start, 0 when the container is up.
func (c *crash) left(now time.Time) time.Duration {
	if c.err == nil {
		return 0
	}
	return max(c.again.Sub(now), time.Millisecond)
}
