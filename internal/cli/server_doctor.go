package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/config"
)

// Verdicts of a check.
const (
	verdictOK    = "ok"
	verdictNote  = "note"  // may be meant
	verdictWrong = "wrong" // somebody has to do something
)

// A finding is what one check has found.
type finding struct {
	Check   string `json:"check"`
	Verdict string `json:"verdict"`
	Text    string `json:"text"`
}

const doctorLong = `Look over a server and its machine: settings, addresses, certificates, clock, data
directory, files of secrets, limits, and the server itself if it runs.

It takes the flags, variables and file of "ldlm server" and changes nothing; a server
with a tokens file it asks with the token of LDLM_TOKEN. It says one line for each
check, and exits with 1 if something is wrong.`

// newDoctor makes the command that looks over a server.
func newDoctor(p *Process) *cobra.Command {
	var settings config.Server
	c := &cobra.Command{
		Use: "doctor [flags of the server]", Short: "Look over a server and its machine: one line for each check", Long: doctorLong,
		Example: "  ldlm doctor -c /etc/ldlm/ldlm.yaml", Args: noArgs,
	}
	binding, o := addServerFlags(p, c, &settings)
	c.RunE = func(c *cobra.Command, _ []string) error {
		d := &doctor{settings: &settings, token: p.Getenv("LDLM_TOKEN")}
		if err := binding.Load(p.Getenv); err != nil {
			d.say("configuration", verdictWrong, err.Error())
		} else {
			d.examine(c.Context())
		}
		if err := o.printer(false).print(d.view()); err != nil {
			return err
		}
		if d.wrong {
			return &exitError{code: exitFailure}
		}
		return nil
	}
	return c
}

// A doctor examines the server of its settings.
type doctor struct {
	settings *config.Server
	token    string // "": none
	findings []finding
	wrong    bool
}

func (d *doctor) say(check, verdict, text string) {
	text = strings.ReplaceAll(text, "\n", "; ")
	d.findings = append(d.findings, finding{check, verdict, text})
	d.wrong = d.wrong || verdict == verdictWrong
}

// view shows the findings. Scripts go on with the names of checks.
func (d *doctor) view() view {
	v := view{doc: d.findings}
	for _, f := range d.findings {
		v.names = append(v.names, f.Check)
	}
	v.lines = func(bool, bool) []string {
		var lines []string
		for _, f := range d.findings {
			lines = append(lines, fmt.Sprintf("%-5s  %-13s  %s", f.Verdict, f.Check, printable(f.Text)))
		}
		return lines
	}
	return v
}

// examine makes all checks.
func (d *doctor) examine(ctx context.Context) {
	_, tokens := readAccounts(d.settings)
	if err := errors.Join(d.settings.Validate(), tokens); err != nil {
		d.say("configuration", verdictWrong, err.Error())
	} else {
		d.say("configuration", verdictOK, "every setting is one that a server takes")
	}
	answers := d.askServer(ctx)
	d.examinePorts(ctx, answers)
	d.examineTLS(time.Now())
	d.examineMembers(ctx, answers)
	d.examineClock()
	d.examineDirectory()
	d.examineSecrets()
	d.examineDescriptors()
}

