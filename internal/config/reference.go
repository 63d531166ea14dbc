package config

import (
	"fmt"
	"slices"
	"strings"
)

// referenceHead opens the reference.
const referenceHead = "# Configuration\n\n" +
	"<!-- Written by `make docs` from the struct Server in internal/config. Do not edit. -->\n\n" + `Everything that a server can be told, by ` + "`ldlm server` and `ldlm-server`" + ` alike. These say what is
in force and where each value came from, and whether a file is good:

    $ LDLM_LOG_LEVEL=debug ldlm config view -c ldlm.yaml
    $ ldlm config validate ldlm.yaml

## Where values come from

A flag wins over a variable of the environment, a variable over the configuration
file, the file over the default.

* **Flags** are written ` + "`--listen_address :3144`, `--listen_address=:3144`" + ` or
  ` + "`-l :3144`" + `; switches stand alone or have ` + "`=true` or `=false`" + `. Hyphens and underscores
  mean the same: ` + "`--listen-address`" + `.
* **Variables** are ` + "`LDLM_`" + ` and the flag's name in upper case. An empty variable counts
  as none; other variables that begin with ` + "`LDLM_`" + ` are left alone.
* **The file** is named by ` + "`--config_file`, or `LDLM_CONFIG_FILE`" + `, and is YAML
  (` + "`.yaml`, `.yml`) or JSON (`.json`)" + `. Its keys are the flags' names; nested keys are
  joined, so that ` + "`keepalive: {interval: 1m}` is `keepalive_interval: 1m`" + `. A value is
  taken by its text; null is as if the key were not there, and an empty text is a
  value: ` + "`ipc_socket_file: \"\"`" + ` turns the socket off. A key that does not exist, or that is
  there twice, keeps the server from starting.

Durations are numbers with units: ` + "`300ms`, `10s`, `1h2m3s`" + `.

` + "`ldlm config template`" + ` writes a file with all defaults, as YAML, as JSON, or as
variables (` + "`--format yaml|json|env`). `ldlm-server --print_yaml_template`" + ` and
` + "`--print_env_template`" + ` write down what is in force, secrets included. Each of them can
be read again as it is.

## While the server runs

On SIGHUP, and on ` + "`ldlm config reload`" + ` on its machine, the server reads file and
environment again. ` + "`log_level`, `password`" + `, the files of ` + "`password_file`" + ` and
` + "`tokens_file`" + `, and the certificates take effect at once; what else has changed is named in
the log and waits for the next start. If anything is wrong nothing changes, and the log says what.
` + "`ldlm config log-level debug`" + ` changes the level alone, until the configuration is read
again. A variable that looks like a misspelt setting is named at the start.

To change a password without anybody being shut out: add the new one to the file as
another line, reload, change the clients, take the old one out, reload.
`

// Reference is the manual of the settings as a page of Markdown.
func (b *Binding) Reference() string {
	var out strings.Builder
	out.WriteString(referenceHead)
	var groups []string
	for _, o := range b.options {
		if !slices.Contains(groups, o.group) {
			groups = append(groups, o.group)
		}
	}
	for _, g := range groups {
		fmt.Fprintf(&out, "\n## %s\n", g)
		for _, o := range b.options {
			if o.group == g && !o.flag.Hidden {
				out.WriteString(o.reference())
			}
		}
	}
	return out.String()
}

// reference describes one option.
func (o *option) reference() string {
	names := "`--" + o.flag.Name + "`"
	if o.flag.Shorthand != "" {
		names += ", `-" + o.flag.Shorthand + "`"
	}
	if o.env != "" {
		names += ", `" + o.env + "`"
	}
	kind := o.flag.Value.Type()
	switch {
	case o.enum != nil:
		kind = "one of " + strings.Join(o.enum, ", ")
	case kind == "bool":
		kind = "true or false"
	case kind == "uint32", kind == "uint64":
		kind = "number"
	case o.isFile():
		kind = "path"
	}
	more := kind
	if o.flag.DefValue != "" {
		more += "; default `" + o.flag.DefValue + "`"
	}
	if o.since == "" && o.env != "" {
		more += "; as in version 1"
	}
	return fmt.Sprintf("\n### %s\n\n%s  \n%s\n\n%s.\n", o.flag.Name, names, more, sentence(o.flag.Usage))
}

// sentence begins with a capital.
func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
