package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/consent"
)

// consentMail prints the letter for one customer. It reads the DefenderTenant alone: a
// namespace team need not be allowed to read DefenderApps, and the link has the client ID.
func consentMail(ctx context.Context, o options, t terminal, connect connector) error {
	api, err := connect(&o)
	if err != nil {
		return err
	}
	tenant := &v1alpha1.DefenderTenant{}
	err = api.Get(ctx, types.NamespacedName{Namespace: o.namespace, Name: o.name}, tenant)
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("there is no DefenderTenant %s in namespace %s; kubectl get defendertenants -A shows all", o.name, o.namespace)
	case apimeta.IsNoMatchError(err):
		return fmt.Errorf("this cluster does not know DefenderTenants: install the operator, or choose another --context")
	case err != nil:
		return fmt.Errorf("read DefenderTenant %s/%s: %w", o.namespace, o.name, err)
	}
	question, err := ask(tenant, o)
	if err != nil {
		return err
	}
	if granted := apimeta.FindStatusCondition(tenant.Status.Conditions, v1alpha1.ConditionConsentGranted); granted != nil && granted.Status == metav1.ConditionTrue {
		if _, err := fmt.Fprintf(t.notes, "DefenderTenant %s/%s has its consent already; send this only to ask for more permissions.\n\n", o.namespace, o.name); err != nil {
			return err
		}
	}
	_, err = io.WriteString(t.out, consent.Letter(question))
	return err
}

// ask makes the question from what the operator reported, or says what is in the way.
func ask(tenant *v1alpha1.DefenderTenant, o options) (consent.Question, error) {
	status := tenant.Status
	if status.ObservedGeneration < tenant.Generation {
		return consent.Question{}, fmt.Errorf("the operator has not looked at DefenderTenant %s/%s in its present form yet; try again in a moment, "+
			"and if that does not help look whether the operator runs: kubectl get pods -n defender-system", tenant.Namespace, tenant.Name)
	}
	if status.ConsentURL == "" {
		why := "kubectl describe tells why"
		if c := apimeta.FindStatusCondition(status.Conditions, v1alpha1.ConditionStalled); c != nil && c.Status == metav1.ConditionTrue {
			why = c.Message
		}
		return consent.Question{}, fmt.Errorf("DefenderTenant %s/%s has no consent link yet: %s", tenant.Namespace, tenant.Name, why)
	}
	link, err := url.Parse(status.ConsentURL)
	if err != nil {
		return consent.Question{}, fmt.Errorf("status.consentURL of DefenderTenant %s/%s: %w", tenant.Namespace, tenant.Name, err)
	}
	return consent.Question{
		Provider: o.provider,
		AppName:  cmp.Or(o.appName, tenant.Spec.App),
		ClientID: link.Query().Get("client_id"),
		TenantID: tenant.Spec.TenantID,
		Link:     status.ConsentURL,
		Wishes:   consent.WishesOf(tenant.Spec),
	}, nil
}
