package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"jwksbot/runbook"
	"jwksbot/runbook/check"
	"jwksbot/runbook/config"
)

// usesAWS says whether a target needs credentials at all.
func usesAWS(t config.Target) bool {
	return t.Cache.URL == "" || t.Authoriser.LogGroup != "" || t.Authoriser.Function != "" || t.Gateway != (config.Gateway{}) || t.Escalation.SNSTopic != ""
}

// targetExams look at one target. What is not configured is a line that says so.
func (d *doctor) targetExams(i int) []exam {
	t, c := d.targets[i], d.cfg.Targets[i]
	at := func(check string, look func(context.Context) (finding, error)) exam { return exam{t.Name, check, look} }
	return []exam{
		d.channelExam(t),
		d.policyExam(t),
		at("live keys", func(ctx context.Context) (finding, error) { return lookAtKeys(ctx, t) }),
		at("cache", func(ctx context.Context) (finding, error) { return lookAtCache(ctx, t) }),
		at("cache writable", func(ctx context.Context) (finding, error) {
			may, err := d.stores[i].Writable(ctx)
			if err != nil {
				return finding{}, err
			}
			untested := ""
			if len(may.Untested) > 0 {
				untested = "; not tested, since it cannot be tested without doing it: needs +" + strings.Join(may.Untested, " +")
			}
			return well("%s would take a flush%s", runbook.Plural(may.Primaries, "primary", "primaries"), untested)
		}),
		at("cache traffic", func(ctx context.Context) (finding, error) { return lookAtTraffic(ctx, t) }),
		at("log group", func(ctx context.Context) (finding, error) { return lookAtLogs(ctx, t, c) }),
		at("gateway", func(ctx context.Context) (finding, error) { return lookAtGateway(ctx, t, c) }),
		at("function", func(ctx context.Context) (finding, error) { return lookAtFunction(ctx, t) }),
		at("escalation", func(ctx context.Context) (finding, error) { return d.lookAtEscalation(ctx, c) }),
		at("canary", func(ctx context.Context) (finding, error) { return lookAtCanary(ctx, t) }),
		at("commandbridge", func(ctx context.Context) (finding, error) { return lookAtBridge(ctx, c) }),
	}
}

func lookAtKeys(ctx context.Context, t *check.Target) (finding, error) {
	p := t.Live.Probe(ctx)
	switch {
	case p.Unreachable:
		return finding{}, &remedy{errors.New(p.Problem), "let this machine reach " + t.JWKSURL + ", or correct user_pool_id, jwks_url or issuer"}
	case !p.Healthy():
		return finding{}, &remedy{errors.New(p.Problem), "correct user_pool_id, jwks_url or issuer; if they are right, the identity provider is at fault"}
	}
	return well("%s at %s (%s)", runbook.Plural(len(p.Set.Keys), "key", "keys"), t.JWKSURL, runbook.Duration(p.Duration))
}

func lookAtCache(ctx context.Context, t *check.Target) (finding, error) {
	l, err := t.Entries.List(ctx, func(e runbook.RawEntry) runbook.Entry { return runbook.Entry{Name: e.Name} })
	if err != nil {
		return finding{}, err
	}
	if len(l.Entries) == 0 {
		return doubt("correct cache.keys if the authoriser names its entries otherwise; a cold cache is not a fault", "%s, %s keys, none of which matches cache.keys",
			runbook.Plural(len(l.Shards), "primary", "primaries"), runbook.Thousands(l.Others))
	}
	return well("%s, %s cache.keys beside %s others", runbook.Plural(len(l.Shards), "primary", "primaries"), runbook.Plural(len(l.Entries), "entry matches", "entries match"), runbook.Thousands(l.Others))
}

// lately is the window in which sources are tried.
func lately() (since, until time.Time) {
	until = time.Now().UTC()
	return until.Add(-10 * time.Minute), until
}

func lookAtTraffic(ctx context.Context, t *check.Target) (finding, error) {
	if t.Traffic == nil {
		return notSet("CloudWatch knows nothing of a cache that is given by its URL")
	}
	nodes, err := t.Entries.Nodes(ctx)
	if err != nil {
		return finding{}, err
	}
	since, until := lately()
	ev, err := t.Traffic.Traffic(ctx, nodes, since, until)
	if err != nil {
		return finding{}, err
	}
	if len(ev.Points) == 0 {
		return doubt("look at the metrics of the nodes in CloudWatch; a new cache has none for a few minutes", "no hits or misses in 10 minutes on %s", runbook.Plural(len(nodes), "node", "nodes"))
	}
	return well("hits and misses of %s", runbook.Plural(len(nodes), "node", "nodes"))
}

func lookAtLogs(ctx context.Context, t *check.Target, c config.Target) (finding, error) {
	if t.Logs == nil {
		return notSet("authoriser.log_group is not set: failing tokens are not seen")
	}
	since, until := lately()
	ev, err := t.Logs.Failures(ctx, since, until, "")
	if err != nil {
		return finding{}, err
	}
	own := "/aws/lambda/" + functionName(c.Authoriser.Function)
	if group := groupName(c.Authoriser.LogGroup); c.Authoriser.Function != "" && group != own {
		return doubt("set authoriser.log_group to "+own+", unless the function's logging configuration names another group", "%s can be read, but function %s logs to %s by default", group, functionName(c.Authoriser.Function), own)
	}
	return well("can be read; %s in 10 minutes", runbook.Plural(ev.Count, "failure", "failures"))
}

