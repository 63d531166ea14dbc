package server

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"sync"
	"time"

	"github.com/ldlm-io/ldlm/internal/cluster"
	"github.com/ldlm-io/ldlm/internal/journal/raftlog"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/node"
)

// reportWithin bounds the question what a member knows and has.
const reportWithin = 2 * time.Second

// report is a member's answer, as JSON.
type report struct {
	Level  uint32        `json:"level"`
	Lease  time.Duration `json:"lease"`
	Marked bool          `json:"marked"`
	Hash   lock.Hash     `json:"hash"`
}

// report answers the member that leads.
func (m *membership) report(question []byte) []byte {
	var mark uint64
	if len(question) >= 8 {
		mark = binary.BigEndian.Uint64(question)
	}
	r := m.node.Report(mark)
	b, err := json.Marshal(report{Level: r.Level, Lease: time.Duration(r.Lease) * time.Microsecond, Marked: r.Marked, Hash: r.Hash})
	if err != nil {
		return nil // there is nothing in it that could not be written
	}
	return b
}

// peers asks all other members for their reports.
func (m *membership) peers(ctx context.Context, mark uint64) []node.PeerReport {
	select {
	case <-m.begun:
	default:
		return []node.PeerReport{{}} // there are others, and nobody can ask them yet
	}
	ctx, cancel := context.WithTimeout(ctx, reportWithin)
	defer cancel()
	var all []node.PeerReport
	var at []raftlog.Peer
	for _, x := range m.journal.Members() {
		if x.Member != m.config.Name {
			all, at = append(all, node.PeerReport{Member: x.Member, Votes: x.Votes}), append(at, x.Peer)
		}
	}
	var asking sync.WaitGroup
	for i := range all {
		asking.Go(func() { all[i].Report = m.reportOf(ctx, at[i], mark) })
	}
	asking.Wait()
	return all
}

// reportOf asks one member; the zero report says that it did not answer.
func (m *membership) reportOf(ctx context.Context, x raftlog.Peer, mark uint64) node.Report {
	answer, err := m.port.Ask(ctx, x.Member, x.Address, cluster.TopicReport, binary.BigEndian.AppendUint64(nil, mark))
	var r report
	if err != nil || json.Unmarshal(answer, &r) != nil {
		return node.Report{}
	}
	return node.Report{Level: r.Level, Lease: lock.Duration(r.Lease.Microseconds()), Marked: r.Marked, Hash: r.Hash}
}
