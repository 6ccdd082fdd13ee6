package keys

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"jwksbot/runbook"
)

// sample is one line of the corpus index.
type sample struct {
	file, shape, valid string
	n                  int
	kids               []string
	thumbprints        string
	say                string
}

func corpus(t *testing.T) (dir string, samples []sample) {
	t.Helper()
	root := os.Getenv("JWKSBOT_CORPUS")
	if root == "" {
		t.Skip("JWKSBOT_CORPUS is not set: no corpus to read")
	}
	dir = filepath.Join(root, "jwks")
	f, err := os.Open(filepath.Join(dir, "index.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r := csv.NewReader(f)
	r.Comma, r.LazyQuotes, r.FieldsPerRecord = '\t', true, -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		s := sample{file: row[0], shape: row[2], valid: row[3], thumbprints: row[6], say: row[7]}
		s.n, _ = strconv.Atoi(row[4])
		var kids []*string
		if err := json.Unmarshal([]byte(strings.Trim(row[5], `"`)), &kids); err != nil {
			if err = json.Unmarshal([]byte(row[5]), &kids); err != nil {
				t.Fatalf("%s: kids %q: %v", s.file, row[5], err)
			}
		}
		for _, k := range kids {
			if k == nil {
				s.kids = append(s.kids, "")
			} else {
				s.kids = append(s.kids, *k)
			}
		}
		samples = append(samples, s)
	}
	if len(samples) == 0 {
		t.Fatal("index.tsv lists no files")
	}
	return dir, samples
}

func TestCorpus(t *testing.T) {
	dir, samples := corpus(t)
	for _, s := range samples {
		t.Run(s.file, func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join(dir, s.file))
			if err != nil {
				t.Fatal(err)
			}
			got := Read(b)
			want := s.shape
			if want == "badjson" {
				want = runbook.ShapeUnreadable
			}
			if got.Shape != want || len(got.Keys) != s.n {
				t.Fatalf("shape %q with %d keys, want %q with %d (%s): %q", got.Shape, len(got.Keys), want, s.n, s.say, got.Problems)
			}
			var kids, thumbs []string
			for _, k := range got.Keys {
				kids = append(kids, k.Kid)
				thumbs = append(thumbs, (k.Thumbprint + "----------------")[:16])
			}
			if !slices.Equal(kids, s.kids) {
				t.Errorf("kids %q, want %q", kids, s.kids)
			}
			if joined := strings.ReplaceAll(strings.Join(thumbs, ","), "----------------", "-"); joined != s.thumbprints {
				t.Errorf("thumbprints %s, want %s", joined, s.thumbprints)
			}
			switch {
			case s.valid == "yes" && (got.Usable == 0 || ExitCode(got) != 0),
				s.valid == "no" && got.Usable != 0,
				s.valid == "partial" && len(got.Problems) == 0 && !slices.ContainsFunc(got.Keys, func(k runbook.Key) bool { return len(k.Problems) > 0 }):
				t.Errorf("valid %q, but %d usable and exit code %d (%s)", s.valid, got.Usable, ExitCode(got), s.say)
			}
			t.Logf("usable %d of %d, problems %q", got.Usable, len(got.Keys), got.Problems)
			for _, k := range got.Keys {
				if len(k.Problems) > 0 {
					t.Logf("%q", k.Problems)
				}
			}
		})
	}
}

// TestCorpusRotations reads real rotations as before and after.
func TestCorpusRotations(t *testing.T) {
	dir, _ := corpus(t)
	for sequence, want := range map[string][]string{
		"samekid-newkey-dante":   {diffRekeyed},
		"hardcut-ahamed":         {diffReplaced, diffReplaced, diffReplaced},
		"overlap-advait":         {diffAdded, diffAdded, diffRenamed, diffAdded},
		"obs-google":             {diffRemoved, diffAdded, diffRemoved, diffAdded, diffRemoved, diffAdded, diffRemoved},
		"obs-reencoded-ionos-id": {diffReencoded},
	} {
		files, err := filepath.Glob(filepath.Join(dir, "rotation", sequence, "*.json"))
		if err != nil || len(files) != len(want)+1 {
			t.Fatalf("%s: %d files, want %d: %v", sequence, len(files), len(want)+1, err)
		}
		for i := range want {
			before, _ := os.ReadFile(files[i])
			after, _ := os.ReadFile(files[i+1])
			if got := Compare(Read(after), Read(before)); got.Verdict != want[i] {
				t.Errorf("%s step %d: verdict %q, want %q", sequence, i+1, got.Verdict, want[i])
			}
		}
	}
}
