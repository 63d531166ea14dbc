package tokens

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/nearest"
)

// Bounds of what a line has.
const (
	// MaxNameBytes bounds a principal's name.
	MaxNameBytes = 63
	// maxPrefixBytes bounds a prefix, maxEach how often a field may stand.
	maxPrefixBytes, maxEach = 1024, 64
)

// Names of fields.
const (
	fieldName        = "name"
	fieldRole        = "role"
	fieldToken       = "sha256"
	fieldCertificate = "certificate"
	fieldPrefix      = "prefix"
)

// limitOf is where the limit of a field goes, an *int or *int64; nil if the field has
// none.
func limitOf(l *auth.Limits, field string) any {
	switch field {
	case "max_sessions":
		return &l.Sessions
	case "max_locks":
		return &l.Locks
	case "max_waiters":
		return &l.Waiters
	case "max_connections":
		return &l.Connections
	case "max_bytes":
		return &l.Bytes
	default:
		return nil
	}
}

// fieldNames are the fields that there are, in the order in which they are written.
func fieldNames() []string {
	return []string{
		fieldName, fieldRole, fieldToken, fieldCertificate, fieldPrefix,
		"max_sessions", "max_locks", "max_waiters", "max_connections", "max_bytes",
	}
}

// kindsOfNames are the kinds of names that certificates have.
func kindsOfNames() []string { return []string{"uri:", "dns:", "email:", "cn:"} }

// parseLine reads the account of a line.
func parseLine(line string) (*auth.Account, error) {
	a := &auth.Account{}
	seen := map[string]int{}
	for rest := strings.TrimSpace(line); rest != ""; rest = strings.TrimLeft(rest, " \t") {
		var key, value string
		var err error
		if key, value, rest, err = cutField(rest); err != nil {
			return nil, err
		}
		if !slices.Contains(fieldNames(), key) {
			return nil, fmt.Errorf("there is no field %q%s", key, meant(key, fieldNames()))
		}
		seen[key]++
		repeats := key == fieldToken || key == fieldCertificate || key == fieldPrefix
		switch {
		case seen[key] > 1 && !repeats:
			return nil, fmt.Errorf("%s stands twice, and there is one", key)
		case seen[key] > maxEach:
			return nil, fmt.Errorf("%s stands more than %d times", key, maxEach)
		}
		if err := setField(a, key, value); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	return a, Check(a)
}

// cutField takes the first field off a line. No error shows a value: somebody may
// have written a token.
func cutField(line string) (key, value, rest string, err error) {
	end := strings.IndexAny(line, "= \t\"")
	if end <= 0 || line[end] != '=' {
		word := line
		if end > 0 {
			word = line[:end]
		}
		if !isWord(word) {
			return "", "", "", errors.New("a field is NAME=VALUE, with blanks between fields and none in them")
		}
		return "", "", "", fmt.Errorf("%.40q is no field: it is NAME=VALUE, without blanks around =", word)
	}
	key, line = line[:end], line[end+1:]
	if !isWord(key) {
		return "", "", "", errors.New("the name of a field is a word")
	}
	if !strings.HasPrefix(line, `"`) {
		end := strings.IndexAny(line, " \t")
		if end < 0 {
			end = len(line)
		}
		if strings.ContainsAny(line[:end], `"`) {
			return "", "", "", fmt.Errorf("%s: a value with quotes in it is quoted as a whole", key)
		}
		return key, line[:end], line[end:], nil
	}
	quoted, err := strconv.QuotedPrefix(line)
	if err == nil {
		value, err = strconv.Unquote(quoted)
	}
	rest = line[len(quoted):]
	if err != nil || rest != "" && !strings.ContainsAny(rest[:1], " \t") {
		return "", "", "", fmt.Errorf("%s: a value is quoted as in Go, and a blank follows it", key)
	}
	return key, value, rest, nil
}

// isWord reports whether a text can be the name of a field, and not a token that
// stands in the wrong place.
func isWord(s string) bool {
	const longest = 20
	return s != "" && len(s) <= longest && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '_' && (r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r))
	})
}

// setField gives an account the value of a field.
func setField(a *auth.Account, key, value string) error {
	switch key {
	case fieldName:
		a.Principal.Name = value
		return checkName(value)
	case fieldRole:
		role, is := auth.RoleOf(value)
		if !is {
			return fmt.Errorf("there is no role %.40q%s; there are %s", value, meant(value, auth.Roles()), strings.Join(auth.Roles(), ", "))
		}
		a.Principal.Role = role
	case fieldToken:
		hash, err := parseHash(value)
		a.Tokens = append(a.Tokens, hash)
		return err
	case fieldCertificate:
		a.Certificates = append(a.Certificates, value)
		return checkCertificate(value)
	case fieldPrefix:
		a.Principal.Prefixes = append(a.Principal.Prefixes, value)
		return checkPrefix(value)
	default:
		return setLimit(limitOf(&a.Principal.Limits, key), value)
	}
	return nil
}

