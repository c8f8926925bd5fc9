package tenant

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/internal/token"
)

// forbidden is what the API server answers when RBAC, a quota or a policy refuses a write.
func forbidden(why string) *apierrors.StatusError {
	return apierrors.NewForbidden(corev1.Resource("secrets"), "contoso-xdr", errors.New(why))
}

// TestWriteFaultNamesWhoMustAct: a person reads these sentences when a Secret could not be written.
func TestWriteFaultNamesWhoMustAct(t *testing.T) {
	terminating := forbidden("unable to create new content in namespace soc because it is being terminated")
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for name, row := range map[string]struct {
		err   error
		actor token.Actor
		cure  token.Cure
		want  []string
		never string
	}{
		"etcd has no space": {
			err:   apierrors.NewInternalError(errors.New("etcdserver: mvcc: database space exceeded")),
			actor: token.ActorNobody, cure: token.ByRetry,
			want: []string{"Secret soc/contoso-xdr", "tries again"}, never: "namespace",
		},
		"a quota": {
			err:   forbidden("exceeded quota: few, requested: secrets=1, used: secrets=1, limited: secrets=1"),
			actor: token.ActorPlatform, cure: token.ByRetry,
			want: []string{"Secret soc/contoso-xdr", "platform team", "quota or an admission policy"},
		},
		"the namespace is being deleted": {
			err:   terminating,
			actor: token.ActorAuthor, cure: token.ByPoll,
			want: []string{"Namespace soc is being deleted", "another namespace"}, never: "platform team",
		},
	} {
		t.Run(name, func(t *testing.T) {
			fault := writeFault(row.err, "soc", "contoso-xdr")
			if fault.Actor != row.actor || fault.Cure != row.cure {
				t.Errorf("got %s, cure %v; want %s, %v", fault.Actor, fault.Cure, row.actor, row.cure)
			}
			for _, part := range row.want {
				if !strings.Contains(fault.Message, part) {
					t.Errorf("%q does not say %q", fault.Message, part)
				}
			}
			if row.never != "" && strings.Contains(fault.Message, row.never) {
				t.Errorf("%q says %q", fault.Message, row.never)
			}
		})
	}
}
