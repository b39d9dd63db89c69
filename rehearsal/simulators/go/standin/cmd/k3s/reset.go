package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// bootstrapKey is where the cluster's authorities lie in etcd, encrypted with the server's token: so a
// snapshot and the token are enough to have the cluster back on another machine.
const bootstrapKey = "/bootstrap/stand-in"

var errOtherToken = errors.New("bootstrap data already found and encrypted with different token")

// saveBootstrap keeps the authorities in the datastore.
func (e *etcdMember) saveBootstrap(ctx context.Context, secret string) error {
	files, err := readBootstrap()
	if err != nil {
		return err
	}
	content, err := json.Marshal(files)
	if err != nil {
		return err
	}
	sealed, err := seal(secret, content)
	if err != nil {
		return err
	}
	return e.client.call(ctx, "kv/put", map[string][]byte{"key": []byte(bootstrapKey), "value": sealed}, nil)
}

// loadBootstrap lays down the authorities that the datastore holds.
func (e *etcdMember) loadBootstrap(ctx context.Context, secret string) error {
	var answer struct{ Kvs []struct{ Value []byte } }
	if err := e.client.call(ctx, "kv/range", map[string][]byte{"key": []byte(bootstrapKey)}, &answer); err != nil {
		return err
	}
	if len(answer.Kvs) == 0 {
		return errors.New("no bootstrap data in the datastore")
	}
	content, err := unseal(secret, answer.Kvs[0].Value)
	if err != nil {
		return errOtherToken
	}
	var files map[string][]byte
	if err := json.Unmarshal(content, &files); err != nil {
		return err
	}
	return writeBootstrap(files)
}

func sealer(secret string) (cipher.AEAD, error) {
	key := sha256.Sum256([]byte(secret))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func seal(secret string, content []byte) ([]byte, error) {
	with, err := sealer(secret)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, with.NonceSize())
	rand.Read(nonce) // never fails: crypto/rand ends the program instead
	return with.Seal(nonce, nonce, content, nil), nil
}

func unseal(secret string, sealed []byte) ([]byte, error) {
	with, err := sealer(secret)
	if err != nil || len(sealed) < with.NonceSize() {
		return nil, errors.Join(err, errOtherToken)
	}
	return with.Open(nil, sealed[:with.NonceSize()], sealed[with.NonceSize():], nil)
}

// resetCluster is `k3s server --cluster-reset`: this server's data, or a snapshot, become a cluster of this
// one member. k3s then ends and wants to be started without the flag.
func resetCluster(ctx context.Context, cfg *config, node *nodeFacts) error {
	snapshot := cfg.str("cluster-reset-restore-path")
	switch {
	case exists(resetFlag):
		return fmt.Errorf("Managed etcd cluster membership was previously reset, please remove the cluster-reset flag and start k3s normally. "+
			"If you need to perform another cluster reset, you must first manually delete the file at %s", resetFlag)
	case snapshot != "" && !exists(snapshot):
		return fmt.Errorf("etcd: snapshot path does not exist: %s", snapshot)
	case snapshot == "" && !exists(etcdDir+"/member"):
		return fmt.Errorf("cluster-reset: found no etcd data in %s", etcdDir)
	}
	if err := portFree(frontPort); err != nil {
		return err
	}
	secret, err := resetSecret(ctx, cfg)
	if err != nil {
		return err
	}
	programs := newChildren(ctx)
	defer programs.stop()
	more := []string{"--force-new-cluster"}
	if snapshot != "" {
		if more, err = nil, putAside(); err != nil {
			return err
		}
	}
	me, err := newEtcdMember(node)
	if err != nil {
		return err
	}
	if snapshot != "" {
		if err := runChild(ctx, "", "etcd", []string{"restore", snapshot, etcdDir + "/restored", me.name, me.peerURL()}); err != nil {
			return fmt.Errorf("etcd: restoring %s: %w", snapshot, err)
		}
		if err := os.Rename(etcdDir+"/restored/member", etcdDir+"/member"); err != nil {
			return err
		}
	}
	programs.essential("etcd", me.args(cfg, more...)...)
	if err := me.await(ctx, programs); err != nil {
		return err
	}
	if err := me.loadBootstrap(ctx, secret); err != nil {
		return err
	}
	if err := writeFile(resetFlag, nil, 0o600); err != nil {
		return err
	}
	logInfo("Managed etcd cluster membership has been reset, restart without --cluster-reset flag now. " +
		"Backup and delete ${datadir}/server/db on each peer etcd server and rejoin the nodes")
	return nil
}

// putAside keeps the data that a restore replaces.
func putAside() error {
	if !exists(etcdDir) {
		return nil
	}
	return os.Rename(etcdDir, fmt.Sprintf("%s-old-%d", etcdDir, time.Now().Unix()))
}

// resetSecret is the token as it was configured, or as an earlier start left it on this machine.
func resetSecret(ctx context.Context, cfg *config) (string, error) {
	configured, err := configuredSecret(ctx, cfg, "token")
	if err != nil || configured != "" {
		return configured, err
	}
	stored, err := storedSecret(serverDir + "/token")
	if err == nil && stored == "" {
		err = errors.New("token is required to restore a cluster: set token, or token-file, to the server's")
	}
	return stored, err
}

func portFree(port string) error {
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return fmt.Errorf("k3s is running: %w; stop it first", err)
	}
	return listener.Close()
}

// encryptionStatus is `k3s secrets-encrypt status`, from the file that kube-apiserver was given.
func encryptionStatus() error {
	content, err := os.ReadFile(credDir + "/encryption-config.json")
	if errors.Is(err, os.ErrNotExist) {
		fmt.Println("Encryption Status: Disabled, no configuration file found")
		return nil
	}
	if err != nil {
		return err
	}
	var config struct {
		Resources []struct {
			Providers []map[string]struct{ Keys []struct{ Name string } }
		}
	}
	if err := json.Unmarshal(content, &config); err != nil {
		return err
	}
	fmt.Print("Encryption Status: Enabled\nCurrent Rotation Stage: start\nServer Encryption Hashes: All hashes match\n\n" +
		"Active  Key Type  Name\n------  --------  ----\n")
	for name, provider := range config.Resources[0].Providers[0] {
		for _, key := range provider.Keys {
			fmt.Printf(" *      %s   %s\n", map[string]string{"aescbc": "AES-CBC"}[name], key.Name)
		}
	}
	return nil
}
