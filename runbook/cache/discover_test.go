package cache

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"jwksbot/runbook/cache/redistest"

	"jwksbot/runbook"
)

// elastiCache speaks ElastiCache's wire protocol (AWS Query, XML).
type elastiCache struct {
	calls atomic.Int32
	serve func(form url.Values) (status int, body string)
}

func (e *elastiCache) config(t testing.TB) aws.Config {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.calls.Add(1)
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		status, body := e.serve(r.Form)
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	return aws.Config{
		Region:       "eu-west-2",
		BaseEndpoint: aws.String(server.URL),
		Credentials:  credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "verysecret", ""),
		Retryer:      connectionsOnly,
	}
}

// connectionsOnly repeats a call whose connection broke, and nothing else: the
// SDK may close the body of a request while net/http still looks for its end,
// which closes the connection under the answer. Answers are never repeated, so
// that a test sees each of them.
func connectionsOnly() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxBackoff, o.Retryables = time.Millisecond, []retry.IsErrorRetryable{retry.RetryableConnectionError{}}
	})
}

func endpointXML(element, addr string) string {
	host, port, _ := net.SplitHostPort(addr)
	return fmt.Sprintf("<%s><Address>%s</Address><Port>%s</Port></%[1]s>", element, host, port)
}

func groupXML(inner string) string {
	return `<DescribeReplicationGroupsResponse xmlns="http://elasticache.amazonaws.com/doc/2015-02-02/"><DescribeReplicationGroupsResult><ReplicationGroups><ReplicationGroup>
<ReplicationGroupId>oidc</ReplicationGroupId><Status>available</Status>` + inner +
		`</ReplicationGroup></ReplicationGroups></DescribeReplicationGroupsResult></DescribeReplicationGroupsResponse>`
}

// standaloneXML is a group with cluster mode disabled.
func standaloneXML(primary string, withTLS bool) string {
	return groupXML(fmt.Sprintf(`<ClusterEnabled>false</ClusterEnabled><TransitEncryptionEnabled>%v</TransitEncryptionEnabled>
<MemberClusters><ClusterId>oidc-001</ClusterId><ClusterId>oidc-002</ClusterId></MemberClusters>
<NodeGroups><NodeGroup><NodeGroupId>0001</NodeGroupId>%s</NodeGroup></NodeGroups>`, withTLS, endpointXML("PrimaryEndpoint", primary)))
}

func errorXML(code, message string) string {
	return fmt.Sprintf(`<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>1</RequestId></ErrorResponse>`, code, message)
}

func TestDiscoverStandaloneGroup(t *testing.T) {
	r := redistest.Start(t, redistest.Options{})
	e := &elastiCache{serve: func(form url.Values) (int, string) {
		if form.Get("Action") != "DescribeReplicationGroups" || form.Get("ReplicationGroupId") != "oidc" {
			return 400, errorXML("InvalidParameterValue", form.Encode())
		}
		return 200, standaloneXML(r.Addr, false)
	}}
	s := newStore(t, Settings{ReplicationGroup: "oidc", AWS: e.config(t)})
	r.CLI(t, "set", "jwks:1", "v")

	// The listing, the metrics and the card ask at the same time.
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if listed, err := listAll(testContext(t), s); err != nil || len(listed.Entries) != 1 || listed.Shards[0].Name != "0001" {
				t.Errorf("listing = %+v, %v", listed, err)
			}
		})
		wait.Go(func() {
			nodes, err := s.Nodes(testContext(t))
			if diff := cmp.Diff([]string{"oidc-001", "oidc-002"}, nodes); err != nil || diff != "" {
				t.Errorf("nodes: %v %s", err, diff)
			}
		})
	}
	wait.Wait()
	if n := e.calls.Load(); n != 1 {
		t.Errorf("%d look-ups for callers at the same time, want 1", n)
	}
}

