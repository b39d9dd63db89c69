package main

import (
	"strings"
	"testing"
)

func TestParseToken(t *testing.T) {
	hash := strings.Repeat("a", 64)
	for name, test := range map[string]struct {
		text string
		want token
		err  string
	}{
		"full":             {text: "K10" + hash + "::server:s3cret", want: token{hash, "server", "s3cret"}},
		"bare":             {text: "s3cret", want: token{secret: "s3cret"}},
		"secret has colon": {text: "K10" + hash + "::node:a:b", want: token{hash, "node", "a:b"}},
		"no hash":          {text: "K10::node:s3cret", want: token{user: "node", secret: "s3cret"}},
		"short hash":       {text: "K10abc::node:s3cret", err: "invalid token CA hash length"},
		"no secret":        {text: "K10" + hash + "::node:", err: "invalid token format"},
		"empty":            {text: "", err: "token must not be empty"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseToken(test.text)
			checkError(t, err, test.err)
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

func TestTokenPinsTheCA(t *testing.T) {
	ca := []byte("-----BEGIN CERTIFICATE-----\n")
	text := token{user: "node", secret: "x"}.format(ca)
	parsed, err := parseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.checkCA(ca); err != nil {
		t.Errorf("own CA: %v", err)
	}
	checkError(t, parsed.checkCA([]byte("another")), "token CA hash does not match the Cluster CA certificate hash")
	if err := (token{secret: "x"}).checkCA([]byte("another")); err != nil {
		t.Errorf("a token without hash pins nothing: %v", err)
	}
}
