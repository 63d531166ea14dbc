package client_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/client"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/server"
)

func TestPassword(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv, err := server.Start(server.Config{Listener: l, Passwords: auth.NewPasswords("secret")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = srv.Shutdown(context.Background()) }()
	for password, ok := range map[string]bool{"secret": true, "wrong": false, "": false} {
		c, err := client.New(t.Context(), client.Config{Address: srv.Addr().String(), Password: password})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.TryLock("x"+password, nil)
		if (err == nil) != ok || !ok && !errors.Is(err, ldlm.ErrUnauthenticated) {
			t.Errorf("password %q: %v", password, err)
		}
		_ = c.Close()
	}
}
