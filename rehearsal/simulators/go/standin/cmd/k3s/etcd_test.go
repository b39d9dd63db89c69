package main

import (
	"errors"
	"slices"
	"testing"
)

func TestInitialCluster(t *testing.T) {
	me := &etcdMember{name: "server-2-0badcafe", address: "10.0.0.2"}
	first := member{Name: "server-1-12345678", PeerURLs: []string{"https://10.0.0.1:2380"}}
	for name, test := range map[string]struct {
		known    []member
		want     []string
		isMember bool
		err      string
	}{
		"new": {[]member{first}, []string{"server-1-12345678=https://10.0.0.1:2380"}, false, ""},
		"added before, never started": {[]member{first, {PeerURLs: []string{"https://10.0.0.2:2380"}}},
			[]string{"server-1-12345678=https://10.0.0.1:2380", "server-2-0badcafe=https://10.0.0.2:2380"}, true, ""},
		"the same name elsewhere": {[]member{first, {Name: "server-2-87654321", PeerURLs: []string{"https://10.0.0.9:2380"}}},
			nil, false, "duplicate node name found"},
		"re-imaged, still a member": {[]member{first, {Name: "server-2-87654321", PeerURLs: []string{"https://10.0.0.2:2380"}}},
			nil, false, "duplicate node name found"},
	} {
		t.Run(name, func(t *testing.T) {
			found, isMember, err := me.initialCluster(test.known)
			checkError(t, err, test.err)
			if !slices.Equal(found, test.want) || isMember != test.isMember {
				t.Errorf("found %q, member %t; expected %q, member %t", found, isMember, test.want, test.isMember)
			}
		})
	}
}

func TestTakesNobodyNow(t *testing.T) {
	for text, want := range map[string]bool{
		"etcdserver: too many learner members in cluster":     true,
		"etcdserver: unhealthy cluster":                       true,
		"etcdserver: Peer URLs already exists":                false,
		"duplicate node name found, please use a unique name": false,
	} {
		if takesNobodyNow(errors.New(text)) != want {
			t.Errorf("%s: expected %t", text, want)
		}
	}
	if takesNobodyNow(nil) {
		t.Error("no refusal: expected false")
	}
}

func TestCriticalValues(t *testing.T) {
	given := func(values map[string][]string) map[string]string { return criticalValues(&config{values: values}) }
	usual := given(nil)
	for name, test := range map[string]struct {
		values map[string][]string
		err    string
	}{
		"nothing said":            {nil, ""},
		"the default, said":       {map[string][]string{"cluster-cidr": {"10.42.0.0/16"}, "disable": {"traefik"}}, ""},
		"not critical":            {map[string][]string{"tls-san": {"a"}, "agent-token": {"x"}}, ""},
		"another network":         {map[string][]string{"cluster-cidr": {"10.99.0.0/16"}}, "critical configuration value mismatch"},
		"encryption":              {map[string][]string{"secrets-encryption": {"true"}}, "critical configuration value mismatch"},
		"servicelb, among others": {map[string][]string{"disable": {"traefik,servicelb"}}, "critical configuration value mismatch"},
	} {
		t.Run(name, func(t *testing.T) { checkError(t, compareCritical(given(test.values), usual), test.err) })
	}
}
