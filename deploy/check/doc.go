// Package check looks over what is in deploy/ with the programs' own packages: the
// Dockerfile as BuildKit reads it, the manifests as Kubernetes decodes them, the chart
// as Helm renders it. It is a module of its own, so that nobody else compiles them.
package check
