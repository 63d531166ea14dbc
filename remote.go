package ldlm

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// remotes are the gRPC connections for calls outside the session, one for each
// address, made when they are first needed.
type remotes struct {
	mu     sync.Mutex
	closed bool
	conns  map[address]*grpc.ClientConn
}

const (
	// pingEvery and pingPatience find dead connections. Servers cut those off
	// that ping more often than every 10 s.
	pingEvery    = 15 * time.Second
	pingPatience = 5 * time.Second
)

// grpcConn returns a gRPC connection to an address, which connects when it is
// first used, names resolved anew each time. What users configured comes last
// and wins.
func (c *config) grpcConn(a address) (*grpc.ClientConn, error) {
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()), // encrypt does it
		grpc.WithAuthority(a.host),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			conn, err := c.connect(ctx, a)
			if err != nil || c.tls == nil {
				return conn, err
			}
			return c.encrypt(ctx, conn, a, "h2")
		}),
		grpc.WithConnectParams(connectParams()),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingEvery, Timeout: pingPatience}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswerBytes)),
	}
	return grpc.NewClient("passthrough:///"+a.text, append(opts, c.grpcOptions...)...)
}

// connectParams keep the pause after an attempt to connect in vain short: a call
// within it fails with the error of that attempt, although the server may be back.
// (To have gRPC forget the pause is a race with connections that are being made.)
func connectParams() grpc.ConnectParams {
	b := grpcbackoff.DefaultConfig
	b.BaseDelay, b.MaxDelay = 20*time.Millisecond, 200*time.Millisecond
	return grpc.ConnectParams{Backoff: b, MinConnectTimeout: openPatience}
}

// maxAnswerBytes bounds one answer, such as a page of locks.
const maxAnswerBytes = 64 << 20

// withCredential adds the password to a call.
func (c *config) withCredential(ctx context.Context) context.Context {
	if c.password == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", c.password)
}

// at returns the stub of the server at an address.
func (r *remotes) at(c *config, a address) (ldlmv2.LDLMClient, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	conn := r.conns[a]
	if conn == nil {
		var err error
		if conn, err = c.grpcConn(a); err != nil {
			return nil, err
		}
		if r.conns == nil {
			r.conns = map[address]*grpc.ClientConn{}
		}
		r.conns[a] = conn
	}
	return ldlmv2.NewLDLMClient(conn), nil
}

func (r *remotes) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, conn := range r.conns {
		conn.Close()
	}
	r.conns = nil
}

// anywhere makes a call at one address after the other until one can serve it.
func (c *Client) anywhere(ctx context.Context, op, name string, call func(context.Context, ldlmv2.LDLMClient) error) error {
	err := checkText(op, name, "name", name)
	if err != nil {
		return err
	}
	for _, a := range c.route(address{}) {
		var stub ldlmv2.LDLMClient
		if stub, err = c.remotes.at(&c.config, a); err != nil {
			break
		}
		if err = call(c.config.withCredential(ctx), stub); status.Code(err) != codes.Unavailable {
			break
		}
		c.logger.Info("ldlm: no answer here", "address", a.text, "op", op, "error", err)
	}
	return callError(ctx, op, name, err)
}

// checkText refuses text that gRPC cannot send, and would refuse in its own words.
func checkText(op, name, field, text string) error {
	if !utf8.ValidString(text) {
		return invalid(op, name, field, 0, notUTF8)
	}
	return nil
}

// callError makes the error of a gRPC call one of this package.
func callError(ctx context.Context, op, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrClosed):
		return &Error{Op: op, Name: name, kind: ErrClosed}
	case ctx.Err() != nil:
		e := gaveUp(ctx, op, name)
		if changes(op) {
			e.kind = ErrUnknownOutcome
		}
		return e
	}
	return remoteError(op, name, err)
}

// changes reports whether an operation outside the session may have changed
// something, whose outcome somebody must then look at.
func changes(op string) bool {
	switch op {
	case "list", "get", "list sessions", "get session", "status", "watch", "save snapshot":
		return false
	default:
		return true
	}
}

// remoteError makes the status of a gRPC call an error of this package.
func remoteError(op, name string, err error) error {
	st := status.Convert(err)
	for _, d := range st.Details() {
		switch d, ok := d.(*ldlmv2.Status); {
		case !ok:
		case d.GetCode() == ldlmv2.Code_CODE_SESSION_LOST:
			// Outside sessions it is not the caller's that is meant.
			return &Error{Op: op, Name: name, Message: "there is no session of that number", kind: ErrNotFound}
		default:
			return statusError(op, name, d)
		}
	}
	return &Error{Op: op, Name: name, Message: st.Message(), kind: kindOfGRPC(st.Code())}
}

// kindOfGRPC says which error a code of gRPC is that came without details: from
// the library, or from something between client and server.
func kindOfGRPC(code codes.Code) error {
	switch code {
	case codes.Unavailable:
		return ErrUnavailable
	case codes.Unauthenticated:
		return ErrUnauthenticated
	case codes.PermissionDenied:
		return ErrDenied
	case codes.Unimplemented:
		return ErrUnsupported
	case codes.ResourceExhausted:
		return ErrLimit
	case codes.Canceled, codes.DeadlineExceeded, codes.Unknown:
		return ErrUnknownOutcome
	default:
		return ErrInternal
	}
}
