package node

import (
	"errors"
	"fmt"
	"log"
	"maps"
	"slices"
	"time"

	spec "github.com/NVIDIA/k8s-device-plugin/api/config/v1"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/gpu"
	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

const (
	configInit    = "config-manager-init"
	configSidecar = "config-manager"
	configLabel   = "nvidia.com/device-plugin.config"
)

// session is the life of one pod that reads a sharing file: the device plugin's or feature discovery's. It plays
// the config manager (init container and sidecar) and the program itself up to its parsed configuration.
type session struct {
	uid       string
	process   string // container of the program
	configMap string // "" without config manager
	fallback  string // DEFAULT_CONFIG
	env       gpu.Env
	validate  func(*spec.Config) error
	deaf      bool // the config manager looks for the program under another name, and finds none

	mounted  bool
	mount    mount
	started  bool   // the init container has passed
	watching bool   // the sidecar has started and waits for another label
	label    string // the label the sidecar acted on last
	linked   string // the file that config.yaml points to; "" is no file
	init     crash
	sidecar  crash
	program  crash
	config   *spec.Config // what the program runs with; nil while it does not run
	loadedAt time.Time
}

func newSession(pod kube.Pod, process string, validate func(*spec.Config) error) *session {
	s := &session{uid: pod.Metadata.UID, process: process, validate: validate}
	// The vendor's DaemonSet starts mps-control-daemon, and its config manager looks for /usr/bin/mps-control-daemon.
	s.deaf = process == mpsDaemon
	if program, ok := pod.Container(process); ok {
		s.env.MIGStrategy, _ = program.Value("MIG_STRATEGY")
		s.env.MPSRoot, _ = program.Value("MPS_ROOT")
		s.env.DeviceIDStrategy, _ = program.Value("DEVICE_ID_STRATEGY")
	}
	if manager, ok := pod.Container(configInit); ok {
		s.fallback, _ = manager.Value("DEFAULT_CONFIG")
		i := slices.IndexFunc(manager.VolumeMounts, func(m kube.Mount) bool { return m.Path == "/available-configs" })
		if i >= 0 {
			s.configMap = manager.VolumeMounts[i].Name // the operator names the volume like the ConfigMap
		}
	}
	return s
}

// inputs are what a session sees of the world in one step.
type inputs struct {
	label   string            // nvidia.com/device-plugin.config of the node
	files   map[string]string // live content of the ConfigMap, nil while it is missing
	lag     time.Duration
	backoff time.Duration
	now     time.Time
}

// advance plays what the pod's containers do next. The program starts a moment before the config manager beside it.
func (s *session) advance(in inputs, logger *log.Logger) {
	if s.configMap == "" {
		s.started = true
		s.load(in, logger)
		return
	}
	if !s.mountFiles(in) {
		return // the pod waits for its volume
	}
	s.runInit(in, logger)
	s.load(in, logger)
	s.runSidecar(in, logger)
	s.load(in, logger)
}

// wake is the time until a container is started again or a changed file shows, 0 when nothing is to come.
func (s *session) wake(in inputs) time.Duration {
	return soonest(s.init.left(in.now), s.sidecar.left(in.now), s.program.left(in.now), s.mount.left(in.lag, in.now))
}

// mountFiles sets up or refreshes the ConfigMap volume and says whether it is there.
func (s *session) mountFiles(in inputs) bool {
	if !s.mounted && in.files != nil {
		s.mounted, s.mount.data = true, maps.Clone(in.files)
	}
	s.mount.refresh(in.files, in.lag, in.now)
	return s.mounted
}

// runInit plays the config manager as init container. The vendor's (v0.19 and v0.20) acts as if the node had no
// label each time it starts, because it does not wait for its first look at the Node; this one ends with that.
func (s *session) runInit(in inputs, logger *log.Logger) {
	if s.started || s.init.waits(in.now) {
		return
	}
	if err := s.follow("", logger, configInit); err != nil {
		s.init.failed(err, in.backoff, in.now)
		return
	}
	s.init.healed()
	s.started = true
}

// runSidecar plays the config manager beside the program: it starts as the init container does, and then follows
// the node's label.
func (s *session) runSidecar(in inputs, logger *log.Logger) {
	if !s.started || s.sidecar.waits(in.now) {
		return
	}
	var err error
	if !s.watching {
		err = s.follow("", logger, configSidecar)
	}
	if err == nil && in.label != s.label {
		err = s.follow(in.label, logger, configSidecar)
	}
	s.watching = err == nil
	if err != nil {
		s.sidecar.failed(err, in.backoff, in.now)
		return
	}
	s.sidecar.healed()
}

// follow does what the config manager does for a label's value: it links the file and sends the program SIGHUP.
func (s *session) follow(label string, logger *log.Logger, container string) error {
	err := s.link(label, logger, container)
	if err != nil {
		logger.Printf("%s: %s: %v", s.process, container, err)
	}
	s.label = label
	return err
}

// link replaces the link to the file. One that leads nowhere is not removed before, as the vendor's is not.
func (s *session) link(label string, logger *log.Logger, container string) error {
	key, err := choose(label, s.fallback, s.mount.data)
	if err != nil {
		return err
	}
	if _, there := s.mount.data[s.linked]; s.started && s.linked != "" && !there {
		return fmt.Errorf("error creating symlink: symlink /available-configs/%s /config/config.yaml: file exists", key)
	}
	if s.started && key == s.linked {
		return nil
	}
	logger.Printf("%s: %s: config %q (label %q, default %q)", s.process, container, key, label, s.fallback)
	s.linked = key
	if s.started && (s.deaf || s.program.err != nil) {
		return errors.New("error finding pid: no process found")
	}
	s.config = nil // SIGHUP: the program reads its file again, in the same pod
	return nil
}

// load starts the program, or makes it read its file after a signal.
func (s *session) load(in inputs, logger *log.Logger) {
	if !s.started || s.config != nil || s.program.waits(in.now) {
		return
	}
	config, err := gpu.ParseConfig(s.mount.data[s.linked], s.env)
	if err == nil && s.validate != nil {
		err = s.validate(config)
	}
	if err != nil {
		logger.Printf("%s: error starting: %v", s.process, err)
		s.program.failed(err, in.backoff, in.now)
		return
	}
	s.program.healed()
	s.config, s.loadedAt = config, in.now
}

// servesMPS says whether this session's program runs with a configuration that shares by MPS.
func (s *session) servesMPS() bool {
	return s != nil && s.config != nil && s.config.Sharing.SharingStrategy() == spec.SharingStrategyMPS
}

func soonest(waits ...time.Duration) time.Duration {
	first := time.Duration(0)
	for _, wait := range waits {
		if wait > 0 && (first == 0 || wait < first) {
			first = wait
		}
	}
	return first
}
