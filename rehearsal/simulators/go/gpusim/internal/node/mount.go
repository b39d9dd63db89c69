package node

import (
	"fmt"
	"maps"
	"time"
)

// mount is a ConfigMap volume as the containers see it: a change in the API shows after the kubelet's lag.
type mount struct {
	data    map[string]string
	pending map[string]string
	since   time.Time
}

// refresh takes the live content; nil, while the ConfigMap is missing, leaves the files as they are.
func (m *mount) refresh(live map[string]string, lag time.Duration, now time.Time) {
	if live == nil || maps.Equal(live, m.data) {
		m.pending = nil
		return
	}
	if m.pending == nil || !maps.Equal(live, m.pending) {
		m.pending, m.since = maps.Clone(live), now
	}
	if m.left(lag, now) == 0 {
		m.data, m.pending = m.pending, nil
	}
}

// left is the time until a noticed change shows, 0 when there is none or it is due.
func (m *mount) left(lag time.Duration, now time.Time) time.Duration {
	if m.pending == nil {
		return 0
	}
	return max(m.since.Add(lag).Sub(now), 0)
}

// choose is the config manager's rule: label, else default, else (fallback "empty") no file at all. The errors
// have its own words; for a missing default it really prints an empty name.
func choose(label, fallback string, files map[string]string) (string, error) {
	if len(files) == 0 {
		return "", fmt.Errorf("no configuration files available")
	}
	wanted := label
	if wanted == "" {
		wanted = fallback
	}
	if wanted == "" {
		return "", nil
	}
	if _, there := files[wanted]; !there {
		return "", fmt.Errorf("specified config %v does not exist", label)
	}
	return wanted, nil
}
