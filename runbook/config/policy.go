package config

import (
	"cmp"
	"slices"
	"strings"
)

// IAMPolicy is a policy document.
type IAMPolicy struct {
	Version   string
	Statement []IAMStatement
}

// IAMStatement allows actions on resources.
type IAMStatement struct {
	Sid      string
	Effect   string
	Action   []string
	Resource []string
}

// IAMPolicy is the smallest policy for all targets. A statement holds actions with
// the same resources only, so that none is allowed on a resource of another.
func (c *Config) IAMPolicy(region string, read, act bool) IAMPolicy {
	p := IAMPolicy{Version: "2012-10-17", Statement: []IAMStatement{}}
	for _, need := range permissions {
		if need.act && !act || !need.act && !read {
			continue
		}
		var resources []string
		for _, t := range c.Targets {
			at := scope{t, cmp.Or(t.Region, poolRegionOrNone(t.UserPoolID), region, "*")}
			resources = append(resources, need.resources(at)...)
		}
		slices.Sort(resources)
		if resources = slices.Compact(resources); len(resources) > 0 {
			p.add(need.sid, need.action, resources)
		}
	}
	return p
}

func (p *IAMPolicy) add(sid, action string, resources []string) {
	for i := range p.Statement {
		if p.Statement[i].Sid == sid {
			p.Statement[i].Action = append(p.Statement[i].Action, action)
			return
		}
	}
	p.Statement = append(p.Statement, IAMStatement{sid, "Allow", []string{action}, resources})
}

func poolRegionOrNone(pool string) string {
	if pool == "" {
		return ""
	}
	return PoolRegion(pool)
}

// PoolRegion is the region in which a user pool lives: it stands before the
// underscore.
func PoolRegion(pool string) string {
	region, _, _ := strings.Cut(pool, "_")
	return region
}
