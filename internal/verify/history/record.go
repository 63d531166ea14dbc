package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Type says what a record is about.
type Type string

// The types of records. One request is a Begin and one of Granted, Refused, None and
// Unknown, all with its ID; what has no second record is unknown. A hold is ended by
// at most one End.
const (
	Begin   Type = "begin"   // a lock is asked for, at At
	Granted Type = "granted" // the client was told so at At
	Refused Type = "refused" // a try was told that the lock is held
	None    Type = "none"    // nothing was granted, for sure
	Unknown Type = "unknown" // the client does not know
	Ghost   Type = "ghost"   // the request may have been granted besides, unseen
	Place   Type = "place"   // the client knew at At that the request stands in the queue
	Sure    Type = "sure"    // the holder was sure of its hold at Call
	End     Type = "end"     // released; At is 0 if that is not confirmed
	Read    Type = "read"    // who held the lock, asked at Call and told at At
)

// Record is one line of a history. Times are nanoseconds of one clock that all
// clients share.
type Record struct {
	Type   Type   `json:"t"`
	ID     uint64 `json:"id,omitempty"`
	Client int    `json:"client,omitempty"`
	Lock   string `json:"lock,omitempty"`
	Shared bool   `json:"shared,omitempty"`
	// Size is how many may hold the lock.
	Size int `json:"size,omitempty"`
	// Token is 0 where the protocol does not tell it.
	Token  uint64   `json:"token,omitempty"`
	Tokens []uint64 `json:"tokens,omitempty"`
	Call   int64    `json:"call,omitempty"`
	At     int64    `json:"at,omitempty"`
}

// ReadFile reads the records of a file, one a line. A last line that is cut short, as
// a killed client leaves it, is passed over.
func ReadFile(name string) ([]Record, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it is only read
	var all []Record
	lines := bufio.NewReader(f)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		var r Record
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", name, number, err)
		}
		all = append(all, r)
	}
}
