// Package lockv1 is the first protocol's questions and answers, whichever way they
// came in: what is refused before the table is asked, what the table is asked, and
// the words of the answer.
//
// It knows the messages of the protocol and the values of the table. It does not
// know who asks, in whose name, nor what becomes of a question that has no answer
// in the protocol: that is the business of the packages that speak gRPC and HTTP.
package lockv1
