package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// What `k3s etcd-snapshot` does; the server's schedule does the first and the last.
const snapshotUsage = "k3s etcd-snapshot: found %q, expected save, ls, delete or prune"

// snapshots are a server's, in one folder.
type snapshots struct {
	dir, node string
	keep      int
}

func newSnapshots(cfg *config) (*snapshots, error) {
	hostname, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	found := &snapshots{
		dir:  firstOf(cfg.str("etcd-snapshot-dir"), dbDir+"/snapshots"),
		node: strings.ToLower(firstOf(cfg.str("node-name"), hostname)),
	}
	found.keep, err = strconv.Atoi(firstOf(cfg.str("etcd-snapshot-retention"), "5"))
	if err != nil || found.keep < 0 {
		return nil, fmt.Errorf("etcd-snapshot-retention: found %q, expected a number", cfg.str("etcd-snapshot-retention"))
	}
	return found, nil
}

// runSnapshot is `k3s etcd-snapshot`, on a machine whose server runs.
func runSnapshot(args []string) error {
	action := "save"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		action, args = args[0], args[1:]
	}
	cfg, err := loadConfig("etcd-snapshot", args, os.Environ())
	if err != nil {
		return err
	}
	names := cfg.list(positional)
	if len(names) > 0 && action != "delete" {
		return fmt.Errorf("unexpected argument %q", names[0])
	}
	all, err := newSnapshots(cfg)
	if err != nil {
		return err
	}
	ctx := context.Background()
	switch action {
	case "save":
		return all.save(ctx, firstOf(cfg.str("name"), "on-demand"))
	case "ls", "list", "l":
		return all.list(os.Stdout)
	case "delete":
		if len(names) == 0 {
			return errors.New("no snapshots given for removal")
		}
		return all.remove(names...)
	case "prune":
		return all.prune(firstOf(cfg.str("name"), "on-demand"))
	}
	return fmt.Errorf(snapshotUsage, action)
}

// save asks this machine's etcd for a snapshot. It is whole, with etcd's hash at its end, or not there.
func (s *snapshots) save(ctx context.Context, name string) error {
	if !exists(etcdDir + "/member") {
		return errors.New("etcd datastore disabled")
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	client, err := newEtcdClient(localEtcd)
	if err != nil {
		return err
	}
	name = fmt.Sprintf("%s-%s-%d", name, s.node, time.Now().Unix())
	var content bytes.Buffer
	if err := client.snapshot(ctx, &content); err != nil {
		return fmt.Errorf("failed to save snapshot: %w", err)
	}
	if err := writeFile(filepath.Join(s.dir, name), content.Bytes(), 0o600); err != nil {
		return err
	}
	logInfo("Snapshot %s saved.", name)
	return nil
}

// snapshot streams the database through etcd's gateway: lines of JSON with a piece each.
func (c *etcdClient) snapshot(ctx context.Context, into io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.api.base+"/v3/maintenance/snapshot", strings.NewReader("{}"))
	if err != nil {
		return err
	}
	response, err := c.api.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	pieces := json.NewDecoder(response.Body)
	for {
		var piece struct {
			Result *struct{ Blob []byte }
			Error  struct{ Message string }
		}
		if err := pieces.Decode(&piece); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if piece.Result == nil {
			return fmt.Errorf("etcd: %s", firstOf(piece.Error.Message, response.Status))
		}
		if _, err := into.Write(piece.Result.Blob); err != nil {
			return err
		}
	}
}

