package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ldlm-io/ldlm"
)

// Exit codes of the commands of ldlm: those of sysexits.h where there is one. The
// old names have their own.
const (
	exitOK           = 0
	exitFailure      = 1   // refused, not found, wrong key, and whatever else fails
	exitUsage        = 64  // EX_USAGE
	exitUnavailable  = 69  // EX_UNAVAILABLE: no server can be reached
	exitInternal     = 70  // EX_SOFTWARE
	exitNotAcquired  = 75  // EX_TEMPFAIL: the lock is held by others
	exitLost         = 76  // EX_PROTOCOL: the lock was lost while held
	exitNotPermitted = 77  // EX_NOPERM
	exitCannotRun    = 126 // as shells have it: the command cannot be executed,
	exitNoCommand    = 127 // or is not there
	exitSignal       = 128 // plus the number of the signal
)

// An exitError ends a command with an exit code. Its error, if any, goes to
// stderr, and its usage to stdout.
type exitError struct {
	code  int
	err   error
	usage string
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// exit reports how a command ended, and returns the code of it. What is not an
// exitError is a failure; prefix goes before its text.
func (p *Process) exit(err error, prefix string) int {
	if err == nil {
		return exitOK
	}
	e := (*exitError)(nil)
	if !errors.As(err, &e) {
		e = &exitError{code: codeOf(err), err: fmt.Errorf("%s%w", prefix, err)}
	}
	if e.err != nil {
		fmt.Fprintln(p.Stderr, e.err)
	}
	if e.usage != "" {
		fmt.Fprint(p.Stdout, e.usage)
	}
	return e.code
}

// codeOf is the exit code of a command that an error of the client ended.
func codeOf(err error) int {
	signaled := (*signalError)(nil)
	switch {
	case errors.As(err, &signaled):
		return signalCode(signaled.signal)
	case errors.Is(err, ldlm.ErrUnavailable), noAnswer(err):
		return exitUnavailable
	case errors.Is(err, ldlm.ErrLost):
		return exitLost
	case errors.Is(err, ldlm.ErrHeld), errors.Is(err, ldlm.ErrWaitTimeout):
		return exitNotAcquired
	case errors.Is(err, ldlm.ErrUnauthenticated), errors.Is(err, ldlm.ErrDenied):
		return exitNotPermitted
	case errors.Is(err, ldlm.ErrInvalid):
		return exitUsage
	case errors.Is(err, ldlm.ErrInternal):
		return exitInternal
	default:
		return exitFailure
	}
}

// noAnswer reports whether nobody has answered in time a question that changes
// nothing: as good as if nobody were there.
func noAnswer(err error) bool {
	late := (*noAnswerError)(nil)
	return errors.As(err, &late) && !errors.Is(err, ldlm.ErrUnknownOutcome)
}

// distrusted reports whether one side did not like the other's certificate: so somebody
// is there. Over gRPC there is nothing but the words of crypto/tls.
func distrusted(err error) bool {
	text := err.Error()
	return strings.Contains(text, "tls: failed to verify certificate") || strings.Contains(text, "remote error: tls: ")
}

// estranged reports whether somebody is there who has hung up, or does not speak as was
// expected: one side encrypts, and the other does not, or it is another program. There is
// nothing but words.
func estranged(err error) bool {
	text := withoutPackage(err)
	if strings.HasSuffix(text, "EOF") {
		return true
	}
	for _, words := range []string{
		"first record does not look like a TLS handshake", ": frame: ", "http2: ", "connection reset by peer", "broken pipe",
	} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}

// answered reports whether a server has answered, and one of those that were asked is
// there.
func answered(err error) bool {
	if failed, ok := err.(*ldlm.Error); ok && failed.Answered { //nolint:errorlint // each one of the tree is looked at
		return true
	}
	switch w := err.(type) { //nolint:errorlint // as above
	case interface{ Unwrap() error }:
		return answered(w.Unwrap())
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(w.Unwrap(), answered)
	default:
		return false
	}
}

// withoutPackage is the text of an error of the client without what ldlm would
// say twice, or what goes without saying.
func withoutPackage(err error) string {
	// The client's errors name its package, which is the name of the program too.
	text := strings.TrimSuffix(strings.TrimPrefix(err.Error(), "ldlm: "), " (nothing happened)")
	// And gRPC says three times that it could not connect.
	for _, twice := range []string{"transport: Error while dialing: ", "error reading server preface: "} {
		if before, after, ok := strings.Cut(text, `connection error: desc = "`+twice); ok {
			text = before + strings.ReplaceAll(strings.TrimSuffix(after, `"`), `\"`, `"`)
		}
	}
	if before, after, ok := strings.Cut(text, ldlm.ErrUnavailable.Error()+": "); ok {
		text = before + ldlm.ErrUnavailable.Error() + ": " + dialed(after)
	}
	text = strings.TrimSuffix(text, "; say it as credential in hello") // which authors of clients need
	text = strings.Replace(text, ldlm.ErrUnknownOutcome.Error()+": "+context.DeadlineExceeded.Error(), ldlm.ErrUnknownOutcome.Error()+": no answer", 1)
	for _, ended := range []error{context.DeadlineExceeded, context.Canceled} {
		text = strings.Replace(text, ended.Error()+": no answer", "no answer", 1)
	}
	return text
}

// dialed is why somebody could not be reached, line by line: the address once, and what
// is wrong there.
func dialed(text string) string {
	lines := strings.Split(strings.NewReplacer("dial tcp ", "", "dial unix ", "", ": connect: ", ": ").Replace(text), "\n")
	for i, line := range lines {
		lines[i] = strings.Join(slices.Compact(strings.Split(line, ": ")), ": ")
	}
	return strings.Join(lines, "\n")
}

// signalCode is the exit code of a process that a signal ended.
func signalCode(s os.Signal) int {
	if n, ok := s.(syscall.Signal); ok {
		return exitSignal + int(n)
	}
	return exitFailure
}

// A signalError is the end of a command by a signal: the cause of its context.
type signalError struct{ signal os.Signal }

func (e *signalError) Error() string { return "ended by a signal: " + e.signal.String() }

// interruptible returns a context that ends when a signal asks the process to
// end; its cause is then a [*signalError]. A second signal ends the process as
// the system does. The caller calls stop when the command is over.
func (p *Process) interruptible(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals, stopSignals := p.Notify()
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case s := <-signals:
			cancel(&signalError{s})
			stopSignals()
		case <-over:
		}
	}()
	return ctx, func() {
		close(over)
		<-ended
		stopSignals()
		cancel(nil)
	}
}

