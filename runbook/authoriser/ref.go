package authoriser

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// ref names a Lambda function, as Lambda's API takes it: a name, a partial ARN
// or an ARN, each with or without a qualifier.
type ref struct {
	partition, region, account string // "" unless the reference says so
	name                       string
	qualifier                  string // alias or version; "" is $LATEST
}

// functionRef is the pattern of FunctionName in the API reference of Lambda.
var functionRef = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:arn:(aws[a-z-]*):lambda:)?(?:([a-z]{2}(?:-[a-z]+)+-\d):)?(?:(\d{12}):)?(?:function:)?([A-Za-z0-9_-]{1,140})(?::(\$LATEST|[A-Za-z0-9_-]+))?$`)
})

const latest = "$LATEST"

func parseRef(s string) (ref, error) {
	m := functionRef().FindStringSubmatch(s)
	if m == nil {
		return ref{}, fmt.Errorf("%q names no Lambda function: use its name or ARN", s)
	}
	r := ref{m[1], m[2], m[3], m[4], m[5]}
	if r.qualifier == latest {
		r.qualifier = ""
	}
	return r, nil
}

// arn is the function without its qualifier; "" when the reference is only a
// name.
func (r ref) arn() string {
	if r.partition == "" || r.region == "" || r.account == "" {
		return ""
	}
	return "arn:" + r.partition + ":lambda:" + r.region + ":" + r.account + ":function:" + r.name
}

// isVersion tells the number of a published version from an alias, whose name
// may not be a number.
func isVersion(qualifier string) bool {
	return qualifier != "" && strings.Trim(qualifier, "0123456789") == ""
}

// stageVariable is a variable of a stage inside an authoriser's URI.
var stageVariable = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\$\{stageVariables\.([A-Za-z0-9_]+)\}`)
})

// parseURI returns the function that an authoriser's URI invokes:
// arn:aws:apigateway:REGION:lambda:path/2015-03-31/functions/FUNCTION/invocations,
// in which variables of the stage may stand anywhere.
func parseURI(uri string, variables map[string]string) (ref, error) {
	var missing []string
	full := stageVariable().ReplaceAllStringFunc(uri, func(v string) string {
		name := stageVariable().FindStringSubmatch(v)[1]
		value, ok := variables[name]
		if !ok {
			missing = append(missing, name)
		}
		return value
	})
	if len(missing) > 0 {
		return ref{}, fmt.Errorf("its URI needs the stage variable %s, which the stage does not have", strings.Join(missing, ", "))
	}
	_, rest, ok := strings.Cut(full, "/functions/")
	function, end := strings.CutSuffix(rest, "/invocations")
	if !ok || !end {
		return ref{}, fmt.Errorf("its URI %q invokes no Lambda function", full)
	}
	r, err := parseRef(function)
	if err != nil {
		return ref{}, fmt.Errorf("its URI: %w", err)
	}
	return r, nil
}
