package telemetry

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// logWrapping is what a runtime or a logger puts around the text that a handler
// logs.
type logWrapping struct {
	name string
	wrap func(text string) string
}

// inJSON is text as the value of a member, as loggers write it: without the
// escapes of HTML that Go's encoder would make.
func inJSON(text string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func between(before, after string) func(string) string {
	return func(text string) string { return before + text + after }
}

func member(before, after string) func(string) string {
	return func(text string) string { return before + inJSON(text) + after }
}

const requestID = "8f507cfc-3f2a-4697-b07a-ac58fc914c95"

// logWrappings are the log formats of Lambda's runtimes (text and JSON,
// "Configuring advanced logging controls" in the Lambda guide) and of common
// loggers.
var logWrappings = []logWrapping{
	{"Lambda, Node.js, text", between("2026-11-22T10:00:00.000Z\t"+requestID+"\tERROR\t", "\n")},
	{"Lambda, Node.js, JSON", member(`{"timestamp":"2026-11-22T10:00:00.000Z","level":"ERROR","requestId":"`+requestID+`","message":`, `}`)},
	{"Lambda, Node.js, uncaught, JSON", member(`{"timestamp":"2026-11-22T10:00:00.000Z","level":"ERROR","requestId":"`+requestID+`","message":{"errorType":"Error","errorMessage":`, `,"stackTrace":["Error","    at handler (/var/task/index.js:3:9)","    at Runtime.handleOnceNonStreaming"]}}`)},
	{"Lambda, Node.js, uncaught, text", member("2026-11-22T10:00:00.000Z\t"+requestID+"\tERROR\tInvoke Error \t"+`{"errorType":"Error","errorMessage":`, `,"stack":["Error","    at handler (/var/task/index.js:3:9)"]}`)},
	{"Lambda, Python, text", between("[ERROR]\t2026-11-22T10:00:00.000Z\t"+requestID+"\t", "\n")},
	{"Lambda, Python, JSON", member(`{"timestamp":"2026-11-22T10:00:00Z","level":"ERROR","message":`, `,"logger":"root","requestId":"`+requestID+`"}`)},
	{"Lambda, Python, uncaught", func(text string) string {
		return "[ERROR] Exception: " + text + "\nTraceback (most recent call last):\n  File \"/var/task/app.py\", line 3, in handler\n    raise e"
	}},
	{"Lambda, Java, text", between("2026-11-22 10:00:00 "+requestID+" ERROR Handler:12 - ", "\n\tat com.example.Handler.handleRequest(Handler.java:12)\n")},
	{"Lambda, Java, JSON", member(`{"timestamp":"2026-11-22T10:00:00.000Z","message":`, `,"level":"ERROR","AWSRequestId":"`+requestID+`"}`)},
	{"Lambda, .NET, text", between("2026-11-22T10:00:00.000Z\t"+requestID+"\tfail\t", "")},
	{"Lambda, .NET, JSON", member(`{"timestamp":"2026-11-22T10:00:00.000Z","level":"Error","requestId":"`+requestID+`","traceId":"Root=1-2-3","message":`, `,"errorType":"System.Exception"}`)},
	{"Lambda, Ruby", between("E, [2026-11-22T10:00:00.000000 #8] ERROR -- : ", "")},
	{"Lambda, Go, slog", member(`{"time":"2026-11-22T10:00:00Z","level":"ERROR","msg":"denied","err":`, `}`)},
	{"logfmt", member(`time=2026-11-22T10:00:00Z level=error msg=denied err=`, ``)},
	{"Go, log", between("2026/11/22 10:00:00 ", "")},
	{"pino", member(`{"level":50,"time":1795341600000,"pid":8,"hostname":"x","msg":`, `}`)},
	{"winston", member(`{"level":"error","message":`, `,"service":"authoriser"}`)},
	{"Powertools", member(`{"level":"ERROR","message":"denied","exception":`, `,"cold_start":false,"function_name":"authoriser","service":"authoriser"}`)},
	{"structlog", member(`{"event":`, `,"level":"error","timestamp":"2026-11-22T10:00:00Z"}`)},
	{"logstash", member(`{"@timestamp":"2026-11-22T10:00:00.000Z","@version":"1","logger_name":"a.B","level":"ERROR","stack_trace":`, `}`)},
	{"Rust, tracing", member(`{"timestamp":"2026-11-22T10:00:00Z","level":"ERROR","fields":{"message":`, `},"target":"authoriser"}`)},
	{"Docker", func(text string) string { return `{"log":` + inJSON(text+"\n") + `,"stream":"stderr"}` }},
	{"JSON in JSON", func(text string) string { return `{"message":` + inJSON(`{"error":`+inJSON(text)+`}`) + `}` }},
}

// What is recognised bare is recognised in every wrapping, with the same kid.
func TestWrappedShapes(t *testing.T) {
	c := newTestClassifier(t)
	for _, s := range shapes {
		for _, w := range logWrappings {
			if class, kid, _ := c.Line(w.wrap(s.line)); class != s.class || kid != s.kid {
				t.Errorf("%s: %s\n got %q, kid %q\nwant %q, kid %q", w.name, w.wrap(s.line), class, kid, s.class, s.kid)
			}
		}
	}
}
