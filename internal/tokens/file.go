package tokens

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/shortfile"
)

// head begins a new file. It keeps a file whose last principal was taken out from
// being empty.
const head = "# Who may come in, one a line; \"ldlm token create\" adds one.\n"

// Read reads a file. One that everybody may write is refused: whoever can makes itself
// an administrator. So is an empty one, which may be left of a file that somebody was
// about to write; one that has comments alone lets nobody in by token.
func Read(path string) ([]auth.Account, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, unread(path, err)
	}
	if err := checkRights(path, info); err != nil {
		return nil, err
	}
	data, err := shortfile.Read(path)
	if err != nil {
		return nil, unread(path, err)
	}
	return parse(path, data)
}

// unread says what to do about a file that cannot be read.
func unread(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w; \"ldlm token create --name NAME --file %s\" makes it", err, path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; give it to a group of the server's user, and to nobody else: chgrp GROUP %s, chmod 640 %[2]s", err, path)
	default:
		return err
	}
}

func checkRights(path string, info fs.FileInfo) error {
	const othersWrite = 0o002
	if runtime.GOOS != "windows" && info.Mode().IsRegular() && info.Mode().Perm()&othersWrite != 0 {
		return fmt.Errorf("everybody on this machine may write %s, and make itself an administrator: chmod o-rw %[1]s", path)
	}
	return nil
}

// parse reads what a file of that name has.
func parse(path string, data []byte) ([]auth.Account, error) {
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("%s is not UTF-8", path)
	}
	if strings.TrimSpace(string(data)) == "" {
		return nil, fmt.Errorf("%s is empty; leave a comment in it to let nobody in by token", path)
	}
	f := file{names: map[string]int{}, credentials: map[string]owner{}}
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		a, err := parseLine(line)
		if err == nil {
			err = f.add(a, number)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, number, err)
		}
	}
	return f.accounts, nil
}

// file is what was read of a file.
type file struct {
	accounts    []auth.Account
	names       map[string]int // their lines
	credentials map[string]owner
}

// owner is who has a token or a certificate.
type owner struct {
	name string
	line int
}

// add adds an account, which has nothing that another one has.
func (f *file) add(a *auth.Account, line int) error {
	name := a.Principal.Name
	if at, twice := f.names[name]; twice {
		return fmt.Errorf("%s is there in line %d already; a principal with several tokens has one line with several sha256", name, at)
	}
	f.names[name] = line
	var all []string
	for _, t := range a.Tokens {
		all = append(all, "sha256 "+string(t[:]))
	}
	for _, credential := range append(all, a.Certificates...) {
		if other, taken := f.credentials[credential]; taken {
			return fmt.Errorf("%s in line %d has the same token or certificate; each lets one principal in", other.name, other.line)
		}
		f.credentials[credential] = owner{name, line}
	}
	f.accounts = append(f.accounts, *a)
	return nil
}

// Append adds an account to a file, which is made, for its owner alone, if it is
// missing. A file that is not good is left as it is, and so is one that has a
// principal of that name. Rights and owner of a file that is there stay.
func Append(path string, a *auth.Account) error {
	if err := Check(a); err != nil {
		return err
	}
	const ownerAlone = 0o600
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, ownerAlone)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // what was written is on the disk
	if err := lockFile(f); err != nil {
		return fmt.Errorf("lock %s: %w", path, err)
	}
	text, size, err := addition(path, f, a)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt([]byte(text), size); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s was not changed: %w", path, err), f.Truncate(size))
	}
	if size == 0 {
		return syncDirectory(filepath.Dir(path))
	}
	return nil
}

// addition is what is to be written behind what an open file has.
func addition(path string, f *os.File, a *auth.Account) (text string, size int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return "", 0, err
	}
	if !info.Mode().IsRegular() {
		return "", 0, fmt.Errorf("%s is no file", path)
	}
	if err := checkRights(path, info); err != nil {
		return "", 0, err
	}
	data, err := io.ReadAll(io.LimitReader(f, shortfile.MaxBytes+1))
	if err != nil {
		return "", 0, err
	}
	line := Line(a) + "\n"
	if len(data) == 0 {
		return head + line, 0, nil
	}
	if data[len(data)-1] != '\n' {
		line = "\n" + line
	}
	all := slices.Concat(data, []byte(line))
	if len(all) > shortfile.MaxBytes {
		return "", 0, fmt.Errorf("%s would be larger than %d bytes", path, shortfile.MaxBytes)
	}
	if _, err := parse(path, all); err != nil {
		return "", 0, err
	}
	return line, int64(len(data)), nil
}
