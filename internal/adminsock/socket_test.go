package adminsock_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/ldlm-io/ldlm/internal/adminsock"
)

// stale leaves a socket that nobody listens on, as a killed server does.
func stale(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// listen makes a socket that the test gives up at its end.
func listen(t *testing.T, path string) *adminsock.Socket {
	t.Helper()
	s, err := adminsock.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// exists is the message where something is in the way.
func exists(path string) string {
	return "ipc.Run(): file: " + path + " exists. IPC socket file already exists. If another instance of ldlm isn't running, " +
		"delete the socket file and try again. Otherwise, shut down that instance before starting a new one. " +
		"Alternatively specify a different IPC socket file"
}

// wantNoSocket checks that Listen refuses.
func wantNoSocket(t *testing.T, path, text string) {
	t.Helper()
	if s, err := adminsock.Listen(path); err == nil {
		s.Close()
		t.Errorf("%s: listening, want error %s", path, text)
	} else if err.Error() != text {
		t.Errorf("%s: got error %v\nwant %s", path, err, text)
	}
}

// names lists a folder.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

func TestSocketIsTheOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	s := listen(t, path)
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Type() != fs.ModeSocket || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the socket's mode is %v, want Srw-------", info.Mode())
	}
	if got := names(t, dir); got != "s" {
		t.Errorf("the folder has %q, want the socket alone", got)
	}
	s.Close()
	if got := names(t, dir); got != "" {
		t.Errorf("after Close the folder has %q", got)
	}
	s.Close()
}

func TestStaleSocketIsTakenOver(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	stale(t, path)
	if err := os.WriteFile(path+".lock", nil, 0o600); err != nil { // of a server killed while it began
		t.Fatal(err)
	}
	listen(t, path)
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if got := names(t, dir); runtime.GOOS != "windows" && got != "s" {
		t.Errorf("the folder has %q, want the socket alone", got)
	}
}

func TestWhatIsInTheWayStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listen(t, path)
	wantNoSocket(t, path, exists(path))
	if c, err := net.Dial("unix", path); err != nil {
		t.Errorf("the other server's socket is gone: %v", err)
	} else {
		_ = c.Close()
	}

	dir := t.TempDir()
	file, folder, link := filepath.Join(dir, "file"), filepath.Join(dir, "folder"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, folder, link} {
		wantNoSocket(t, path, exists(path))
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "mine" {
		t.Errorf("the file has %q, error %v", got, err)
	}
}

func TestPathsThatCannotBe(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "no", "s")
	wantNoSocket(t, missing, "ipc.Run(): ipc.Run() net.listen error: listen unix "+missing+": bind: no such file or directory")

	long := filepath.Join(t.TempDir(), strings.Repeat("x", 120))
	if s, err := adminsock.Listen(long); err == nil {
		s.Close()
		t.Error("a path that is too long is accepted")
	} else if !strings.Contains(err.Error(), long) || !strings.Contains(err.Error(), "choose a shorter one") {
		t.Errorf("got %v, want an error with the path and what to do", err)
	}
	wantNoSocket(t, "@ldlm", "ipc.Run(): socket path @ldlm begins with @: such a socket has no file whose rights would protect it; "+
		"write ./@ldlm if you mean a file")
}

// The longest path that works is not refused.
func TestLongestPath(t *testing.T) {
	t.Chdir(t.TempDir())
	longest := 0
	for n := 1; n < 200; n++ {
		path := strings.Repeat("x", n)
		s, err := adminsock.Listen(path)
		if err == nil {
			longest = n
			s.Close()
		} else if !strings.Contains(err.Error(), "choose a shorter one") {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	if longest < 90 {
		t.Errorf("paths of more than %d bytes are refused", longest)
	}
}

// A socket that somebody else has made at the path since is not removed.
func TestCloseLeavesOthersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first := listen(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	listen(t, path)
	first.Close()
	if c, err := net.Dial("unix", path); err != nil {
		t.Errorf("the other socket is gone: %v", err)
	} else {
		_ = c.Close()
	}
}

// Of many that begin at once over a stale socket, one has it, and it works.
func TestOneOfManyTakesOver(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("servers that begin at the same moment are not told apart here")
	}
	for range 50 {
		path := filepath.Join(t.TempDir(), "s")
		stale(t, path)
		var mu sync.Mutex
		var got []*adminsock.Socket
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				s, err := adminsock.Listen(path)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					got = append(got, s)
				} else if err.Error() != exists(path) {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if len(got) != 1 {
			t.Errorf("%d servers have the socket", len(got))
		}
		if c, err := net.Dial("unix", path); err != nil {
			t.Error(err)
		} else {
			_ = c.Close()
		}
		for _, s := range got {
			s.Close()
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	err := adminsock.NewClient(path).List(t.Context(), func(adminsock.Grant) error { return nil })
	if want := "dial unix " + path + ": connect: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	stale(t, path)
	err = adminsock.NewClient(path).Unlock(t.Context(), "a", nil)
	if op := (*net.OpError)(nil); !errors.As(err, &op) || op.Op != "dial" {
		t.Errorf("got %v, want an error of the dial", err)
	}
}
