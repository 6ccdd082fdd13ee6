package main

import (
	"debug/elf"
	"debug/gosym"
	"strings"
	"testing"

	"jwksbot/cmd/jwksbot/bottest"
)

// The linker leaves out the methods that nothing calls, unless something calls
// methods by computed names, as text/template does: then it keeps every method
// of every SDK, half as much again. So the program cannot even delete a cluster.
func TestTheLinkerLeavesOutWhatNothingCalls(t *testing.T) {
	file, err := bottest.Program()
	if err != nil {
		t.Fatal(err)
	}
	used := false
	for _, name := range functions(t, file) {
		used = used || strings.HasSuffix(name, "elasticache.(*Client).DescribeReplicationGroups")
		if strings.HasSuffix(name, "elasticache.(*Client).DeleteReplicationGroup") || strings.HasPrefix(name, "text/template.(*state)") {
			t.Errorf("the program holds %s: look with go build -ldflags=-dumpdep for <ReflectMethod>", name)
		}
	}
	if !used {
		t.Error("not even what is called is among the functions")
	}
}

// functions reads the names for stack traces, which a stripped program has too.
func functions(t *testing.T, file string) (names []string) {
	f, err := elf.Open(file)
	if err != nil {
		t.Skipf("no ELF file: %v", err)
	}
	defer f.Close()
	lines, err := f.Section(".gopclntab").Data()
	if err != nil {
		t.Fatal(err)
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(lines, f.Section(".text").Addr))
	if err != nil {
		t.Fatal(err)
	}
	for _, fn := range table.Funcs {
		names = append(names, fn.Name)
	}
	return names
}
