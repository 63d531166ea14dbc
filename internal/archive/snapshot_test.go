package archive_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm/internal/archive"
	"github.com/ldlm-io/ldlm/internal/document"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// A snapshot that a running server saved, one of its directory after it ended, and
// one of what was restored tell of the same locks.
func TestSavedEverywhere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	n, j, closeNode := open(t, dir)
	fill(t, n)
	var online bytes.Buffer
	if err := j.SaveSnapshot(t.Context(), &online); err != nil {
		t.Fatal(err)
	}
	closeNode()
	if err := archive.Verify(bytes.NewReader(online.Bytes())); err != nil {
		t.Errorf("verify: %v", err)
	}
	want := read(t, online.Bytes()).Document().Counts
	if want.Holds != 2 || want.Sessions != 1 {
		t.Fatalf("the server saved %+v", want)
	}
	offline := read(t, saved(t, dir))
	if got := offline.Document().Counts; got != want {
		t.Errorf("saved offline: %+v, want %+v", got, want)
	}
	restored := filepath.Join(t.TempDir(), "restored")
	if _, err := offline.Restore(archive.Target{Dir: restored}, 0); err != nil {
		t.Fatal(err)
	}
	if got := read(t, saved(t, restored)).Document().Counts; got != want {
		t.Errorf("restored: %+v, want %+v", got, want)
	}
}

// A log behind the snapshot is in what is saved.
func TestSaveHasTheLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	n, j, closeNode := open(t, dir)
	fill(t, n)
	if err := j.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	token := do(t, n, &lock.Acquire{Items: []lock.Item{{Name: "later"}}, Lease: lock.Minute, Key: lock.Key{1}}).Token
	killed := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	closeNode()
	s := read(t, saved(t, killed))
	if d := s.Document(); d.Token != document.NumberOf(uint64(token)) || !strings.Contains(s.Words(), `lock "later"`) {
		t.Errorf("got %+v\n%s", d, s.Words())
	}
	parts, words := dumped(t, killed)
	if !strings.Contains(words, "in the snapshot") || !strings.HasSuffix(words, "state after entry "+string(s.Document().Entry)+"\n"+indent(s.Words())) {
		t.Errorf("dumped are %d parts:\n%s", len(parts), words)
	}
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}

// quietTime is the longest ttl and the lease of a member.
const quietTime = 75 * time.Second

// A restored server keeps its holders, grants nothing to others while clients of the
// time after the snapshot may believe in what they were granted, and gives out
// greater tokens than those.
func TestRestore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	n, j, closeNode := open(t, dir)
	session := fill(t, n)
	var file bytes.Buffer
	if err := j.SaveSnapshot(t.Context(), &file); err != nil {
		t.Fatal(err)
	}
	late := do(t, n, &lock.Acquire{Items: []lock.Item{{Name: "after the snapshot"}}, Lease: lock.Minute, Key: lock.Key{1}}).Token
	closeNode()

	restored := filepath.Join(t.TempDir(), "restored")
	d, err := read(t, file.Bytes()).Restore(archive.Target{Dir: restored}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if *d.QuietMS != quietTime.Milliseconds() || d.Directory != restored || d.LongSessions != 0 ||
		len(d.MayOutlast) != 1 || d.MayOutlast[0].Lock != "outside" || d.MayOutlast[0].KeyPrefix != "cafebabe" {
		t.Errorf("restored: %+v", d)
	}
	n, _, _ = open(t, restored)
	o, err := n.Call(t.Context(), &lock.Acquire{Items: []lock.Item{{Name: "after the snapshot"}}, Lease: lock.Minute, Key: lock.Key{2}})
	if err != nil || o.Code != lock.Quiet {
		t.Errorf("in the quiet time: %v, %v", o.Code, err)
	}
	do(t, n, &lock.KeepAlive{Caller: lock.Caller{Session: session, Proof: &secret}})
	do(t, n, &lock.Renew{Hold: lock.Hold{Name: "outside", Key: key}, Lease: 10 * lock.Minute})
	n.Advance(quietTime)
	if got := do(t, n, &lock.Acquire{Items: []lock.Item{{Name: "after the snapshot"}}, Lease: lock.Minute, Key: lock.Key{2}}).Token; got <= late {
		t.Errorf("token %d after the quiet time; %d was given out before", got, late)
	}
	if _, err := read(t, file.Bytes()).Restore(archive.Target{Dir: restored}, 0); err == nil || !strings.Contains(err.Error(), "another process uses it") {
		t.Errorf("into the directory of a running server: %v", err)
	}
}

func TestRestoreQuietly(t *testing.T) {
	file := saved(t, filled(t))
	d, err := read(t, file).Restore(archive.Target{Dir: filepath.Join(t.TempDir(), "a")}, time.Hour)
	if err != nil || d.Quiet != "1h0m0s" {
		t.Errorf("for an hour: %+v, %v", d, err)
	}
	if d, err = read(t, file).Restore(archive.Target{Dir: filepath.Join(t.TempDir(), "b")}, time.Second); err != nil || d.Quiet != "1m15s" {
		t.Errorf("for too short: %+v, %v", d, err)
	}
	used := filled(t)
	if _, err = read(t, file).Restore(archive.Target{Dir: used}, 0); err == nil || !strings.Contains(err.Error(), "restore into an empty one") {
		t.Errorf("over data: %v", err)
	}
	if got := read(t, saved(t, used)).Document().Counts.Holds; got != 2 {
		t.Errorf("the data there: %d holds", got)
	}
}

// What is not a whole snapshot as it was written is refused: cut anywhere, with any
// bit flipped, foreign, or of a newer version.
func TestBadSnapshots(t *testing.T) {
	good := saved(t, filled(t))
	refused := func(what string, file []byte) {
		t.Helper()
		if _, err := archive.Read(bytes.NewReader(file)); err == nil || !strings.Contains(err.Error(), " at byte ") {
			t.Errorf("%s: %v", what, err)
		}
		if archive.Verify(bytes.NewReader(file)) == nil {
			t.Errorf("%s: it was found good", what)
		}
	}
	for i := range good {
		refused("cut at byte "+strconv.Itoa(i), good[:i])
		flipped := bytes.Clone(good)
		flipped[i] ^= 1 << (i % 8)
		refused("flipped byte "+strconv.Itoa(i), flipped)
	}
	refused("goes on", append(bytes.Clone(good), 0))
	for what, c := range map[string]struct {
		file []byte
		text string
	}{
		"foreign":  {[]byte("%PDF-1.4 and much more that is no snapshot"), "it is not a snapshot"},
		"empty":    {nil, "it ends early"},
		"of later": {newer(good), "use a newer one"},
	} {
		if _, err := archive.Read(bytes.NewReader(c.file)); err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// newer is a snapshot as a newer version might write it.
func newer(file []byte) []byte {
	b := bytes.Clone(file)
	binary.LittleEndian.PutUint32(b[8:], 2)
	end := 16 + binary.LittleEndian.Uint32(b[12:])
	binary.LittleEndian.PutUint32(b[end:], crc32.Checksum(b[:end], crc32.MakeTable(crc32.Castagnoli)))
	return b
}
