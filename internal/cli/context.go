package cli

import "fmt"

// useContext fills in what is left open from the named context.
func (f *clientFlags) useContext() error {
	if f.context != "" {
		return fmt.Errorf("there is no context %q", f.context)
	}
	return nil
}
