// Command oracle says what NVIDIA's own code makes of sharing files. It reads a JSON string a line, each the text of
// a file of the device plugin, and answers each with a line: the error in the plugin's words, or what it took the
// file for.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	spec "github.com/NVIDIA/k8s-device-plugin/api/config/v1"
	"github.com/urfave/cli/v2"
	"k8s.io/klog/v2"
)

// Verdict is the answer to one file.
type Verdict struct {
	Error       string   `json:"error,omitempty"`
	Strategy    string   `json:"strategy"`
	MigStrategy string   `json:"migStrategy"`
	Fail        bool     `json:"fail"`
	Shared      []Shared `json:"shared"`
}

// Shared is one resource that the file shares. Rename is "" where it keeps its name.
type Shared struct {
	Name     string `json:"name"`
	Rename   string `json:"rename"`
	Replicas int    `json:"replicas"`
}

func main() {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard) // its warnings are the rules that are tested here
	folder, err := os.MkdirTemp("", "oracle-")
	if err == nil {
		err = answer(filepath.Join(folder, "config.yaml"), os.Stdin, os.Stdout)
		_ = os.RemoveAll(folder)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

func answer(path string, in io.Reader, out io.Writer) error {
	lines, answers := bufio.NewScanner(in), bufio.NewWriter(out)
	lines.Buffer(nil, 1<<20)
	encoder := json.NewEncoder(answers)
	for lines.Scan() {
		var text string
		if err := json.Unmarshal(lines.Bytes(), &text); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
		if err := encoder.Encode(judge(path)); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return answers.Flush()
}

// judge goes through a file because the parser's only public entrance takes a file's name.
func judge(path string) Verdict {
	flags := flag.NewFlagSet("plugin", flag.ContinueOnError)
	flags.String("config-file", path, "")
	config, err := spec.NewConfig(cli.NewContext(cli.NewApp(), flags, nil), nil)
	if err != nil {
		return Verdict{Error: err.Error()}
	}
	spec.DisableResourceNamingInConfig(config)
	resources := config.Sharing.ReplicatedResources()
	verdict := Verdict{
		Strategy: string(config.Sharing.SharingStrategy()), Fail: resources.FailRequestsGreaterThanOne, Shared: []Shared{},
	}
	if strategy := config.Flags.MigStrategy; strategy != nil {
		verdict.MigStrategy = *strategy
	}
	for _, one := range resources.Resources {
		verdict.Shared = append(verdict.Shared, Shared{string(one.Name), string(one.Rename), one.Replicas})
	}
	return verdict
}
