// Command etcd is etcd's published server, with one verb more.
//
//	etcd [OPTIONS]                                      etcd itself
//	etcd restore SNAPSHOT DATA-DIR NAME PEER-URL        a new cluster of one member from a snapshot
//
// k3s links both into its own program. Here they are one program, so that the module is built once.
package main

import (
	"fmt"
	"os"

	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"go.uber.org/zap"
)

func main() {
	if len(os.Args) < 2 || os.Args[1] != "restore" {
		etcdmain.Main(os.Args)
		return
	}
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "usage: etcd restore SNAPSHOT DATA-DIR NAME PEER-URL")
		os.Exit(2)
	}
	if err := restore(os.Args[2], os.Args[3], os.Args[4], os.Args[5]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// restore checks the hash at the snapshot's end, and makes the data folder of a cluster whose only member is name.
func restore(file, folder, name, peerURL string) error {
	return snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
		SnapshotPath: file, OutputDataDir: folder, Name: name,
		PeerURLs: []string{peerURL}, InitialCluster: name + "=" + peerURL, InitialClusterToken: "etcd-cluster",
	})
}
