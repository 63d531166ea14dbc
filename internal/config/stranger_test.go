package config_test

import (
	"slices"
	"testing"

	"github.com/ldlm-io/ldlm/internal/config"
)

func TestStrangers(t *testing.T) {
	_, b, err := load[config.Server](nil)
	if err != nil {
		t.Fatal(err)
	}
	got := b.Strangers([]string{
		"LDLM_PASSWORD=x", "LDLM_PASWORD=swordfish", "LDLM_Log_Level=debug", "LDLM_STATEFILE=", "LDLM_TLS_CRT=/x", "PASSWORT=x", "LDLM_",
		// Of clients, and of Kubernetes for a service of that name.
		"LDLM_ADDRESS=x", "LDLM_CONTEXT=x", "LDLM_CLIENT_TLS_CA=x", "LDLM_CLIENT_TLS_CERT=x", "LDLM_CLIENT_TLS_KEY=x",
		"LDLM_LOCK_NAME=x", "LDLM_LOCK_KEY=x", "LDLM_FENCING_TOKEN=x",
		"LDLM_PORT=tcp://10.0.0.1:3144", "LDLM_SERVICE_HOST=10.0.0.1", "LDLM_SERVICE_PORT=3144", "LDLM_PORT_3144_TCP_ADDR=x", "LDLM_PORT_3144_TCP_PROTO=tcp",
	})
	want := []string{
		"LDLM_Log_Level is no setting and is ignored; did you mean LDLM_LOG_LEVEL?",
		"LDLM_PASWORD is no setting and is ignored; did you mean LDLM_PASSWORD?",
		"LDLM_TLS_CRT is no setting and is ignored; did you mean LDLM_TLS_CERT?",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}
