// Package outbound says which addresses the program may call: what is said to a
// server outside must not reach one inside.
package outbound
