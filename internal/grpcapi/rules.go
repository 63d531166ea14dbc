package grpcapi

import (
	"context"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// A need is what somebody has to be allowed to make a call. The zero value is all: a
// call that nobody has thought of is for administrators.
type need uint8

const (
	needAdmin need = iota
	// needTake: to take locks and to have sessions.
	needTake
	// needLook: to look at locks.
	needLook
)

// needOf says what a call needs. Which locks it is about is checked when its request
// is read.
func needOf(service, method string) need {
	switch service {
	case ldlmv1.LDLM_ServiceDesc.ServiceName:
		return needTake
	case ldlmv2.LDLM_ServiceDesc.ServiceName:
		return needOfV2(method)
	case "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection":
		return needLook
	default:
		return needAdmin
	}
}

func needOfV2(method string) need {
	switch method {
	case "Session", "OpenSession", "KeepAlive", "CloseSession",
		"Acquire", "Release", "Renew", "Downgrade", "SetValue":
		return needTake
	case "List", "Get", "ListSessions", "GetSession", "ServerStatus", "Watch":
		return needLook
	default: // ForceRelease, KillSession, Resize, SaveSnapshot, and what is to come
		return needAdmin
	}
}

// meets reports whether a principal may make calls of a need.
func (n need) meets(p *auth.Principal) bool {
	switch n {
	case needTake:
		return p.MayTake()
	case needLook:
		return p.MayLook()
	default:
		return p.Administers()
	}
}

// permit refuses a call of a need that its caller has not.
func (s *Server) permit(ctx context.Context, n need, method string) error {
	if n.meets(auth.PassOf(ctx).Principal()) {
		return nil
	}
	return s.deny(ctx, "", "call "+method)
}

// permitRequest refuses a request about locks that are none of the caller's.
func (s *Server) permitRequest(ctx context.Context, request any) error {
	p := auth.PassOf(ctx).Principal()
	if !p.Bounded() {
		return nil
	}
	if get, ok := request.(*ldlmv2.GetRequest); ok {
		if p.Sees(get.GetName()) {
			return nil
		}
		return s.deny(ctx, get.GetName(), auth.UseLock(get.GetName()))
	}
	for _, name := range locksOf(request) {
		if !p.Takes(name) {
			return s.deny(ctx, name, auth.UseLock(name))
		}
	}
	return nil
}

// locksOf are the names of the locks that a request is to change.
func locksOf(request any) []string {
	switch r := request.(type) {
	case *ldlmv2.AcquireRequest:
		var names []string
		if r.GetAcquire() != nil {
			names = append(names, r.GetAcquire().GetName())
		}
		for _, item := range r.GetAcquireAll().GetItems() {
			names = append(names, item.GetName())
		}
		return names
	case *ldlmv2.ReleaseRequest:
		return []string{r.GetRelease().GetName()}
	case *ldlmv2.RenewRequest:
		return []string{r.GetRenew().GetName()}
	case *ldlmv2.DowngradeRequest:
		return []string{r.GetDowngrade().GetName()}
	case *ldlmv2.SetValueRequest:
		if name := r.GetSetValue().GetName(); name != "" {
			return []string{name}
		}
		return nil // the value of the caller's own session
	case interface{ GetName() string }: // all of the first protocol, and what administrators ask
		return []string{r.GetName()}
	default:
		return nil
	}
}

// deny is the end of a call that its caller may not make.
func (s *Server) deny(ctx context.Context, lock, what string) error {
	d := &auth.Deed{Pass: auth.PassOf(ctx), Via: transportName, Remote: remoteOf(ctx), Lock: lock, What: what}
	return errorOf(sessionapi.StatusOfRefusal(s.gate.Deny(d)))
}
