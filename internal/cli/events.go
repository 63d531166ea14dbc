package cli

import (
	"strings"

	"github.com/ldlm-io/ldlm/internal/document"
)

// wordText is a word of documents for people.
func wordText(word string) string { return strings.ReplaceAll(word, "_", " ") }

// eventStyle is the colour of an event.
func eventStyle(word string) style {
	switch word {
	case "acquired":
		return good
	case "queued", "revoked", "session_detached":
		return attention
	case "expired", "forced", "session_expired", "session_killed", document.Reset:
		return trouble
	case "renewed", "value_set":
		return faint
	default:
		return plain
	}
}

// eventText says who, and what there is to know besides.
func eventText(e document.Event) string {
	var parts []string
	if e.Holder != nil {
		parts = append(parts, clientText(e.Holder.Client, e.Holder.Session))
	}
	if e.Token != "" {
		parts = append(parts, "token "+string(e.Token))
	}
	switch {
	case e.HeldMS != nil:
		parts = append(parts, "held "+shortDuration(inGo(e.HeldMS)))
	case e.WaitMS != nil:
		parts = append(parts, "after "+shortDuration(inGo(e.WaitMS)))
	}
	if e.Permits > 1 {
		parts = append(parts, number(e.Permits)+" permits")
	}
	if e.Mode == document.Shared {
		parts = append(parts, "shared")
	}
	if e.Type == "resized" && e.Size > 0 {
		parts = append(parts, "to size "+number(e.Size))
	}
	if e.Reason != "" && e.Reason != e.Type {
		parts = append(parts, "("+wordText(e.Reason)+")")
	}
	return strings.Join(parts, " ")
}
