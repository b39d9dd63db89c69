package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const requestLimit = 20 * time.Second

// Client talks to one API server as one user.
type Client struct {
	server    string
	token     string
	tokenFile string // read for every request: kubelets renew the token in it
	http      *http.Client
}

// StatusError is an answer of the API server other than 2xx, with the server's own message.
type StatusError struct {
	Code    int
	Request string
	Message string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: %d: %s", e.Request, e.Code, e.Message)
}

// IsNotFound and IsConflict say what kind of answer an error is; a conflict is also "already exists".
func IsNotFound(err error) bool { return hasCode(err, http.StatusNotFound) }
func IsConflict(err error) bool { return hasCode(err, http.StatusConflict) }

func hasCode(err error, code int) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Code == code
}

// Get reads an object or a list from the API server's cache (resourceVersion=0): it may be a moment old, and it
// costs the data store nothing. Whoever writes afterwards must stand a repeat or a conflict.
func (c *Client) Get(ctx context.Context, path string, query url.Values, into any) error {
	q := url.Values{"resourceVersion": {"0"}}
	for key, values := range query {
		q[key] = values
	}
	return c.do(ctx, http.MethodGet, path+"?"+q.Encode(), "", nil, into)
}

// Create posts an object to a collection.
func (c *Client) Create(ctx context.Context, path string, object any) error {
	return c.do(ctx, http.MethodPost, path, "application/json", object, nil)
}

// Replace puts an object that carries the resourceVersion it was made from.
func (c *Client) Replace(ctx context.Context, path string, object any) error {
	return c.do(ctx, http.MethodPut, path, "application/json", object, nil)
}

// Merge sends a JSON merge patch (RFC 7386): a null deletes a key, a list is replaced as a whole.
func (c *Client) Merge(ctx context.Context, path string, patch any) error {
	return c.do(ctx, http.MethodPatch, path, "application/merge-patch+json", patch, nil)
}

// Strategic sends a strategic merge patch: lists with a merge key (conditions: type) are merged.
func (c *Client) Strategic(ctx context.Context, path string, patch any) error {
	return c.do(ctx, http.MethodPatch, path, "application/strategic-merge-patch+json", patch, nil)
}

// Delete removes an object and, in the background, what it owns.
func (c *Client) Delete(ctx context.Context, path string) error {
	return c.do(ctx, http.MethodDelete, path+"?propagationPolicy=Background", "", nil, nil)
}

func (c *Client) do(ctx context.Context, method, path, contentType string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	response, err := c.send(ctx, method, path, contentType, body)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if into == nil {
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}
	return json.NewDecoder(response.Body).Decode(into)
}

func (c *Client) send(ctx context.Context, method, path, contentType string, body any) (*http.Response, error) {
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		payload = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.server+path, payload)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "gpusim (stand-in)")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	token, err := c.bearer()
	if err != nil {
		return nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= 300 {
		defer func() { _ = response.Body.Close() }()
		return nil, statusError(method+" "+path, response)
	}
	return response, nil
}

func (c *Client) bearer() (string, error) {
	if c.token != "" || c.tokenFile == "" {
		return c.token, nil
	}
	text, err := os.ReadFile(c.tokenFile)
	return strings.TrimSpace(string(text)), err
}

func statusError(request string, response *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
	var status struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(text, &status) != nil || status.Message == "" {
		status.Message = http.StatusText(response.StatusCode)
	}
	return &StatusError{Code: response.StatusCode, Request: request, Message: status.Message}
}
