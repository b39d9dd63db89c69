package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCron(t *testing.T) {
	at := time.Date(2026, 11, 25, 12, 30, 0, 0, time.UTC) // a Wednesday
	for text, test := range map[string]struct {
		due bool
		err string
	}{
		"30 12 * * *":        {true, ""},
		"*/15 */6 * * *":     {true, ""},
		"0 */12 * * *":       {false, ""},
		"0,30 8-18 * 11 1-5": {true, ""},
		"30 12 * * 0,6":      {false, ""},
		"20-40/10 12 25 * *": {true, ""},
		"* * * *":            {false, "expected five fields"},
		"60 * * * *":         {false, "between 0 and 59"},
		"*/0 * * * *":        {false, "between 0 and 59"},
		"@daily":             {false, "expected five fields"},
		"0 0 * JAN *":        {false, "between 1 and 12"},
	} {
		due, err := parseCron(text)
		checkError(t, err, test.err)
		if err == nil && due(at) != test.due {
			t.Errorf("%s at %s: found %t, expected %t", text, at, !test.due, test.due)
		}
	}
}

func TestPruneKeepsTheNewestOfItsName(t *testing.T) {
	all := &snapshots{dir: t.TempDir(), node: "server-1", keep: 2}
	for i, name := range []string{"nightly-server-1-1", "mine-server-1-2", "nightly-server-1-3", "nightly-server-1-4"} {
		path := filepath.Join(all.dir, name)
		if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
			t.Fatal(err)
		}
		when := time.Unix(int64(i+1), 0)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	if err := all.prune("nightly"); err != nil {
		t.Fatal(err)
	}
	var told strings.Builder
	if err := all.list(&told); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(told.String()), "\n")
	if len(lines) != 4 || strings.Fields(lines[0])[0] != "Name" || strings.Fields(lines[1])[0] != "mine-server-1-2" {
		t.Errorf("found %q, expected a heading and the three that stay", lines)
	}
	if want := "file://" + all.dir + "/nightly-server-1-4"; strings.Fields(lines[3])[1] != want {
		t.Errorf("found %q, expected %q", lines[3], want)
	}
}

func TestBootstrapDataOpenWithTheirTokenOnly(t *testing.T) {
	sealed, err := seal("token", []byte("keys"))
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := unseal("token", sealed); err != nil || string(opened) != "keys" {
		t.Errorf("found %q, %v", opened, err)
	}
	if _, err := unseal("another", sealed); err == nil {
		t.Error("opened with another token")
	}
	if _, err := unseal("token", nil); err == nil {
		t.Error("opened nothing")
	}
}