// askServer looks whether the server runs, and which one it is.
func (d *doctor) askServer(ctx context.Context) (answers bool) {
	const patience = 3 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	address := onThisMachine(d.settings.ListenAddress)
	if strings.HasSuffix(address, ":0") {
		d.say("server", verdictNote, "listen_address leaves the port to the system: only the log of the server says which one it is")
		return false
	}
	opts := []ldlm.DialOption{}
	if d.token != "" {
		opts = append(opts, ldlm.WithToken(d.token))
	} else if passwords, err := d.settings.Passwords(); err == nil && len(passwords) > 0 {
		opts = append(opts, ldlm.WithPassword(passwords[0]))
	}
	if d.settings.TLSCert != "" {
		// Whom the certificate is for is looked at by itself; this is one's own machine.
		opts = append(opts, ldlm.WithTLSConfig(&tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true})) //nolint:gosec // see above
	}
	c, err := ldlm.Dial(address, opts...)
	if err != nil {
		d.say("server", verdictWrong, err.Error())
		return false
	}
	defer c.Close() //nolint:errcheck // it has no session that could be left
	s, err := c.Admin().Status(ctx)
	switch own := currentBuild().version; {
	case errors.Is(err, ldlm.ErrUnavailable) || ctx.Err() != nil:
		d.say("server", verdictNote, "nobody answers at "+address+": the server does not run, or wants a certificate from its clients")
		return false
	case errors.Is(err, ldlm.ErrUnauthenticated) && d.token == "" && d.settings.TokensFile != "":
		d.say("server", verdictNote, address+" answers; which version it is it tells who has a token: LDLM_TOKEN=... ldlm doctor")
	case err != nil:
		d.say("server", verdictWrong, address+" answers, and refuses: "+withoutPackage(err))
	case s.Draining:
		d.say("server", verdictNote, address+" is on its way out")
	default:
		d.say("server", verdictOK, address+" answers")
		if s.Version != own {
			d.say("versions", verdictNote, fmt.Sprintf("the server is %s, this program is %s", s.Version, own))
		} else {
			d.say("versions", verdictOK, "server and this program are "+own)
		}
		if s.ReloadFailed > 0 {
			d.say("reload", verdictWrong, "the configuration could not be read again "+shortDuration(s.ReloadFailed)+" ago, and nothing has changed; the log of the server says why")
		}
	}
	return true
}

// onThisMachine is a listen address as clients on this machine say it.
func onThisMachine(address string) string {
	for _, all := range []string{"0.0.0.0:", "[::]:", ":"} {
		if port, is := strings.CutPrefix(address, all); is {
			return "127.0.0.1:" + port
		}
	}
	return address
}

// examinePorts looks whether the addresses can be listened at, if the server does
// not do so already.
func (d *doctor) examinePorts(ctx context.Context, serverRuns bool) {
	for _, a := range []struct{ option, address string }{
		{"listen_address", d.settings.ListenAddress}, {"rest_listen_address", d.settings.RESTListenAddress},
		{"admin_listen_address", d.settings.AdminListenAddress},
	} {
		if a.address == "" || strings.HasPrefix(a.address, config.UnixPrefix) {
			continue
		}
		d.examinePort(ctx, a.option, a.address, serverRuns)
	}
}

func (d *doctor) examinePort(ctx context.Context, option, address string, serverRuns bool) {
	l, err := listenTCP(ctx, address)
	switch {
	case err == nil:
		_ = l.Close()
		d.say("ports", verdictOK, option+" "+address+" is free")
	case serverRuns && (option != "rest_listen_address" || d.settings.ClientCA != "" || askREST(ctx, onThisMachine(address))):
		// Where REST wants a certificate of its clients, nobody else is to hear who it is.
		d.say("ports", verdictOK, option+" "+address+" is in use, and the server runs")
	default:
		d.say("ports", verdictWrong, withCulprit(ctx, option, address, err).Error())
	}
}

// examineTLS looks at the time of the server's certificate.
func (d *doctor) examineTLS(now time.Time) {
	path := d.settings.TLSCert
	if path == "" {
		return
	}
	pair, err := tls.LoadX509KeyPair(path, d.settings.TLSKey)
	if err != nil {
		d.say("certificate", verdictWrong, err.Error())
		return
	}
	d.examineTime("certificate", path, pair.Certificate[0], now)
	d.examineAuthorities(now)
}

