// Package wire carries frames of the native protocol over a plain TCP, TLS or
// unix connection: the client's and the server's end, the listener that
// tells such connections from HTTP/2 on the same port, and the [Poller], which serves
// many of the server's ends in one goroutine.
//
// A connection begins with [Preface]. Then each side sends frames: four bytes of
// length, big-endian, and so many bytes of one ClientFrame or ServerFrame in
// protobuf format. [AppendClient], [AppendServer], [DecodeClient] and
// [DecodeServer] turn messages into such bytes and back without reflection.
//
// What comes from the other side is hostile until checked: no length is believed
// before the bytes are there, and no number of elements that the bytes cannot
// hold. The package knows nothing of what frames mean, of sessions, or of time
// beyond the deadlines of a connection.
package wire

const (
	// Preface is what a client sends first, under TLS too.
	Preface = "LDLM/2\r\n"
	// ALPN is the name of the protocol in a TLS handshake.
	ALPN = "ldlm/2"

	// MaxFrameBytes is the largest frame that either side may send, without the
	// four bytes of its length.
	MaxFrameBytes = 4 << 20
	// MaxParts is how many operations, items and labels a client's frame may
	// have, all counted together.
	MaxParts = 1 << 14

	// lengthBytes is the size of a frame's length.
	lengthBytes = 4
)
