package grpcapi_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/grpcapi"
	"github.com/ldlm-io/ldlm/internal/journal/memory"
	"github.com/ldlm-io/ldlm/internal/node"
)

// benchmark serves over loopback and runs pairs of calls from many callers on
// one connection.
func benchmark(b *testing.B, pair func(ctx context.Context, c *grpc.ClientConn, name string) error) {
	n, err := node.Open(node.Config{}, memory.Open)
	if err != nil {
		b.Fatal(err)
	}
	server := grpcapi.New(grpcapi.Config{Node: below{n}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = server.Serve(l) }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = conn.Close()
		server.Stop(b.Context())
		_ = n.Close()
	})
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(callers)
			var number atomic.Int64
			b.RunParallel(func(p *testing.PB) {
				name := fmt.Sprint("lock-number-", number.Add(1))
				for p.Next() {
					if err := pair(b.Context(), conn, name); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkV1Pair takes and releases a lock in the first protocol.
func BenchmarkV1Pair(b *testing.B) {
	benchmark(b, func(ctx context.Context, c *grpc.ClientConn, name string) error {
		client := ldlmv1.NewLDLMClient(c)
		r, err := client.Lock(ctx, &ldlmv1.LockRequest{Name: name})
		if err == nil {
			_, err = client.Unlock(ctx, &ldlmv1.UnlockRequest{Name: name, Key: r.GetKey()})
		}
		return err
	})
}

// BenchmarkV2UnaryPair does the same in the native one, outside sessions.
func BenchmarkV2UnaryPair(b *testing.B) {
	benchmark(b, func(ctx context.Context, c *grpc.ClientConn, name string) error {
		client := ldlmv2.NewLDLMClient(c)
		r, err := client.Acquire(ctx, &ldlmv2.AcquireRequest{Acquire: &ldlmv2.Acquire{Name: name, LeaseUs: 60e6}})
		if err == nil {
			_, err = client.Release(ctx, &ldlmv2.ReleaseRequest{Release: &ldlmv2.Release{Name: name, Key: r.GetKey()}})
		}
		return err
	})
}

// BenchmarkEchoPair is what two calls cost that do nothing.
func BenchmarkEchoPair(b *testing.B) {
	benchmark(b, func(ctx context.Context, c *grpc.ClientConn, name string) error {
		client := healthpb.NewHealthClient(c)
		for range 2 {
			if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{}); err != nil {
				return err
			}
		}
		return nil
	})
}
