package grpcapi_test

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
)

// TestReflectionEndsWithTheServer: tools leave the stream of reflection open for
// as long as they run, which must not hold up the end of the server.
func TestReflectionEndsWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		stream, err := reflectionpb.NewServerReflectionClient(h.client().conn).ServerReflectionInfo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		request := &reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}
		if err := stream.Send(request); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		h.server.Stop(t.Context())
		if took := time.Since(began); took != 0 {
			t.Errorf("the end took %v", took)
		}
		if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("the stream ended with %v", err)
		}
	})
}
