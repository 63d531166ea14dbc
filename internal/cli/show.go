package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm"
)

// outputFlags are the flags of commands that show something.
type outputFlags struct {
	*clientFlags
	format format
	watch  bool
	every  time.Duration
}

// addOutputFlags gives a command the flags of all clients, and those of all that
// show something.
func addOutputFlags(p *Process, c *cobra.Command) *outputFlags {
	o := &outputFlags{clientFlags: addClientFlags(p, c)}
	o.addOutput(c)
	return o
}

// addLocalOutputFlags gives a command that asks no server the flags of all that show
// something.
func addLocalOutputFlags(p *Process, c *cobra.Command) *outputFlags {
	o := &outputFlags{clientFlags: &clientFlags{p: p, flags: c.Flags()}}
	c.Flags().Var(choiceValue(&o.color, colorAuto, colorAlways, colorNever), "color", "auto, always or never")
	completeWords(c, "color", colorAuto, colorAlways, colorNever)
	o.addOutput(c)
	return o
}

func (o *outputFlags) addOutput(c *cobra.Command) {
	c.Flags().VarP(&o.format, "output", "o", "table, wide, json, yaml, name or go-template=TEMPLATE")
	completeWords(c, "output", formatTable, formatWide, formatJSON, formatYAML, formatName, goTemplate)
}

// addWatch adds --watch.
func (o *outputFlags) addWatch(c *cobra.Command) {
	o.every = 2 * time.Second
	c.Flags().BoolVarP(&o.watch, "watch", "w", false, "again and again: a screen on a terminal, JSON Lines elsewhere")
	c.Flags().Var(durationValue(&o.every), "every", "with --watch, how often to look")
}

// printer returns what writes in the format that was asked for, or else in the
// one that suits where stdout goes.
func (o *outputFlags) printer(stream bool) *printer {
	f := o.format
	if f.name == "" {
		f.name = formatTable
		if stream && !o.p.StdoutIsTerminal {
			f.name = formatJSON
		}
	}
	return &printer{out: o.p.Stdout, format: f, stream: stream, color: o.colors(), terminal: o.p.StdoutIsTerminal}
}

// A look asks a server and returns what is to be shown.
type look func(ctx context.Context, c *ldlm.Client) (view, error)

// show looks and prints, once or until a signal comes. --timeout bounds each look.
func (o *outputFlags) show(ctx context.Context, look look) error {
	return o.showLook(ctx, func(ctx context.Context, c *ldlm.Client) (v view, err error) {
		err = o.inTime(ctx, func(ctx context.Context) error {
			v, err = look(ctx, c)
			return err
		})
		return v, err
	})
}

// showLook is show for looks that bound themselves.
func (o *outputFlags) showLook(ctx context.Context, look look) error {
	if !o.watch {
		return o.connected(ctx, func(ctx context.Context, c *ldlm.Client) error {
			v, err := look(ctx, c)
			return errors.Join(o.printUnlessEmpty(v), err)
		})
	}
	return o.connected(ctx, func(ctx context.Context, c *ldlm.Client) error { return o.refresh(ctx, c, look) })
}

// printUnlessEmpty prints, if there is anything.
func (o *outputFlags) printUnlessEmpty(v view) error {
	if v.doc == nil {
		return nil
	}
	return o.printer(false).print(v)
}

// refresh looks and prints until the context ends. Servers that cannot be reached
// are waited for, once one has answered.
func (o *outputFlags) refresh(ctx context.Context, c *ldlm.Client, look look) error {
	p := o.printer(true)
	screen := o.p.StdoutIsTerminal && (p.format.name == formatTable || p.format.name == formatWide)
	pause := time.NewTicker(max(o.every, 10*time.Millisecond))
	defer pause.Stop()
	for answered := false; ; {
		v, err := look(ctx, c)
		switch {
		case err == nil:
			answered = true
			if screen {
				v = onScreen(v, o.p.stdoutLines())
			}
			err = p.print(v)
		case answered && errors.Is(err, ldlm.ErrUnavailable):
			o.note("%s", withoutPackage(err))
			err = nil
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-pause.C:
		}
	}
}

// onScreen makes a view replace the one before it, on a screen of so many lines, 0 if
// nobody knows how many: what is too long or too wide for it is cut off, so that it does
// not scroll. Nothing is cleared before it is written over, so that it does not flicker.
func onScreen(v view, height int) view {
	const home, clearLine, clearBelow, cut, wrap = "\x1b[H", "\x1b[K", "\x1b[J", "\x1b[?7l", "\x1b[?7h"
	lines := v.lines
	v.lines = func(wide, color bool) []string {
		shown := lines(wide, color)
		const own = 2 // the first and the last
		if most := height - own; height > 0 && len(shown) > most {
			hidden := len(shown) - max(most-1, 0)
			shown = append(shown[:len(shown)-hidden:len(shown)-hidden], fmt.Sprintf("… and %d more", hidden))
		}
		for i := range shown {
			shown[i] += clearLine
		}
		return append([]string{cut + home + clearLine}, append(shown, clearBelow+wrap)...)
	}
	return v
}