// meant is the word that was probably meant, as the end of a sentence.
func meant(word string, words []string) string {
	if near := nearest.Of(word, words); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

func checkName(name string) error {
	bad := func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-@", r)
	}
	if name == "" || len(name) > MaxNameBytes || strings.ContainsFunc(name, bad) {
		return fmt.Errorf("a name has 1 to %d letters, digits and . _ - @", MaxNameBytes)
	}
	return nil
}

func parseHash(value string) (auth.TokenHash, error) {
	var hash auth.TokenHash
	b, err := hex.DecodeString(value)
	if err != nil || len(b) != len(hash) {
		return hash, fmt.Errorf("it is the %d hexadecimal digits that \"ldlm token create\" prints, and not the token itself", 2*len(hash))
	}
	copy(hash[:], b)
	return hash, nil
}

func checkCertificate(value string) error {
	for _, kind := range kindsOfNames() {
		if name, is := strings.CutPrefix(value, kind); is && name != "" {
			if kind == "dns:" && name != strings.ToLower(name) {
				return errors.New("names of hosts are written in small letters")
			}
			return nil
		}
	}
	return fmt.Errorf("it is %s and a name that certificates of clients have", strings.Join(kindsOfNames(), " or "))
}

func checkPrefix(value string) error {
	switch {
	case value == "":
		return errors.New("it is empty; leave it out to allow every name")
	case len(value) > maxPrefixBytes:
		return fmt.Errorf("it is longer than %d bytes", maxPrefixBytes)
	case !utf8.ValidString(value):
		return errors.New("it is not UTF-8, and no lock has such a name")
	}
	return nil
}

// setLimit reads a limit into an *int or *int64.
func setLimit(to any, value string) error {
	n, err := strconv.ParseInt(value, 10, strconv.IntSize)
	if err != nil || n <= 0 {
		return errors.New("it is a number of 1 or more; leave it out for no limit")
	}
	switch to := to.(type) {
	case *int:
		*to = int(n)
	case *int64:
		*to = n
	}
	return nil
}

// Check refuses an account that makes no sense as a whole.
func Check(a *auth.Account) error {
	l := &a.Principal.Limits
	switch {
	case a.Principal.Name == "":
		return errors.New("name is missing")
	case a.Principal.Role == 0:
		return fmt.Errorf("role is missing; it is one of %s", strings.Join(auth.Roles(), ", "))
	case min(int64(min(l.Sessions, l.Locks, l.Waiters, l.Connections)), l.Bytes) < 0:
		return errors.New("a limit is a number of 1 or more; leave it out for no limit")
	case len(a.Tokens)+len(a.Certificates) == 0:
		return errors.New("there is neither sha256 nor certificate, so nobody could come in by it")
	case a.Principal.Role == auth.Admin && len(a.Principal.Prefixes) > 0:
		return errors.New("an admin may do everything, and a prefix would bound nothing: leave it out, or choose another role")
	}
	return nil
}

// Line is the line of an account, without its end.
func Line(a *auth.Account) string {
	var b strings.Builder
	field := func(key, value string) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(key + "=" + quotedIfNeeded(value))
	}
	field(fieldName, a.Principal.Name)
	field(fieldRole, a.Principal.Role.String())
	for _, t := range a.Tokens {
		field(fieldToken, hex.EncodeToString(t[:]))
	}
	for _, c := range a.Certificates {
		field(fieldCertificate, c)
	}
	for _, p := range a.Principal.Prefixes {
		field(fieldPrefix, p)
	}
	for _, key := range fieldNames() {
		switch n := limitOf(&a.Principal.Limits, key).(type) {
		case *int:
			if *n > 0 {
				field(key, strconv.Itoa(*n))
			}
		case *int64:
			if *n > 0 {
				field(key, strconv.FormatInt(*n, 10))
			}
		}
	}
	return b.String()
}

func quotedIfNeeded(value string) string {
	plain := func(r rune) bool { return unicode.IsPrint(r) && r != ' ' && r != '"' && r != utf8.RuneError }
	if value != "" && !strings.ContainsFunc(value, func(r rune) bool { return !plain(r) }) {
		return value
	}
	return strconv.Quote(value)
}

// CheckLine refuses a line that [Read] would refuse.
func CheckLine(line string) error {
	_, err := parseLine(line)
	return err
}
