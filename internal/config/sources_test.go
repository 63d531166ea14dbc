package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ldlm-io/ldlm/internal/config"
)

// write makes a file of the test's own and returns its path.
func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// values are three texts for a field, each another than the default, for file,
// environment and flag.
func values(t *testing.T, f reflect.StructField) [3]string {
	t.Helper()
	if enum := f.Tag.Get("enum"); enum != "" {
		var all []string
		for word := range strings.SplitSeq(enum, ",") {
			if word != f.Tag.Get("default") {
				all = append(all, word)
			}
		}
		return [3]string{all[0], all[1], all[len(all)-1]}
	}
	switch f.Type.Kind() {
	case reflect.Bool:
		return [3]string{"true", "true", "true"}
	case reflect.Uint32, reflect.Uint64:
		return [3]string{"1", "2", "3"}
	case reflect.Int64:
		return [3]string{"1s", "1m0s", "-3ms"}
	case reflect.String:
		return [3]string{"a b", "c:d", "é#"}
	default:
		t.Fatalf("%s is of a kind that this test does not know", f.Name)
		return [3]string{}
	}
}

// fileText writes one setting down.
func fileText(format, name, value string, kind reflect.Kind) string {
	quoted := fmt.Sprintf("%q", value)
	if kind == reflect.Bool || kind == reflect.Uint32 || kind == reflect.Uint64 {
		quoted = value
	}
	switch format {
	case "yaml":
		return name + ": " + quoted + "\n"
	case "yml": // plain, and in kebab case
		return strings.ReplaceAll(name, "_", "-") + ": '" + value + "'\n"
	default:
		return fmt.Sprintf("{%q: %s}\n", name, quoted)
	}
}

// Every option, from every source, against every weaker one.
func TestEveryOptionFromEverySource(t *testing.T) {
	for f := range reflect.TypeFor[config.Server]().Fields() {
		name, env := f.Tag.Get("name"), f.Tag.Get("env")
		for _, format := range []string{"yaml", "yml", "json"} {
			for sources := range 8 {
				file, variable, flag := sources&1 != 0, sources&2 != 0, sources&4 != 0
				if (file || variable) && env == "" || file && name == "config_file" {
					continue
				}
				o := trial{t: t, field: f, format: format}
				o.run(file, variable, flag)
			}
		}
	}
}

// A trial sets one option in some places and looks at what comes of it.
type trial struct {
	t      *testing.T
	field  reflect.StructField
	format string
}

func (o *trial) run(file, variable, flag bool) {
	o.t.Helper()
	name, v := o.field.Tag.Get("name"), values(o.t, o.field)
	want, from := o.field.Tag.Get("default"), "default"
	env, args := map[string]string{}, []string{}
	if file {
		path := write(o.t, "x."+o.format, fileText(o.format, name, v[0], o.field.Type.Kind()))
		env["LDLM_CONFIG_FILE"] = path
		want, from = v[0], "file "+path+":1"
	}
	if variable {
		env[o.field.Tag.Get("env")] = v[1]
		want, from = v[1], "env "+o.field.Tag.Get("env")
	}
	if flag {
		args = append(args, "--"+name+"="+v[2])
		want, from = v[2], "flag --"+name
	}
	if name == "config_file" && (variable || flag) {
		return // it must be a file; other tests have that
	}
	s, b, err := load[config.Server](env, args...)
	if err != nil {
		o.t.Errorf("%s %v %v: %v", name, env, args, err)
		return
	}
	got := fmt.Sprint(reflect.ValueOf(s).FieldByIndex(o.field.Index))
	if want == "" {
		want = fmt.Sprint(reflect.Zero(o.field.Type))
	}
	if got != want || b.Origin(name).String() != from {
		o.t.Errorf("%s %v %v: got %q from %s, want %q from %s", name, env, args, got, b.Origin(name), want, from)
	}
}

// A switch that is on is turned off by what is stronger.
func TestSwitchesAreTurnedOff(t *testing.T) {
	on := write(t, "on.yaml", "no_clear_on_disconnect: true\n")
	off := write(t, "off.json", `{"no_clear_on_disconnect": false}`)
	for _, c := range []struct {
		env  map[string]string
		args string
		want bool
	}{
		{nil, "-c " + on, true},
		{nil, "-n=false -c " + on, false},
		{map[string]string{"LDLM_NO_CLEAR_ON_DISCONNECT": "false"}, "-c " + on, false},
		{map[string]string{"LDLM_NO_CLEAR_ON_DISCONNECT": "true"}, "-c " + off, true},
		{map[string]string{"LDLM_NO_CLEAR_ON_DISCONNECT": "true"}, "--no_clear_on_disconnect=false", false},
		{map[string]string{"LDLM_NO_CLEAR_ON_DISCONNECT": ""}, "-c" + on, true},
	} {
		if s := mustLoad(t, c.env, strings.Fields(c.args)...); s.NoClearOnDisconnect != c.want {
			t.Errorf("%v %s: %v", c.env, c.args, s.NoClearOnDisconnect)
		}
	}
}

func TestWhichFile(t *testing.T) {
	one, two := write(t, "1.YAML", "shards: 1"), write(t, "2.Json", `{"shards": 2}`)
	for _, c := range []struct {
		env, args string
		want      uint32
	}{
		{"", "", 16},
		{one, "", 1},
		{one, "-c " + two, 2},
		{one, "--config_file=", 16},
		{"", "-n --config-file " + two + " -v debug", 2},
		{"", "-n -c=" + two, 2},
		{"", "-c " + one + " -c " + two, 2},
	} {
		if s := mustLoad(t, map[string]string{"LDLM_CONFIG_FILE": c.env}, strings.Fields(c.args)...); s.Shards != c.want {
			t.Errorf("LDLM_CONFIG_FILE=%s %s: shards %d, want %d", c.env, c.args, s.Shards, c.want)
		}
	}
}
