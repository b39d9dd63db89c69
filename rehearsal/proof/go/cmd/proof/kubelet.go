package main

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const registrationTimeout = 30 * time.Second

// A plugin with several resources registers one after the other; after the first, so much time for the rest.
const settleTime = 2 * time.Second

// kubelet is a kubelet reduced to its registration socket.
type kubelet struct {
	api.UnimplementedRegistrationServer
	mutex     sync.Mutex
	endpoints map[string]string
	server    *grpc.Server
}

// Register notes where a resource is served.
func (k *kubelet) Register(_ context.Context, request *api.RegisterRequest) (*api.Empty, error) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	k.endpoints[request.ResourceName] = filepath.Join(api.DevicePluginPath, request.Endpoint)
	return &api.Empty{}, nil
}

func startKubelet() (*kubelet, error) {
	os.Remove(api.KubeletSocket)
	listener, err := net.Listen("unix", api.KubeletSocket)
	if err != nil {
		return nil, fmt.Errorf("%w (it needs root, and a folder of its own: see `make prove`)", err)
	}
	k := &kubelet{endpoints: map[string]string{}, server: grpc.NewServer()}
	api.RegisterRegistrationServer(k.server, k)
	go k.server.Serve(listener)
	return k, nil
}

func (k *kubelet) stop() { k.server.Stop() }

// registered waits until the plugin has registered what it offers; ended says that the plugin is gone.
func (k *kubelet) registered(ctx context.Context, ended <-chan struct{}) (map[string]string, error) {
	deadline := time.After(registrationTimeout)
	for {
		k.mutex.Lock()
		first := len(k.endpoints) > 0
		k.mutex.Unlock()
		if first {
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-ended:
			return nil, fmt.Errorf("the plugin ended")
		case <-deadline:
			return nil, fmt.Errorf("the plugin registered nothing within %s", registrationTimeout)
		case <-time.After(50 * time.Millisecond):
		}
	}
	time.Sleep(settleTime)
	k.mutex.Lock()
	defer k.mutex.Unlock()
	return maps.Clone(k.endpoints), nil
}

// ask lists a resource's healthy devices, and tries requests of one and of two of them.
func ask(ctx context.Context, endpoint string) (int, [2]string, error) {
	ctx, cancel := context.WithTimeout(ctx, registrationTimeout)
	defer cancel()
	connection, err := grpc.NewClient("unix://"+endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return 0, [2]string{}, err
	}
	defer connection.Close()
	client := api.NewDevicePluginClient(connection)
	stream, err := client.ListAndWatch(ctx, &api.Empty{})
	if err != nil {
		return 0, [2]string{}, err
	}
	list, err := stream.Recv()
	if err != nil {
		return 0, [2]string{}, err
	}
	var healthy []string
	for _, device := range list.Devices {
		if device.Health == api.Healthy {
			healthy = append(healthy, device.ID)
		}
	}
	return len(healthy), [2]string{allocate(ctx, client, healthy, 1), allocate(ctx, client, healthy, 2)}, nil
}

func allocate(ctx context.Context, client api.DevicePluginClient, ids []string, count int) string {
	if len(ids) < count {
		return "-"
	}
	request := &api.AllocateRequest{ContainerRequests: []*api.ContainerAllocateRequest{{DevicesIds: ids[:count]}}}
	if _, err := client.Allocate(ctx, request); err != nil {
		return strings.TrimSpace(err.Error())
	}
	return "granted"
}
