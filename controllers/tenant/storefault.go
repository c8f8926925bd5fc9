package tenant

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

// conflict is about a Secret that is not ours.
func conflict(owner *v1alpha1.DefenderTenant, name string) *token.Fault {
	return &token.Fault{
		Reason: v1alpha1.ReasonSecretConflict, Actor: token.ActorAuthor, Cure: token.ByPoll,
		Message: fmt.Sprintf("Secret %s/%s exists and does not belong to this DefenderTenant; it was left alone. Its owner must remove it, or the author must choose another secretName.", owner.Namespace, name),
	}
}

// storeFault is about a Secret that could not be read or written: for want of a right, or as writeFault has it.
func (r *Reconciler) storeFault(ctx context.Context, err error, namespace, name string) *token.Fault {
	if apierrors.IsForbidden(err) && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		fault, unknown := r.Secrets.Refused(ctx, namespace, err)
		if unknown != nil {
			return unexplained(err, namespace, name)
		}
		if fault != nil {
			return fault
		}
	}
	return writeFault(err, namespace, name)
}

// unstored tells whether a failure is about the Secret itself.
func unstored(fault *token.Fault) bool {
	return fault.Reason == v1alpha1.ReasonWriteFailed || fault.Reason == v1alpha1.ReasonNoSecretRight
}

// unexplained is about a refusal of which nobody can tell whether it is for want of a right.
func unexplained(err error, namespace, name string) *token.Fault {
	return &token.Fault{
		Reason: v1alpha1.ReasonWriteFailed, Actor: token.ActorPlatform, Cure: token.ByRetry, Cause: err,
		Message: fmt.Sprintf("The API server refuses Secret %s/%s, and does not say whether the operator has the right to write it. The platform team must see to the rights, to quotas and to admission policies.", namespace, name),
	}
}

// writeFault is about a Secret that could not be read or written, and says who can help.
func writeFault(err error, namespace, name string) *token.Fault {
	fault := &token.Fault{
		Reason: v1alpha1.ReasonWriteFailed, Actor: token.ActorNobody, Cure: token.ByRetry, Cause: err,
		Message: fmt.Sprintf("Secret %s/%s could not be read or written. The operator tries again.", namespace, name),
	}
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		// Another token cannot be stored either: seldom looks spare Entra ID requests for nothing.
		fault.Actor, fault.Cure = token.ActorAuthor, token.ByPoll
		fault.Message = fmt.Sprintf("Namespace %s is being deleted and takes no new Secrets. The author must apply the DefenderTenant in another namespace, or again when this one is gone.", namespace)
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err):
		fault.Actor = token.ActorPlatform
		fault.Message = fmt.Sprintf("The API server refuses Secret %s/%s, although the operator has the right to write it: a quota or an admission policy forbids it. The platform team must lift that.", namespace, name)
	}
	return fault
}
