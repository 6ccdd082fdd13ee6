package identity

import (
	"regexp"
	"sync"
)

// personal are the ARNs that stand for one person: an IAM user, and a session of
// a role of IAM Identity Center, which names it after the user.
var personal = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^arn:aws[a-z-]*:(iam::[0-9]{12}:user/\S+|sts::[0-9]{12}:assumed-role/AWSReservedSSO_[\w+=,.@-]+/[\w+=,.@-]+)$`)
})

// Personal says whether an ARN stands for one person. The session name of any
// other role is chosen by whoever assumes it, so it proves nothing.
func Personal(arn string) bool { return personal().MatchString(arn) }
