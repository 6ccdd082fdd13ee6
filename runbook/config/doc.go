// Package config is the one YAML file: its keys, their defaults, how it is read
// and what is wrong with it.
//
// Words: a key is what the file sets, named by its path, "targets[0].cache.url".
// A value may name an environment variable, ${NAME}, or a file, file:PATH; a
// variable that is not set is no problem until a command needs the value, which
// [Config.Need] says. [Rules] are what the adapters say of values that only they
// can judge. A [Problems] is all that is wrong, each with its line.
//
// Promises: all problems come together, in the order of the file. Nothing is
// asked over a network. A secret is a [redact.Secret], and no message repeats
// one, nor a line of a file that is no YAML.
//
// It also says which rights the file needs at AWS, from one table of
// permissions: see [Config.IAMPolicy].
//
// It makes nothing ready: cmd/jwksbot turns a [Config] into adapters.
//
// To add a key: give its struct in config.go a field, with a default and a line
// in the example, and use it where it belongs.
package config
