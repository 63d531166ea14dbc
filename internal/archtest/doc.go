// Package archtest holds the tests of the repository's shape.
//
// It reads source, all of it, for every operating system at once, and knows
// nothing of what the source does. Three kinds of rules live here: who may
// import whom (table_test.go, with the reason for each row), what the table of
// locks must not contain so that every member computes the same
// (core_test.go), and what keeps code readable (shape_test.go). The folder
// testdata/planted breaks each rule once, to see that it is caught.
//
// There is nothing here to import.
package archtest
