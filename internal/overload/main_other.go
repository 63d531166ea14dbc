//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "overload: needs Linux, which tells what a process takes")
	os.Exit(1)
}
