package identity

import "testing"

func TestPersonal(t *testing.T) {
	for arn, want := range map[string]bool{
		"arn:aws:iam::111122223333:user/robin":                                                                true,
		"arn:aws:iam::111122223333:user/team/robin":                                                           true,
		"arn:aws-cn:iam::111122223333:user/robin":                                                             true,
		"arn:aws-us-gov:sts::111122223333:assumed-role/AWSReservedSSO_Ops_0123456789abcdef/robin@example.com": true,
		"arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Ops_0123456789abcdef/robin@example.com":        true,
		"arn:aws:sts::111122223333:assumed-role/Admin/robin":                                                  false,
		"arn:aws:sts::111122223333:assumed-role/NotAWSReservedSSO_Ops_0123456789abcdef/robin":                 false,
		"arn:aws:sts::111122223333:federated-user/robin":                                                      false,
		"arn:aws:iam::111122223333:role/Admin":                                                                false,
		"arn:aws:iam::111122223333:root":                                                                      false,
		"arn:aws:iam::111122223333:user/":                                                                     false,
		"":                                                                                                    false,
		"robin":                                                                                               false,
		"arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Ops_0123456789abcdef/robin/arn:aws:iam::1:user/x": false,
	} {
		if got := Personal(arn); got != want {
			t.Errorf("%q: %t, want %t", arn, got, want)
		}
	}
}
