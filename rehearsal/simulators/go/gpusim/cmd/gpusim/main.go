// Command gpusim plays NVIDIA's side of a rehearsal: the GPU Operator's controller and validator, and on each machine
// node that has no kubelet, feature discovery, the device plugin and gpu-feature-discovery.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"k8s.io/klog/v2"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/gpu"
	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
	"k3s-gpu-sharing/rehearsal/gpusim/internal/node"
	"k3s-gpu-sharing/rehearsal/gpusim/internal/operator"
	"k3s-gpu-sharing/rehearsal/gpusim/internal/validate"
)

const usage = `usage: gpusim operator [--kubeconfig FILE]   (without: in a pod)
       gpusim node --kubeconfig FILE --node NAME [--gpus FILE]
       gpusim validate                       (in a pod; the environment says what: COMPONENT, WITH_WAIT, NODE_NAME)
       gpusim idle                           (waits for SIGTERM)
       gpusim succeed                        (ends at once)
`

// In the image that stands for NVIDIA's, this program has the names of NVIDIA's. The jobs of hooks have nothing to do.
var names = map[string]string{
	"gpu-operator": "operator", "nvidia-validator": "validate", "manage-crds": "succeed", "cleanup-gpuclusters": "succeed",
}

func main() {
	args := os.Args[1:]
	if verb, ok := names[filepath.Base(os.Args[0])]; ok {
		args = []string{verb} // NVIDIA's flags say nothing to the stand-in
	}
	if err := run(args); err != nil {
		fmt.Fprintf(os.Stderr, "gpusim: %v\n", err)
		os.Exit(2)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("no verb given\n%s", usage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	logger := log.New(os.Stderr, "stand-in: ", 0)
	switch args[0] {
	case "operator", "node":
		return follow(ctx, logger, args)
	case "validate":
		return validatePart(ctx, logger)
	case "idle":
		<-ctx.Done()
		return nil
	case "succeed":
		return nil
	default:
		return fmt.Errorf("unknown verb %q\n%s", args[0], usage)
	}
}

// follow runs what watches the API until ctx ends.
func follow(ctx context.Context, logger *log.Logger, args []string) error {
	flags := flag.NewFlagSet("gpusim "+args[0], flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig file")
	name := flags.String("node", "", "name of the Node this machine is")
	gpus := flags.String("gpus", "/etc/standin/gpus.json", "what GPUs this machine pretends to have; no file: none")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	api, err := client(*kubeconfig)
	if err != nil {
		return err
	}
	quoteNVIDIA(logger)
	if args[0] == "operator" {
		operator.Run(ctx, api, logger, *kubeconfig == "")
		return nil
	}
	if *name == "" {
		return fmt.Errorf("--node is missing\n%s", usage)
	}
	machine, err := gpu.LoadMachine(*gpus)
	if err != nil {
		return err
	}
	node.Run(ctx, api, logger, *name, machine)
	return nil
}

func client(kubeconfig string) (*kube.Client, error) {
	if kubeconfig == "" {
		return kube.InCluster()
	}
	return kube.Load(kubeconfig)
}

func validatePart(ctx context.Context, logger *log.Logger) error {
	validator := validate.Validator{
		Log: logger, Status: "/run/nvidia/validations", Host: "/host", CharDevs: "/host-dev-char", Root: "/",
		Node: os.Getenv("NODE_NAME"), API: kube.InCluster, Driver: validate.RunOnHost,
	}
	return validator.Run(ctx, os.Getenv("COMPONENT"), os.Getenv("WITH_WAIT") == "true")
}

// quoteNVIDIA brings the warnings of NVIDIA's parser into our log, one line each.
func quoteNVIDIA(logger *log.Logger) {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{"logtostderr": "false", "one_output": "true"} {
		_ = flags.Set(name, value) // both exist in klog v2
	}
	klog.SetOutput(quote{logger})
}

type quote struct{ log *log.Logger }

var _ io.Writer = quote{}

func (q quote) Write(line []byte) (int, error) {
	_, text, found := strings.Cut(string(line), "] ")
	if !found {
		text = string(line)
	}
	q.log.Printf("NVIDIA's parser: %s", strings.TrimSpace(text))
	return len(line), nil
}
