package journal

import (
	"database/sql"
	"fmt"
	"io/fs"
	"os"

	"jwksbot/runbook"
)

// ground is the files of an SQLite journal as this process has them open. A
// file that is deleted or replaced stays open, and whatever is written to it is
// lost without an error: SQLite does not notice, so the names are looked at
// before everything that is read or written.
type ground struct {
	path  string
	files []groundFile
	// pin is a connection that is kept open: while there is one, SQLite itself
	// removes none of the files.
	pin *sql.DB
}

type groundFile struct {
	path string
	open fs.FileInfo
}

// replaced is the advice where the files are not those that were opened.
const replaced = "its file was deleted or replaced while jwksbot was running; nothing is decided or carried out until it is back in its place, or jwksbot is started again with what is there now"

// takeGround keeps the files in view that pin has open once it was used.
func takeGround(path string, pin *sql.DB, use func() error) (*ground, error) {
	before, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := use(); err != nil {
		return nil, err
	}
	g := &ground{path: path, pin: pin}
	for _, p := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		g.files = append(g.files, groundFile{p, info})
	}
	if !os.SameFile(before, g.files[0].open) {
		return nil, fmt.Errorf("%q was replaced while it was being opened; try again", path)
	}
	return g, nil
}

// check returns an error while a file is not there, or is another one.
func (g *ground) check() error {
	for _, f := range g.files {
		now, err := os.Stat(f.path)
		if err == nil && !os.SameFile(f.open, now) {
			err = fmt.Errorf("%q is another file than the one that was opened", f.path)
		}
		if err != nil {
			return &runbook.LedgerError{Advice: replaced, Away: true, Lost: true, Err: fmt.Errorf("journal %q: %s: %w", g.path, replaced, err)}
		}
	}
	return nil
}

// leave lets the files go. Those that are not in their place any more stay open
// until the process ends: to close the last one, SQLite would delete the log of
// the file that took its name.
func (g *ground) leave() error {
	if g.check() != nil {
		return nil
	}
	return g.pin.Close()
}
