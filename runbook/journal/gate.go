package journal

import (
	"context"
	"database/sql/driver"
)

// gatedConnector asks the gate before every use of a connection of Postgres,
// which its pool hands out anew each time.
type gatedConnector struct {
	driver.Connector
	gate func() error
}

func (c gatedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := c.gate(); err != nil {
		return nil, err
	}
	return c.Connector.Connect(ctx)
}

// fileConnector asks the gate before everything that is done on a connection
// of SQLite, which stays open, and before every commit.
type fileConnector struct {
	driver.Connector
	gate func() error
}

func (c fileConnector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := c.gate(); err != nil {
		return nil, err
	}
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &fileConn{conn.(sqliteConn), c.gate}, nil
}

// sqliteConn is what the driver's connections can do and database/sql asks for.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type fileConn struct {
	sqliteConn
	gate func() error
}

func (c *fileConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if err := c.gate(); err != nil {
		return nil, err
	}
	tx, err := c.sqliteConn.BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	return fileTx{tx, c.gate}, nil
}

func (c *fileConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.gate(); err != nil {
		return nil, err
	}
	return c.sqliteConn.ExecContext(ctx, query, args)
}

func (c *fileConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.gate(); err != nil {
		return nil, err
	}
	return c.sqliteConn.QueryContext(ctx, query, args)
}

// fileTx commits nothing to a file that is not the journal's any more.
type fileTx struct {
	driver.Tx
	gate func() error
}

func (t fileTx) Commit() error {
	if err := t.gate(); err != nil {
		_ = t.Rollback() // the gate's error says more
		return err
	}
	return t.Tx.Commit()
}