// files are the snapshots on disk, the oldest first.
func (s *snapshots) files() ([]os.FileInfo, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var found []os.FileInfo
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() && !strings.HasPrefix(info.Name(), ".") {
			found = append(found, info)
		}
	}
	slices.SortStableFunc(found, func(a, b os.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	return found, err
}

func (s *snapshots) list(out io.Writer) error {
	found, err := s.files()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	fmt.Fprintln(table, "Name\tLocation\tSize\tCreated")
	for _, info := range found {
		location := "file://" + filepath.Join(s.dir, info.Name())
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", info.Name(), location, info.Size(), info.ModTime().UTC().Format(time.RFC3339))
	}
	return table.Flush()
}

func (s *snapshots) remove(names ...string) error {
	for _, name := range names {
		if err := os.Remove(filepath.Join(s.dir, filepath.Base(name))); err != nil {
			return err
		}
		logInfo("Snapshot %s deleted.", name)
	}
	return nil
}

// prune keeps the newest snapshots of a name.
func (s *snapshots) prune(name string) error {
	found, err := s.files()
	if err != nil {
		return err
	}
	var names []string
	for _, info := range found {
		if strings.HasPrefix(info.Name(), name+"-"+s.node+"-") {
			names = append(names, info.Name())
		}
	}
	return s.remove(names[:max(len(names)-s.keep, 0)]...)
}

// scheduleSnapshots saves whenever the clock comes to a minute of the schedule, until the context ends.
func scheduleSnapshots(ctx context.Context, cfg *config) error {
	if cfg.boolean("etcd-disable-snapshots") {
		return nil
	}
	due, err := parseCron(firstOf(cfg.str("etcd-snapshot-schedule-cron"), "0 */12 * * *"))
	if err != nil {
		return err
	}
	all, err := newSnapshots(cfg)
	if err != nil {
		return err
	}
	name := firstOf(cfg.str("etcd-snapshot-name"), "etcd-snapshot")
	go func() {
		for {
			next := time.Now().Truncate(time.Minute).Add(time.Minute)
			if pause(ctx, time.Until(next)) != nil {
				return
			}
			if !due(next) {
				continue
			}
			if err := errors.Join(all.save(ctx, name), all.prune(name)); err != nil {
				logError("Failed to take scheduled etcd snapshot: %v", err)
			}
		}
	}()
	return nil
}

// parseCron reads five fields of numbers, ranges, lists and steps; names of months and days are not played.
func parseCron(text string) (func(time.Time) bool, error) {
	fields := strings.Fields(text)
	if len(fields) != 5 {
		return nil, fmt.Errorf("etcd-snapshot-schedule-cron: found %q, expected five fields: minute hour day month weekday", text)
	}
	limits := [5][2]int{{0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 6}}
	var allowed [5][]int
	for i, field := range fields {
		for _, part := range strings.Split(field, ",") {
			values, err := cronPart(part, limits[i][0], limits[i][1])
			if err != nil {
				return nil, fmt.Errorf("etcd-snapshot-schedule-cron: %q: %w", text, err)
			}
			allowed[i] = append(allowed[i], values...)
		}
	}
	return func(at time.Time) bool {
		now := [5]int{at.Minute(), at.Hour(), at.Day(), int(at.Month()), int(at.Weekday())}
		for i, value := range now {
			if !slices.Contains(allowed[i], value) {
				return false
			}
		}
		return true
	}, nil
}

// cronPart is one of *, */n, a, a-b or a-b/n as the numbers that it means.
func cronPart(part string, low, high int) ([]int, error) {
	wrong := fmt.Errorf("found %q, expected *, a number, a range or a step between %d and %d", part, low, high)
	span, stepText, stepped := strings.Cut(part, "/")
	step := 1
	var err error
	if stepped {
		if step, err = strconv.Atoi(stepText); err != nil || step < 1 {
			return nil, wrong
		}
	}
	from, to := low, high
	if span != "*" {
		first, last, isRange := strings.Cut(span, "-")
		if from, err = strconv.Atoi(first); err != nil {
			return nil, wrong
		}
		if to = from; isRange {
			if to, err = strconv.Atoi(last); err != nil {
				return nil, wrong
			}
		}
	}
	if from < low || to > high || from > to {
		return nil, wrong
	}
	var values []int
	for value := from; value <= to; value += step {
		values = append(values, value)
	}
	return values, nil
}
