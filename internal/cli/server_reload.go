package cli

import (
	"errors"
	"log/slog"
	"slices"
	"sync"

	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/certs"
	"github.com/ldlm-io/ldlm/internal/config"
)

// live are the settings that take effect while the server runs.
var live = []string{"log_level", "password", "password_file"}

// A reloader changes what may change of a running server. Its methods are safe
// for concurrent use.
type reloader struct {
	binding   *config.Binding // as the server was started
	getenv    func(string) string
	log       *slog.Logger
	level     *slog.LevelVar
	passwords auth.Passwords

	mu sync.Mutex // held for one change
	// certificates are read again as well, though a change of their files is
	// noticed anyhow; nil if there are none.
	certificates *certs.Certificates
}

// use says which certificates the server has, once it has any.
func (r *reloader) use(c *certs.Certificates) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.certificates = c
}

// SetLogLevel logs from another level on, until the configuration is read again.
func (r *reloader) SetLogLevel(word string) error {
	var level config.Level
	if err := level.Set(word); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.level.Set(level.Level())
	return nil
}

// Reload takes over what may change, or changes nothing and says why, in the log
// too.
func (r *reloader) Reload() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.reload()
	if err != nil {
		r.log.Error("The configuration cannot be read again; nothing has changed", "error", err)
	}
	return err
}

// reload is called with mu held.
func (r *reloader) reload() error {
	var settings config.Server
	now, err := r.binding.Reload(&settings, r.getenv)
	var passwords []string
	if err == nil {
		passwords, err = settings.Passwords()
	}
	if err == nil && len(passwords) == 0 && r.passwords.Required() {
		err = errors.New("there is no password any more, and a server that has asked for one does not stop to while it runs: restart it")
	}
	if err == nil && r.certificates != nil {
		err = r.certificates.Reload()
	}
	if err != nil {
		return err
	}
	r.level.Set(settings.LogLevel.Level())
	r.passwords.Replace(passwords...)
	r.log.Warn("The configuration was read again", "log_level", settings.LogLevel, "passwords", len(passwords))
	waiting := slices.DeleteFunc(r.binding.Changed(now), func(name string) bool { return slices.Contains(live, name) })
	if len(waiting) > 0 {
		r.log.Warn("Some settings have changed that take effect at the next start", "settings", waiting)
	}
	return nil
}
