package main

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReleaseIsTheProgramsLastLine(t *testing.T) {
	program := filepath.Join(t.TempDir(), "k3s")
	code := strings.Repeat("machine code ", 100)
	for content, want := range map[string]string{
		code + releaseMark + "v1.37.1+k3s1\n": "v1.37.1+k3s1",
		code:                                  unnamed,
		"short":                               unnamed,
	} {
		if err := os.WriteFile(program, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
		if found := releaseOf(program); found != want {
			t.Errorf("found %q, expected %q", found, want)
		}
	}
	if found := releaseOf(program + "-missing"); found != unnamed {
		t.Errorf("found %q, expected %q", found, unnamed)
	}
}

func TestAnAgentMayNotBeNewerThanItsServer(t *testing.T) {
	for _, each := range []struct {
		agent, server string
		refused       bool
	}{
		{"v1.36.2+k3s1", "v1.36.2+k3s1", false},
		{"v1.36.2+k3s1", "v1.37.1+k3s1", false},
		{"v1.36.3+k3s1", "v1.37.1+k3s1", false},
		{"v1.36.3+k3s1", "v1.36.2+k3s1", true},
		{"v1.37.1+k3s1", "v1.36.2+k3s1", true},
		{"v1.10.0+k3s1", "v1.9.0+k3s1", true},
	} {
		err := checkServerRelease(each.agent, each.server)
		if (err != nil) != each.refused {
			t.Errorf("agent %s, server %s: found %v", each.agent, each.server, err)
		}
	}
}

func TestTheAPIClaimsTheRelease(t *testing.T) {
	defer func(before string) { version = before }(version)
	version = "v1.37.1+k3s1"
	answer := func(path string) string {
		response := &http.Response{
			Request: &http.Request{URL: &url.URL{Path: path}}, StatusCode: http.StatusOK, Header: http.Header{},
			Body: io.NopCloser(strings.NewReader(`{"gitVersion":"v1.36.2+k3s1","major":"1","minor":"36","platform":"linux/amd64"}`)),
		}
		if err := claimRelease(response); err != nil {
			t.Fatal(err)
		}
		content, _ := io.ReadAll(response.Body)
		return string(content)
	}
	if found := answer("/version"); found != `{"gitVersion":"v1.37.1+k3s1","major":"1","minor":"37","platform":"linux/amd64"}` {
		t.Errorf("found %s", found)
	}
	if found := answer("/api"); !strings.Contains(found, "v1.36.2+k3s1") {
		t.Errorf("found %s, expected it untouched", found)
	}
}
