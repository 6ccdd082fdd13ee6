package redact

import "log/slog"

// Secret is a value that must not be seen: it prints, logs and marshals as
// "[hidden]". Reveal is the only way to the text.
type Secret string

const hidden = "[hidden]"

// Reveal returns the secret itself; call it only where it is handed to the
// system that it is for.
func (s Secret) Reveal() string { return string(s) }

// String hides the value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the value from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the value from JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
