package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// leaseAPI answers 404 where it has nothing, and records requests by method.
func leaseAPI(t *testing.T, hasLease, hasNode bool) (*kubeAPI, *[]string) {
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		seen = append(seen, request.Method)
		found := map[string]bool{http.MethodPatch: hasLease, http.MethodGet: hasNode, http.MethodPost: true}
		if !found[request.Method] {
			writer.WriteHeader(http.StatusNotFound)
		}
		_, _ = writer.Write([]byte(`{"metadata": {"uid": "7"}}`))
	}))
	t.Cleanup(server.Close)
	return &kubeAPI{base: server.URL, client: server.Client()}, &seen
}

func TestLeaseIsRenewedOrTakenWhereTheNodeExists(t *testing.T) {
	for _, each := range []struct {
		lease, node bool
		expected    []string
	}{
		{true, true, []string{"PATCH"}},
		{false, true, []string{"PATCH", "GET", "POST"}},
		{false, false, []string{"PATCH", "GET"}},
	} {
		api, seen := leaseAPI(t, each.lease, each.node)
		if err := renewOnce(context.Background(), api, "gpu-1"); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(*seen, each.expected) {
			t.Errorf("lease %v, node %v: found requests %v, expected %v", each.lease, each.node, *seen, each.expected)
		}
	}
}
