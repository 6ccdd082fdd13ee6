package keys

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"

	"jwksbot/runbook/budget"
)

const (
	// maxInflated is the most that a compressed value may become: a thousand
	// times the size of a usual key set.
	maxInflated = 4 << 20
	// maxWindow is the most memory that a zstd frame may ask its reader to
	// keep: what RFC 8878 section 3.1.1.1.2 wants every decoder to support.
	maxWindow = 8 << 20
)

func startsWith(magic string) func([]byte) bool {
	return func(b []byte) bool { return bytes.HasPrefix(b, []byte(magic)) }
}

// isZlib knows the header of RFC 1950: deflate with a 32 KiB window, and a
// check value that divides by 31.
func isZlib(b []byte) bool {
	return len(b) > 2 && b[0] == 0x78 && (int(b[0])<<8|int(b[1]))%31 == 0
}

// Costs of taking compressed data apart. A block of deflate may describe tables
// of 130 KB in some 40 bytes, and hold nothing.
const (
	inflateBytes  = 48 << 10 // the window and the tables of one reader
	inflateSteps  = 128      // for each byte of the input
	inflateTables = 16       // bytes of memory for each byte of the input
	unzstdBytes   = 512 << 10
	zeroedPerStep = 8 // bytes of fresh memory that are cleared in one step
)

// pricedReader charges the input of a decompressor as it is read.
type pricedReader struct {
	b      []byte
	budget *budget.Budget
}

// ReadByte lets flate read no further than it needs.
func (r *pricedReader) ReadByte() (byte, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	if !r.budget.Steps(inflateSteps) || !r.budget.Bytes(inflateTables) {
		return 0, errSpent
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c, nil
}

func (r *pricedReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := min(len(p), len(r.b), 4<<10)
	if !r.budget.Steps(n*inflateSteps) || !r.budget.Bytes(n*inflateTables) {
		return 0, errSpent
	}
	n = copy(p, r.b[:n])
	r.b = r.b[n:]
	return n, nil
}

func gunzip(b []byte, budget *budget.Budget) ([]byte, error) {
	if !budget.Bytes(inflateBytes) {
		return nil, errSpent
	}
	r, err := gzip.NewReader(&pricedReader{b, budget})
	if err != nil {
		return nil, errors.New("damaged header")
	}
	return readInflated(r, budget)
}

func inflate(b []byte, budget *budget.Budget) ([]byte, error) {
	if !budget.Bytes(inflateBytes) {
		return nil, errSpent
	}
	r, err := zlib.NewReader(&pricedReader{b, budget})
	if err != nil {
		return nil, errors.New("damaged header")
	}
	return readInflated(r, budget)
}

// unzstd reads the one frame that a value is. What its header makes the reader
// allocate is charged before.
func unzstd(b []byte, budget *budget.Budget) ([]byte, error) {
	var frame zstd.Header
	if err := frame.Decode(b); err != nil || frame.Skippable || !isOneFrame(b, frame) {
		return nil, errors.New("damaged or cut off, or more than one frame")
	}
	window := frame.WindowSize
	if frame.SingleSegment {
		window = frame.FrameContentSize
	}
	if window = max(window, zstd.MinWindowSize); window > maxWindow {
		return nil, fmt.Errorf("asks for more than %d MiB at once", maxWindow>>20)
	}
	if !budget.Bytes(unzstdBytes+2*int(window)) || !budget.Steps(int(window/zeroedPerStep)) {
		return nil, errSpent
	}
	r, err := zstd.NewReader(&pricedReader{b, budget}, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecodeBuffersBelow(0))
	if err != nil {
		return nil, errors.New("damaged header")
	}
	defer r.Close()
	return readInflated(r, budget)
}

// isOneFrame walks over the blocks of a frame (RFC 8878 section 3.1.1.2): each
// further frame could make the reader allocate again.
func isOneFrame(b []byte, frame zstd.Header) bool {
	const header, rle, checksum = 3, 1, 4
	at := frame.HeaderSize
	for last := false; !last; {
		if at+header > len(b) {
			return false
		}
		bits := int(b[at]) | int(b[at+1])<<8 | int(b[at+2])<<16
		size := bits >> 3
		if bits>>1&3 == rle {
			size = 1
		}
		at, last = at+header+size, bits&1 == 1
	}
	if frame.HasCheckSum {
		at += checksum
	}
	return at == len(b)
}

// readInflated reads to the end and charges each piece before it grows.
func readInflated(r io.Reader, budget *budget.Budget) ([]byte, error) {
	var out []byte
	for {
		if len(out) == cap(out) {
			if !budget.Bytes(max(len(out), 4<<10)) { // what append adds
				return nil, errSpent
			}
			out = slices.Grow(out, max(len(out), 4<<10))
		}
		n, err := r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		switch {
		case !budget.Steps(4 * n):
			return nil, errSpent
		case len(out) > maxInflated:
			return nil, fmt.Errorf("becomes larger than %d MiB", maxInflated>>20)
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, fmt.Errorf("damaged or cut off after %d bytes", len(out))
		}
	}
}

// binaryKinds are formats that are known by their first bytes and not read.
var binaryKinds = []struct{ magic, name string }{
	{"\x04\x22\x4d\x18", "lz4-compressed data"},
	{"\xfd7zXZ", "xz-compressed data"},
	{"\x00\x00\x00\x02", "igbinary data (PHP)"},
}

// binaryKind describes bytes that no decoder fits.
func binaryKind(b []byte) string {
	for _, k := range binaryKinds {
		if bytes.HasPrefix(b, []byte(k.magic)) {
			return k.name
		}
	}
	return "binary data"
}
