package validate

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// RunOnHost runs a command of the machine whose file system is at host, and shows what it prints.
func RunOnHost(ctx context.Context, host, command string) error {
	for _, folder := range []string{"/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/", "/usr/local/nvidia/bin/"} {
		info, err := os.Stat(host + folder + command)
		if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
			continue
		}
		run := exec.CommandContext(ctx, folder+command)
		run.Dir, run.Stdout, run.Stderr = "/", os.Stdout, os.Stderr
		run.SysProcAttr = &syscall.SysProcAttr{Chroot: host}
		return run.Run()
	}
	return fmt.Errorf("found no %s on the machine, expected the driver's", command)
}

// characterDevice returns "MAJOR:MINOR" of a character device.
func characterDevice(path string) (string, bool) {
	var stat unix.Stat_t
	if unix.Stat(path, &stat) != nil || stat.Mode&unix.S_IFMT != unix.S_IFCHR {
		return "", false
	}
	return fmt.Sprintf("%d:%d", unix.Major(uint64(stat.Rdev)), unix.Minor(uint64(stat.Rdev))), true
}
