package grpcapi

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

var (
	errDraining        = unavailable("draining: the server is shutting down; try again later, or elsewhere")
	errConnectionEnded = unavailable("the connection has ended")
	errNoConnection    = status.Error(codes.Internal, "the call came over a connection that is not the server's own")
)

// grpcCodes are the codes of gRPC for those of the native protocol. Programs
// that know the protocol look into the details.
var grpcCodes = map[ldlmv2.Code]codes.Code{
	ldlmv2.Code_CODE_OK:              codes.OK,
	ldlmv2.Code_CODE_QUEUED:          codes.Internal, // no call ends so
	ldlmv2.Code_CODE_HELD:            codes.FailedPrecondition,
	ldlmv2.Code_CODE_WAIT_TIMEOUT:    codes.DeadlineExceeded,
	ldlmv2.Code_CODE_CANCELED:        codes.Canceled,
	ldlmv2.Code_CODE_SUPERSEDED:      codes.Aborted,
	ldlmv2.Code_CODE_ENDED:           codes.Aborted,
	ldlmv2.Code_CODE_INVALID:         codes.InvalidArgument,
	ldlmv2.Code_CODE_LIMIT:           codes.ResourceExhausted,
	ldlmv2.Code_CODE_NOT_FOUND:       codes.NotFound,
	ldlmv2.Code_CODE_WRONG_KEY:       codes.FailedPrecondition,
	ldlmv2.Code_CODE_SIZE_MISMATCH:   codes.FailedPrecondition,
	ldlmv2.Code_CODE_SESSION_LOST:    codes.NotFound,
	ldlmv2.Code_CODE_SLOT_MISUSED:    codes.AlreadyExists,
	ldlmv2.Code_CODE_STALE:           codes.Aborted,
	ldlmv2.Code_CODE_TOKEN_MOVED:     codes.FailedPrecondition,
	ldlmv2.Code_CODE_NOT_LEASED:      codes.FailedPrecondition,
	ldlmv2.Code_CODE_REVOKED:         codes.FailedPrecondition,
	ldlmv2.Code_CODE_QUIET:           codes.Unavailable,
	ldlmv2.Code_CODE_UNSUPPORTED:     codes.Unimplemented,
	ldlmv2.Code_CODE_UNAUTHENTICATED: codes.Unauthenticated,
	ldlmv2.Code_CODE_DENIED:          codes.PermissionDenied,
	ldlmv2.Code_CODE_UNAVAILABLE:     codes.Unavailable,
	ldlmv2.Code_CODE_UNKNOWN_OUTCOME: codes.Unknown,
	ldlmv2.Code_CODE_PROTOCOL:        codes.InvalidArgument,
	ldlmv2.Code_CODE_INTERNAL:        codes.Internal,
}

// errorOf is the end of a call with a failure of the native protocol.
func errorOf(s *ldlmv2.Status) error {
	code, ok := grpcCodes[s.GetCode()]
	if !ok {
		code = codes.Internal
	}
	st := status.New(code, s.GetMessage())
	if detailed, err := st.WithDetails(s); err == nil {
		st = detailed
	}
	return st.Err()
}

// noteLimit has it counted if the outcome of what somebody wanted over a connection is that a
// limit was reached. The answer to who reaches them without end takes a while, unless ctx ends.
func (s *Server) noteLimit(ctx context.Context, p *auth.Pass, c *connection, o *lock.Outcome) {
	if o.Code != lock.Limit {
		return
	}
	c.rest(ctx, s.gate.Exceed(&auth.Excess{
		Pass: p, Via: transportName, Remote: c.remote, Field: sessionapi.FieldName(o.Field), Limit: o.Limit,
	}))
}

// refusal is the status of an outcome that is no success.
func refusal(o *lock.Outcome) error { return errorOf(sessionapi.StatusOf(o)) }

// unavailable is the end of a call that nothing has come of.
func unavailable(message string) error {
	return errorOf(sessionapi.NewStatus(ldlmv2.Code_CODE_UNAVAILABLE, message))
}

// failed is the status of a call that came to no outcome.
func (s *Server) failed(ctx context.Context, err error) error {
	if _, ok := status.FromError(err); ok {
		return err
	}
	switch how := endingOf(err); {
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	case s.draining.Load() && how != unknown:
		return errDraining
	case errors.Is(err, journal.ErrDiskFull):
		return unavailable(sessionapi.DiskFull)
	case how == refused:
		return unavailable("the server cannot serve now, nothing happened; try again")
	default:
		return errorOf(sessionapi.NewStatus(ldlmv2.Code_CODE_UNKNOWN_OUTCOME,
			"the server could not learn the outcome in time; ask again in the same words"))
	}
}