// examineTime looks at when a certificate is valid.
func (d *doctor) examineTime(check, path string, der []byte, now time.Time) {
	const soon = 14 * 24 * time.Hour
	leaf, err := x509.ParseCertificate(der)
	switch {
	case err != nil:
		d.say(check, verdictWrong, path+": "+err.Error())
	case now.After(leaf.NotAfter):
		d.say(check, verdictWrong, path+" has expired on "+leaf.NotAfter.Format(time.RFC3339)+": replace it")
	case now.Before(leaf.NotBefore):
		d.say(check, verdictWrong, path+" is not valid before "+leaf.NotBefore.Format(time.RFC3339)+": check the clock")
	case now.Add(soon).After(leaf.NotAfter):
		d.say(check, verdictNote, path+" expires soon, on "+leaf.NotAfter.Format(time.RFC3339))
	default:
		d.say(check, verdictOK, path+" is valid until "+leaf.NotAfter.Format(time.RFC3339))
	}
}

// examineAuthorities looks at those of clients' certificates.
func (d *doctor) examineAuthorities(now time.Time) {
	data, err := os.ReadFile(d.settings.ClientCA)
	if d.settings.ClientCA == "" || err != nil {
		return // none, or told with the settings
	}
	good := false
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		c, err := x509.ParseCertificate(b.Bytes)
		good = good || err == nil && now.Before(c.NotAfter)
	}
	if good {
		d.say("certificate", verdictOK, "client_ca has an authority that is valid")
	} else {
		d.say("certificate", verdictWrong, "client_ca has no authority that is valid: no client can connect")
	}
}

// examineClock looks whether the clock of the wall is kept. No lease depends on
// it; certificates and what people read do.
func (d *doctor) examineClock() {
	switch synchronised, known := clockSynchronised(); {
	case !known:
	case synchronised:
		d.say("clock", verdictOK, "the system says that it is synchronised")
	default:
		d.say("clock", verdictNote, "the system does not say that it is synchronised: leases do not need it, certificates and logs do")
	}
}

// examineDirectory looks whether the data directory can be used.
func (d *doctor) examineDirectory() {
	path, err := d.settings.Directory()
	if err != nil {
		return // told with the settings
	}
	if path == "" {
		d.say("data", verdictNote, "no data_dir: locks are kept in memory and end with the server")
		return
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		parent := filepath.Dir(filepath.Clean(path))
		if at, err := os.Stat(parent); err != nil || !at.IsDir() {
			d.say("data", verdictWrong, path+" is missing, and so is the folder for it: mkdir -p "+parent)
			return
		}
		d.say("data", verdictOK, path+" will be made")
		return
	}
	const others = 0o077
	switch {
	case err != nil:
		d.say("data", verdictWrong, err.Error())
	case !info.IsDir():
		d.say("data", verdictWrong, path+" is no directory")
	case runtime.GOOS != "windows" && info.Mode().Perm()&others != 0:
		d.say("data", verdictNote, fmt.Sprintf("others may look into %s, which has %04o: chmod 0700", path, info.Mode().Perm()))
	default:
		d.say("data", verdictOK, path+" is there; what is in it tells: ldlm dump --data-dir "+shellWord(path))
	}
}

// examineSecrets looks who may read them.
func (d *doctor) examineSecrets() {
	texts := exposedFiles(d.settings)
	for _, text := range texts {
		d.say("secrets", verdictWrong, text)
	}
	if len(texts) == 0 && (d.settings.TLSKey != "" || d.settings.TokensFile != "" || d.settings.PasswordFile != "") {
		d.say("secrets", verdictOK, "not everybody may read their files")
	}
}

// examineDescriptors looks how many connections there is room for.
func (d *doctor) examineDescriptors() {
	n, known := maxDescriptors()
	if !known {
		return
	}
	text := fmt.Sprintf("%d files may be open at once by this user's processes", n)
	if n < fewDescriptors {
		d.say("descriptors", verdictNote, text+": a server with many clients needs more, ulimit -n or LimitNOFILE")
	} else {
		d.say("descriptors", verdictOK, text)
	}
}
