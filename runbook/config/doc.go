// Package config is the one YAML file: its keys, their defaults, how it is read
// and what is wrong with it.
//
// Words: a key is what the file sets, named by its path, "targets[0].cache.url".
// A value may name an environment variable, ${NAME}, or a file, file:PATH; a
// variable that is not set is no problem until a [Use] needs the value. [Rules]
// are what the adapters say of values that they alone can judge. [Problems] are
// all that is wrong, each with its line.
//
// Each key is declared once, as a field of the structs in config.go: the
// example, the defaults, reading, the suggestions for a misspelt key, forms and
// needs come from there. The table in permissions.go does the same for what the
// bot may do at AWS, see [Config.IAMPolicy].
//
// Promises: all problems come together, in the order of the file. Nothing is
// asked over a network. A secret is a [redact.Secret], and no message repeats
// one, nor a line of a file that is no YAML.
//
// It makes nothing ready and decides nothing: cmd/jwksbot turns a [Config] into
// adapters.
//
// To add a key: declare it in config.go, and use it where it belongs.
package config
