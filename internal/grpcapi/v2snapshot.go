package grpcapi

import (
	"bufio"
	"cmp"
	"log/slog"

	"google.golang.org/grpc"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/audit"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// snapshotPiece is how much of a snapshot goes in one message.
const snapshotPiece = 256 << 10

// SaveSnapshot streams the file of a snapshot. Nothing waits for a slow reader.
func (v *v2) SaveSnapshot(_ *ldlmv2.SaveSnapshotRequest, stream grpc.ServerStreamingServer[ldlmv2.SaveSnapshotResponse]) error {
	if v.directory == nil {
		return errorOf(sessionapi.NewStatus(ldlmv2.Code_CODE_UNSUPPORTED,
			"the server keeps everything in memory, and there is nothing to save: start it with data_dir"))
	}
	ctx := stream.Context()
	pieces := &pieceStream{stream: stream}
	w := bufio.NewWriterSize(pieces, snapshotPiece)
	err := v.directory.SaveSnapshot(ctx, w)
	if err == nil {
		err = w.Flush()
	}
	v.note(ctx, audit.Entry{Action: audit.SnapshotSave, After: audit.Saved{Bytes: pieces.bytes}}, cmp.Or(pieces.err, err))
	switch {
	case pieces.err != nil:
		return pieces.err
	case err != nil:
		v.log.ErrorContext(ctx, "A snapshot could not be saved", "error", err, "client_addr", remoteOf(ctx))
		return unavailable("no snapshot could be taken; the log of the server says why")
	}
	v.force(ctx, "Snapshot saved", slog.Int64("bytes", pieces.bytes))
	return nil
}

// pieceStream is a stream that what is written to goes out on.
type pieceStream struct {
	stream grpc.ServerStreamingServer[ldlmv2.SaveSnapshotResponse]
	bytes  int64
	err    error // of the first message that could not be sent
}

// Write implements io.Writer.
func (s *pieceStream) Write(b []byte) (int, error) {
	if s.err = s.stream.Send(&ldlmv2.SaveSnapshotResponse{Data: b}); s.err != nil {
		return 0, s.err
	}
	s.bytes += int64(len(b))
	return len(b), nil
}
