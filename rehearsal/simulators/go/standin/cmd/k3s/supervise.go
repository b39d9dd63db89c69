package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// children are the programs behind the stand-in. They end with it: on a clean stop
// because the context ends, on SIGKILL or a power cut because the kernel kills them.
type children struct {
	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup
	failed chan error // the first end of a program that k3s cannot live without
}

func newChildren(ctx context.Context) *children {
	inner, cancel := context.WithCancel(ctx)
	return &children{ctx: inner, cancel: cancel, failed: make(chan error, 1)}
}

// stop kills all children and waits for them, so that ports and database are free for
// the next start. They are killed, not asked: kine and kube-apiserver
// asked together wait for each other for 90 s, and sqlite's log survives a kill.
func (c *children) stop() {
	c.cancel()
	c.wait.Wait()
}

// essential starts a program whose end is the stand-in's end: in k3s it is the same process.
func (c *children) essential(name string, args ...string) { c.essentialWithLog("", name, args...) }

// essentialWithLog is essential with a file for what the program prints; "" is the journal.
func (c *children) essentialWithLog(file, name string, args ...string) {
	c.wait.Go(func() {
		err := runChild(c.ctx, file, name, args)
		if c.ctx.Err() == nil {
			select {
			case c.failed <- fmt.Errorf("%s exited: %v", name, err):
			default:
			}
		}
	})
}

// await asks every so often until ready says nothing is wrong; it ends with the context, and with
// a program that k3s cannot live without.
func (c *children) await(ctx context.Context, what string, every time.Duration, ready func() error) error {
	const quiet = 5 * time.Second
	next := time.Now().Add(quiet)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		if time.Now().After(next) {
			logInfo("Waiting for %s to become available: %v", what, err)
			next = time.Now().Add(quiet)
		}
		select {
		case err := <-c.failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(every):
		}
	}
}

// restarted starts a program that is started again, later and later, whenever it ends.
func (c *children) restarted(name string, args ...string) {
	c.wait.Go(func() { c.restartedWhile(c.ctx, name, args...) })
}

// restartedWhile keeps a program running until the context ends, and then waits for its end.
func (c *children) restartedWhile(ctx context.Context, name string, args ...string) {
	const longest = 30 * time.Second
	delay := time.Second
	for ctx.Err() == nil {
		began := time.Now()
		err := runChild(ctx, "", name, args)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > longest {
			delay = time.Second
		}
		logError("stand-in: %s ended (%v), starting it again in %s", name, err, delay)
		if pause(ctx, delay) != nil {
			return
		}
		delay = min(2*delay, longest)
	}
}

// runChild runs a program until it ends or the context does.
//
// The kernel's parent-death signal belongs to the thread that forked, not to the
// process: the goroutine keeps its thread until the child is gone.
func runChild(ctx context.Context, file, name string, args []string) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	output := os.Stderr
	if file != "" {
		var err error
		if output, err = os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			return err
		}
		defer output.Close()
	}
	cmd := exec.CommandContext(ctx, filepath.Join(toolDir, name), args...)
	cmd.Dir = dataDir
	// containerd finds its shim by PATH, and the shim runc.
	cmd.Env = append(os.Environ(), "HOME="+dataDir, "PATH="+toolDir+":"+os.Getenv("PATH"))
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	return cmd.Run()
}

// toolExists tells whether the rehearsal brought a program along.
func toolExists(name string) bool {
	_, err := exec.LookPath(filepath.Join(toolDir, name))
	return err == nil
}
