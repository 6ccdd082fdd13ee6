package authoriser

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"jwksbot/runbook"
	"jwksbot/runbook/redact"
)

// standing is a function as it stands with what a restart depends on. A part
// that could not be read is nil.
type standing struct {
	qualifier  string
	latest     *lambda.GetFunctionConfigurationOutput
	alias      *lambda.GetAliasOutput                        // of the qualifier; nil without
	version    *lambda.GetFunctionConfigurationOutput        // behind the alias, or the one that is invoked; nil for $LATEST
	ready      *lambda.GetProvisionedConcurrencyConfigOutput // of the alias
	readyAlone *lambda.GetProvisionedConcurrencyConfigOutput // of the version itself
}

// read reads everything at once that does not need another answer first.
func (f *Function) read(ctx context.Context, qualifier string) (standing, error) {
	if qualifier == latest {
		qualifier = ""
	}
	s := standing{qualifier: qualifier}
	var latestErr, versionErr, readyErr error
	var all sync.WaitGroup
	all.Go(func() { s.latest, latestErr = f.config(ctx, "") })
	if qualifier != "" {
		all.Go(func() { versionErr = f.readVersion(ctx, &s) })
	}
	if qualifier != "" && !isVersion(qualifier) {
		all.Go(func() { s.ready, readyErr = f.provisioned(ctx, qualifier) })
	}
	all.Wait()
	return s, errors.Join(latestErr, versionErr, readyErr)
}

// readVersion follows the qualifier to the version that is invoked.
func (f *Function) readVersion(ctx context.Context, s *standing) (err error) {
	number := s.qualifier
	if !isVersion(number) {
		if s.alias, err = f.alias(ctx, s.qualifier); err != nil {
			return err
		}
		if number = aws.ToString(s.alias.FunctionVersion); number == latest {
			return nil
		}
	}
	var readyErr error
	var both sync.WaitGroup
	both.Go(func() { s.readyAlone, readyErr = f.provisioned(ctx, number) })
	s.version, err = f.config(ctx, number)
	both.Wait()
	return errors.Join(err, readyErr)
}

// invoked is the configuration that requests meet; nil when it was not read.
func (s standing) invoked() *lambda.GetFunctionConfigurationOutput {
	if s.onLatest() {
		return s.latest
	}
	return s.version
}

// onLatest says that requests meet $LATEST, directly or through an alias.
func (s standing) onLatest() bool {
	return s.qualifier == "" || s.alias != nil && aws.ToString(s.alias.FunctionVersion) == latest
}

func (s standing) mode() runbook.RestartMode {
	switch {
	case s.onLatest():
		return runbook.RestartLatest
	case isVersion(s.qualifier):
		return runbook.RestartNone
	}
	return runbook.RestartAlias
}

func (s standing) evidence(name string) runbook.FunctionEvidence {
	e := runbook.FunctionEvidence{Function: name, Qualifier: s.qualifier, Mode: s.mode(), Refusal: s.refusal()}
	if e.Refusal != "" {
		e.Mode = runbook.RestartNone
	}
	if c := s.invoked(); c != nil {
		e.Version, e.Runtime, e.CodeSHA = aws.ToString(c.Version), string(c.Runtime), aws.ToString(c.CodeSha256)
		if r, err := parseRef(aws.ToString(c.FunctionArn)); err == nil {
			e.ARN = r.arn()
		}
		e.LastModified, e.State, e.UpdateStatus = modified(c.LastModified), string(c.State), string(c.LastUpdateStatus)
	}
	if s.latest != nil {
		e.Revision = aws.ToString(s.latest.RevisionId)
	}
	if s.alias != nil {
		e.AliasRevision = aws.ToString(s.alias.RevisionId)
	}
	for _, r := range []*lambda.GetProvisionedConcurrencyConfigOutput{s.ready, s.readyAlone} {
		if r != nil {
			e.Provisioned += int(aws.ToInt32(r.RequestedProvisionedConcurrentExecutions))
		}
	}
	return e
}

// refusal says why a restart is refused, "" when nothing stands against it. Parts
// that were not read are the caller's to refuse.
func (s standing) refusal() string {
	for _, check := range []func(standing) string{
		standing.fixedVersion, standing.weighted, standing.unreadable, standing.elsewhere,
		standing.inactive, standing.updating, standing.different, standing.concurrency,
	} {
		if why := check(s); why != "" {
			return why
		}
	}
	return ""
}

func (s standing) fixedVersion() string {
	if !isVersion(s.qualifier) {
		return ""
	}
	return fmt.Sprintf("The gateway invokes version %s itself. A published version cannot be changed, so its environments cannot be renewed from here: deploy a new version the usual way, or point the gateway's authoriser at an alias, which can be moved.", s.qualifier)
}

