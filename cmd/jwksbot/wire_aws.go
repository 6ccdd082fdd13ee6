package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"jwksbot/runbook"
)

// loadAWS reads the environment and the shared files as every AWS tool does.
// Credentials are looked for when the first call needs them. What the SDK
// remarks by itself is for its developers: what matters comes as an error.
func loadAWS(ctx context.Context) (aws.Config, error) {
	cfg, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithLogger(logging.Nop{}))
	if err != nil {
		return aws.Config{}, fmt.Errorf("AWS settings: %w", err)
	}
	cfg.Credentials = plainCredentials{cfg.Credentials}
	return cfg, nil
}

// plainCredentials says in one sentence that there are no credentials, and what
// to do. The SDK says it with the whole way that it searched, and every call of
// a check repeats that.
type plainCredentials struct{ aws.CredentialsProvider }

// Retrieve returns the credentials.
func (c plainCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	got, err := c.CredentialsProvider.Retrieve(ctx)
	if err == nil || ctx.Err() != nil {
		return got, err
	}
	return got, &runbook.Plain{Text: noCredentials(err), Err: err}
}

func noCredentials(err error) string {
	var ended *ssocreds.InvalidTokenError
	var answer smithy.APIError
	switch {
	case errors.As(err, &ended):
		return "the AWS SSO session has ended: log in again with aws sso login"
	case errors.As(err, &answer):
		return fmt.Sprintf("AWS gives this program no credentials: %s: %s", answer.ErrorCode(), answer.ErrorMessage())
	}
	return "no AWS credentials that work: log in (aws sso login), set AWS_PROFILE, or give this machine a role"
}
