package slacksim_test

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"testing"
)

// Every pair of text and ground, and the colours of the chart, reach 4.5:1 in
// light and in dark (WCAG 2.2, 1.4.3).
func TestContrast(t *testing.T) {
	css, err := os.ReadFile("page/style.css")
	if err != nil {
		t.Fatal(err)
	}
	themes := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllSubmatch(css, -1)
	if len(themes) != 2 {
		t.Fatalf("%d themes", len(themes))
	}
	colours := map[string]string{}
	for i, name := range []string{"light", "dark"} {
		for _, v := range regexp.MustCompile(`--([\w-]+): (#[0-9a-f]{6})`).FindAllSubmatch(themes[i][1], -1) {
			colours[string(v[1])] = string(v[2])
		}
		for _, pair := range [][2]string{
			{"ink", "ground"}, {"ink", "raised"}, {"ink", "only-you"}, {"muted", "ground"}, {"muted", "raised"}, {"muted", "only-you"},
			{"accent-ink", "accent"}, {"danger-ink", "danger"}, {"code", "code-ground"}, {"link", "ground"}, {"link", "raised"},
			{"mention-ink", "mention"}, {"broadcast-ink", "broadcast"}, {"side-ink", "side"}, {"side-muted", "side"}, {"side-muted", "side-hover"},
			{"good", "raised"}, {"some", "raised"}, {"bad", "raised"}, {"bad", "ground"}, {"ok", "ground"}, {"failed", "ground"},
		} {
			if c := contrast(t, colours[pair[0]], colours[pair[1]]); c < 4.5 {
				t.Errorf("%s: %s on %s is %.2f:1", name, pair[0], pair[1], c)
			}
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.03928 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