func (s standing) weighted() string {
	if s.alias == nil || s.alias.RoutingConfig == nil || len(s.alias.RoutingConfig.AdditionalVersionWeights) == 0 {
		return ""
	}
	return fmt.Sprintf("Alias %s is weighted: it sends part of the requests to another version, as during a canary deployment. Finish or roll back that deployment first.", s.qualifier)
}

// unreadable is about the answer in which Lambda could not decrypt the
// variables. What is written or compared then is without them.
func (s standing) unreadable() string {
	for _, c := range s.configs() {
		if c.Environment != nil && c.Environment.Error != nil {
			return fmt.Sprintf("Lambda could not read the environment variables of %s (%s), so nobody can say what an update would do to them. See that the caller may use the function's KMS key (kms:Decrypt), then check again.",
				versionName(c), aws.ToString(c.Environment.Error.ErrorCode))
		}
		if c.ImageConfigResponse != nil && c.ImageConfigResponse.Error != nil {
			return fmt.Sprintf("Lambda could not read the image configuration of %s (%s). See what is wrong with it in the Lambda console, then check again.",
				versionName(c), aws.ToString(c.ImageConfigResponse.Error.ErrorCode))
		}
	}
	return ""
}

// elsewhere is about functions on instances of a capacity provider, whose
// environments are replaced by other rules.
func (s standing) elsewhere() string {
	for _, c := range s.configs() {
		if c.CapacityProviderConfig != nil {
			return "The function runs on a capacity provider (Lambda Managed Instances), whose environments this program does not know how to renew. Deploy a new version the usual way."
		}
	}
	return ""
}

func (s standing) inactive() string {
	for _, c := range s.configs() {
		if c.State == "" || c.State == types.StateActive {
			continue
		}
		what := map[types.State]string{
			types.StatePending:  "Wait until it is Active, then check again.",
			types.StateInactive: "Nobody has used it for weeks. Invoke it once and wait until it is Active, then check again.",
		}[c.State]
		if what == "" {
			what = "See what is wrong with it in the Lambda console."
		}
		return fmt.Sprintf("The state of %s is %s%s. %s", versionName(c), c.State, because(c.StateReason), what)
	}
	return ""
}

func (s standing) updating() string {
	for _, c := range s.configs() {
		switch c.LastUpdateStatus {
		case types.LastUpdateStatusInProgress:
			return fmt.Sprintf("Somebody else is updating %s right now. Wait until that is finished, then check again.", versionName(c))
		case types.LastUpdateStatusFailed:
			return fmt.Sprintf("The last update of %s failed%s, and its environments still run what was there before. Repair that first.", versionName(c), because(c.LastUpdateStatusReason))
		}
	}
	return ""
}

// different is about what publishing $LATEST would release besides the renewal.
func (s standing) different() string {
	if s.mode() != runbook.RestartAlias || s.latest == nil || s.version == nil {
		return ""
	}
	diff := differences(s.latest, s.version)
	if len(diff) == 0 {
		return ""
	}
	return fmt.Sprintf("$LATEST differs from version %s, which alias %s invokes, in: %s. A restart would release that. Deploy $LATEST the usual way (which renews the environments as well), or put it back to version %s first.",
		aws.ToString(s.version.Version), s.qualifier, strings.Join(diff, ", "), aws.ToString(s.version.Version))
}

func (s standing) concurrency() string {
	if s.readyAlone != nil && s.alias != nil {
		return fmt.Sprintf("Provisioned concurrency belongs to version %s itself and would stay there when alias %s moves. Deploy a new version the usual way.", aws.ToString(s.alias.FunctionVersion), s.qualifier)
	}
	if s.ready == nil || s.ready.Status == types.ProvisionedConcurrencyStatusEnumReady {
		return ""
	}
	return fmt.Sprintf("The provisioned concurrency of alias %s is %s%s. Wait until it is READY or repair it, then check again.", s.qualifier, s.ready.Status, because(s.ready.StatusReason))
}

// configs are the configurations that a restart touches or compares with.
func (s standing) configs() []*lambda.GetFunctionConfigurationOutput {
	var all []*lambda.GetFunctionConfigurationOutput
	for _, c := range []*lambda.GetFunctionConfigurationOutput{s.latest, s.version} {
		if c != nil {
			all = append(all, c)
		}
	}
	return all
}

func versionName(c *lambda.GetFunctionConfigurationOutput) string {
	if v := aws.ToString(c.Version); v != "" && v != latest {
		return "version " + v
	}
	return latest
}

func because(reason *string) string {
	if aws.ToString(reason) == "" {
		return ""
	}
	return " (" + redact.Text(strings.TrimSuffix(*reason, ".")) + ")"
}
