// Command etcd is etcd's published server, with two verbs more.
//
//	etcd [OPTIONS]                                      etcd itself
//	etcd restore SNAPSHOT DATA-DIR NAME PEER-URL        a new cluster of one member from a snapshot
//	etcd copy FROM TO CA CERT KEY                       Kubernetes' keys of the etcd FROM, a plain one, into TO
//
// k3s links both into its own program. Here they are one program, so that the module is built once.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"go.uber.org/zap"
)

const copyTime = 2 * time.Minute

func main() {
	verb, args := "", []string(nil)
	if len(os.Args) > 1 {
		verb, args = os.Args[1], os.Args[2:]
	}
	var err error
	switch {
	case verb == "restore" && len(args) == 4:
		err = restore(args[0], args[1], args[2], args[3])
	case verb == "copy" && len(args) == 5:
		err = copyKeys(args[0], args[1], transport.TLSInfo{TrustedCAFile: args[2], CertFile: args[3], KeyFile: args[4]})
	case verb == "restore" || verb == "copy":
		err = errors.New("usage: etcd restore SNAPSHOT DATA-DIR NAME PEER-URL | etcd copy FROM TO CA CERT KEY")
	default:
		etcdmain.Main(os.Args)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// copyKeys is how k3s moves a server's data to etcd: kine speaks etcd's protocol, and its keys are written there.
func copyKeys(from, to string, identity transport.TLSInfo) error {
	ctx, cancel := context.WithTimeout(context.Background(), copyTime)
	defer cancel()
	source, err := clientv3.New(clientv3.Config{Endpoints: []string{from}, Context: ctx})
	if err != nil {
		return err
	}
	defer source.Close()
	tls, err := identity.ClientConfig()
	if err != nil {
		return err
	}
	target, err := clientv3.New(clientv3.Config{Endpoints: []string{to}, TLS: tls, Context: ctx})
	if err != nil {
		return err
	}
	defer target.Close()
	found, err := source.Get(ctx, "/registry/", clientv3.WithPrefix())
	if err != nil {
		return fmt.Errorf("reading %s: %w", from, err)
	}
	for _, pair := range found.Kvs {
		if _, err := target.Put(ctx, string(pair.Key), string(pair.Value)); err != nil {
			return fmt.Errorf("writing %s: %w", to, err)
		}
	}
	return nil
}

// restore checks the hash at the snapshot's end, and makes the data folder of a cluster whose only member is name.
func restore(file, folder, name, peerURL string) error {
	return snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
		SnapshotPath: file, OutputDataDir: folder, Name: name,
		PeerURLs: []string{peerURL}, InitialCluster: name + "=" + peerURL, InitialClusterToken: "etcd-cluster",
	})
}
