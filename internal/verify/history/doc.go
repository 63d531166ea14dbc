// Package history judges what clients of a lock service have seen.
//
// It knows records of what clients asked and were told, each with the times between
// which it happened, and says whether one order of everything explains them: never
// more holders than a lock has room for, tokens that grow, refusals only where
// somebody held, reads that show what was so. It does not know how the records came
// about, what servers there were, or what was done to them.
//
// A hold counts from the answer that granted it until the last moment at which its
// holder was sure of it, by its own clock or by an answer; after that it may end at any
// time, unless its release was confirmed. What is unknown to the client is unknown here
// too: it can excuse a refusal and nothing else.
package history
