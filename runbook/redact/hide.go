package redact

import "strings"

// URLs hides what gives access in every URL and connection string of a text,
// whatever its scheme: user and password, and passwords, tokens and keys among
// its parameters. What else the text says stays. It is for what the program says
// of its own settings and of errors that quote them; [Redact] is for text of
// others.
func URLs(s string) string {
	if strings.Contains(s, "@") {
		s = redactUserinfo(s)
		s = bareUserinfo().ReplaceAllStringFunc(s, func(found string) string {
			if strings.Contains(found, "arn:") {
				return found // whose last part may be an address of mail
			}
			at := strings.LastIndexByte(found, '@')
			user, _, _ := strings.Cut(found[:at], ":")
			return user + ":" + markPassword + found[at:]
		})
	}
	if strings.Contains(s, "=") {
		s = secretParameter().ReplaceAllStringFunc(s, func(found string) string {
			name, _, _ := strings.Cut(found, "=")
			return name + "=" + markPassword
		})
	}
	return s
}

var (
	// bareUserinfo is user:password@host without a scheme, as drivers of MySQL
	// take it, or as it is written by mistake.
	bareUserinfo = pattern(`(?:^|[\s"'(=])[^\s"'@/:=()]*:[^\s"'@/][^\s"'@]*@(?:[a-z0-9]+\(|[A-Za-z0-9.-]+(?::[0-9]+|/)|/)`)
	// secretParameter is a parameter of a URL's query, or of a connection string of
	// keywords, which may quote its value.
	secretParameter = pattern(`(?i)\b[a-z_.-]*(?:password|passwd|passphrase|pwd|pass|secret|token|api_?key|access_?key|private_?key|credential|signature)\s*=\s*(?:\\["'][^"'\\]*(?:\\["'])?|'(?:[^'\\]|\\.)*'?|"(?:[^"\\]|\\.)*"?|[^\s&;"'\\\[]+)`)
)
