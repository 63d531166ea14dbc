package cli

import (
	"fmt"

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
