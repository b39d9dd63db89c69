package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// datastore is where the API server keeps its objects: etcd where this server is a member of a
// cluster of them, else sqlite behind kine.
type datastore struct {
	member *etcdMember
	from   *server // the server that this one joins; nil where there is none or data exist
}

// program is the child that the datastore needs.
func (d *datastore) program() string {
	if d.member != nil {
		return "etcd"
	}
	return "kine"
}

// start starts the datastore; etcd is waited for, since it may have to be promoted or to find a leader.
func (d *datastore) start(ctx context.Context, cfg *config, programs *children) error {
	if d.member == nil {
		startKine(programs)
		return nil
	}
	how, err := d.member.begin(ctx, d.from)
	if err != nil {
		return err
	}
	programs.essential("etcd", d.member.args(cfg, how...)...)
	if err := d.member.await(ctx, programs); err != nil {
		return err
	}
	if err := d.member.moveFromSqlite(ctx); err != nil {
		return fmt.Errorf("migrating content from sqlite to etcd: %w", err)
	}
	if exists(resetFlag) {
		return os.Remove(resetFlag)
	}
	return nil
}

func startKine(programs *children) {
	_ = os.Remove(kineSocket) // left behind by a power cut
	programs.essential("kine", "--endpoint", "sqlite://"+sqliteFile+"?_journal=WAL&cache=shared&_busy_timeout=30000&_txlock=immediate",
		"--listen-address", "unix://"+kineSocket, "--metrics-bind-address", "0")
}

// moveFromSqlite is what k3s does when a server with the default database is given cluster-init: once.
func (e *etcdMember) moveFromSqlite(ctx context.Context) error {
	if !exists(sqliteFile) {
		return nil
	}
	logInfo("Migrating content from sqlite to etcd")
	old := newChildren(ctx)
	defer old.stop()
	startKine(old)
	err := old.await(ctx, "kine", 100*time.Millisecond, func() error {
		if !exists(kineSocket) {
			return errors.New("it does not listen yet")
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = runChild(ctx, "", "etcd", []string{"copy", "unix://" + kineSocket, localEtcd, etcdTLS + "/server-ca.crt", etcdTLS + "/client.crt", etcdTLS + "/client.key"})
	if err != nil {
		return err
	}
	return os.Rename(sqliteFile, sqliteFile+".migrated")
}

// apiServerArgs lead kube-apiserver to the datastore.
func (d *datastore) apiServerArgs() []string {
	if d.member == nil {
		return []string{"--etcd-servers=unix://" + kineSocket}
	}
	return []string{
		"--etcd-servers=" + localEtcd, "--etcd-cafile=" + etcdTLS + "/server-ca.crt",
		"--etcd-certfile=" + etcdTLS + "/client.crt", "--etcd-keyfile=" + etcdTLS + "/client.key",
	}
}

// playOperator runs the simulated GPU operator on one server: with several, the one whose
// controller manager leads. The real one is a pod, of which there is one as well.
func playOperator(programs *children, api *kubeAPI, several bool) {
	for programs.ctx.Err() == nil {
		if several && !leads(programs.ctx, api) {
			if pause(programs.ctx, 2*time.Second) != nil {
				return
			}
			continue
		}
		led, cancel := context.WithCancel(programs.ctx)
		if several {
			go func() {
				for leads(led, api) && pause(led, 2*time.Second) == nil {
				}
				cancel()
			}()
		}
		programs.restartedWhile(led, "gpusim", "operator", "--kubeconfig", credDir+"/admin.kubeconfig")
		cancel()
	}
}

// leads tells whether this server's controller manager holds the lease.
func leads(ctx context.Context, api *kubeAPI) bool {
	var lease struct {
		Spec struct{ HolderIdentity string }
	}
	err := api.get(ctx, "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager", &lease)
	hostname, _ := os.Hostname()
	return err == nil && strings.HasPrefix(lease.Spec.HolderIdentity, hostname+"_")
}
