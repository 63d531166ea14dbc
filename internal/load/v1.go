package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/ldlm-io/ldlm"
	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
)

// V1 makes a connection of the first protocol, each lock and each release of
// which is a gRPC call. The address is as for [ldlm.Dial], of several the first.
// A nil encryption is plain text; an empty password is none.
//
// V1 does not connect: the first call does.
func V1(address string, encryption *tls.Config, password string) (Conn, error) {
	target, err := target(address)
	if err != nil {
		return nil, err
	}
	how := insecure.NewCredentials()
	if encryption != nil {
		how = credentials.NewTLS(encryption)
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(how)}
	if password != "" {
		options = append(options, grpc.WithUnaryInterceptor(shower(password)))
	}
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		return nil, err
	}
	return &v1{conn: conn, client: ldlmv1.NewLDLMClient(conn)}, nil
}

// shower puts a password beside each call, where the first protocol has it.
func shower(password string) grpc.UnaryClientInterceptor {
	return func(
		ctx context.Context, method string, request, response any, c *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
	) error {
		return invoke(metadata.AppendToOutgoingContext(ctx, "authorization", password), method, request, response, c, options...)
	}
}

// target is the first of addresses, as gRPC wants it.
func target(addresses string) (string, error) {
	address, _, _ := strings.Cut(addresses, ",")
	address = strings.TrimSpace(address)
	if strings.HasPrefix(address, "unix:") {
		return address, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = strings.Trim(address, "[]"), strconv.Itoa(ldlm.DefaultPort)
	}
	if address == "" || port == "" {
		return "", fmt.Errorf("address %q, want host, host:port or unix:PATH", address)
	}
	return "dns:" + net.JoinHostPort(host, port), nil
}

// v1 is a connection of the first protocol, and so a session.
type v1 struct {
	conn   *grpc.ClientConn
	client ldlmv1.LDLMClient
}

func (c *v1) Lock(ctx context.Context, name string) (Hold, error) {
	r, err := c.client.Lock(ctx, &ldlmv1.LockRequest{Name: name})
	if err != nil {
		return nil, err
	}
	if !r.GetLocked() {
		return nil, fmt.Errorf("lock %q: %w", name, refusal(r.GetError()))
	}
	return &v1Hold{c.client, name, r.GetKey()}, nil
}

func (c *v1) Close() error { return c.conn.Close() }

// v1Hold is a lock of the first protocol.
type v1Hold struct {
	client    ldlmv1.LDLMClient
	name, key string
}

func (h *v1Hold) Release(ctx context.Context) error {
	r, err := h.client.Unlock(ctx, &ldlmv1.UnlockRequest{Name: h.name, Key: h.key})
	if err != nil {
		return err
	}
	if !r.GetUnlocked() {
		return fmt.Errorf("release of %q: %w", h.name, refusal(r.GetError()))
	}
	return nil
}

func refusal(e *ldlmv1.Error) error {
	if e.GetMessage() == "" {
		return errors.New("refused, and the server does not say why")
	}
	return errors.New(e.GetMessage())
}
