package journal

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"jwksbot/runbook/redact"
)

var scheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]{0,20}$`)

// CheckURL says what is wrong with the place of a journal; nil for a file,
// "sqlite:" and a file, and postgres://. The text is never repeated: before it is
// recognised, nobody knows where a password stands in it.
func CheckURL(place string) error {
	kind, _, isURL := strings.Cut(place, "://")
	_, access, hasAt := strings.Cut(place, ":")
	switch {
	case isPostgres(place):
		return nil
	case isURL && kind != "sqlite" && scheme.MatchString(kind):
		return fmt.Errorf("%q is not a kind of journal; give a file path or postgres://…", kind)
	case redact.URLs(place) != place, hasAt && strings.Contains(access, "@"):
		return errors.New("this looks like a connection string with a password; give a file path, or a URL that begins with postgres://")
	}
	_, err := sqlitePath(place)
	return err
}
