//go:build linux

package compare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain lets this program be an echo or a client, for the tests in it.
func TestMain(m *testing.M) {
	if hidden, err := Hidden(os.Args[1:], os.Stdin, os.Stdout); hidden {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Getenv(parentVariable) != "" {
		os.Exit(parent())
	}
	goleak.VerifyTestMain(m)
}

// tiny is as little work as shows that everything works.
func tiny() Sizes {
	return Sizes{
		WarmUp: time.Millisecond, Pairs: 300, Locks: 300, Conns: 5, Kills: 1,
		Leaders: 1, Transfers: 1, Sessions: 20, Idle: time.Millisecond,
	}
}

// options are those of a tiny run, with a program that was built for the test.
// Without Redis they leave it out, but not where everything has to be tried.
func options(tb testing.TB) Options {
	tb.Helper()
	program, err := Build(tb.Context(), tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	redis, err := FindRedis()
	if err != nil && os.Getenv("CI") == "true" {
		tb.Fatal(err)
	}
	return Options{Rounds: 1, Sizes: tiny(), LDLM: program, Redis: redis, Self: self, Progress: tb.Logf}
}

// Every row is measured. What the figures are says nothing at this size.
func TestEveryRow(t *testing.T) {
	everyRow(t, options(t))
}

// The same for clusters.
func TestEveryRowOfClusters(t *testing.T) {
	o := options(t)
	var err error
	if o.Etcd, err = BuildEtcd(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	o.Cluster = true
	everyRow(t, o)
}

func everyRow(t *testing.T, o Options) {
	t.Helper()
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Failures {
		t.Error(f)
	}
	for _, l := range report.Rows {
		if l.Figure == nil || l.Against != "" && l.Other == nil {
			t.Errorf("%s: %s: not measured: %+v", l.Trial, l.What, l)
		}
	}
	rows := 0
	for _, trial := range trialsOf(o.Cluster, o.Sizes) {
		for _, r := range trial.rows {
			if o.Redis != "" || !needsRedis(&trial, r.against) {
				rows++
			}
		}
	}
	if len(report.Rows) != rows {
		t.Errorf("%d rows, want %d", len(report.Rows), rows)
	}
	checkOutput(t, report)
}

func checkOutput(t *testing.T, report *Report) {
	t.Helper()
	var table bytes.Buffer
	if err := report.Write(&table, "compare -x"); err != nil {
		t.Fatal(err)
	}
	for _, l := range report.Rows {
		if !strings.Contains(table.String(), "\n| "+l.What+" | ") {
			t.Errorf("the table has no %q", l.What)
		}
	}
	for _, part := range []string{"- Machine: ", "- Versions: Version: ", "go1.", "`compare -x`"} {
		if !strings.Contains(table.String(), part) {
			t.Errorf("the table has no %q", part)
		}
	}
	text, err := json.Marshal(report)
	var back Report
	if err == nil {
		err = json.Unmarshal(text, &back)
	}
	if err != nil || len(back.Rows) != len(report.Rows) || len(back.Samples) == 0 {
		t.Errorf("as JSON: %v\n%s", err, text)
	}
}

// The end of the context ends everything, at any moment, and there is a report of
// what was measured.
func TestInterruption(t *testing.T) {
	o := options(t)
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	o.Sizes.Duration, o.Sizes.Pairs = time.Hour, 0
	o.Run = regexp.MustCompile("^(pairs/1|v1/64)$")
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	o.Progress = func(format string, args ...any) {
		if strings.Contains(fmt.Sprintf(format, args...), nameLDLM) {
			cancel(stop)
		}
	}
	report, err := Run(ctx, o)
	if !errors.Is(err, stop) || report == nil || len(report.Failures) != 0 {
		t.Errorf("got %+v, %v", report, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// What fails is told, and does not stop the rest.
func TestFailures(t *testing.T) {
	o := options(t)
	o.Redis = "/bin/false"
	o.Run = regexp.MustCompile("^pairs/1$")
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "/bin/false --version") {
		t.Errorf("a Redis that does not run: %v", err)
	}
	o.Redis = filepath.Join(t.TempDir(), "redis-server")
	script := "#!/bin/sh\ntest \"$1\" = --version && exit 0\necho no luck today; exit 1\n"
	if err := os.WriteFile(o.Redis, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	report, err := Run(t.Context(), o)
	if err != nil || len(report.Failures) != 2 || !strings.Contains(report.Failures[0], "no luck today") {
		t.Fatalf("got %+v, %v", report, err)
	}
	for _, l := range report.Rows {
		if l.Figure == nil || (l.Other == nil) != strings.HasPrefix(l.Against, "Redis") {
			t.Errorf("%+v", l)
		}
	}
}

func TestNothingToMeasure(t *testing.T) {
	for want, change := range map[string]func(*Options){
		`no trial matches "nothing"`: func(o *Options) { o.Run = regexp.MustCompile("nothing") },
		"0 rounds, want at least 1":  func(o *Options) { o.Rounds = 0 },
		"/no/ldlm version: ":         func(o *Options) { o.LDLM = "/no/ldlm" },
	} {
		o := Options{Rounds: 1, Sizes: tiny()}
		change(&o)
		if got, err := Run(t.Context(), o); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, %v, want %s", got, err, want)
		}
	}
}

func TestNamesAreUnique(t *testing.T) {
	names := append(Names(false), Names(true)...)
	slices.Sort(names)
	if got := slices.Compact(slices.Clone(names)); len(got) != len(names) {
		t.Errorf("names are there twice: %q", names)
	}
	for _, trial := range append(trials(tiny()), clusterTrials(tiny())...) {
		for _, r := range trial.rows {
			for _, name := range []string{r.of, r.against} {
				if name != "" && !slices.ContainsFunc(trial.contenders, func(c contender) bool { return c.name == name }) {
					t.Errorf("%s: a row wants %q, who is not there", trial.name, name)
				}
			}
		}
	}
}

func TestAwait(t *testing.T) {
	p, err := start(t.Context(), "shell", "/bin/sh", "-c", "echo one; echo ready 1; echo oops >&2")
	if err != nil {
		t.Fatal(err)
	}
	defer p.kill()
	if got, err := p.await(t.Context(), "ready "); got != "1" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := p.await(t.Context(), "never "); err == nil || !strings.Contains(err.Error(), "shell: it has ended") || !strings.Contains(err.Error(), "oops") {
		t.Errorf("got %v", err)
	}
	if err := p.awaitPort(t.Context(), "127.0.0.1:1"); err == nil || !strings.HasPrefix(err.Error(), "shell has ended; it says: ") {
		t.Errorf("got %v", err)
	}
	if _, err := start(t.Context(), "nobody", "/no/such/program"); err == nil || !strings.HasPrefix(err.Error(), "start nobody: ") {
		t.Errorf("got %v", err)
	}
}
