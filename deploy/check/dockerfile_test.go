package check

import (
	"bytes"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// lint is BuildKit's linter; what it finds fails the test.
func lint(t *testing.T) *linter.Linter {
	return linter.New(&linter.Config{Warn: func(rule, description, _, message string, _ []parser.Range) {
		t.Errorf("%s: %s (%s)", rule, message, description)
	}})
}

// The image that anybody builds and the one of a release are the same.
func TestDockerfiles(t *testing.T) {
	for _, name := range []string{"Dockerfile", "release.Dockerfile"} {
		t.Run(name, func(t *testing.T) { checkImage(t, read(t, "../docker/"+name)) })
	}
}

func checkImage(t *testing.T, dockerfile []byte) {
	ast, err := parser.Parse(bytes.NewReader(dockerfile))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range ast.Warnings {
		t.Error(w.Short)
	}
	stages, _, err := instructions.Parse(ast.AST, lint(t))
	if err != nil {
		t.Fatal(err)
	}
	last := stages[len(stages)-1]
	if last.BaseName != "gcr.io/distroless/static:nonroot" {
		t.Errorf("the image is made from %s", last.BaseName)
	}
	got := map[string]string{}
	for _, c := range last.Commands {
		switch c := c.(type) {
		case *instructions.EntrypointCommand:
			got["entrypoint"] = strings.Join(c.CmdLine, " ")
			if c.PrependShell {
				t.Error("the entry point needs a shell, which there is not")
			}
		case *instructions.HealthCheckCommand:
			got["health"] = strings.Join(c.Health.Test, " ")
		case *instructions.EnvCommand:
			for _, kv := range c.Env {
				got[kv.Key] = kv.Value
			}
		case *instructions.ExposeCommand:
			got["expose"] = strings.Join(c.Ports, " ")
		case *instructions.UserCommand:
			got["user"] = c.User
		case *instructions.RunCommand:
			t.Error("RUN in an image without a shell")
		}
	}
	for name, want := range map[string]string{
		"entrypoint": "/ldlm-server", "health": "CMD /ldlm ping", "LDLM_LISTEN_ADDRESS": "0.0.0.0:3144",
		"expose": "3144 3145", "user": "nonroot:nonroot",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

// A linter that finds nothing anywhere would be no proof.
func TestLinterBites(t *testing.T) {
	ast, err := parser.Parse(strings.NewReader("FROM scratch as a\nENV x y\n"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	l := linter.New(&linter.Config{Warn: func(string, string, string, string, []parser.Range) { found++ }})
	if _, _, err := instructions.Parse(ast.AST, l); err != nil || found == 0 {
		t.Errorf("%d findings, %v", found, err)
	}
}
