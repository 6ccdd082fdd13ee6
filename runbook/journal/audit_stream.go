package journal

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// AuditMark is the state of the trail at some time: its last row and that
// row's hash. Who keeps a mark outside of the journal can tell later whether
// the trail up to it was cut off or rewritten.
type AuditMark struct {
	Seq  int64
	Hash string
}

// String is the form that ParseAuditMark reads: HASH@SEQ.
func (m AuditMark) String() string { return fmt.Sprintf("%s@%d", m.Hash, m.Seq) }

// ParseAuditMark reads a mark as the log has it.
func ParseAuditMark(text string) (AuditMark, error) {
	hash, number, _ := strings.Cut(strings.TrimSpace(text), "@")
	seq, err := strconv.ParseInt(number, 10, 64)
	if err != nil || seq < 1 || len(hash) != 64 || strings.Trim(hash, "0123456789abcdef") != "" {
		return AuditMark{}, fmt.Errorf("%q is not the head of an audit trail: it looks like 3f…c1@1204, as the log has it after %q", text, headText)
	}
	return AuditMark{Seq: seq, Hash: hash}, nil
}

// How often the executor writes the head of the trail to the log.
const (
	headRows = 100             // after so many rows, unless Settings say otherwise
	headSoon = 5 * time.Minute // after any row
	headIdle = time.Hour       // in any case, so that a log that forgets still knows one
)

// headText is the message under which the log has the head.
const headText = "audit head"

// streamBatch bounds how many rows are copied to the log at a time.
const streamBatch = 500

// auditPublisher tells the log of the trail: its head from time to time and, where
// that is wanted, each row. Only the executor does it, for the rows of all processes.
type auditPublisher struct {
	x        *executor
	told     AuditMark // the last head in the log
	at       time.Time
	streamed int64 // the last row in the log
	known    bool  // streamed was read
}

// publish is called again and again.
func (p *auditPublisher) publish(ctx context.Context) error {
	head, err := p.x.j.AuditHead(ctx)
	if err != nil {
		return err
	}
	if head.Seq < p.told.Seq || head.Seq == p.told.Seq && head.Hash != p.told.Hash {
		p.x.j.log.Error("the audit trail was cut off or rewritten", "was", p.told.String(), "is", head.String(), "check", "jwksbot audit verify --head "+p.told.String())
		p.told = AuditMark{}
	}
	if p.due(head) {
		p.say(head)
	}
	if p.x.j.auditLog == nil {
		return nil
	}
	return p.stream(ctx, head)
}

func (p *auditPublisher) due(head AuditMark) bool {
	rows, since := head.Seq-p.told.Seq, time.Since(p.at)
	return head.Seq > 0 && (rows >= p.x.j.headEvery || rows > 0 && since >= headSoon || since >= headIdle)
}

func (p *auditPublisher) say(head AuditMark) {
	p.told, p.at = head, time.Now()
	p.x.j.log.Info(headText, "head", head.String(), "journal", p.x.j.name)
}

// last says the head once more when the tenure ends.
func (p *auditPublisher) last(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	if head, err := p.x.j.AuditHead(ctx); err == nil && head.Seq > p.told.Seq {
		p.say(head)
	}
}

// stream copies rows to the log, each at least once: where it stands is kept in
// the journal, so that neither a crash nor another executor leaves a gap.
func (p *auditPublisher) stream(ctx context.Context, head AuditMark) error {
	if !p.known {
		if err := p.x.j.db.QueryRowContext(ctx, `SELECT seq FROM audit_stream WHERE id = 1`).Scan(&p.streamed); err != nil {
			return p.x.j.explain("read", err)
		}
		p.known = true
	}
	if p.streamed > head.Seq {
		p.x.j.log.Error("the audit trail was cut off: rows that the log has are gone", "log", p.streamed, "journal", head.Seq)
		p.streamed = head.Seq
	}
	if p.streamed == head.Seq {
		return nil
	}
	last := p.streamed
	for row, err := range p.x.j.AuditRows(ctx, AuditFilter{After: p.streamed}) {
		if err != nil {
			return err
		}
		p.x.j.auditLog.LogAttrs(ctx, slog.LevelInfo, "audit", row.attrs()...)
		if last = row.Seq; last-p.streamed >= streamBatch {
			break
		}
	}
	err := p.x.j.write(ctx, "write to", fence(p.x.fence).with(func(t *tx) error {
		_, err := t.exec(ctx, `UPDATE audit_stream SET seq = ? WHERE id = 1`, last)
		return err
	}))
	if err == nil {
		p.streamed = last
	}
	return err
}

// attrs are the columns of a row as a log line has them.
func (r AuditRow) attrs() []slog.Attr {
	return []slog.Attr{
		slog.Int64("seq", r.Seq), slog.Time("at", r.At), slog.String("actor", r.Actor), slog.String("kind", r.Kind),
		slog.String("run", r.Run), slog.String("target", r.Target), slog.String("ticket", r.Ticket), slog.String("reason", r.Reason),
		slog.String("digest", r.Digest), slog.String("detail", r.Detail),
		slog.Bool("keyed", r.Keyed), slog.String("prev", r.Prev), slog.String("hash", r.Hash),
	}
}
