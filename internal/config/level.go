package config

import (
	"fmt"
	"log/slog"
)

// Level is the least level of the lines that are logged, in the words of the
// command line. Words of other cases are levels too; which of them are allowed is
// the setting's enum.
type Level string

// Set makes a Level a flag's value.
func (l *Level) Set(text string) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(text)); err != nil {
		return fmt.Errorf("invalid Level: %q", text)
	}
	*l = Level(text)
	return nil
}

// String returns the word.
func (l *Level) String() string { return string(*l) }

// Type is what help calls the value.
func (l *Level) Type() string { return "Level" }

// Level makes a Level usable as the level of a handler. The zero value is info.
func (l Level) Level() slog.Level {
	var level slog.Level
	if l != "" && level.UnmarshalText([]byte(l)) != nil {
		panic("config: a Level that was not set by Set: " + string(l))
	}
	return level
}
