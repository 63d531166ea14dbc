package grpcapi_test

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/grpcapi"
	"github.com/ldlm-io/ldlm/internal/logtest"
	"github.com/ldlm-io/ldlm/internal/node"
)

var forceRaw = grpc.ForceCodecV2(rawCodec{})

// diary keeps what is logged, as it would be on stderr.
type diary struct {
	logtest.Log
	t *testing.T
}

// at makes a server log here, DEBUG too.
func (j *diary) at(_ *node.Config, c *grpcapi.Config) {
	c.Logger = j.JSON(slog.LevelDebug)
}

// lines returns the lines of a level with a message; of all, where both are empty.
func (j *diary) lines(level, msg string) []map[string]any {
	j.t.Helper()
	var found []map[string]any
	for _, line := range j.Lines(j.t) {
		if level == "" || line["level"] == level && line["msg"] == msg {
			found = append(found, line)
		}
	}
	return found
}

func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &diary{t: t}
		h := open(t, log.at)
		c := h.client()
		key := c.takeFor("l", 30)
		c.renew("l", key, 60)
		if _, err := c.Unlock(t.Context(), &ldlmv1.UnlockRequest{Name: "l", Key: "no key of mine"}); err != nil {
			t.Fatal(err)
		}
		c.release("l", key)
		c.granted(c.Lock(t.Context(), want("l")))
		c.close()
		synctest.Wait()

		one := func(level, msg string) map[string]any {
			t.Helper()
			lines := log.lines(level, msg)
			if len(lines) == 0 {
				t.Fatalf("there is no line %s %q", level, msg)
			}
			return lines[0]
		}
		started := one("INFO", "Session started")
		if started["session_id"] != 1.0 || started["remote_address"] != "bufconn" {
			t.Errorf("got %v", started)
		}
		if ended := one("INFO", "Session ended"); ended["session_id"] != 1.0 {
			t.Errorf("got %v", ended)
		}
		for msg, want := range map[string]map[string]any{
			"TryLock request":  {"lock": "l", "timeout": 30.0},
			"TryLock response": {"lock": "l", "key": key[:8], "locked": true, "error": ""},
			"Lock request":     {"lock": "l", "timeout": 0.0},
			"Lock response":    {"lock": "l", "locked": true, "error": ""},
			"Renew request":    {"lock": "l", "key": key[:8], "timeout": 60.0},
			"Renew response":   {"lock": "l", "key": key[:8], "locked": true, "error": ""},
			"Unlock request":   {"lock": "l", "key": "no key o"},
			"Unlock response":  {"lock": "l", "unlocked": false, "error": "invalid lock key"},
		} {
			line := one("DEBUG", msg)
			for attr, value := range want {
				if line[attr] != value {
					t.Errorf("%s: %s is %v, want %v", msg, attr, line[attr], value)
				}
			}
		}
		if strings.Contains(log.String(), key) {
			t.Error("the log has a whole key")
		}
	})
}
