package cache

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/smithy-go"

	"jwksbot/runbook"
)

// How long a look-up is good, and how long one may take.
const (
	topologyFor    = time.Minute
	topologyWithin = 10 * time.Second
)

// Topology is where a cache is.
type Topology struct {
	Name       string   // replication group, serverless cache, or the hosts of the URL
	Endpoints  []string // host:port: the primary's, the cluster's configuration endpoint, or the URL's hosts
	TLS        bool     // encryption in transit
	Cluster    bool     // the keys are spread over shards; for a URL with one host this is found out on connecting
	Serverless bool     // CloudWatch's dimension is then clusterId
	Nodes      []string // cache cluster ids for CloudWatch; the name of a serverless cache; none for a URL

	groups map[string]string // slots ("0-5461") to node group id, "" to the only one
}

// Topology looks up where the cache is. Callers at the same time share one
// look-up; its result is kept for a minute, or until a server says that it
// has changed.
func (s *Store) Topology(ctx context.Context) (Topology, error) {
	s.mu.Lock()
	k := s.topology
	s.mu.Unlock()
	if time.Now().Before(k.until) {
		return k.value, nil
	}
	return share(ctx, s, "ElastiCache", func(ctx context.Context) (Topology, error) {
		t, err := s.describe(ctx)
		if err != nil {
			return Topology{}, err
		}
		for _, e := range t.Endpoints {
			if err := s.refusePlain(e, t.TLS); err != nil {
				return Topology{}, err
			}
		}
		s.mu.Lock()
		s.topology = kept[Topology]{t, time.Now().Add(topologyFor)}
		s.mu.Unlock()
		return t, nil
	})
}

// Nodes returns the cache cluster ids whose CloudWatch metrics belong to the
// cache (see [Topology].Nodes).
func (s *Store) Nodes(ctx context.Context) ([]string, error) {
	t, err := s.Topology(ctx)
	return t.Nodes, err
}

// share runs fn once for all callers that ask at the same time. It runs apart
// from the caller's context: one caller that gives up must not fail the rest.
func share[T any](ctx context.Context, s *Store, what string, fn func(context.Context) (T, error)) (T, error) {
	ch := s.group.DoChan(what, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), topologyWithin)
		defer cancel()
		return fn(ctx)
	})
	var zero T
	select {
	case <-ctx.Done():
		return zero, fmt.Errorf("cache %q: no answer in time from %s: is the bot in the right VPC and security group, and is TLS set right? %w", s.name(), what, ctx.Err())
	case r := <-ch:
		if r.Err != nil {
			return zero, r.Err
		}
		return r.Val.(T), nil
	}
}

// name is the cache's name for people.
func (s *Store) name() string {
	if s.url != nil {
		return strings.Join(s.url.hosts, ",")
	}
	return s.settings.ReplicationGroup + s.settings.Serverless
}

func (s *Store) describe(ctx context.Context) (Topology, error) {
	switch {
	case s.url != nil:
		return Topology{
			Name:      s.name(),
			Endpoints: s.url.hosts,
			TLS:       s.url.tls,
			Cluster:   len(s.url.hosts) > 1,
		}, nil
	case s.settings.Serverless != "":
		return s.describeServerless(ctx)
	}
	return s.describeGroup(ctx)
}

func (s *Store) describeGroup(ctx context.Context) (Topology, error) {
	name := s.settings.ReplicationGroup
	out, err := s.client.DescribeReplicationGroups(ctx, &elasticache.DescribeReplicationGroupsInput{ReplicationGroupId: &name})
	var missing *types.ReplicationGroupNotFoundFault
	switch {
	case errors.As(err, &missing):
		return Topology{}, fmt.Errorf("replication group %q: not found in %s: check the name and the region, or use cache.serverless if it is a serverless cache: %w",
			name, s.settings.AWS.Region, missing)
	case err != nil:
		return Topology{}, awsError("replication group", name, "elasticache:DescribeReplicationGroups", err)
	case len(out.ReplicationGroups) == 0:
		return Topology{}, fmt.Errorf("replication group %q: not found in %s: check the name and the region", name, s.settings.AWS.Region)
	}
	return groupTopology(name, out.ReplicationGroups[0])
}

func groupTopology(name string, g types.ReplicationGroup) (Topology, error) {
	t := Topology{
		Name:   name,
		TLS:    aws.ToBool(g.TransitEncryptionEnabled),
		Nodes:  g.MemberClusters,
		groups: map[string]string{},
	}
	for _, n := range g.NodeGroups {
		t.groups[aws.ToString(n.Slots)] = aws.ToString(n.NodeGroupId)
	}
	if e := endpoint(g.ConfigurationEndpoint); e != "" {
		t.Cluster, t.Endpoints = true, []string{e}
		return t, nil
	}
	for _, n := range g.NodeGroups {
		if e := endpoint(n.PrimaryEndpoint); e != "" {
			t.Endpoints = append(t.Endpoints, e)
			return t, nil
		}
	}
	return Topology{}, fmt.Errorf("replication group %q: no endpoint yet, its status is %q: try again when it is available", name, aws.ToString(g.Status))
}

func (s *Store) describeServerless(ctx context.Context) (Topology, error) {
	name := s.settings.Serverless
	out, err := s.client.DescribeServerlessCaches(ctx, &elasticache.DescribeServerlessCachesInput{ServerlessCacheName: &name})
	var missing *types.ServerlessCacheNotFoundFault
	switch {
	case errors.As(err, &missing):
		return Topology{}, fmt.Errorf("serverless cache %q: not found in %s: check the name and the region, or use cache.replication_group: %w",
			name, s.settings.AWS.Region, missing)
	case err != nil:
		return Topology{}, awsError("serverless cache", name, "elasticache:DescribeServerlessCaches", err)
	case len(out.ServerlessCaches) == 0:
		return Topology{}, fmt.Errorf("serverless cache %q: not found in %s: check the name and the region", name, s.settings.AWS.Region)
	}
	c := out.ServerlessCaches[0]
	e := endpoint(c.Endpoint)
	if e == "" {
		return Topology{}, fmt.Errorf("serverless cache %q: no endpoint yet, its status is %q: try again when it is available", name, aws.ToString(c.Status))
	}
	// Serverless caches are clusters and always encrypted in transit.
	return Topology{Name: name, Endpoints: []string{e}, TLS: true, Cluster: true, Serverless: true, Nodes: []string{name}}, nil
}

func endpoint(e *types.Endpoint) string {
	if e == nil || aws.ToString(e.Address) == "" {
		return ""
	}
	port := 6379
	if e.Port != nil {
		port = int(*e.Port)
	}
	return net.JoinHostPort(*e.Address, strconv.Itoa(port))
}

// awsError says which right is missing when that is the reason.
func awsError(kind, name, action string, err error) error {
	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized":
			return &runbook.Denied{Err: fmt.Errorf("%s %q: the bot's role may not call it: allow %s: %w", kind, name, action, err)}
		case "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "SignatureDoesNotMatch":
			return fmt.Errorf("%s %q: AWS refused the bot's credentials: renew them: %w", kind, name, err)
		}
	}
	return fmt.Errorf("%s %q: %s: %w", kind, name, action, runbook.Plainly(err))
}
