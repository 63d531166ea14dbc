package archive_test

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm/internal/archive"
	"github.com/ldlm-io/ldlm/internal/document"
	"github.com/ldlm-io/ldlm/internal/journal/raftlog"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// takeOver takes a state file over.
func takeOver(file string) (log string, err error) {
	d := &diary{}
	t := archive.TakeOver{File: file, To: archive.Target{Dir: file + ".d"}, Lease: 10 * time.Minute, Logger: d.logger()}
	err = t.Run(background)
	return d.String(), err
}

// placed is a state file with this content, in a folder of its own.
func placed(t *testing.T, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ldlm.state")
	write(t, file, content)
	return file
}

func sample(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "statefile", "testdata", name+".state"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTakeOver(t *testing.T) {
	for name, c := range map[string]struct {
		holds     int
		key, lock string
		says      string
	}{
		"newest-one":   {1, "9309e11f-0a34-4a5e-945c-63d66fedb579", "first", "sizes=plain"},
		"newest-three": {3, "4a27c9e8-e358-4428-b65e-d9995c2d3c51", "slots/ü", "sizes=plain"},
		"v1.1.1-one":   {1, "4ff8f49a-2767-4f39-a56a-d5b918fa3565", "first", "All sizes in the state file are even"},
		"v1.1.1-three": {3, "cea491cc-3ce5-475d-8171-b4d92f04e035", "slots/ü", "All sizes in the state file are even"},
	} {
		t.Run(name, func(t *testing.T) {
			content := sample(t, name)
			file := placed(t, content)
			log, err := takeOver(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Count(log, "Loaded lock") != c.holds || !strings.Contains(log, c.says) || !strings.Contains(log, "key="+c.key[:8]+"\n") || strings.Contains(log, c.key) {
				t.Errorf("the log says\n%s", log)
			}
			if after, err := os.ReadFile(file); err != nil || string(after) != string(content) {
				t.Errorf("the file has changed: %v", err)
			}
			n, _, _ := open(t, file+".d")
			view, _, err := n.Lookup(t.Context(), c.lock)
			want := map[string]uint32{"first": 1, "slots/ü": 300}[c.lock]
			if err != nil || view.Size != want || view.Holders[0].Session != 0 || view.Holders[0].LeaseLeft > 10*lock.Minute ||
				view.Holders[0].LeaseLeft < 9*lock.Minute {
				t.Errorf("got %s, %v", view, err)
			}
			hold := lock.Hold{Name: c.lock, Key: parse(t, c.key)}
			do(t, n, &lock.Renew{Hold: hold, Lease: lock.Minute})
			do(t, n, &lock.Release{Hold: hold})
			if now := uint64(time.Now().Add(-time.Minute).UnixMicro()); uint64(view.Holders[0].Token) < now {
				t.Errorf("token %d is below the wall clock", view.Holders[0].Token)
			}
		})
	}
}

// parse reads a key.
func parse(t *testing.T, text string) (k lock.Key) {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || copy(k[:], b) != len(k) {
		t.Fatalf("%s is no key: %v", text, err)
	}
	return k
}

// takenOver is the directory of a state file with one lock under this key.
func takenOver(t *testing.T, key string) string {
	t.Helper()
	file := placed(t, stateOf("l", key, 1))
	if _, err := takeOver(file); err != nil {
		t.Fatal(err)
	}
	return file + ".d"
}

// stateOf is a state file with one grant.
func stateOf(name, key string, size byte) []byte {
	b := append([]byte{1, 1, 's', 1, byte(len(name))}, name...)
	b = append(append(b, byte(len(key))), key...)
	return append(b, size, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1)
}

// A file is read once: what the directory says counts from then on.
func TestTakeOverOnce(t *testing.T) {
	file := placed(t, sample(t, "newest-one"))
	if _, err := takeOver(file); err != nil {
		t.Fatal(err)
	}
	n, _, closeNode := open(t, file+".d")
	do(t, n, &lock.Release{Hold: lock.Hold{Name: "first", Key: parse(t, "9309e11f-0a34-4a5e-945c-63d66fedb579")}})
	closeNode()
	if log, err := takeOver(file); err != nil || log != "" {
		t.Errorf("again: %v, %s", err, log)
	}
	if got := read(t, saved(t, file+".d")).Document().Holds; got != 0 {
		t.Errorf("%d holds have come back", got)
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(file, later, later); err != nil {
		t.Fatal(err)
	}
	if log, err := takeOver(file); err != nil || !strings.Contains(log, "is not read again") {
		t.Errorf("after the old server ran again: %v, %s", err, log)
	}
}

// What was interrupted anywhere is done anew, and whole.
func TestTakeOverInterrupted(t *testing.T) {
	file := placed(t, sample(t, "newest-three"))
	killed := errors.New("killed")
	calls := 0
	err := raftlog.Restore(raftlog.Config{Dir: file + ".d"}, raftlog.SnapshotInfo{}, func() ([]byte, error) {
		if calls++; calls > 1 {
			return nil, killed
		}
		return []byte("half of what was there"), nil
	})
	if !errors.Is(err, killed) {
		t.Fatalf("got %v", err)
	}
	if _, err := takeOver(file); err != nil {
		t.Fatal(err)
	}
	if got := read(t, saved(t, file+".d")).Document().Holds; got != 3 {
		t.Errorf("%d holds of 3", got)
	}
}

func TestTakeOverNothing(t *testing.T) {
	for what, file := range map[string]string{
		"missing": filepath.Join(t.TempDir(), "none"), "empty": placed(t, nil), "no locks": placed(t, []byte{0, 1, 1, 1, 1}),
	} {
		if log, err := takeOver(file); err != nil || log != "" {
			t.Errorf("%s: %v, %s", what, err, log)
		}
		if _, err := os.Stat(file + ".d"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: there is a directory: %v", what, err)
		}
	}
}

// Files that are none leave everything as it is.
func TestTakeOverRefused(t *testing.T) {
	const head = "loadState() error reading state file: "
	const v1 = head + "error unmarshaling state data: buffer too small\nstate_file "
	good := sample(t, "newest-three")
	big := append([]byte{1, 1, 's', 1, 1, 'l', 36}, "9309e11f-0a34-4a5e-945c-63d66fedb579"...)
	for what, c := range map[string]struct{ file, first, then string }{
		"garbage":   {placed(t, []byte("this is not a state file")), v1, "at byte 1:"},
		"cut short": {placed(t, good[:len(good)-1]), v1, "at byte "},
		"goes on":   {placed(t, append(slices.Clip(good), 0)), v1, "1 bytes follow"},
		"size 0":    {placed(t, append(big, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1)), v1, "size 0"},
		"a key in capitals": {
			placed(t, stateOf("l", "9309E11F-0a34-4a5e-945c-63d66fedb579", 1)), head + `lock "l": its key is "9309E11F`, "UUIDs",
		},
		"a key of words": {placed(t, stateOf("l", "my own key", 1)), head + `lock "l": its key is "my own key"`, "cannot be taken over"},
		"the zero key": {
			placed(t, stateOf("l", "00000000-0000-0000-0000-000000000000", 1)), head + `lock "l": its key is "0000`, "UUIDs",
		},
		"a directory": {t.TempDir(), head, "is a directory"},
	} {
		before, _ := os.ReadFile(c.file) // a directory has no content
		_, err := takeOver(c.file)
		if err == nil || !strings.HasPrefix(err.Error(), c.first) || !strings.Contains(err.Error(), c.then) || !strings.Contains(err.Error(), c.file) {
			t.Errorf("%s: got %v", what, err)
		}
		if after, _ := os.ReadFile(c.file); string(after) != string(before) {
			t.Errorf("%s: the file has changed", what)
		}
		if _, err := os.Stat(c.file + ".d"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: there is a directory: %v", what, err)
		}
	}
}

// What is in the documents of a server that took a file over has no whole key.
func TestTakenOverKeysAreShort(t *testing.T) {
	const whole = "9309e11f-0a34-4a5e-945c-63d66fedb579"
	parts, words := dumped(t, takenOver(t, whole))
	if len(parts) < 3 || strings.Contains(words, whole) || !strings.Contains(words, whole[:8]) {
		t.Errorf("got\n%s", words)
	}
	d := read(t, saved(t, takenOver(t, whole))).Document()
	text, err := document.Append(nil, d)
	if err != nil || strings.Contains(string(text), whole) {
		t.Errorf("%s, %v", text, err)
	}
}
