package main

import "testing"

func TestOnlyReadOnlyMappingsOfTheProgramAreReleased(t *testing.T) {
	const exe = "/usr/local/bin/jwksbot"
	for line, want := range map[string]bool{
		"00400000-01a3f000 r-xp 00000000 fe:00 1311 /usr/local/bin/jwksbot":   true,
		"01a3f000-02f00000 r--p 0163f000 fe:00 1311 /usr/local/bin/jwksbot":   true,
		"02f00000-02f80000 rw-p 02b00000 fe:00 1311 /usr/local/bin/jwksbot":   false, // data
		"00400000-01a3f000 r--s 00000000 fe:00 1311 /usr/local/bin/jwksbot":   false, // shared
		"00400000-01a3f000 r-xp 00000000 fe:00 1311 /usr/local/bin/jwksbot-2": false,
		"c000000000-c000400000 rw-p 00000000 00:00 0":                         false,
		"zz-yy r-xp 00000000 fe:00 1311 /usr/local/bin/jwksbot":               false,
		"": false,
	} {
		from, to, ok := readOnlyMapping(line, exe)
		if ok != want {
			t.Errorf("%q: released %v, want %v", line, ok, want)
		}
		if ok && (from == 0 || to <= from) {
			t.Errorf("%q: from %#x to %#x", line, from, to)
		}
	}
	if from, to, _ := readOnlyMapping("00400000-01a3f000 r-xp 00000000 fe:00 1311 "+exe, exe); from != 0x400000 || to != 0x1a3f000 {
		t.Errorf("addresses %#x to %#x", from, to)
	}
}

// The program goes on after its pages were given back.
func TestReleaseMemory(t *testing.T) {
	if err := releaseMemory(); err != nil {
		t.Fatal(err)
	}
	if version() == "" {
		t.Error("no version")
	}
}
