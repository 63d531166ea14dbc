package compare

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// What a server that has its answers on the disk writes at least for a lock, and for its
// release, if it does so for one worker: about this much, to a file whose blocks were
// written before, and an fsync of the data.
const (
	bareRecord = 200
	bareFile   = 16 << 20
)

// bareDisk is the disk alone: two records, one after the other, are a pair. There is
// neither a server nor a client.
func bareDisk() contender {
	return contender{name: nameDisk, measure: func(ctx context.Context, l *lab) (figures, error) {
		dir, err := l.newDir()
		if err != nil {
			return nil, err
		}
		f, err := os.OpenFile(filepath.Join(dir, "bare"), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		perSecond, err := pairsOnDisk(ctx, f, l.sizes)
		return figures{pairsPerSecond: perSecond}, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}}
}

// pairsOnDisk writes pairs for as long as throughputs are measured.
func pairsOnDisk(ctx context.Context, f *os.File, sizes Sizes) (perSecond float64, err error) {
	if _, err := f.Write(make([]byte, bareFile)); err != nil {
		return 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	record := make([]byte, bareRecord)
	for i := range record {
		record[i] = 'x'
	}
	start, at, pairs := time.Now(), int64(0), int64(0)
	for enough := false; !enough; enough = sizes.enough(time.Since(start), pairs) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		for range 2 {
			if at+bareRecord > bareFile {
				at = 0
			}
			if _, err := f.WriteAt(record, at); err != nil {
				return 0, err
			}
			if err := syncData(f); err != nil {
				return 0, err
			}
			at += bareRecord
		}
		pairs++
	}
	return float64(pairs) / time.Since(start).Seconds(), nil
}

// enough reports whether a throughput was measured for long enough.
func (s Sizes) enough(took time.Duration, pairs int64) bool {
	if s.Duration > 0 {
		return took >= s.Duration
	}
	return pairs >= s.Pairs
}