func TestDiscoverCluster(t *testing.T) {
	nodes := redistest.StartCluster(t, 3, 1)
	e := &elastiCache{serve: func(url.Values) (int, string) {
		var groups string
		for i, slots := range []string{"0-5460", "5461-10922", "10923-16383"} {
			groups += fmt.Sprintf("<NodeGroup><NodeGroupId>000%d</NodeGroupId><Slots>%s</Slots></NodeGroup>", i+1, slots)
		}
		return 200, groupXML("<ClusterEnabled>true</ClusterEnabled><NodeGroups>" + groups + "</NodeGroups>" + endpointXML("ConfigurationEndpoint", nodes[0].Addr))
	}}
	s := newStore(t, Settings{ReplicationGroup: "oidc", AWS: e.config(t)})
	listed, err := listAll(testContext(t), s)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, shard := range listed.Shards {
		names = append(names, shard.Name)
	}
	if diff := cmp.Diff([]string{"0001", "0002", "0003"}, names); diff != "" {
		t.Errorf("shards (-want +got):\n%s", diff)
	}
}

func TestDiscoverServerless(t *testing.T) {
	e := &elastiCache{serve: func(form url.Values) (int, string) {
		if form.Get("Action") != "DescribeServerlessCaches" || form.Get("ServerlessCacheName") != "oidc" {
			return 400, errorXML("InvalidParameterValue", form.Encode())
		}
		return 200, `<DescribeServerlessCachesResponse><DescribeServerlessCachesResult><ServerlessCaches><member>
<ServerlessCacheName>oidc</ServerlessCacheName><Status>AVAILABLE</Status>` + endpointXML("Endpoint", "oidc.serverless.example:6379") +
			`</member></ServerlessCaches></DescribeServerlessCachesResult></DescribeServerlessCachesResponse>`
	}}
	s := newStore(t, Settings{Serverless: "oidc", Auth: AuthIAM, Username: "jwksbot", AWS: e.config(t)})
	got, err := s.Topology(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if !got.TLS || !got.Cluster || !got.Serverless || got.Endpoints[0] != "oidc.serverless.example:6379" || got.Nodes[0] != "oidc" {
		t.Errorf("topology = %+v", got)
	}
}

func TestDiscoveryErrorsSayWhatToDo(t *testing.T) {
	plain := standaloneXML("cache.example:6379", false)
	for _, c := range []struct {
		name     string
		settings Settings
		status   int
		body     string
		want     []string
	}{
		{"missing", Settings{}, 404, errorXML("ReplicationGroupNotFoundFault", "no such group"), []string{`replication group "oidc"`, "eu-west-2", "cache.serverless"}},
		{"denied", Settings{}, 403, errorXML("AccessDenied", "User is not authorized"), []string{"allow elasticache:DescribeReplicationGroups"}},
		{"creating", Settings{}, 200, groupXML(""), []string{`its status is "available"`}},
		{"password in the clear", Settings{Auth: AuthPassword, Password: "geheim"}, 200, plain, []string{"password is never sent without TLS", "encryption in transit"}},
		{"token in the clear", Settings{Auth: AuthIAM, Username: "jwksbot"}, 200, plain, []string{"IAM token is never sent without TLS"}},
		{"HTML from a gateway", Settings{}, 502, "<html>bad gateway</html>", []string{"elasticache:DescribeReplicationGroups"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &elastiCache{serve: func(url.Values) (int, string) { return c.status, c.body }}
			c.settings.ReplicationGroup, c.settings.AWS = "oidc", e.config(t)
			_, err := listAll(testContext(t), newStore(t, c.settings))
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range append(c.want, "") {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not contain %q", err, w)
				}
			}
			if denied := c.name == "denied"; runbook.IsDenied(err) != denied {
				t.Errorf("refused for certain: %t, want %t", !denied, denied)
			}
			for _, secret := range []string{"geheim", "verysecret", "X-Amz"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("error %q contains %q", err, secret)
				}
			}
		})
	}
}

// A caller that gives up does not fail the others.
func TestDiscoveryOutlivesItsFirstCaller(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	e := &elastiCache{serve: func(url.Values) (int, string) {
		close(asked)
		<-answer
		return 200, standaloneXML("127.0.0.1:1", false)
	}}
	s := newStore(t, Settings{ReplicationGroup: "oidc", AWS: e.config(t)})
	first, cancel := context.WithCancel(testContext(t))
	gaveUp := make(chan error)
	go func() { _, err := s.Nodes(first); gaveUp <- err }()
	<-asked
	cancel()
	if err := <-gaveUp; err == nil {
		t.Error("a cancelled caller got an answer")
	}
	close(answer)
	if nodes, err := s.Nodes(testContext(t)); err != nil || len(nodes) != 2 {
		t.Errorf("nodes = %v, %v", nodes, err)
	}
}
