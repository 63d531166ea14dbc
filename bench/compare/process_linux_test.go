package compare

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// parentVariable makes this program a parent, for TestChildrenEndWithTheirParent.
const parentVariable = "LDLM_COMPARE_PARENT"

// parent starts a child that keeps stdout open, and waits to be killed.
func parent() int {
	c := exec.Command("sleep", "3600")
	c.Stdout, c.SysProcAttr = os.Stdout, apart()
	if err := c.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("started")
	select {}
}

// What a comparison has started ends with it, even if it is killed.
func TestChildrenEndWithTheirParent(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self)
	c.Env = append(c.Environ(), parentVariable+"=1")
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(out)
	if line, err := said.ReadString('\n'); line != "started\n" {
		t.Fatalf("it says %q, %v", line, err)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// There is an end only once nobody can write any more.
	if rest, err := io.ReadAll(said); len(rest) > 0 || err != nil {
		t.Errorf("it says %q, %v", rest, err)
	}
	c.Wait()
}

func TestKilledProcessesAreGone(t *testing.T) {
	p, err := start(t.Context(), "sleep", "sleep", "3600")
	if err != nil {
		t.Fatal(err)
	}
	if group, err := syscall.Getpgid(p.pid()); err != nil || group != p.pid() {
		t.Errorf("it is in group %d, %v", group, err)
	}
	p.kill()
	if err := syscall.Kill(p.pid(), 0); err == nil {
		t.Error("it is still there")
	}
	p.kill() // once more does nothing
}
