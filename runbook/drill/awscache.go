package drill

import (
	"encoding/xml"
	"net"
	"net/http"
	"strings"
)

type xmlEndpoint struct {
	Address string
	Port    string
}

type xmlMember struct {
	CacheClusterID string `xml:"CacheClusterId"`
	CacheNodeID    string `xml:"CacheNodeId"`
	ReadEndpoint   xmlEndpoint
	CurrentRole    string
}

type xmlNodeGroup struct {
	NodeGroupID      string `xml:"NodeGroupId"`
	Status           string
	PrimaryEndpoint  xmlEndpoint
	ReaderEndpoint   xmlEndpoint
	NodeGroupMembers []xmlMember `xml:"NodeGroupMembers>NodeGroupMember"`
}

type xmlReplicationGroup struct {
	ReplicationGroupID       string `xml:"ReplicationGroupId"`
	Description              string
	Status                   string
	MemberClusters           []string       `xml:"MemberClusters>ClusterId"`
	NodeGroups               []xmlNodeGroup `xml:"NodeGroups>NodeGroup"`
	AutomaticFailover        string
	MultiAZ                  string
	CacheNodeType            string
	AuthTokenEnabled         bool
	TransitEncryptionEnabled bool
	AtRestEncryptionEnabled  bool
	ClusterEnabled           bool
	ClusterMode              string
	ARN                      string
	Engine                   string
	NetworkType              string
}

type describeReplicationGroupsResponse struct {
	XMLName xml.Name              `xml:"http://elasticache.amazonaws.com/doc/2015-02-02/ DescribeReplicationGroupsResponse"`
	Groups  []xmlReplicationGroup `xml:"DescribeReplicationGroupsResult>ReplicationGroups>ReplicationGroup"`
	Request string                `xml:"ResponseMetadata>RequestId"`
}

// describeReplicationGroups knows one group: cluster mode disabled, one node,
// no TLS, which is what the Redis of this world is.
func (e *endpoints) describeReplicationGroups(c awsCall) error {
	id := c.form().Get("ReplicationGroupId")
	if id != "" && !strings.EqualFold(id, ReplicationGroup) {
		return apiError{http.StatusNotFound, "ReplicationGroupNotFoundFault", "ReplicationGroup " + id + " not found."}
	}
	return writeXML(c.rw, http.StatusOK, describeReplicationGroupsResponse{
		Groups:  []xmlReplicationGroup{e.replicationGroup()},
		Request: c.rw.Header().Get("X-Amzn-Requestid"),
	})
}

// shutPort is where nothing listens: to who finds the cache by its description,
// it is as far away as behind a security group that rejects.
const shutPort = "1"

func (e *endpoints) replicationGroup() xmlReplicationGroup {
	host, port, _ := net.SplitHostPort(e.world.store.addr) // it has been connected to
	if e.world.settings.shut {
		port = shutPort
	}
	at := xmlEndpoint{Address: host, Port: port}
	return xmlReplicationGroup{
		ReplicationGroupID: ReplicationGroup, Description: "OIDC cache of the drill", Status: "available",
		MemberClusters: []string{nodeID},
		NodeGroups: []xmlNodeGroup{{
			NodeGroupID: "0001", Status: "available", PrimaryEndpoint: at, ReaderEndpoint: at,
			NodeGroupMembers: []xmlMember{{CacheClusterID: nodeID, CacheNodeID: "0001", ReadEndpoint: at, CurrentRole: "primary"}},
		}},
		AutomaticFailover: "disabled", MultiAZ: "disabled", CacheNodeType: "cache.t4g.micro",
		AuthTokenEnabled: e.world.opts.RedisPassword != "" && e.world.opts.RedisUsername == "",
		ClusterMode:      "disabled", Engine: "redis", NetworkType: "ipv4",
		ARN: "arn:aws:elasticache:" + Region + ":" + Account + ":replicationgroup:" + ReplicationGroup,
	}
}

type describeServerlessCachesResponse struct {
	XMLName xml.Name `xml:"http://elasticache.amazonaws.com/doc/2015-02-02/ DescribeServerlessCachesResponse"`
	Caches  struct{} `xml:"DescribeServerlessCachesResult>ServerlessCaches"`
	Request string   `xml:"ResponseMetadata>RequestId"`
}

// describeServerlessCaches knows none.
func (e *endpoints) describeServerlessCaches(c awsCall) error {
	if name := c.form().Get("ServerlessCacheName"); name != "" {
		return apiError{http.StatusNotFound, "ServerlessCacheNotFoundFault", "Serverless cache " + name + " not found."}
	}
	return writeXML(c.rw, http.StatusOK, describeServerlessCachesResponse{Request: c.rw.Header().Get("X-Amzn-Requestid")})
}

type getCallerIdentityResponse struct {
	XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
	Arn     string   `xml:"GetCallerIdentityResult>Arn"`
	UserID  string   `xml:"GetCallerIdentityResult>UserId"`
	Account string   `xml:"GetCallerIdentityResult>Account"`
	Request string   `xml:"ResponseMetadata>RequestId"`
}

func (e *endpoints) getCallerIdentity(c awsCall) error {
	return writeXML(c.rw, http.StatusOK, getCallerIdentityResponse{
		Arn: callerARN, UserID: "AROADRILLEXAMPLE:drill", Account: Account,
		Request: c.rw.Header().Get("X-Amzn-Requestid"),
	})
}
