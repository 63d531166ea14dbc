package api

import (
	"testing"
	"time"

	"example.com/planted/node"           // tests may import what they test with
	"github.com/stretchr/testify/assert" // want `may not import github.com/stretchr/testify/assert`
	"go.uber.org/goleak"
)

func TestSleep(t *testing.T) {
	time.Sleep(time.Second) // want `time.Sleep in a test`
	<-time.After(time.Second)
	_, _, _ = node.A, goleak.A, assert.A
}