func functionName(name string) string {
	if a, err := arn.Parse(name); err == nil {
		name = strings.TrimPrefix(a.Resource, "function:")
	}
	name, _, _ = strings.Cut(name, ":")
	return name
}

func groupName(group string) string {
	if a, err := arn.Parse(group); err == nil {
		group = strings.TrimSuffix(strings.TrimPrefix(a.Resource, "log-group:"), ":*")
	}
	return group
}

func lookAtGateway(ctx context.Context, t *check.Target, c config.Target) (finding, error) {
	if t.API == nil {
		return notSet("gateway.rest_api or gateway.http_api is not set: its traffic and its result cache are not seen")
	}
	setup, err := t.API.Setup(ctx)
	if err != nil {
		return finding{}, err
	}
	since, until := lately()
	if t.Meter != nil {
		if _, err := t.Meter.Gateway(ctx, setup, since, until); err != nil {
			return finding{}, err
		}
	}
	if t.Access != nil {
		if _, _, err := t.Access.Denied(ctx, since, until); err != nil {
			return finding{}, err
		}
	}
	want := functionName(c.Authoriser.Function)
	for _, a := range setup.Authorisers {
		switch a.Kind {
		case runbook.ManagedJWT, runbook.ManagedUserPool:
			return doubt("nothing is to be done; restart and flush are refused for it", "authoriser %s is managed by AWS and keeps its own copy of the keys: nothing here can flush it", a.Name)
		case runbook.LambdaAuthoriser:
			if want != "" && functionName(a.Function) != want {
				return doubt("set authoriser.function to what the gateway invokes", "authoriser %s invokes %s, not %s", a.Name, a.Function, want)
			}
		}
	}
	return well("API %s, stage %s, %s", setup.ID, setup.Stage, runbook.Plural(len(setup.Authorisers), "authoriser", "authorisers"))
}

func lookAtFunction(ctx context.Context, t *check.Target) (finding, error) {
	if t.Function == nil {
		return notSet("authoriser.function is not set: it cannot be restarted")
	}
	qualifier := ""
	if t.API != nil {
		setup, err := t.API.Setup(ctx)
		if err != nil {
			return finding{}, err
		}
		for _, a := range setup.Authorisers {
			if a.Kind == runbook.LambdaAuthoriser {
				qualifier = a.Qualifier
			}
		}
	}
	ev, err := t.Function.Inspect(ctx, qualifier)
	if err != nil {
		return finding{}, err
	}
	if ev.Refusal != "" {
		return doubt("see the text; flushes work all the same", "a restart would be refused: %s", ev.Refusal)
	}
	return well("%s, version %s, restart by mode %s; the right to do it shows when it is done", ev.Function, ev.Version, ev.Mode)
}

// lookAtEscalation says who would be called. Nobody is called to try it.
func (d *doctor) lookAtEscalation(ctx context.Context, c config.Target) (finding, error) {
	e := c.Escalation
	var ways []string
	if e.UserGroup != "" {
		ways = append(ways, "user group "+e.UserGroup)
		if d.dir != nil {
			if _, _, err := d.members(ctx, []string{e.UserGroup}); err != nil {
				return finding{}, err
			}
		}
	}
	if e.PagerDutyKey != "" {
		ways = append(ways, "PagerDuty")
	}
	if e.SNSTopic != "" {
		ways = append(ways, "SNS")
	}
	if len(ways) == 0 {
		return notSet("escalation.user_group, pagerduty_key and sns_topic are not set: nobody would be called when failures persist")
	}
	return well("%s (nobody was called to test it)", strings.Join(ways, ", "))
}

func lookAtCanary(ctx context.Context, t *check.Target) (finding, error) {
	if t.Canary == nil {
		return notSet("no canary is set: a sign-in is not tried after a flush")
	}
	r, err := t.Canary.Try(ctx)
	switch {
	case err != nil:
		return finding{}, err
	case !r.Accepted:
		return doubt("run: jwksbot check, which says why tokens are rejected", "%s", r.Text)
	}
	return well("%s", r.Text)
}

// lookAtBridge only knocks: pressing the button would flush.
func lookAtBridge(ctx context.Context, c config.Target) (finding, error) {
	if c.CommandBrdg.URL == "" {
		return notSet("no CommandBridge is set: flushes are direct")
	}
	u, err := url.Parse(c.CommandBrdg.URL)
	if err != nil {
		return finding{}, errors.New("commandbridge.url is not a URL")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return finding{}, &remedy{fmt.Errorf("%s cannot be reached: %w", u.Host, err), "correct commandbridge.url, or let this machine reach it"}
	}
	_ = conn.Close() // it answered
	return well("%s can be reached; its button was not pressed to test it", u.Host)
}

// unknownToAWS says why there are no credentials, with the whole search: this is
// the line that is for finding out.
func unknownToAWS(err error) error {
	var p *runbook.Plain
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("AWS does not know this program: %w", err)
}

// credentialsExam says who the bot is at AWS; that call needs no permission.
func (d *doctor) credentialsExam() exam {
	return exam{"aws", "credentials", func(ctx context.Context) (finding, error) {
		cfg, err := loadAWS(ctx)
		if err != nil {
			return finding{}, err
		}
		if cfg.Region == "" {
			cfg.Region = "us-east-1" // STS answers everywhere
		}
		out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return finding{}, &remedy{unknownToAWS(err), "log in (aws sso login), set AWS_PROFILE, or give this machine a role (on EC2, ECS or EKS); the role's policy is printed by: jwksbot iam-policy"}
		}
		who := ""
		if out.Arn != nil {
			who = *out.Arn
		}
		return well("%s", who)
	}}
}
