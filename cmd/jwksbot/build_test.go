package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What a build is made of is written down: the compiler's release in go.mod, and
// every base image of the Dockerfile by its digest.
func TestTheBuildIsPinned(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	toolchain := regexp.MustCompile(`(?m)^toolchain go(\d+\.\d+\.\d+)$`).FindStringSubmatch(read("go.mod"))
	if toolchain == nil {
		t.Fatal("go.mod names no toolchain")
	}
	bases := regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(read("Dockerfile"), -1)
	if len(bases) < 2 {
		t.Fatalf("%d base images", len(bases))
	}
	for _, base := range bases {
		if !regexp.MustCompile(`^\S+:\S+@sha256:[0-9a-f]{64}$`).MatchString(base[1]) {
			t.Errorf("%s: neither tag alone nor digest alone: tag@sha256:…", base[1])
		}
	}
	if !strings.HasPrefix(bases[0][1], "golang:"+toolchain[1]+"-") {
		t.Errorf("the image is built with %s, go.mod names %s", bases[0][1], toolchain[1])
	}
}
