package cli

import (
	"cmp"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ldlm-io/ldlm/internal/audit"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/certs"
	"github.com/ldlm-io/ldlm/internal/config"
	"github.com/ldlm-io/ldlm/internal/systemd"
)

// live are the settings that take effect while the server runs.
var live = []string{"log_level", "password", "password_file", "tokens_file"}

// A reloader changes what may change of a running server. Its methods are safe
// for concurrent use.
type reloader struct {
	binding   *config.Binding // as the server was started
	getenv    func(string) string
	log       *slog.Logger
	level     *slog.LevelVar
	passwords auth.Passwords
	gate      *auth.Gate
	audit     *audit.Log
	manager   *systemd.Notifier

	// failed is when the configuration could not be read again; nil if it could the last
	// time.
	failed atomic.Pointer[time.Time]

	mu sync.Mutex // held for one change
	// certificates are read again as well, though a change of their files is
	// noticed anyhow; nil if there are none.
	certificates *certs.Certificates
	// present is the binding of what is in force; nil: that of the start. accounts
	// are those that are let in.
	present  *config.Binding
	accounts []auth.Account
}

// use says which certificates the server has, once it has any.
func (r *reloader) use(c *certs.Certificates) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.certificates = c
}

// SetLogLevel logs from another level on, until the configuration is read again.
func (r *reloader) SetLogLevel(by audit.Actor, word string) error {
	var level config.Level
	if err := level.Set(word); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.audit.Add(audit.Entry{Action: audit.LogLevelChange, Actor: by, Before: r.level.Level().String(), After: level.Level().String()})
	r.level.Set(level.Level())
	return nil
}

// Reload takes over what may change, or changes nothing and says why, in the log
// too. Its file of the audit log is opened again in either case.
func (r *reloader) Reload(by audit.Actor) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tellManager(systemd.Reloading()...)
	defer r.tellManager(systemd.Ready)
	r.audit.Reopen()
	e := audit.Entry{Action: audit.ConfigReload, Actor: by}
	changes, err := r.reload()
	if err != nil {
		now := time.Now()
		r.failed.Store(&now)
		r.log.Error("The configuration cannot be read again; nothing has changed", "error", err)
		e.Error = err.Error()
	}
	if len(changes) > 0 {
		before, after := map[string]string{}, map[string]string{}
		for _, c := range changes {
			before[c.Name], after[c.Name] = c.Before, c.After
		}
		e.Before, e.After = before, after
	}
	r.audit.Add(e)
	return err
}

// sinceFailure returns how long ago the last reload has failed; 0 if it has not.
func (r *reloader) sinceFailure() time.Duration {
	at := r.failed.Load()
	if at == nil {
		return 0
	}
	return max(time.Since(*at), time.Microsecond)
}

// openGate makes the gate whose passwords and accounts are replaced.
func (r *reloader) openGate(accounts []auth.Account, s *config.Server) *auth.Gate {
	r.gate = auth.NewGate(auth.GateConfig{
		Passwords: r.passwords, Logger: r.log, Audit: r.audit,
		Connections: int(s.MaxConnections), ConnectionsEach: int(s.MaxConnectionsPerPrincipal),
	})
	if accounts != nil {
		r.gate.SetAccounts(accounts)
		r.accounts = accounts
	}
	return r.gate
}

// opensTheDoor is an error if more would be let in than those whom a setting names.
func (r *reloader) opensTheDoor(passwords []string, accounts []auth.Account) error {
	switch {
	case len(passwords) == 0 && accounts == nil && r.passwords.Required():
		return errors.New("there is no password any more, and a server that has asked for one does not stop to while it runs: restart it")
	case accounts == nil && r.gate.HasAccounts():
		return errors.New("tokens_file is not set any more, and a server that tells principals apart does not stop to while it runs: restart it")
	}
	return nil
}

// tellManager tells the service manager something, if there is one.
func (r *reloader) tellManager(assignments ...string) {
	if err := r.manager.Notify(assignments...); err != nil {
		r.log.Warn("The service manager cannot be told", "error", err)
	}
}

// reload returns what has changed since the last time. It is called with mu held.
func (r *reloader) reload() ([]config.Change, error) {
	var settings config.Server
	now, err := r.binding.Reload(&settings, r.getenv)
	var passwords []string
	if err == nil {
		passwords, err = settings.Passwords()
	}
	var accounts []auth.Account
	if err == nil {
		accounts, err = readAccounts(&settings)
	}
	if err == nil {
		err = r.opensTheDoor(passwords, accounts)
	}
	if err == nil && r.certificates != nil {
		err = r.certificates.Reload()
	}
	if err != nil {
		return nil, err
	}
	r.level.Set(settings.LogLevel.Level())
	r.passwords.Replace(passwords...)
	r.failed.Store(nil)
	told := []any{"log_level", settings.LogLevel, "passwords", len(passwords)}
	if accounts != nil {
		told = append(told, "principals", len(accounts), "revoked", r.gate.SetAccounts(accounts))
	}
	r.log.Warn("The configuration was read again", told...)
	waiting := slices.DeleteFunc(r.binding.Changed(now), func(name string) bool { return slices.Contains(live, name) })
	if len(waiting) > 0 {
		r.log.Warn("Some settings have changed that take effect at the next start", "settings", waiting)
	}
	last := cmp.Or(r.present, r.binding)
	changes := append(last.Changes(now), accountChanges(r.accounts, accounts)...)
	r.present, r.accounts = now, accounts
	return changes, nil
}
