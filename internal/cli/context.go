package cli

import "errors"

// fill takes over what the connection leaves open. What belongs together comes
// from one side: a certificate is not shown with the key of another.
func (c *connection) fill(from connection) {
	if c.Address == "" {
		c.Address = from.Address
	}
	if !c.TLS && !c.TLSSkipVerify {
		c.TLS, c.TLSSkipVerify = from.TLS, from.TLSSkipVerify
	}
	if c.TLSCA == "" {
		c.TLSCA = from.TLSCA
	}
	if c.TLSCert == "" && c.TLSKey == "" {
		c.TLSCert, c.TLSKey = from.TLSCert, from.TLSKey
	}
	if c.PasswordFile == "" && c.TokenFile == "" {
		c.PasswordFile, c.TokenFile = from.PasswordFile, from.TokenFile
	}
}

// fillIn fills in what flags leave open. A context that a flag names comes before
// variables, and after them one that a variable names. The current context is for
// whoever says nothing: it is not mixed with the address of another server, which
// would get its password.
func (f *clientFlags) fillIn() error {
	all, err := readContexts(contextsFile(f.p.Getenv))
	if err != nil {
		return err
	}
	c := &f.connection
	if c.TokenFile != "" && c.PasswordFile != "" {
		return errors.New("--token-file and --password-file: a server is shown one of them")
	}
	if f.context != "" {
		named, err := all.find(f.context)
		if err != nil {
			return err
		}
		c.fill(named)
	}
	if c.PasswordFile == "" && c.TokenFile == "" {
		f.password = either(f.p.Getenv("LDLM_TOKEN"), f.p.Getenv("LDLM_PASSWORD"))
	}
	c.fill(connection{
		Address: f.p.Getenv("LDLM_ADDRESS"), TLSCA: f.p.Getenv("LDLM_CLIENT_TLS_CA"),
		TLSCert: f.p.Getenv("LDLM_CLIENT_TLS_CERT"), TLSKey: f.p.Getenv("LDLM_CLIENT_TLS_KEY"),
	})
	if name := f.p.Getenv("LDLM_CONTEXT"); f.context == "" && name != "" {
		f.context = name
		named, err := all.find(name)
		if err != nil {
			return err
		}
		c.fill(named)
	}
	if f.context == "" && all.Current != "" {
		current, err := all.find(all.Current)
		if err != nil {
			return err
		}
		if c.Address == "" || c.Address == current.Address {
			c.fill(current)
		}
	}
	return nil
}
