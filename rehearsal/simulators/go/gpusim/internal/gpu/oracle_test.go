package gpu

import (
	"encoding/json"
	"maps"
	"os"
	"testing"
)

// casesVariable names a file with what NVIDIA's programs made of simulated machines; a rehearsal test writes it.
const casesVariable = "NVIDIA_CASES"

// oracleCase is a machine with a sharing file, and what NVIDIA's feature discovery and device plugin made of them.
type oracleCase struct {
	Name      string            `json:"name"`
	Machine   json.RawMessage   `json:"machine"` // as in /etc/standin/gpus.json
	Config    string            `json:"config"`
	Labels    map[string]string `json:"labels"`
	Resources map[string]int    `json:"resources"` // nil where the plugin was not asked
}

func TestSimulationAgreesWithNvidiasPrograms(t *testing.T) {
	path := os.Getenv(casesVariable)
	if path == "" {
		t.Skip(casesVariable + " is not set: rehearsal/tests/e2e/test_nvidia_programs.py sets it")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var cases []oracleCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	for _, one := range cases {
		t.Run(one.Name, func(t *testing.T) { one.compare(t) })
	}
}

func (c oracleCase) compare(t *testing.T) {
	simulated := Machine{}
	if err := json.Unmarshal(c.Machine, &simulated); err != nil {
		t.Fatal(err)
	}
	simulated = machine(t, simulated)
	config, err := ParseConfig(c.Config, Env{})
	if err != nil {
		t.Fatal(err)
	}
	labels, err := Labels(simulated, config)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(labels, c.Labels) {
		t.Errorf("labels:\n got %v\nwant %v", labels, c.Labels)
	}
	if got := Resources(simulated, config); c.Resources != nil && !maps.Equal(got, c.Resources) {
		t.Errorf("resources: got %v, want %v", got, c.Resources)
	}
}
