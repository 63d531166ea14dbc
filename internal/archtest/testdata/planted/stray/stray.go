// Package stray has no row.
package stray // want `package stray has no row in the table`
