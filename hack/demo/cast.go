package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/entra"
)

// cast is who appears in the samples. The emulated Entra ID is made to fit them, so that they are applied
// as they are.
type cast struct {
	app       v1alpha1.DefenderApp
	secret    corev1.Secret
	customers []v1alpha1.DefenderTenant
}

func readCast(dir string) (cast, error) {
	c := cast{customers: make([]v1alpha1.DefenderTenant, 2)}
	for name, object := range map[string]runtime.Object{
		"app.yaml": &c.app, "credential.yaml": &c.secret,
		"tenant-contoso.yaml": &c.customers[0], "tenant-fabrikam.yaml": &c.customers[1],
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return c, err
		}
		if err := yaml.UnmarshalStrict(text, object); err != nil {
			return c, fmt.Errorf("read sample %s: %w", name, err)
		}
	}
	return c, nil
}

// enter makes the emulator know everybody.
func (c cast) enter(e *entra.Emulator) {
	clientID := c.app.Spec.ClientID
	e.RegisterApp(entra.App{
		ClientID: clientID, DisplayName: appName, HomeTenantID: c.app.Spec.HomeTenantID,
		Permissions: map[string][]string{
			entra.DefenderXDR:    {"Incident.Read.All"},
			entra.MicrosoftGraph: {"SecurityIncident.Read.All"},
		},
	})
	for _, value := range c.secret.StringData {
		e.AddSecret(clientID, value, time.Time{})
	}
	for _, customer := range c.customers {
		e.AddTenant(customer.Spec.TenantID)
	}
}
