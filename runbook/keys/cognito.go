package keys

import "strings"

// CognitoIssuer returns the issuer of an Amazon Cognito user pool, as its
// tokens name it.
func CognitoIssuer(region, poolID string) string {
	domain := "amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		domain = "amazonaws.com.cn"
	}
	return "https://cognito-idp." + region + "." + domain + "/" + poolID
}

// CognitoURL returns the URL of the key set of an Amazon Cognito user pool.
func CognitoURL(region, poolID string) string {
	return CognitoIssuer(region, poolID) + "/.well-known/jwks.json"
}
