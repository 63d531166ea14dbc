package ldlm

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

func TestLeaderIsPreferred(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)
		srv.dials()
		conn.send(&ldlmv2.ServerFrame{Leader: &ldlmv2.Leader{
			Address: "three:1", Known: true, Members: []string{"three:1", "four:1", "not an address/"},
		}})
		synctest.Wait()
		srv.setRefuse(errors.New("down"))
		conn.raw.Close()
		<-l.Done()
		got := srv.dials()
		if want := []string{"three:1", "two:3144", "four:1", "one:3144"}; len(got) < 4 || !slices.Equal(got[:4], want) {
			t.Errorf("dialled %v, want %v first", got, want)
		}
	})
}

// A member may lead whose address nobody knows yet. Nobody goes anywhere else for that: on the
// client's own machine there may be a server that has nothing to do with this one.
func TestLeaderOfUnknownAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)
		srv.dials()
		conn.send(&ldlmv2.ServerFrame{Leader: &ldlmv2.Leader{Known: true, Members: []string{"", "four:1"}}})
		synctest.Wait()
		srv.setRefuse(errors.New("down"))
		conn.raw.Close()
		<-l.Done()
		got := srv.dials()
		slices.Sort(got)
		if want := []string{"four:1", "one:3144", "two:3144"}; !slices.Equal(slices.Compact(got), want) {
			t.Errorf("dialled %v, want %v", got, want)
		}
	})
}

// elsewhere is what a member says that does not lead.
func elsewhere(leader string) *ldlmv2.ServerFrame {
	return &ldlmv2.ServerFrame{Leader: &ldlmv2.Leader{Address: leader, Known: true, Members: []string{"one", leader}}}
}

// tell has a session told that another one leads, and ask for something then: else it
// would stay.
func tell(c *Client, conn *fakeConn, leader string) {
	conn.send(elsewhere(leader))
	asks(c)
}

// asks is as if the program had asked for something.
func asks(c *Client) {
	synctest.Wait()
	for _, s := range c.openSessions() {
		s.mu.Lock()
		s.order++
		s.mu.Unlock()
	}
}

// wantFirst checks where the client goes first.
func wantFirst(t *testing.T, c *Client, want string) {
	t.Helper()
	if got := c.route(address{})[0].text; got != want {
		t.Errorf("first goes to %s, want %s", got, want)
	}
}

// longest is the longest that a session stays away from its leader.
const longest = minMoveAfter + moveWithin

func TestMoveToLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		old, l := openWithLock(t, srv, c, "x", 1)
		waiting := lockAsync(t.Context(), c, "y")
		op := old.op()
		old.answer(op, ldlmv2.Code_CODE_QUEUED)
		srv.dials()
		told := time.Now()
		tell(c, old, "lead")

		conn := srv.accept()
		if after := time.Since(told); after < minMoveAfter || after > longest {
			t.Errorf("it moved after %s, want %s to %s", after, minMoveAfter, longest)
		}
		if got := srv.dials(); !slices.Equal(got, []string{"lead:3144"}) {
			t.Errorf("dialled %v, want the leader alone", got)
		}
		if h := conn.hello(); h.GetSession() != testSession {
			t.Errorf("hello asks for session %d, want %d", h.GetSession(), testSession)
		}
		synctest.Wait()
		if old.isGone() {
			t.Error("the old connection was closed before the session stood on the new one")
		}
		conn.welcomeBack(1)
		again := conn.op()
		sameRequest(t, again, op)
		conn.grant(again, 2)
		if got := mustLock(t, waiting); got.Token() != 2 {
			t.Errorf("token %d, want 2", got.Token())
		}
		<-old.gone
		if err := l.Err(); err != nil {
			t.Errorf("lock held over the move: %v", err)
		}
	})
}

// Who asks for nothing gains nothing by the leader.
func TestIdleSessionStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, _ := openWithLock(t, srv, c, "x", 1)
		srv.dials()
		conn.send(elsewhere("lead"))
		pass(time.Hour)
		if got := srv.dials(); len(got) > 0 {
			t.Errorf("dialled %v", got)
		}
		lockOn(t, c, conn, "y", 2)
		began := time.Now()
		srv.resume(1, 2)
		if after := time.Since(began); after > longest {
			t.Errorf("after the next request it moved after %s, want at most %s", after, longest)
		}
	})
}

// A session that ends with its connection does not change it without need.
func TestSessionOfItsConnectionStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client(WithReleaseOnDisconnect())
		conn, l := openWithLock(t, srv, c, "x", 1)
		srv.dials()
		tell(c, conn, "lead")
		pass(time.Minute)
		if got := srv.dials(); len(got) > 0 || l.Err() != nil {
			t.Errorf("dialled %v, the lock: %v", got, l.Err())
		}
	})
}

