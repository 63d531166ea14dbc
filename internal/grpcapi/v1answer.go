package grpcapi

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/lockv1"
)

// party is who has the locks of a client of the first protocol.
const party = lockv1.Party("connection")

// wordless ends a call whose outcome the first protocol has no words for.
func wordless(o *lock.Outcome) error {
	switch o.Code {
	case lock.SessionLost, lock.Superseded, lock.Canceled:
		return status.Error(codes.Unavailable, "the session of this connection has ended")
	default:
		return refusal(o)
	}
}

// answered is the end of a call: nothing about a lock is an error of the call,
// and what has no answer is nothing about a lock.
func answered[A any](answer *A, o *lock.Outcome) (*A, error) {
	if answer == nil {
		return nil, wordless(o)
	}
	return answer, nil
}

// errorText is what a log line says of a failure.
func errorText(e *ldlmv1.Error, err error) string {
	if err != nil {
		return err.Error()
	}
	return e.GetMessage()
}
