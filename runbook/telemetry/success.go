package telemetry

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// successPages bounds a reading of successes: proof needs some, not all, and a
// healthy authoriser logs many.
const successPages = 5

// successTerms are the words of which a line about an accepted token has at
// least one, in the spellings that CloudWatch Logs tells apart. What they find
// is looked at again with acceptedPhrases.
var successTerms = []string{
	"token_accepted", "token_valid", "token_validated", "token_verified", "valid_token", "jwt_valid", "jwt_verified", "auth_success", "authentication_success", "signature_valid",
	"accepted", "Accepted", "validated", "Validated", "verified", "Verified", "is valid", "authenticated", "Authenticated",
	"authorized", "Authorized", "authorised", "Authorised", "granted", "Granted", "uccessful", "succeeded", "allow", "Allow", "ALLOW",
}

// acceptedPhrases say that a token was accepted, written folded (see
// automaton); refusedPhrases are beside them in lines that say the contrary.
var (
	acceptedPhrases = phrases("token accepted|accepted token|token is valid|token valid|valid token|token validated|validated token|token verified|verified token|token successfully|" +
		"jwt accepted|jwt is valid|jwt valid|valid jwt|jwt validated|jwt verified|verified jwt|token validation successful|token validation succeeded|token verification successful|token verification succeeded|" +
		"successfully verified|successfully validated|successfully authenticated|successfully authorized|successfully authorised|signature verified|signature is valid|signature valid|valid signature|" +
		"validation successful|validation succeeded|verification successful|verification succeeded|authentication successful|authentication succeeded|auth success|auth succeeded|authentication success|" +
		"authorization successful|authorization succeeded|authorization success|authorisation successful|authorisation succeeded|" +
		"is authorized|is authorised|isauthorized:true|isauthorized: true|user authenticated|user authorized|user authorised|request authorized|request authorised|request authenticated|access granted|" +
		"effect:allow|effect: allow|effect=allow|event:allow|event: allow|event=allow|decision:allow|decision: allow|decision=allow|result:allow|result: allow|result=allow|action:allow|outcome:allow|outcome=allow|" +
		"authz allow|authorizer allow|authoriser allow|returning allow|allow policy|event:authorized|event=authorized|event:authenticated|outcome:success|policy allow|allowing request|request allowed")
	refusedPhrases = phrases("not accepted|not valid|not a valid|no valid|invalid|not verified|not validated|not successful|not authenticated|not authorized|not authorised|unauthorized|unauthorised|unverified|" +
		"unsuccessful|failed|denied|deny|rejected|not allow|notallow|disallow|isauthorized:false|isauthorized: false|cannot|could not|unable to|expired")
)

// DefaultSuccessPattern returns the filter pattern for lines about accepted
// tokens: any of the terms of known messages.
func DefaultSuccessPattern() string { return anyOf(successTerms) }

// successTable tells the two lists of phrases apart: group 0 and group 1.
var successTable = sync.OnceValue(func() *automaton {
	var terms []term
	for group, list := range [][]string{acceptedPhrases, refusedPhrases} {
		for _, p := range list {
			for _, s := range spellings(p) {
				t := term{text: s}
				t.groups.add(group)
				terms = append(terms, t)
			}
		}
	}
	return newAutomaton(terms)
})

// accepted says whether a line tells of an accepted token.
func (l *Logs) accepted(text string) bool {
	if l.good != "" {
		return true // the operator's own pattern decides
	}
	found, ok := successTable().find(text)
	if !ok || !found.has(0) || found.has(1) {
		return false
	}
	class, _, known := l.classifier.Line(text)
	return !known || !Failure(class)
}

// Successes counts the lines about accepted tokens from since to until (the end
// not included; zero is now) and the kids that they name, most frequent first,
// by the target's success pattern or the known phrases. atLeast says that
// reading stopped early, which it does after a few pages.
func (l *Logs) Successes(ctx context.Context, since, until time.Time) (count int, kids []string, atLeast bool, err error) {
	if until.IsZero() {
		until = l.clock.Now()
	}
	pattern := l.good
	if pattern == "" {
		pattern = DefaultSuccessPattern()
	}
	t := newTally(since, until)
	err = l.read(ctx, window{pattern, since, until, min(successPages, l.maxPages)}, nil, func(e types.FilteredLogEvent) {
		text := aws.ToString(e.Message)
		if at := atOf(e.Timestamp); at.Before(since) || !at.Before(until) || !l.accepted(text) {
			return
		}
		count++
		t.addKid(findKid(text))
	})
	atLeast = err != nil
	if errors.Is(err, errPageCap) {
		err = nil
	}
	for _, k := range t.topKids() {
		kids = append(kids, k.Kid)
	}
	return count, kids, atLeast, err
}
