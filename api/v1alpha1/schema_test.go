package v1alpha1_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

func TestSchema_EveryFieldIsBoundedAndDescribedAndHasNoDefault(t *testing.T) {
	for kind, definition := range definitions(t) {
		t.Run(kind, func(t *testing.T) {
			all := nodes(definition)
			if len(all) < 10 {
				t.Fatalf("only %d places were found", len(all))
			}
			for _, n := range all {
				s := n.schema
				if s.Type == "string" && s.MaxLength == nil && len(s.Enum) == 0 && s.Format == "" {
					t.Errorf("%s: a text without a bound", n.path)
				}
				if s.Type == "array" && (s.MaxItems == nil || s.XListType == nil) {
					t.Errorf("%s: a list without a bound or a way to merge it", n.path)
				}
				if s.Type == "" || s.AdditionalProperties != nil || s.XPreserveUnknownFields != nil || s.XEmbeddedResource || s.Nullable {
					t.Errorf("%s: anything fits", n.path)
				}
				if s.Default != nil && (n.path != "status" || string(s.Default.Raw) != `{"observedGeneration":-1}`) {
					t.Errorf("%s: a default %s", n.path, s.Default.Raw)
				}
				first, _, _ := strings.Cut(s.Description, " ")
				if n.name != "" && first != n.name {
					t.Errorf("%s: the description starts with %q", n.path, first)
				}
				if n.name != "" && s.Description != "" && !strings.HasSuffix(strings.TrimSpace(s.Description), ".") && !strings.HasPrefix(n.path, "status.conditions") {
					t.Errorf("%s: the description is no sentence: %s", n.path, s.Description)
				}
				for _, rule := range s.XValidations {
					if rule.Message == "" || rule.MessageExpression != "" {
						t.Errorf("%s: the rule %s has no sentence", n.path, rule.Rule)
					}
				}
			}
		})
	}
}

func TestSchema_Columns(t *testing.T) {
	for kind, want := range map[string][]string{
		"DefenderTenant": {
			"0 string Tenant", "0 string Ready", "0 string Consent", "0 string Expires", "0 string Refresh", "0 string Reason",
			"1 string App", "1 string Missing roles", "1 string Secrets", "0 date Age",
		},
		"DefenderApp":   {"0 string Client ID", "0 string Ready", "0 string Accepted", "0 string Reachable", "0 string Reason", "1 boolean Suspended", "0 date Age"},
		"DefenderGrant": {"0 string App", "0 string Namespaces", "0 string APIs", "1 string Tenants", "0 date Age"},
	} {
		t.Run(kind, func(t *testing.T) {
			var got []string
			for _, c := range definitions(t)[kind].Spec.Versions[0].AdditionalPrinterColumns {
				got = append(got, fmt.Sprintf("%d %s %s", c.Priority, c.Type, c.Name))
			}
			if !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

func TestSchema_Scopes(t *testing.T) {
	for kind, want := range map[string]apiextensionsv1.ResourceScope{"DefenderTenant": "Namespaced", "DefenderApp": "Cluster", "DefenderGrant": "Cluster"} {
		definition := definitions(t)[kind]
		if definition.Spec.Scope != want || definition.Spec.Group != "defender.tenant-operator.dev" || len(definition.Spec.Versions) != 1 {
			t.Errorf("%s: %s in %s, %d versions", kind, definition.Spec.Scope, definition.Spec.Group, len(definition.Spec.Versions))
		}
		version := definition.Spec.Versions[0]
		if hasStatus := version.Subresources != nil && version.Subresources.Status != nil; hasStatus != (kind != "DefenderGrant") {
			t.Errorf("%s: status subresource %t", kind, hasStatus)
		}
	}
}

func TestAddToScheme(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	for kind := range definitions(t) {
		for _, name := range []string{kind, kind + "List"} {
			made, err := scheme.New(v1alpha1.GroupVersion.WithKind(name))
			if err != nil {
				t.Error(err)
				continue
			}
			if copied := made.DeepCopyObject(); copied == nil || copied == made {
				t.Errorf("%s cannot be copied", name)
			}
		}
	}
}
