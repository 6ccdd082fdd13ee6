package authoriser

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"jwksbot/runbook"
)

// lambdaAPI is what is called of Lambda.
type lambdaAPI interface {
	GetFunctionConfiguration(context.Context, *lambda.GetFunctionConfigurationInput, ...func(*lambda.Options)) (*lambda.GetFunctionConfigurationOutput, error)
	GetAlias(context.Context, *lambda.GetAliasInput, ...func(*lambda.Options)) (*lambda.GetAliasOutput, error)
	GetProvisionedConcurrencyConfig(context.Context, *lambda.GetProvisionedConcurrencyConfigInput, ...func(*lambda.Options)) (*lambda.GetProvisionedConcurrencyConfigOutput, error)
	UpdateFunctionConfiguration(context.Context, *lambda.UpdateFunctionConfigurationInput, ...func(*lambda.Options)) (*lambda.UpdateFunctionConfigurationOutput, error)
	PublishVersion(context.Context, *lambda.PublishVersionInput, ...func(*lambda.Options)) (*lambda.PublishVersionOutput, error)
	UpdateAlias(context.Context, *lambda.UpdateAliasInput, ...func(*lambda.Options)) (*lambda.UpdateAliasOutput, error)
}

// Settings say which function the authoriser is.
type Settings struct {
	AWS  aws.Config
	Name string // of the function, or its ARN for one of another account
	// Clock is used for waiting and for the time in the mark; nil: the system's.
	Clock runbook.Clock
}

// Function is the authoriser's Lambda function.
type Function struct {
	api   lambdaAPI
	id    string // as Lambda is asked for it: a name or an ARN
	name  string
	where string // Region
	clock runbook.Clock
}

// NewFunction returns the function. It makes no request; the error is about the
// settings.
func NewFunction(s Settings) (*Function, error) {
	if s.Name == "" {
		return nil, errors.New("no function: set authoriser.function to the name or ARN of the authoriser's Lambda function")
	}
	r, err := parseRef(s.Name)
	if err != nil {
		return nil, fmt.Errorf("authoriser.function: %w", err)
	}
	if r.qualifier != "" {
		return nil, fmt.Errorf("authoriser.function: %q names the alias or version %q: leave it out, the gateway says which one it invokes", s.Name, r.qualifier)
	}
	f := &Function{id: s.Name, name: r.name, where: s.AWS.Region, clock: s.Clock}
	if r.region != "" {
		f.where = r.region // an ARN of another Region is asked for there
	}
	f.api = lambda.NewFromConfig(s.AWS, func(o *lambda.Options) {
		if r.region != "" {
			o.Region = r.region
		}
	})
	if f.clock == nil {
		f.clock = runbook.SystemClock{}
	}
	return f, nil
}

// call describes an operation on the function for people and policies.
func (f *Function) call(doing, action, qualifier string) call {
	resource := "function:" + f.name
	if f.id != f.name {
		resource = f.id
	}
	if qualifier != "" {
		resource += ":" + qualifier
	}
	return call{doing: doing, action: "lambda:" + action, resource: resource}
}

// Inspect reads the function that the gateway invokes with this qualifier, ""
// for $LATEST, and says what a restart would do or why it is refused. What was
// read is returned with an error, too; it then refuses a restart.
func (f *Function) Inspect(ctx context.Context, qualifier string) (runbook.FunctionEvidence, error) {
	s, err := f.read(ctx, qualifier)
	e := s.evidence(f.name)
	if err != nil {
		e.Mode, e.Refusal = runbook.RestartNone, "Not everything could be read that a restart depends on: "+err.Error()
	}
	return e, err
}

// config reads the configuration of a version, "" for $LATEST.
func (f *Function) config(ctx context.Context, qualifier string) (*lambda.GetFunctionConfigurationOutput, error) {
	in := &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(f.id)}
	what := fmt.Sprintf("function %q", f.name)
	if qualifier != "" {
		in.Qualifier = aws.String(qualifier)
		what = fmt.Sprintf("version %s of function %q", qualifier, f.name)
	}
	out, err := f.api.GetFunctionConfiguration(ctx, in)
	switch {
	case err == nil:
		return out, nil
	case missing(codeOf(err)) && qualifier == "":
		return nil, fmt.Errorf("%s does not exist in %s: check authoriser.function and region; for a function of another account use its ARN: %w", what, f.where, err)
	case missing(codeOf(err)):
		return nil, fmt.Errorf("%s does not exist: %w", what, err)
	}
	return nil, f.call("reading "+what, "GetFunctionConfiguration", qualifier).explain(err)
}

func (f *Function) alias(ctx context.Context, name string) (*lambda.GetAliasOutput, error) {
	out, err := f.api.GetAlias(ctx, &lambda.GetAliasInput{FunctionName: aws.String(f.id), Name: aws.String(name)})
	what := fmt.Sprintf("alias %q of function %q", name, f.name)
	switch {
	case err == nil:
		return out, nil
	case missing(codeOf(err)):
		return nil, fmt.Errorf("%s, which the gateway invokes, does not exist in %s: %w", what, f.where, err)
	}
	return nil, f.call("reading "+what, "GetAlias", "").explain(err)
}

// provisioned reads what is kept ready for an alias or version; nil: nothing.
func (f *Function) provisioned(ctx context.Context, qualifier string) (*lambda.GetProvisionedConcurrencyConfigOutput, error) {
	out, err := f.api.GetProvisionedConcurrencyConfig(ctx, &lambda.GetProvisionedConcurrencyConfigInput{
		FunctionName: aws.String(f.id), Qualifier: aws.String(qualifier),
	})
	switch {
	case err == nil:
		return out, nil
	case codeOf(err) == "ProvisionedConcurrencyConfigNotFoundException":
		return nil, nil
	}
	return nil, f.call(fmt.Sprintf("reading the provisioned concurrency of %q of function %q", qualifier, f.name), "GetProvisionedConcurrencyConfig", qualifier).explain(err)
}

// modified reads the time as Lambda writes it.
func modified(s *string) time.Time {
	t, _ := time.Parse("2006-01-02T15:04:05.000-0700", aws.ToString(s)) // zero when unknown
	if t.IsZero() {
		return t
	}
	return t.UTC()
}
