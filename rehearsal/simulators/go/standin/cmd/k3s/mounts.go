package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

const (
	// ownMountsMark is in the environment of a process that has its own mounts already.
	ownMountsMark = "STANDIN_OWN_MOUNTS"
	controlGroups = "/sys/fs/cgroup"
	// controlGroupsSource is the source of the mount below which version 1 hierarchies lie.
	controlGroupsSource = "standin-cgroup"
)

// kernelSettings are what a kubelet sets, or wants to find, in the kernel (kubelet, setupKernelTunables).
var kernelSettings = map[string]string{
	"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
	"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}

// enterOwnMounts starts this program again in a mount namespace of its own, which differs from the machine's in
// two things that a kubelet needs and a machine in a container lacks: the kernel's settings as it wants them, and
// version 1 control groups where the machine's version 2 has no controllers. All other mounts are shared with
// the machine, so what kubelet and containerd mount is seen there, and by the next start.
func enterOwnMounts() error {
	if os.Getenv(ownMountsMark) != "" {
		return os.Unsetenv(ownMountsMark)
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	runtime.LockOSThread() // the namespace is this thread's, until exec makes it the process's
	// The root is shared in a machine that systemd has booted; elsewhere nothing would be seen by the next start.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, ""); err != nil {
		return fmt.Errorf("make the machine's mounts shared: %w", err)
	}
	if err := syscall.Unshare(syscall.CLONE_NEWNS); err != nil {
		return fmt.Errorf("mount namespace of the node: %w", err)
	}
	if err := errors.Join(mountControlGroups(), showKernelSettings(), linkKernelLog()); err != nil {
		return err
	}
	return syscall.Exec(program, os.Args, append(os.Environ(), ownMountsMark+"=1"))
}

// controlGroupsV2 tells whether this process sees version 2 control groups.
func controlGroupsV2() bool {
	var found syscall.Statfs_t
	return syscall.Statfs(controlGroups, &found) == nil && found.Type == cgroup2Magic
}

// hasOwnControlGroups tells whether enterOwnMounts has mounted version 1 hierarchies.
func hasOwnControlGroups() bool {
	return strings.Contains(readText("/proc/self/mounts"), controlGroupsSource+" "+controlGroups+" tmpfs")
}

// mountControlGroups mounts the version 1 hierarchies of this machine, if its version 2 hierarchy has no controllers.
func mountControlGroups() error {
	if !controlGroupsV2() || strings.Contains(" "+readText(controlGroups+"/cgroup.controllers")+" ", " memory ") {
		return nil
	}
	if err := mountPrivately(controlGroupsSource, controlGroups, "tmpfs", "mode=755"); err != nil {
		return err
	}
	for _, line := range strings.Split(readText("/proc/self/cgroup"), "\n") {
		fields := strings.SplitN(line, ":", 3)
		if len(fields) < 3 || fields[1] == "" || strings.HasPrefix(fields[1], "name=") {
			continue
		}
		place := filepath.Join(controlGroups, fields[1])
		if err := os.Mkdir(place, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount("cgroup", place, "cgroup", 0, fields[1]); err != nil {
			return fmt.Errorf("mount the control groups of %s: %w", fields[1], err)
		}
		for _, name := range strings.Split(fields[1], ",") {
			if name != fields[1] {
				if err := os.Symlink(fields[1], filepath.Join(controlGroups, name)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// mountPrivately mounts over a mount, so that only this namespace sees it.
func mountPrivately(source, place, kind, options string) error {
	if err := syscall.Mount("", place, "", syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mount %s private: %w", place, err)
	}
	if err := syscall.Mount(source, place, kind, 0, options); err != nil {
		return fmt.Errorf("mount %s on %s: %w", kind, place, err)
	}
	return nil
}

// showKernelSettings binds a file with the wanted value over each kernel setting that is another and cannot be
// changed: they belong to the computer that carries the machine.
func showKernelSettings() error {
	for name, value := range kernelSettings {
		place := filepath.Join("/proc/sys", name)
		if readText(place) == value {
			continue
		}
		if file, err := os.OpenFile(place, os.O_WRONLY, 0); err == nil {
			file.Close() // the kubelet sets it itself
			continue
		}
		if err := showFile(place, value); err != nil {
			return err
		}
	}
	return nil
}

func showFile(place, value string) error {
	file, err := os.CreateTemp("/run", "standin-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // the mount keeps the content
	defer file.Close()
	if err := writeAll(file, []byte(value+"\n")); err != nil {
		return err
	}
	for _, mount := range []string{"/proc/sys", "/proc"} {
		// Whichever is a mount here would show the file to the whole machine if it stayed shared.
		_ = syscall.Mount("", mount, "", syscall.MS_PRIVATE, "")
	}
	if err := syscall.Mount(file.Name(), place, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("show %s at %s: %w", value, place, err)
	}
	return nil
}

// linkKernelLog gives the kubelet a kernel log to read, which is empty: the machine's kernel is the computer's.
func linkKernelLog() error {
	err := os.Symlink("/dev/null", "/dev/kmsg")
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	return err
}