// While the leader is dialled the session lives on where it is.
func TestLeaderOutOfReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		srv.obstructed("lead:3144", func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)
		srv.dials()
		tell(c, conn, "lead")
		pass(longest + openPatience/2)
		lockOn(t, c, conn, "y", 2)
		pass(openPatience)
		wantFirst(t, c, "one:3144")
		const all = 2 * time.Hour
		for range int(all / time.Second) {
			pass(time.Second)
			asks(c)
		}
		got := srv.dials()
		if least, most := int(all/(longest<<maxDoublings+openPatience)), int(all/(minMoveAfter<<maxDoublings))+maxDoublings; len(got) < least || len(got) > most {
			t.Errorf("dialled %d times in %s, want %d to %d", len(got), all, least, most)
		}
		if slices.ContainsFunc(got, func(a string) bool { return a != "lead:3144" }) {
			t.Errorf("dialled %v, want the leader alone", got)
		}
		lockOn(t, c, conn, "z", 3)
		if err := l.Err(); err != nil {
			t.Errorf("lock of a session that stayed: %v", err)
		}

		tell(c, conn, "other") // another one may be in reach
		srv.resume(1, 2, 3).send(&ldlmv2.ServerFrame{Leader: &ldlmv2.Leader{Self: true, Known: true}})
		synctest.Wait()
		wantFirst(t, c, "other:3144")
	})
}

// Who is told during the dial that the lead has passed on does not go there, nor dial again.
func TestLeadPassesOnDuringMove(t *testing.T) {
	here := &ldlmv2.Leader{Self: true, Known: true}
	for name, test := range map[string]struct {
		told  *ldlmv2.Leader
		fails error
	}{
		"here":                           {here, nil},
		"here by its name":               {&ldlmv2.Leader{Address: "one", Known: true}, nil},
		"here, out of reach":             {here, errors.New("down")},
		"here by its name, out of reach": {&ldlmv2.Leader{Address: "one", Known: true}, errors.New("down")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newFakeServer(t)
				let := make(chan struct{})
				srv.obstructed("lead:3144", func(context.Context) error {
					<-let
					return test.fails
				})
				c := srv.client()
				conn, l := openWithLock(t, srv, c, "x", 1)
				tell(c, conn, "lead")
				pass(longest)
				conn.send(&ldlmv2.ServerFrame{Leader: test.told})
				synctest.Wait()
				srv.dials()
				close(let)
				if test.fails == nil {
					<-srv.accept().gone
				}
				pass(time.Hour)
				if got := srv.dials(); len(got) > 0 {
					t.Errorf("dialled %v, want nothing", got)
				}
				lockOn(t, c, conn, "y", 2)
				if err := l.Err(); err != nil {
					t.Errorf("lock of a session that stayed: %v", err)
				}
			})
		})
	}
}

// What listens where the leader is said to be may be a server that has nothing
// to do with ours. It knows no session of that number, which says nothing.
func TestLeaderIsAnotherServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)
		srv.dials()
		tell(c, conn, "lead")
		foreign := srv.accept()
		foreign.hello()
		foreign.send(&ldlmv2.ServerFrame{End: &ldlmv2.Status{Code: ldlmv2.Code_CODE_SESSION_LOST}})
		conn = srv.resume(1)
		lockOn(t, c, conn, "y", 2)
		if got := srv.dials(); !slices.Equal(got, []string{"lead:3144", "one:3144"}) {
			t.Errorf("dialled %v, want the leader, and then the first", got)
		}
		wantFirst(t, c, "one:3144")
		if err := l.Err(); err != nil {
			t.Errorf("the lock ended by the word of another server: %v", err)
		}
	})
}

// A server at which a session stood is believed.
func TestLeaderSaysThatTheSessionIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)
		tell(c, conn, "lead")
		conn = srv.resume(1)
		conn.send(&ldlmv2.ServerFrame{Leader: &ldlmv2.Leader{Self: true, Known: true, Members: []string{"one", "lead"}}})
		synctest.Wait()
		wantFirst(t, c, "lead:3144")
		srv.dials()
		conn.raw.Close()
		conn = srv.resume(1)
		synctest.Wait()
		wantFirst(t, c, "one:3144")
		tell(c, conn, "lead")
		conn = srv.accept()
		conn.hello()
		conn.send(&ldlmv2.ServerFrame{End: &ldlmv2.Status{Code: ldlmv2.Code_CODE_SESSION_LOST, Ended: ldlmv2.EndReason_END_REASON_SESSION_EXPIRED}})
		<-l.Done()
		if got := srv.dials(); !slices.Equal(got, []string{"one:3144", "lead:3144"}) {
			t.Errorf("dialled %v, want the first, and then the leader", got)
		}
		wantLost(t, l, ReasonSessionExpired)
	})
}

// Who is told in time that the leader is here, or nowhere, stays.
func TestNoMoveAfterAll(t *testing.T) {
	for name, m := range map[string]*ldlmv2.Leader{
		"it leads itself": {Self: true, Known: true},
		"nobody leads":    {Address: "lead"},
		"nobody knows":    {Known: true},
		"it is here":      {Address: "one", Known: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newFakeServer(t)
				c := srv.client()
				conn, l := openWithLock(t, srv, c, "x", 1)
				srv.dials()
				tell(c, conn, "lead")
				pass(minMoveAfter - 1)
				conn.send(&ldlmv2.ServerFrame{Leader: m})
				pass(time.Minute)
				if got := srv.dials(); len(got) > 0 {
					t.Errorf("dialled %v, want nothing", got)
				}
				if err := l.Err(); err != nil {
					t.Errorf("lock of a session that stayed: %v", err)
				}
			})
		})
	}
}

