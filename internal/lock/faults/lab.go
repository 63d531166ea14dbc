package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// lab runs the tests of the package with broken files. Its methods may be called
// concurrently.
type lab struct {
	pkg    string // folder of the package
	module string // folder of the module
	temp   string
	limit  time.Duration
	// copies are the package's files as they were at first, by where they belong:
	// work goes on while the faults are tried.
	copies map[string]string
}

// newLab finds the package from anywhere in the module.
func newLab(ctx context.Context, limit time.Duration) (*lab, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("finding the module: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if mod == "" || mod == os.DevNull {
		return nil, errors.New("not in a module: run this in the repository")
	}
	l := &lab{module: filepath.Dir(mod), limit: limit, copies: map[string]string{}}
	l.pkg = filepath.Join(l.module, "internal", "lock")
	if l.temp, err = os.MkdirTemp("", "faults"); err != nil {
		return nil, err
	}
	if err := l.copy(); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// copy copies the package's files.
func (l *lab) copy() error {
	paths, err := filepath.Glob(filepath.Join(l.pkg, "*.go"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		l.copies[path] = filepath.Join(l.temp, filepath.Base(path))
		if err := os.WriteFile(l.copies[path], source, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (l *lab) close() { _ = os.RemoveAll(l.temp) }

// state says what became of a fault.
type state string

const (
	caught   state = "caught"
	survived state = "SURVIVED"
	broken   state = "BROKEN" // it proves nothing
)

type verdict struct {
	state state
	text  string // which test caught it, or what is wrong
	took  time.Duration
}

// try runs the tests with a fault; one without a file runs them as they are.
func (l *lab) try(ctx context.Context, f fault) verdict {
	began := time.Now()
	v, err := l.test(ctx, f)
	if err != nil {
		v = verdict{state: broken, text: err.Error()}
	}
	v.took = time.Since(began)
	return v
}

func (l *lab) test(ctx context.Context, f fault) (verdict, error) {
	overlay, err := l.overlay(f)
	if err != nil {
		return verdict{}, err
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-overlay="+overlay, "-vet=off", "-count=1", "-short", "-failfast",
		"-timeout="+l.limit.String(), "./internal/lock", "-rapid.nofailfile", "-rapid.shrinktime=1s")
	cmd.Dir = l.module
	out, err := cmd.CombinedOutput()
	switch exit := (*exec.ExitError)(nil); {
	case err == nil:
		return verdict{state: survived, text: "no test fails"}, nil
	case ctx.Err() != nil:
		return verdict{}, ctx.Err()
	case !errors.As(err, &exit):
		return verdict{}, err
	case strings.Contains(string(out), "[build failed]") || strings.Contains(string(out), "[setup failed]"):
		return verdict{}, fmt.Errorf("it does not build: %s", compileError(string(out)))
	}
	return verdict{state: caught, text: catcher(string(out))}, nil
}

// overlay writes the broken file and the list that tells the compiler of it: which
// file stands for which. A file that is newer than the copies is not there.
func (l *lab) overlay(f fault) (path string, err error) {
	dir, err := os.MkdirTemp(l.temp, "fault")
	if err != nil {
		return "", err
	}
	replace := maps.Clone(l.copies)
	paths, err := filepath.Glob(filepath.Join(l.pkg, "*.go"))
	if err != nil {
		return "", err
	}
	for _, p := range paths {
		if l.copies[p] == "" {
			replace[p] = ""
		}
	}
	if f.file != "" {
		patched, err := l.patch(f, dir)
		if err != nil {
			return "", err
		}
		replace[filepath.Join(l.pkg, f.file)] = patched
	}
	b, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, b, 0o600)
}

// patch writes the broken file into a folder.
func (l *lab) patch(f fault, dir string) (path string, err error) {
	source, err := os.ReadFile(filepath.Join(l.temp, f.file))
	if err != nil {
		return "", err
	}
	text, err := f.apply(string(source))
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, f.file)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// catcher names what noticed a fault.
func catcher(out string) string {
	if strings.Contains(out, "panic: test timed out") {
		return "the tests did not end"
	}
	failed := regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`).FindAllStringSubmatch(out, -1)
	if len(failed) > 0 {
		return failed[len(failed)-1][1]
	}
	if i := strings.Index(out, "panic: "); i >= 0 {
		return firstLine(out[i:])
	}
	return firstLine(out)
}

// compileError is the first line that says where a mistake is.
func compileError(out string) string {
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "#") {
			return strings.TrimSpace(line)
		}
	}
	return firstLine(out)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
