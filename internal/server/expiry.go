package server

import "time"

// How long before its end a certificate of members is warned about, and how often: other
// members speak no more with a member whose certificate has expired.
const (
	warnBefore = 30 * 24 * time.Hour
	warnEvery  = 12 * time.Hour
)

// watchCertificates warns of certificates of members that expire soon, until the server ends.
func (m *membership) watchCertificates() {
	t := time.NewTicker(warnEvery)
	defer t.Stop()
	for {
		m.warnOfExpiry(time.Now())
		select {
		case <-t.C:
		case <-m.ctx.Done():
			return
		}
	}
}

func (m *membership) warnOfExpiry(now time.Time) {
	end, err := m.config.Files.Expires()
	switch {
	case err != nil:
		m.log.WarnContext(m.ctx, "The certificates of this member cannot be read: no new connection to other members can be made", "err", err)
	case end.IsZero() || end.Sub(now) > warnBefore:
	case end.Before(now):
		m.log.ErrorContext(m.ctx, "The certificate of this member, or of the authority, has expired: other members do not speak to it. "+
			"Replace the files; the server need not be started again", "expired", end.UTC().Format(time.RFC3339), "cluster_cert", m.config.Files.Certificate)
	default:
		m.log.WarnContext(m.ctx, "The certificate of this member, or of the authority, expires soon: issue a new one with ldlm cluster ca issue, "+
			"and replace the files; the server need not be started again", "expires", end.UTC().Format(time.RFC3339), "cluster_cert", m.config.Files.Certificate)
	}
}
