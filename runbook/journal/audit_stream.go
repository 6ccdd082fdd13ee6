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
		return AuditMark{}, fmt.Errorf("%q is no head of an audit trail: it looks like 3f…c1@1204, as the log has it after %q", text, headText)
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

// herald tells the log of the trail: its head from time to time and, where that
// is wanted, each row. Only the executor does it, for the rows of all processes.
type herald struct {
	x        *executor
	told     AuditMark // the last head in the log
	at       time.Time
	streamed int64 // the last row in the log
	known    bool  // streamed was read
}

// tell is called again and again.
func (h *herald) tell(ctx context.Context) error {
	head, err := h.x.j.AuditHead(ctx)
	if err != nil {
		return err
	}
	if head.Seq < h.told.Seq || head.Seq == h.told.Seq && head.Hash != h.told.Hash {
		h.x.j.log.Error("the audit trail was cut off or rewritten", "was", h.told.String(), "is", head.String(), "check", "jwksbot audit verify --head "+h.told.String())
		h.told = AuditMark{}
	}
	if h.due(head) {
		h.say(head)
	}
	if h.x.j.auditLog == nil {
		return nil
	}
	return h.stream(ctx, head)
}

func (h *herald) due(head AuditMark) bool {
	rows, since := head.Seq-h.told.Seq, time.Since(h.at)
	return head.Seq > 0 && (rows >= h.x.j.headEvery || rows > 0 && since >= headSoon || since >= headIdle)
}

func (h *herald) say(head AuditMark) {
	h.told, h.at = head, time.Now()
	h.x.j.log.Info(headText, "head", head.String(), "journal", h.x.j.name)
}

// last says the head once more when the tenure ends.
func (h *herald) last(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	if head, err := h.x.j.AuditHead(ctx); err == nil && head.Seq > h.told.Seq {
		h.say(head)
	}
}

// stream copies rows to the log, each at least once: where it stands is kept in
// the journal, so that neither a crash nor another executor leaves a gap.
func (h *herald) stream(ctx context.Context, head AuditMark) error {
	if !h.known {
		if err := h.x.j.db.QueryRowContext(ctx, `SELECT seq FROM audit_stream WHERE id = 1`).Scan(&h.streamed); err != nil {
			return h.x.j.explain("read", err)
		}
		h.known = true
	}
	if h.streamed > head.Seq {
		h.x.j.log.Error("the audit trail was cut off: rows that the log has are gone", "log", h.streamed, "journal", head.Seq)
		h.streamed = head.Seq
	}
	if h.streamed == head.Seq {
		return nil
	}
	last := h.streamed
	for row, err := range h.x.j.AuditRows(ctx, AuditFilter{After: h.streamed}) {
		if err != nil {
			return err
		}
		h.x.j.auditLog.LogAttrs(ctx, slog.LevelInfo, "audit", row.attrs()...)
		if last = row.Seq; last-h.streamed >= streamBatch {
			break
		}
	}
	err := h.x.j.write(ctx, "write to", fence(h.x.fence).with(func(t *tx) error {
		_, err := t.exec(ctx, `UPDATE audit_stream SET seq = ? WHERE id = 1`, last)
		return err
	}))
	if err == nil {
		h.streamed = last
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
