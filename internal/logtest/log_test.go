package logtest_test

import (
	"log/slog"
	"sync"
	"testing"

	"github.com/ldlm-io/ldlm/internal/logtest"
)

// Several log at once, and nothing of it is lost or mixed up.
func TestLog(t *testing.T) {
	var log logtest.Log
	if got := log.Lines(t); len(got) != 0 || log.String() != "" {
		t.Errorf("an empty log has %v", got)
	}
	logger := log.JSON(slog.LevelInfo)
	const each = 50
	var all sync.WaitGroup
	for who := range 4 {
		all.Go(func() {
			for i := range each {
				logger.Debug("not kept")
				logger.Info("kept", "who", who, "number", i)
				_ = log.String() // it is read meanwhile
			}
		})
	}
	all.Wait()
	next := map[any]int{}
	for _, line := range log.Lines(t) {
		if line["msg"] != "kept" || line["level"] != "INFO" || line["number"] != float64(next[line["who"]]) {
			t.Errorf("line %d of %v is %v", next[line["who"]], line["who"], line)
		}
		next[line["who"]]++
	}
	for who := range 4 {
		if got := next[float64(who)]; got != each {
			t.Errorf("%d lines of %d, want %d", got, who, each)
		}
	}
}
