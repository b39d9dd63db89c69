package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// routeProtocol marks the routes to other nodes' pods, so that k3s-killall.sh finds them.
const routeProtocol = "75"

// nodeNetwork is the part of a Node that says where its pods are.
type nodeNetwork struct {
	Metadata struct{ Name string }
	Spec     struct{ PodCIDR string }
	Status   struct {
		Addresses []struct{ Type, Address string }
	}
}

func (n nodeNetwork) internalIP() string {
	for _, address := range n.Status.Addresses {
		if address.Type == "InternalIP" {
			return address.Address
		}
	}
	return ""
}

// connectPods does the work of flannel with its backend host-gw: it writes the configuration of the pods' network
// once the node has a range of addresses, and keeps a route to the pods of every other node.
func connectPods(ctx context.Context, api *kubeAPI, own string) {
	known := map[string]string{}
	written := ""
	for {
		var nodes struct{ Items []nodeNetwork }
		err := api.get(ctx, "/api/v1/nodes", &nodes)
		for _, node := range nodes.Items {
			cidr := node.Spec.PodCIDR
			switch {
			case cidr == "":
			case node.Metadata.Name == own && cidr != written:
				if err = writePodNetwork(cidr); err == nil {
					written = cidr
				}
			case node.Metadata.Name != own && node.internalIP() != "" && known[cidr] != node.internalIP():
				if err = addRoute(ctx, cidr, node.internalIP()); err == nil {
					known[cidr] = node.internalIP()
				}
			}
		}
		if err != nil && ctx.Err() == nil {
			logWarn("network of the pods: %v", err)
		}
		delay := 5 * time.Second
		if written == "" {
			delay = 200 * time.Millisecond
		}
		if pause(ctx, delay) != nil {
			return
		}
	}
}

// writePodNetwork writes the configuration of CNI: k3s's name and bridge, with flannel's part played by the
// bridge plugin itself.
func writePodNetwork(podCIDR string) error {
	content, err := json.MarshalIndent(map[string]any{
		"name": "cbr0", "cniVersion": "1.0.0",
		"plugins": []any{
			map[string]any{
				"type": "bridge", "bridge": "cni0", "isDefaultGateway": true, "hairpinMode": true, "ipMasq": true,
				"ipam": map[string]any{
					"type": "host-local", "ranges": []any{[]any{map[string]string{"subnet": podCIDR}}},
				},
			},
			map[string]any{"type": "portmap", "capabilities": map[string]bool{"portMappings": true}},
		},
	}, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(cniDir+"/10-flannel.conflist", content, 0o600)
}

func addRoute(ctx context.Context, podCIDR, via string) error {
	output, err := exec.CommandContext(ctx, "ip", "route", "replace", podCIDR, "via", via, "proto", routeProtocol).CombinedOutput()
	if err != nil {
		return fmt.Errorf("route to %s via %s: %w: %s", podCIDR, via, err, strings.TrimSpace(string(output)))
	}
	return nil
}
