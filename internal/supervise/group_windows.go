package supervise

import (
	"errors"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// A group is a job: the child and all that it starts. It has a handle that no
// other process has, and ends with it.
type group struct {
	foreground bool
	mark       string
	pid        int
	job        windows.Handle
}

func attributes(bool) *syscall.SysProcAttr { return nil }

// newGroup returns the group of a child that is still to be started.
func newGroup(c Config) group { return group{foreground: c.Foreground, mark: c.Mark} }

// adopt puts the child into a job.
func (g *group) adopt(p *os.Process) error {
	g.pid = p.Pid
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return err
	}
	g.job = job
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	if _, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits))); err == nil {
		err = g.assign(uint32(p.Pid)) //nolint:gosec // numbers of processes are 32 bits there
	}
	if err != nil {
		g.release()
	}
	return err
}

func (g *group) assign(pid uint32) error {
	process, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, pid)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(process) //nolint:errcheck // nothing was written
	return windows.AssignProcessToJobObject(g.job, process)
}

// release: what is left dies.
func (g *group) release() {
	if g.job != 0 {
		_ = windows.CloseHandle(g.job)
		g.job = 0
	}
}

// forward: ^C goes to all of a console.
func (g *group) forward(os.Signal) error { return errors.ErrUnsupported }

func (g *group) terminate() error { return errors.ErrUnsupported }

func (g *group) kill() error {
	const code = 137
	return windows.TerminateJobObject(g.job, code)
}

// members returns the processes of the job, as many as one answer has room for.
func (g *group) members() ([]int, error) {
	const room = 1024
	var list struct {
		assigned, listed uint32
		pids             [room]uintptr
	}
	err := windows.QueryInformationJobObject(g.job, windows.JobObjectBasicProcessIdList,
		uintptr(unsafe.Pointer(&list)), uint32(unsafe.Sizeof(list)), nil)
	if err != nil && !errors.Is(err, windows.ERROR_MORE_DATA) {
		return nil, err
	}
	var all []int
	for _, pid := range list.pids[:min(list.listed, room)] {
		all = append(all, int(pid))
	}
	return all, nil
}

func exitCode(s *os.ProcessState) int { return s.ExitCode() }
