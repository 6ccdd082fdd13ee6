package main

import (
	"debug/elf"
	"strings"
	"testing"
)

// The linker leaves out the methods that nothing calls, unless something calls
// methods by computed names, as text/template does: then it keeps every method
// of every SDK, half as much again. So the program cannot even delete a cluster.
func TestTheLinkerLeavesOutWhatNothingCalls(t *testing.T) {
	file, err := program()
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.Open(file)
	if err != nil {
		t.Skipf("no ELF file: %v", err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	used := false
	for _, s := range symbols {
		used = used || strings.HasSuffix(s.Name, "elasticache.(*Client).DescribeReplicationGroups")
		if strings.HasSuffix(s.Name, "elasticache.(*Client).DeleteReplicationGroup") || strings.HasPrefix(s.Name, "text/template.(*state)") {
			t.Errorf("the program holds %s: look with go build -ldflags=-dumpdep for <ReflectMethod>", s.Name)
		}
	}
	if !used {
		t.Error("not even what is called is among the symbols")
	}
}
