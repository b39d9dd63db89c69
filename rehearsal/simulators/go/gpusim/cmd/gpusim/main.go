// Command gpusim plays NVIDIA's side of a rehearsal: the GPU Operator's controller, and on each machine node
// feature discovery, the device plugin and gpu-feature-discovery.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"k8s.io/klog/v2"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/gpu"
	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
	"k3s-gpu-sharing/rehearsal/gpusim/internal/node"
	"k3s-gpu-sharing/rehearsal/gpusim/internal/operator"
)

const usage = `usage: gpusim operator --kubeconfig FILE
       gpusim node --kubeconfig FILE --node NAME [--gpus FILE]
`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "gpusim: %v\n", err)
		os.Exit(2)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("no verb given\n%s", usage)
	}
	flags := flag.NewFlagSet("gpusim "+args[0], flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig file")
	name := flags.String("node", "", "name of the Node this machine is")
	gpus := flags.String("gpus", "/etc/standin/gpus.json", "what GPUs this machine pretends to have; no file: none")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	api, err := kube.Load(*kubeconfig)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	logger := log.New(os.Stderr, "stand-in: ", 0)
	quoteNVIDIA(logger)
	switch args[0] {
	case "operator":
		operator.Run(ctx, api, logger)
		return nil
	case "node":
		if *name == "" {
			return fmt.Errorf("--node is missing\n%s", usage)
		}
		machine, err := gpu.LoadMachine(*gpus)
		if err != nil {
			return err
		}
		node.Run(ctx, api, logger, *name, machine)
		return nil
	default:
		return fmt.Errorf("unknown verb %q\n%s", args[0], usage)
	}
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
