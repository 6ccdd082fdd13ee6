package drill

import (
	"net/http"
	"strconv"

	"jwksbot/runbook"
)

// Ids of the API that a world has one of.
const (
	restAPIID = "d1r2i3l4l5"
	httpAPIID = "h1t2t3p4d5"
	// pageAuthorisers is small, so that readers have to follow pages.
	pageAuthorisers = 1
)

var errNoAPI = apiError{http.StatusNotFound, "NotFoundException", "Invalid API identifier specified"}

var restRoutes = []restRoute{
	route(http.MethodGet, "/restapis/{}", "GetRestApi"),
	route(http.MethodGet, "/restapis/{}/stages/{}", "GetStage"),
	route(http.MethodGet, "/restapis/{}/authorizers", "GetAuthorizers"),
	route(http.MethodDelete, "/restapis/{}/stages/{}/cache/authorizers", "FlushStageAuthorizersCache"),
}

var httpRoutes = []restRoute{
	route(http.MethodGet, "/v2/apis/{}", "GetApi"),
	route(http.MethodGet, "/v2/apis/{}/stages/{}", "GetStage"),
	route(http.MethodGet, "/v2/apis/{}/authorizers", "GetAuthorizers"),
	route(http.MethodDelete, "/v2/apis/{}/stages/{}/cache/authorizers", "ResetAuthorizersCache"),
}

// apiCall checks that the API and stage of the path exist.
func (e *endpoints) apiCall(c awsCall, kind runbook.APIKind) error {
	routes, id := restRoutes, restAPIID
	if kind == runbook.HTTPAPI {
		routes, id = httpRoutes, httpAPIID
	}
	params := c.params(routes)
	switch {
	case e.world.apiKind() != kind, params[0] != id:
		return errNoAPI
	case len(params) > 1 && params[1] != Stage:
		return apiError{http.StatusNotFound, "NotFoundException", "Invalid stage identifier specified"}
	}
	return nil
}

func (e *endpoints) getRestAPI(c awsCall) error {
	if err := e.apiCall(c, runbook.RestAPI); err != nil {
		return err
	}
	return writeREST(c.rw, http.StatusOK, document{"id": restAPIID, "name": RestAPI, "createdDate": 1_735_689_600})
}

func (e *endpoints) getHTTPAPI(c awsCall) error {
	if err := e.apiCall(c, runbook.HTTPAPI); err != nil {
		return err
	}
	return writeREST(c.rw, http.StatusOK, document{"apiId": httpAPIID, "name": RestAPI, "protocolType": "HTTP"})
}

// variables of the stage: the authoriser's URI names the alias by one.
func (e *endpoints) variables() document {
	if !e.world.settings.alias {
		return document{}
	}
	return document{"authoriser_alias": Alias}
}

func (e *endpoints) getRestStage(c awsCall) error {
	if err := e.apiCall(c, runbook.RestAPI); err != nil {
		return err
	}
	return writeREST(c.rw, http.StatusOK, document{"stageName": Stage, "variables": e.variables(),
		"accessLogSettings": document{"destinationArn": "arn:aws:logs:" + Region + ":" + Account + ":log-group:" + AccessLogGroup}})
}

func (e *endpoints) getHTTPStage(c awsCall) error {
	if err := e.apiCall(c, runbook.HTTPAPI); err != nil {
		return err
	}
	return writeREST(c.rw, http.StatusOK, document{"stageName": Stage, "stageVariables": e.variables(),
		"accessLogSettings": document{"destinationArn": "arn:aws:logs:" + Region + ":" + Account + ":log-group:" + AccessLogGroup}})
}

// invocation is the URI under which the gateway invokes the function.
func (e *endpoints) invocation() string {
	uri := "arn:aws:apigateway:" + Region + ":lambda:path/2015-03-31/functions/" + functionARN
	if e.world.settings.alias {
		uri += ":${stageVariables.authoriser_alias}"
	}
	return uri + "/invocations"
}

func (e *endpoints) getRestAuthorizers(c awsCall) error {
	if err := e.apiCall(c, runbook.RestAPI); err != nil {
		return err
	}
	all := []document{
		{"id": "auth01", "name": "access-token", "type": "TOKEN", "authType": "custom", "authorizerUri": e.invocation(),
			"identitySource": "method.request.header.Authorization", "authorizerResultTtlInSeconds": int(e.world.settings.resultTTL.Seconds())},
		{"id": "auth02", "name": "access-token-query", "type": "REQUEST", "authType": "custom", "authorizerUri": e.invocation(),
			"identitySource": "method.request.querystring.access_token", "authorizerResultTtlInSeconds": 0},
	}
	page, next, err := pageOf(all, c.URL.Query().Get("position"))
	if err != nil {
		return err
	}
	return writeREST(c.rw, http.StatusOK, document{"item": page, "position": next})
}

func (e *endpoints) getHTTPAuthorizers(c awsCall) error {
	if err := e.apiCall(c, runbook.HTTPAPI); err != nil {
		return err
	}
	all := []document{{"authorizerId": "jwt001", "name": "user-pool", "authorizerType": "JWT", "identitySource": []string{"$request.header.Authorization"},
		"jwtConfiguration": document{"issuer": e.world.idp.issuer, "audience": []string{clientID}}}}
	if !e.world.settings.managed {
		all = []document{{"authorizerId": "req001", "name": "access-token", "authorizerType": "REQUEST", "authorizerUri": e.invocation(),
			"authorizerPayloadFormatVersion": "2.0", "authorizerResultTtlInSeconds": int(e.world.settings.resultTTL.Seconds())}}
	}
	page, next, err := pageOf(all, c.URL.Query().Get("nextToken"))
	if err != nil {
		return err
	}
	return writeREST(c.rw, http.StatusOK, document{"items": page, "nextToken": next})
}

// pageOf cuts one page from where the token says; next is nil on the last.
func pageOf(all []document, token string) (page []document, next any, err error) {
	from := 0
	if token != "" {
		if from, err = strconv.Atoi(token); err != nil || from <= 0 || from >= len(all) {
			return nil, nil, apiError{http.StatusBadRequest, "BadRequestException", "Invalid position token"}
		}
	}
	end := min(from+pageAuthorisers, len(all))
	if end < len(all) {
		next = strconv.Itoa(end)
	}
	return all[from:end], next, nil
}

func (e *endpoints) flushStageAuthorizersCache(c awsCall) error {
	if err := e.apiCall(c, runbook.RestAPI); err != nil {
		return err
	}
	e.world.gateway.results.flush()
	c.rw.WriteHeader(http.StatusAccepted)
	return nil
}

func (e *endpoints) resetAuthorizersCache(c awsCall) error {
	if err := e.apiCall(c, runbook.HTTPAPI); err != nil {
		return err
	}
	e.world.gateway.results.flush()
	c.rw.WriteHeader(http.StatusNoContent)
	return nil
}

func (w *World) apiKind() runbook.APIKind {
	if w.settings.managed {
		return runbook.HTTPAPI
	}
	return runbook.RestAPI
}

// RestAPIID is the id of the world's REST API, "" when its API is an HTTP API.
func (w *World) RestAPIID() string {
	if w.apiKind() == runbook.RestAPI {
		return restAPIID
	}
	return ""
}

// HTTPAPIID is the id of the world's HTTP API, "" when its API is a REST API.
func (w *World) HTTPAPIID() string {
	if w.apiKind() == runbook.HTTPAPI {
		return httpAPIID
	}
	return ""
}
