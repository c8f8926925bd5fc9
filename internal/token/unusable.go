package token

import (
	"cmp"
	"fmt"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/credential"
)

// Unusable is the failure of a credential that cannot be used as it is. owner names the
// application that it is of.
func Unusable(name, owner string, flaw *credential.Defect) *Fault {
	fault := &Fault{
		Reason:  cmp.Or(flaw.Reason, v1alpha1.ReasonCredentialUnusable),
		Message: fmt.Sprintf("Credential %s of %s cannot be used: %s. This is for the platform team.", name, owner, flaw.Text),
		Actor:   ActorPlatform,
		Cure:    ByPoll,
		Scope:   ScopeCredential,
		Unsent:  true,
		Cause:   flaw.Cause,
	}
	if flaw.Passing {
		fault.Cure = ByRetry
		fault.Message = fmt.Sprintf("Credential %s of %s cannot be used at the moment: %s. The operator tries again.", name, owner, flaw.Text)
	}
	return fault
}
