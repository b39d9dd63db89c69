package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMergeYAML(t *testing.T) {
	table := flagsOf("server")
	for name, test := range map[string]struct {
		documents []string
		want      map[string]string // values joined by "|"
		note      string            // part of the only note
		err       string
	}{
		"scalars and lists": {
			documents: []string{"node-name: a\ntls-san: [b, \"c\"]\ndisable:\n- traefik\n- servicelb\n"},
			want:      map[string]string{"node-name": "a", "tls-san": "b|c", "disable": "traefik|servicelb"},
		},
		"last value wins":          {documents: []string{"disable: [traefik]", "disable: [servicelb]"}, want: map[string]string{"disable": "servicelb"}},
		"plus appends":             {documents: []string{"disable: [traefik]", "disable+: [servicelb]"}, want: map[string]string{"disable": "traefik|servicelb"}},
		"one letter":               {documents: []string{"t: x"}, want: map[string]string{"token": "x"}},
		"mode stays text":          {documents: []string{"write-kubeconfig-mode: 0644"}, want: map[string]string{"write-kubeconfig-mode": "0644"}},
		"null is nothing":          {documents: []string{"token:"}, want: map[string]string{"token": ""}},
		"boolean":                  {documents: []string{"disable-agent: true"}, want: map[string]string{"disable-agent": "true"}},
		"wrong boolean":            {documents: []string{"disable-agent: maybe"}, err: "invalid boolean value"},
		"unknown key is skipped":   {documents: []string{"no-deploy: [traefik]"}, note: "Unknown flag --no-deploy found in config.yaml, skipping"},
		"accepted without effect":  {documents: []string{"flannel-backend: none"}, want: map[string]string{"flannel-backend": "none"}},
		"mapping is refused":       {documents: []string{"tls-san: {a: b}"}, err: "found a mapping"},
		"nested list is refused":   {documents: []string{"tls-san: [[a]]"}, err: "found a nested value"},
		"list at top level":        {documents: []string{"- a"}, err: "cannot unmarshal"},
		"duplicate key is refused": {documents: []string{"token: a\ntoken: b"}, err: "already defined"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := &config{verb: "server", values: map[string][]string{}}
			var err error
			for _, document := range test.documents {
				if err == nil {
					err = cfg.mergeYAML(table, []byte(document))
				}
			}
			checkError(t, err, test.err)
			for key, want := range test.want {
				if got := strings.Join(cfg.list(key), "|"); got != want {
					t.Errorf("%s: got %q, want %q", key, got, want)
				}
			}
			if notes := strings.Join(cfg.notes, "\n"); notes != test.note {
				t.Errorf("notes: got %q, want %q", notes, test.note)
			}
		})
	}
}

func TestParseArgs(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want map[string][]string
		err  string
	}{
		"both spellings": {args: []string{"--token=a", "--tls-san", "b", "--tls-san=c"}, want: map[string][]string{"token": {"a"}, "tls-san": {"b", "c"}}},
		"short":          {args: []string{"-t", "a"}, want: map[string][]string{"token": {"a"}}},
		"boolean":        {args: []string{"--disable-agent", "--debug=false"}, want: map[string][]string{"disable-agent": {"true"}, "debug": {"false"}}},
		"unknown":        {args: []string{"--xyz"}, err: "flag provided but not defined: -xyz"},
		"no value":       {args: []string{"--token"}, err: "flag needs an argument: -token"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseArgs(flagsOf("server"), test.args)
			checkError(t, err, test.err)
			if err == nil && !maps.EqualFunc(got, test.want, slices.Equal) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestLoadConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	content := "token: from-file\ntls-san: [a, b]\nflannel-backend: none\n"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{"K3S_TOKEN=from-environment", "K3S_NODE_NAME=n1", "UNRELATED=x"}
	cfg, err := loadConfig("server", []string{"--config", file, "--tls-san=c"}, environ)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"token": "from-file", "node-name": "n1", "tls-san": "c"} {
		if got := strings.Join(cfg.list(key), "|"); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
	if want := "stand-in: --flannel-backend is accepted and has no effect here"; !slices.Contains(cfg.notes, want) {
		t.Errorf("notes: got %q, want %q among them", cfg.notes, want)
	}
}

func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		verb, argument, err string
	}{
		"second server":          {"server", "--server=https://a:6443", ""},
		"etcd":                   {"server", "--cluster-init", ""},
		"a stray word":           {"server", "traefik", `unexpected argument "traefik"`},
		"another database":       {"server", "--datastore-endpoint=mysql://a", "datastore-endpoint is not played"},
		"rootless, but not":      {"server", "--rootless=false", ""},
		"other data folder":      {"server", "--data-dir=/data", "data-dir is not played"},
		"the usual folder":       {"server", "--data-dir=" + dataDir, ""},
		"agents have a server":   {"agent", "--server=https://a:6443", ""},
		"agents have no tls-san": {"agent", "--tls-san=a", "flag provided but not defined: -tls-san"},
	} {
		t.Run(name, func(t *testing.T) {
			empty := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(empty, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := loadConfig(test.verb, []string{"--config", empty, test.argument}, nil)
			checkError(t, err, test.err)
		})
	}
}

// checkError wants an error that contains want, or none where want is empty.
func checkError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case err == nil && want != "":
		t.Errorf("got no error, want one with %q", want)
	case err != nil && (want == "" || !strings.Contains(err.Error(), want)):
		t.Errorf("got error %q, want %q", err, want)
	}
}