// The link may fail while the leader is dialled. Then the session is resumed at
// once, and the connection to the leader is not needed any more.
func TestLinkFailsDuringMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		let := make(chan struct{})
		srv.obstructed("lead:3144", func(context.Context) error {
			<-let
			return nil
		})
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)
		tell(c, conn, "lead")
		pass(longest)
		conn.send(&ldlmv2.ServerFrame{Leader: &ldlmv2.Leader{}})
		synctest.Wait()
		conn.raw.Close()
		conn = srv.resume(1)
		close(let)
		late := srv.accept()
		<-late.gone
		if f, ok := <-late.frames; ok {
			t.Errorf("on the connection that is not needed came %v", f)
		}
		lockOn(t, c, conn, "y", 2)
		if err := l.Err(); err != nil {
			t.Errorf("lock held over all that: %v", err)
		}
	})
}

// resumeElsewhere is resume at a member that says that another one leads.
func (f *fakeServer) resumeElsewhere(c *Client, leader string, tokens ...uint64) *fakeConn {
	f.t.Helper()
	conn := f.resume(tokens...)
	tell(c, conn, leader)
	return conn
}

// denies answers hello with a refusal.
func denies(c *fakeConn) {
	c.hello()
	c.send(&ldlmv2.ServerFrame{End: &ldlmv2.Status{Code: ldlmv2.Code_CODE_DENIED}})
}

// Each link of a member that does not lead tells of the leader anew. If no session stands
// there, or not for long, the client goes there ever more rarely; where it is it is served.
func TestMovesInVainAreSpacedOut(t *testing.T) {
	for name, refuse := range map[string]func(*fakeConn){
		"refused": denies,
		"cut soon": func(c *fakeConn) {
			c.hello()
			c.welcomeBack(1)
			synctest.Wait()
			c.raw.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newFakeServer(t)
				c := srv.client()
				conn, l := openWithLock(t, srv, c, "x", 1)
				tell(c, conn, "lead")
				for i := range 10 {
					began := time.Now()
					pass(minMoveAfter<<min(i, maxDoublings) - 1)
					srv.dials()
					refuse(srv.acceptWithin(longest << maxDoublings))
					fell := time.Now()
					if after, most := fell.Sub(began), longest<<min(i, maxDoublings); after > most {
						t.Fatalf("move %d came after %s, want at most %s", i, after, most)
					}
					srv.resumeElsewhere(c, "lead", 1)
					synctest.Wait()
					if took := time.Since(fell); took != 0 {
						t.Fatalf("after move %d the session stood again after %s, want at once", i, took)
					}
					if got := srv.dials(); !slices.Equal(got, []string{"lead:3144", "one:3144"}) {
						t.Fatalf("move %d: dialled %v, want the leader once, and then the first", i, got)
					}
				}
				if err := l.Err(); err != nil {
					t.Errorf("lock held over all that: %v", err)
				}
			})
		})
	}
}

// A session that stood at a leader for long goes there as soon as ever.
func TestMoveThatLastedIsNotHeldAgainstTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)
		tell(c, conn, "lead")
		for range 4 {
			denies(srv.acceptWithin(longest << maxDoublings))
			srv.resumeElsewhere(c, "lead", 1)
		}
		lead := srv.acceptWithin(longest << maxDoublings)
		lead.hello()
		lead.welcomeBack(1)
		pass(2 * shortLife)
		lead.raw.Close()
		srv.resumeElsewhere(c, "lead", 1)
		began := time.Now()
		srv.acceptWithin(longest << maxDoublings).hello()
		if after := time.Since(began); after > longest {
			t.Errorf("it moved after %s, want at most %s", after, longest)
		}
		if err := l.Err(); err != nil {
			t.Errorf("lock held over all that: %v", err)
		}
	})
}

// What one leader refused is not held against another one.
func TestMovesInVainCountForOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, _ := openWithLock(t, srv, c, "x", 1)
		tell(c, conn, "lead")
		for range maxDoublings {
			denies(srv.acceptWithin(longest << maxDoublings))
			conn = srv.resumeElsewhere(c, "lead", 1)
		}
		tell(c, conn, "other")
		began := time.Now()
		srv.acceptWithin(longest << maxDoublings).hello()
		if after := time.Since(began); after > longest {
			t.Errorf("it moved to another leader after %s, want at most %s", after, longest)
		}
	})
}

// Who came over a socket of the machine has not asked for a way over the network.
func TestNoMoveFromSocketOfTheMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c, err := Dial("unix:/run/ldlm", WithDialer(srv.dial))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		defer srv.close()
		conn, _ := openWithLock(t, srv, c, "x", 1)
		srv.dials()
		tell(c, conn, "lead")
		pass(time.Minute)
		if got := srv.dials(); len(got) > 0 {
			t.Errorf("dialled %v, want nothing", got)
		}
	})
}
