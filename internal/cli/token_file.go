package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/config"
	"github.com/ldlm-io/ldlm/internal/tokens"
)

// readAccounts reads the principals of the settings; nil if they are not to be told
// apart.
func readAccounts(s *config.Server) ([]auth.Account, error) {
	if s.TokensFile == "" {
		return nil, nil
	}
	accounts, err := tokens.Read(s.TokensFile)
	if err != nil {
		return nil, fmt.Errorf("tokens_file: %w", err)
	}
	if accounts == nil {
		accounts = []auth.Account{} // nobody, which is not the same as everybody
	}
	return accounts, nil
}

// maxToldChanges is how many principals the audit log tells of after one reload.
const maxToldChanges = 100

// accountChanges says which principals are not what they were, by name: as their lines
// were and are, "" for no line.
func accountChanges(before, after []auth.Account) []config.Change {
	old, now := accountLines(before), accountLines(after)
	names := maps.Clone(old)
	maps.Copy(names, now)
	var all []config.Change
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if old[name] == now[name] {
			continue
		}
		if len(all) == maxToldChanges {
			return append(all, config.Change{Name: "principals", Before: "", After: "more have changed"})
		}
		all = append(all, config.Change{Name: "principal " + name, Before: old[name], After: now[name]})
	}
	return all
}

// accountLines are the lines of accounts, by name. Of a hash they have the beginning,
// which tells tokens apart.
func accountLines(accounts []auth.Account) map[string]string {
	const shown = 4
	all := map[string]string{}
	for _, a := range accounts {
		hashes := a.Tokens
		a.Tokens = nil
		var line strings.Builder
		line.WriteString(tokens.Line(&a))
		for _, h := range hashes {
			fmt.Fprintf(&line, " sha256=%x...", h[:shown])
		}
		all[a.Principal.Name] = line.String()
	}
	return all
}
