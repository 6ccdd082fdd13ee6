package authoriser

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// identity lists what a version and $LATEST differ in by nature: names, times,
// states, and the description, which does nothing. ConfigSha256 is a digest over
// some of these and of what is compared one by one.
var identity = []string{
	"ConfigSha256", "Description", "FunctionArn", "LastModified", "LastUpdateStatus", "LastUpdateStatusReason",
	"LastUpdateStatusReasonCode", "MasterArn", "ResultMetadata", "RevisionId", "State", "StateReason", "StateReasonCode", "Version",
}

// words are how people call the parts of a configuration; others go by the name
// that Lambda's API has for them.
var words = map[string]string{
	"CodeSha256": "code", "CodeSize": "code size", "Environment": "environment", "Layers": "layers", "Role": "role", "Handler": "handler",
	"MemorySize": "memory", "Timeout": "timeout", "Runtime": "runtime", "VpcConfig": "VPC", "Architectures": "architecture",
	"TracingConfig": "tracing", "EphemeralStorage": "ephemeral storage", "KMSKeyArn": "KMS key", "DeadLetterConfig": "dead letter queue",
	"FileSystemConfigs": "file systems", "SnapStart": "SnapStart", "ImageConfigResponse": "image configuration", "LoggingConfig": "logging",
	"RuntimeVersionConfig": "runtime version", "PackageType": "package type", "SigningJobArn": "code signing", "SigningProfileVersionArn": "code signing profile",
}

// differences names everything in which two versions of a function differ: all
// that the API tells of them, whatever that will be, but their identity. Names
// of environment variables are given, values never.
func differences(a, b *lambda.GetFunctionConfigurationOutput) []string {
	left, right := plain(a), plain(b)
	var out []string
	for _, key := range slices.Sorted(maps.Keys(union(left, right))) {
		if reflect.DeepEqual(left[key], right[key]) {
			continue
		}
		name := words[key]
		if name == "" {
			name = key
		}
		if key == "Environment" {
			name += variables(left[key], right[key])
		}
		out = append(out, name)
	}
	return out
}

// plain is a configuration as plain data, without its identity and without what
// is empty: the API leaves out or sends empty as it likes.
func plain(c *lambda.GetFunctionConfigurationOutput) map[string]any {
	b, _ := json.Marshal(c) // strings, numbers and maps of them: cannot fail
	var m map[string]any
	_ = json.Unmarshal(b, &m) // it was written a line before
	for _, key := range identity {
		delete(m, key)
	}
	if snap, ok := m["SnapStart"].(map[string]any); ok {
		delete(snap, "OptimizationStatus") // On for versions, Off for $LATEST
	}
	if vpc, ok := m["VpcConfig"].(map[string]any); ok {
		for _, list := range vpc {
			sortStrings(list) // sets, which the API gives in any order
		}
	}
	environment := m["Environment"]
	delete(m, "Environment")
	m, _ = prune(m).(map[string]any)
	if vars := varsOf(environment); m != nil && len(vars) > 0 {
		m["Environment"] = vars // not pruned: a variable that is empty is not one that is missing
	}
	return m
}

func varsOf(environment any) map[string]any {
	all, _ := environment.(map[string]any)
	vars, _ := all["Variables"].(map[string]any)
	return vars
}

func sortStrings(v any) {
	if list, ok := v.([]any); ok {
		slices.SortFunc(list, func(a, b any) int {
			x, _ := a.(string)
			y, _ := b.(string)
			return strings.Compare(x, y)
		})
	}
}

// prune drops what is empty, from the inside out.
func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if value = prune(value); value == nil {
				delete(v, key)
			} else {
				v[key] = value
			}
		}
		if len(v) > 0 {
			return v
		}
		return nil
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
		if len(v) > 0 {
			return v
		}
		return nil
	case string:
		if v == "" {
			return nil
		}
	case bool:
		if !v {
			return nil
		}
	}
	return v
}

// variables names the environment variables that differ.
func variables(a, b any) string {
	left, _ := a.(map[string]any)
	right, _ := b.(map[string]any)
	var names []string
	for _, name := range slices.Sorted(maps.Keys(union(left, right))) {
		if !reflect.DeepEqual(left[name], right[name]) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " (" + strings.Join(names, ", ") + ")"
}

func union(a, b map[string]any) map[string]bool {
	all := map[string]bool{}
	for key := range a {
		all[key] = true
	}
	for key := range b {
		all[key] = true
	}
	return all
}