// advise adds to an error of the client what to do next. A context that a signal
// ended says so itself.
func (f *clientFlags) advise(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if signaled := (*signalError)(nil); errors.As(context.Cause(ctx), &signaled) {
		return &exitError{code: signalCode(signaled.signal)}
	}
	if e := (*exitError)(nil); errors.As(err, &e) {
		return err // it says so itself
	}
	text := textOf(err)
	if next := f.nextStep(err); next != "" {
		text += "\n" + next
	}
	return &exitError{code: codeOf(err), err: errors.New("ldlm: " + text)}
}

// textOf says what failed, and why.
func textOf(err error) string {
	failed := (*ldlm.Error)(nil)
	if !errors.As(err, &failed) || failed.Name == "" {
		return withoutPackage(err)
	}
	switch {
	case errors.Is(err, ldlm.ErrNotFound):
		return "there is no lock " + quoteName(failed.Name) + "; one that nobody holds or waits for is forgotten after a while"
	case errors.Is(err, ldlm.ErrWrongKey):
		return failed.Op + " " + quoteName(failed.Name) + ": that is not the key of a present hold; the hold has ended, or the key is another lock's"
	case errors.Is(err, ldlm.ErrSizeMismatch):
		return fmt.Sprintf("%s %s: it has size %d", failed.Op, quoteName(failed.Name), failed.Limit)
	default:
		return inUnits(withoutPackage(err), failed)
	}
}

// inUnits is the text of an error about an argument with durations as people write them.
func inUnits(text string, e *ldlm.Error) string {
	text = strings.Replace(text, ldlm.ErrInvalid.Error()+": invalid ", "invalid ", 1)
	name, ok := strings.CutSuffix(e.Field, "_us")
	if !ok {
		return text
	}
	limit := shortDuration(time.Duration(e.Limit) * time.Microsecond)
	return strings.NewReplacer(e.Field, name, ", in microseconds", "", fmt.Sprintf("(limit %d)", e.Limit), "(limit "+limit+")").Replace(text)
}

// nameIn is the lock that an error is about, as a word for shells.
func nameIn(err error) string {
	if failed := (*ldlm.Error)(nil); errors.As(err, &failed) && failed.Name != "" {
		return shellWord(failed.Name)
	}
	return "NAME"
}

// nextStep says what to do about an error of the client; "" if nobody knows.
func (f *clientFlags) nextStep(err error) string {
	switch {
	case distrusted(err):
		return "The server's certificate is checked against --tls-ca FILE; one's own is shown by --tls-cert FILE and --tls-key FILE." +
			" Asked: " + f.connection.Address + "."
	case errors.Is(err, ldlm.ErrUnavailable) && answered(err):
		return "How it is: ldlm status. Asked: " + f.connection.Address + "."
	case errors.Is(err, ldlm.ErrUnavailable) && estranged(err):
		return "Whoever is there has hung up, or is not understood. Is that the port? Does it want TLS (--tls, --tls-ca FILE), or none? Asked: " +
			f.connection.Address + "."
	case errors.Is(err, ldlm.ErrUnavailable), noAnswer(err):
		return "Is a server there? One to try things with: ldlm dev. Elsewhere: --address HOST:PORT, or LDLM_ADDRESS." +
			" Asked: " + f.connection.Address + "."
	case errors.Is(err, ldlm.ErrUnauthenticated):
		return "The password comes from --password-file FILE, or LDLM_PASSWORD; a token from --token-file FILE, or LDLM_TOKEN."
	case errors.Is(err, ldlm.ErrDenied):
		return "What a token may do is written in the tokens file of the server: ask whoever looks after it."
	case errors.Is(err, ldlm.ErrUnknownOutcome):
		return "It may have happened all the same. Look: ldlm get " + nameIn(err)
	case errors.Is(err, ldlm.ErrNotFound):
		return "What there is: ldlm ls"
	case errors.Is(err, ldlm.ErrWrongKey), errors.Is(err, ldlm.ErrTokenMoved), errors.Is(err, ldlm.ErrNotLeased):
		return "Who holds it: ldlm get " + nameIn(err)
	case errors.Is(err, ldlm.ErrSizeMismatch):
		return "Without --size it is taken as it is. To change it: ldlm resize " + nameIn(err) + " N"
	case errors.Is(err, ldlm.ErrUnsupported):
		return "Which version is it? ldlm status"
	default:
		return ""
	}
}
