package cli

import (
	"os/user"
	"testing"
)

// Who holds is said also where no variable says it.
func TestUserNameWithoutVariables(t *testing.T) {
	u, err := user.Current()
	if err != nil {
		t.Skip("this account has no name: ", err)
	}
	for _, variable := range []string{"USER", "LOGNAME", "USERNAME"} {
		t.Setenv(variable, "")
	}
	if got := userName(); got != u.Username {
		t.Errorf("got %q, want %q", got, u.Username)
	}
}
