// Command k3s is a stand-in for k3s on rehearsal machines.
//
// It offers what an installer over SSH meets: verbs, configuration file, files
// on disk, ports, token format, systemd notification and the way it fails. Behind that
// it runs the real kube-apiserver, scheduler, controller-manager and kine, so
// the cluster is a real Kubernetes API. A node has a real kubelet with containerd and
// runc where its machine can carry them; elsewhere kubelets are played by kwok, and
// containers and GPUs exist only as API objects. What is not played is refused
// with a text that says so, never imitated with a guess.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

const usage = `k3s stand-in for rehearsals (plays k3s %s; it is not k3s)

USAGE:
   k3s server [OPTIONS]    run the control plane, and a node unless --disable-agent
   k3s agent [OPTIONS]     join a server as a node
   k3s kubectl ARGS        run kubectl
   k3s etcd-snapshot       save, ls, delete or prune snapshots of etcd
   k3s secrets-encrypt status
   k3s --version

OPTIONS are k3s's own; they may also stand in ` + configFile + `.
`

func main() {
	name := filepath.Base(os.Args[0])
	args := os.Args[1:]
	if name != "kubectl" && name != "crictl" && name != "ctr" {
		name = ""
		if len(args) > 0 {
			name, args = args[0], args[1:]
		}
	}
	os.Exit(dispatch(name, args))
}

// dispatch runs one verb and returns the exit status.
func dispatch(verb string, args []string) int {
	switch verb {
	case "server":
		return runVerb(verb, args, runServer)
	case "agent":
		return runVerb(verb, args, runAgent)
	case "etcd-snapshot":
		return report(runSnapshot(args))
	case "secrets-encrypt":
		if slices.Equal(args, []string{"status"}) {
			return report(encryptionStatus())
		}
		return report(fmt.Errorf("k3s secrets-encrypt: found %q, expected status; the rest is not played by this stand-in", args))
	case "kubectl":
		return report(execKubectl(args))
	case "--version", "-v":
		fmt.Printf("k3s version %s (stand-in)\ngo version %s\n", version, runtime.Version())
		return 0
	case "", "help", "--help", "-h":
		fmt.Printf(usage, version)
		return 0
	case "ctr":
		return report(execCtr(args))
	case "crictl", "check-config", "token", "certificate", "completion":
		return report(fmt.Errorf("k3s %s is not played by this stand-in: found %q, expected server, agent, kubectl or --version; run it on a real k3s", verb, verb))
	}
	return report(fmt.Errorf("no help topic for '%s' (k3s stand-in)", verb))
}

// report prints an error the way a command line tool does and gives its exit status.
func report(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// runVerb runs a daemon verb until SIGTERM or SIGINT.
//
// The configuration is read, and the notification socket taken out of the
// environment, before any child exists: children must neither see secrets nor
// say READY=1 in our name (kube-apiserver would).
func runVerb(verb string, args []string, run func(context.Context, *config, *notifier) error) int {
	if kubeletIsReal() && os.Geteuid() == 0 {
		if err := enterOwnMounts(); err != nil {
			return report(err)
		}
	}
	notify := takeNotifier()
	cfg, err := loadConfig(verb, args, os.Environ())
	if err != nil {
		return report(err)
	}
	forgetSecretEnvironment()
	if os.Geteuid() != 0 {
		return report(fmt.Errorf("must run as root (k3s %s, stand-in)", verb))
	}
	for _, note := range cfg.notes {
		logWarn("%s", note)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, cfg, notify); err != nil && ctx.Err() == nil {
		logFatal("%v", err)
		return 1
	}
	return 0
}

// execKubectl becomes kubectl, with the server's kubeconfig where the caller names none.
func execKubectl(args []string) error {
	env := os.Environ()
	if os.Getenv("KUBECONFIG") == "" {
		if _, err := os.Stat(adminKubeconfig); err == nil {
			env = append(env, "KUBECONFIG="+adminKubeconfig)
		}
	}
	return execTool("kubectl", args, env)
}

// execCtr becomes containerd's client, for the containerd of k3s and the namespace of Kubernetes.
func execCtr(args []string) error {
	if !kubeletIsReal() {
		return errors.New("k3s ctr: found no containerd on this machine, expected a machine with a real kubelet (stand-in)")
	}
	return execTool("ctr", args, append(os.Environ(), "CONTAINERD_ADDRESS="+containerdSocket, "CONTAINERD_NAMESPACE=k8s.io"))
}

func execTool(name string, args, env []string) error {
	path := filepath.Join(toolDir, name)
	if _, err := exec.LookPath(path); err != nil {
		return fmt.Errorf("k3s stand-in: %s: %w; the machine must bind-mount the rehearsal's tools at %s", path, err, toolDir)
	}
	return syscall.Exec(path, append([]string{name}, args...), env)
}

// forgetSecretEnvironment keeps secrets given by environment (an installer's
// K3S_TOKEN ends up in the unit's env file) out of every child's environment.
func forgetSecretEnvironment() {
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "K3S_") {
			os.Unsetenv(name)
		}
	}
}
