package cli

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
)

func TestMaxConnections(t *testing.T) {
	r := startPlain(t, nil, "--listen_address", "127.0.0.1:0", "--ipc_socket_file", "", "--max_connections", "1")
	for i, want := range []codes.Code{codes.OK, codes.ResourceExhausted} {
		client, _ := dialV1(t, r.address(t))
		if _, err := client.TryLock(t.Context(), &ldlmv1.TryLockRequest{Name: "a"}); status.Code(err) != want {
			t.Errorf("connection %d: %v, want %v", i+1, err, want)
		}
	}
}
