// Package document has the JSON documents in which programs are told of locks,
// sessions, events and servers: what the commands print with -o json, and what
// the REST interface answers. The names of the fields are a promise.
//
// The rules of all documents:
//
//   - names are snake_case;
//   - times are RFC 3339 in UTC, to the millisecond, see [Time];
//   - a duration comes twice, for people and for programs: "lease":"30s" and
//     "lease_ms":30000, see [Span];
//   - numbers of 64 bits (tokens, sessions, events) are strings of decimal digits,
//     because JavaScript's numbers are too small for them, see [Number];
//   - values, which may be any bytes, are base64;
//   - what is not known or does not apply is left out, but counts and lists are
//     always there.
//
// What it does not know: where a document comes from. It imports nothing of this
// module, and whoever fills a document in translates.
package document
