package server_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fuse is how long something may take at most that takes no time to speak of: much
// longer than the slowest machine needs.
const fuse = 2 * time.Minute
