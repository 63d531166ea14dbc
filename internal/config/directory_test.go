package config_test

import (
	"strings"
	"testing"

	"github.com/ldlm-io/ldlm/internal/config"
)

func TestDirectory(t *testing.T) {
	for _, c := range []struct {
		settings config.Server
		want     string
		refused  bool
	}{
		{config.Server{}, "", false},
		{config.Server{DataDir: "/d"}, "/d", false},
		{config.Server{StateFile: "/var/lib/x/ldlm.state"}, "/var/lib/x/ldlm.state.d", false},
		{config.Server{StateFile: "a//b/"}, "a/b.d", false},
		{config.Server{StateFile: "s", DataDir: "d"}, "", true},
	} {
		got, err := c.settings.Directory()
		if got != c.want || (err != nil) != c.refused {
			t.Errorf("%q, %q: got %q, %v", c.settings.StateFile, c.settings.DataDir, got, err)
		}
		if err := c.settings.Validate(); c.refused != (err != nil && strings.Contains(err.Error(), "state_file and data_dir")) {
			t.Errorf("%q, %q: valid: %v", c.settings.StateFile, c.settings.DataDir, err)
		}
	}
}
