// Package restapi is the first protocol over HTTP, in JSON: sessions by cookie, and
// requests that try, release and renew, one after the other in each session.
//
//	POST   /session          201, a session in a cookie
//	DELETE /session          200, the session's locks are released
//	POST   /v1/lock          tries; never waits
//	POST   /v1/unlock
//	POST   /v1/renew
//	POST   /v1/refreshlock   the same, by its older name
//
// What came in is looked at in one order: the password, where a browser says it
// comes from, the cookie, then method and path, then the body. So whoever may not
// come in makes the server do nothing.
//
// A session is one of the table. It is never attached to a connection; it lives by
// its requests, each of which starts its idle time anew in the very command that
// carries it out. The cookie is the session's secret and all that names it: the
// server keeps no list of sessions, and another server of the same table, or the
// next life of this one, serves the cookie as well.
//
// It does not know where its listener, its certificates and its passwords come
// from. It sees the node through an interface of one method.
package restapi
