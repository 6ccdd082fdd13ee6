package keys

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
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

func gunzip(b []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, errors.New("damaged header")
	}
	return readInflated(r)
}

func inflate(b []byte) ([]byte, error) {
	r, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, errors.New("damaged header")
	}
	return readInflated(r)
}

// unzstd reads one block after the other, so that neither the size nor the
// window that a frame claims is allocated before it is there.
func unzstd(b []byte) ([]byte, error) {
	r, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecodeBuffersBelow(0))
	if err != nil {
		return nil, errors.New("damaged header")
	}
	defer r.Close()
	return readInflated(r)
}

func readInflated(r io.Reader) ([]byte, error) {
	out, err := io.ReadAll(io.LimitReader(r, maxInflated+1))
	switch {
	case len(out) > maxInflated:
		return nil, fmt.Errorf("becomes larger than %d MiB", maxInflated>>20)
	case err != nil:
		return nil, fmt.Errorf("damaged or cut off after %d bytes", len(out))
	}
	return out, nil
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
