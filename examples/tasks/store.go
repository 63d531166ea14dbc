package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/ldlm-io/ldlm/examples/internal/stage"
)

// numberOfTasks there are.
const numberOfTasks = 20

// A store is a file with what happened to tasks, in order: "start TASK WORKER" and
// "done TASK WORKER". It stands for a table of a database.
type store string

// note appends what happened to a task.
func (s store) note(what, task, worker string) error {
	f, err := os.OpenFile(string(s), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, what, task, worker)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// workers returns who did that with a task, in order.
func (s store) workers(what, task string) ([]string, error) {
	lines, err := stage.Lines(string(s))
	var names []string
	for _, line := range lines {
		if name, ok := strings.CutPrefix(line, what+" "+task+" "); ok {
			names = append(names, name)
		}
	}
	return names, err
}

func (s store) isDone(task string) (bool, error) {
	names, err := s.workers("done", task)
	return len(names) > 0, err
}

// open returns the tasks that are not done.
func (s store) open() ([]string, error) {
	lines, err := stage.Lines(string(s))
	var open []string
	for i := range numberOfTasks {
		task := fmt.Sprintf("task-%d", i)
		done := slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "done "+task+" ") })
		if !done {
			open = append(open, task)
		}
	}
	return open, err
}
