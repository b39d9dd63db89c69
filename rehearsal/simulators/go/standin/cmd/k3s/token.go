package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// token is a k3s join token: "K10<sha256 of the CA>::<user>:<secret>", or a bare
// secret, which has neither hash nor user.
type token struct {
	caHash, user, secret string
}

const tokenPrefix = "K10"

// parseToken reads either form. Its errors are k3s's and never contain the token.
func parseToken(text string) (token, error) {
	if text == "" {
		return token{}, errors.New("token must not be empty")
	}
	full, isFull := strings.CutPrefix(text, tokenPrefix)
	if !isFull {
		return token{secret: text}, nil
	}
	hash, credentials, found := strings.Cut(full, "::")
	if !found {
		hash, credentials = "", full
	}
	if hash != "" && len(hash) != hex.EncodedLen(sha256.Size) {
		return token{}, errors.New("invalid token CA hash length")
	}
	user, secret, found := strings.Cut(credentials, ":")
	if !found || secret == "" {
		return token{}, errors.New("invalid token format")
	}
	return token{caHash: hash, user: user, secret: secret}, nil
}

// format writes the full form for the CA bundle as it lies on disk.
func (t token) format(caPEM []byte) string {
	return tokenPrefix + hashCA(caPEM) + "::" + t.user + ":" + t.secret
}

// hashCA is what a K10 token pins: the sha256 of the CA file's bytes.
func hashCA(caPEM []byte) string {
	sum := sha256.Sum256(caPEM)
	return hex.EncodeToString(sum[:])
}

// checkCA compares a token's hash, where it has one, with a server's CA.
func (t token) checkCA(caPEM []byte) error {
	if found := hashCA(caPEM); t.caHash != "" && t.caHash != found {
		return fmt.Errorf("token CA hash does not match the Cluster CA certificate hash: %s != %s", t.caHash, found)
	}
	return nil
}

// secrets are what joiners must show: servers one, agents the other.
type secrets struct{ server, agent string }

// configuredToken is the token a verb was given by key (or flag, environment) or
// by file; "" when neither was set.
func configuredToken(ctx context.Context, cfg *config, key string) (string, error) {
	if file := cfg.str(key + "-file"); file != "" {
		return readSecretFile(ctx, file)
	}
	return cfg.str(key), nil
}

// ensureSecrets decides a server's secrets and writes the token files.
//
// The server's secret is fixed by the first start, since k3s encrypts its bootstrap
// data with it: another one later is refused. The agent's may change; without one of its
// own it is the server's, and agent-token is then a link to token.
func ensureSecrets(ctx context.Context, cfg *config, caPEM []byte) (secrets, error) {
	stored, err := storedSecret(filepath.Join(serverDir, "token"))
	if err != nil {
		return secrets{}, err
	}
	server, err := configuredSecret(ctx, cfg, "token")
	if err != nil {
		return secrets{}, err
	}
	switch {
	case server == "" && stored == "":
		server = randomHex(16)
	case server == "":
		server = stored
	case stored != "" && server != stored:
		return secrets{}, errors.New("bootstrap data already found and encrypted with different token (stand-in: the token differs from the one this server was first started with)")
	}
	agent, err := configuredSecret(ctx, cfg, "agent-token")
	if err != nil {
		return secrets{}, err
	}
	return secrets{server: server, agent: firstOf(agent, server)}, writeTokens(server, agent, caPEM)
}

func writeTokens(server, agent string, caPEM []byte) error {
	tokenFile := filepath.Join(serverDir, "token")
	text := token{user: "server", secret: server}.format(caPEM) + "\n"
	if err := writeFile(tokenFile, []byte(text), 0o600); err != nil {
		return err
	}
	if err := linkTo(tokenFile, filepath.Join(serverDir, "node-token")); err != nil {
		return err
	}
	agentFile := filepath.Join(serverDir, "agent-token")
	if agent == "" {
		return linkTo(tokenFile, agentFile)
	}
	text = token{user: "node", secret: agent}.format(caPEM) + "\n"
	return writeFile(agentFile, []byte(text), 0o600)
}

// configuredSecret is the secret part of a configured token, "" when there is none.
func configuredSecret(ctx context.Context, cfg *config, key string) (string, error) {
	text, err := configuredToken(ctx, cfg, key)
	if err != nil || text == "" {
		return "", err
	}
	parsed, err := parseToken(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	return parsed.secret, nil
}

// storedSecret is the secret of a token file this server wrote, "" before the first start.
func storedSecret(path string) (string, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	parsed, err := parseToken(strings.TrimSpace(string(content)))
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return parsed.secret, nil
}

func linkTo(target, link string) error {
	if found, err := os.Readlink(link); err == nil && found == target {
		return nil
	}
	if err := os.RemoveAll(link); err != nil {
		return err
	}
	return os.Symlink(target, link)
}

func randomHex(bytes int) string {
	buffer := make([]byte, bytes)
	rand.Read(buffer) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(buffer)
}

func firstOf(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}
