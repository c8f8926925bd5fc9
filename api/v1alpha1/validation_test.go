package v1alpha1_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// specFields and statusFields are all fields of all kinds.
func specFields() map[string][]field {
	return map[string][]field{"DefenderTenant": tenantFields(), "DefenderApp": appFields(), "DefenderGrant": grantFields()}
}

func statusFields() map[string][]field {
	return map[string][]field{"DefenderTenant": tenantStatusFields(), "DefenderApp": appStatusFields()}
}

// TestFields asks the API server to take and to refuse values of every field. It stores nothing.
func TestFields(t *testing.T) {
	refused := map[string]bool{} // by kind, path and rule
	total, done := 0, 0          // values that are refused
	for kind, fields := range specFields() {
		for _, f := range fields {
			for _, value := range f.accepts {
				t.Run(caption(kind, f.path, "takes", value), func(t *testing.T) {
					if err := create(t, kind, f.path, value); err != nil {
						t.Error(err)
					}
				})
			}
			for _, r := range f.refuses {
				total++
				t.Run(caption(kind, f.path, "refuses", r.value), func(t *testing.T) {
					done++
					assertRefused(t, create(t, kind, f.path, r.value), kind, r.says, refused)
				})
			}
		}
	}
	for kind, fields := range statusFields() {
		stored := base(t, kind)
		stored.SetName("status-of-fields")
		store(t, stored)
		for _, f := range fields {
			for _, value := range f.accepts {
				t.Run(caption(kind, f.path, "takes", value), func(t *testing.T) {
					if err := report(t, stored, f.path, value); err != nil {
						t.Error(err)
					}
				})
			}
			for _, r := range f.refuses {
				total++
				t.Run(caption(kind, f.path, "refuses", r.value), func(t *testing.T) {
					done++
					assertRefused(t, report(t, stored, f.path, r.value), kind, r.says, refused)
				})
			}
		}
	}
	t.Run("every rule of the schema refused something", func(t *testing.T) {
		if done < total {
			t.Skip("only some of the values were tried")
		}
		for kind, definition := range definitions(t) {
			for _, n := range nodes(definition) {
				for _, rule := range rules(n) {
					if !refused[kind+" "+rule] {
						t.Errorf("%s: no test refuses a value by %s", kind, rule)
					}
				}
			}
		}
	})
}

func caption(kind, path, verb string, value any) string {
	text := "nothing"
	if _, leaveOut := value.(absent); !leaveOut {
		encoded, _ := json.Marshal(value) // the table holds nothing else
		text = string(encoded)
	}
	if len(text) > 60 {
		text = fmt.Sprintf("%s… (%d bytes)", text[:40], len(text))
	}
	return fmt.Sprintf("%s %s %s %s", kind, path, verb, text)
}

func create(t *testing.T, kind, path string, value any) error {
	t.Helper()
	o := base(t, kind)
	set(t, o, path, value)
	return api.Create(t.Context(), o, client.DryRunAll)
}

func report(t *testing.T, stored *unstructured.Unstructured, path string, value any) error {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", strings.ToLower(stored.GetKind())+"-status.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var status any
	if err := yaml.UnmarshalStrict(data, &status); err != nil {
		t.Fatal(err)
	}
	change := &unstructured.Unstructured{Object: map[string]any{"status": status}}
	set(t, change, path, value)
	patch, err := json.Marshal(change.Object)
	if err != nil {
		t.Fatal(err)
	}
	return api.Status().Patch(t.Context(), stored.DeepCopy(), client.RawPatch(types.MergePatchType, patch), &client.SubResourcePatchOptions{PatchOptions: client.PatchOptions{DryRun: []string{metav1.DryRunAll}}})
}

var index = regexp.MustCompile(`\[\d+\]`)

// assertRefused wants the API server to have named the reason, and notes by which rules it refused.
func assertRefused(t *testing.T, err error, kind, says string, noted map[string]bool) {
	t.Helper()
	var status *apierrors.StatusError
	if !errors.As(err, &status) || !apierrors.IsInvalid(err) {
		t.Fatalf("got %v, want a refusal: …%s…", err, says)
	}
	if !strings.Contains(status.Error(), says) {
		t.Errorf("got  %v\nwant …%s…", err, says)
	}
	for _, cause := range status.ErrStatus.Details.Causes {
		path := index.ReplaceAllString(cause.Field, "[*]")
		for _, rule := range []struct {
			kind metav1.CauseType
			text string
			name string
		}{
			{"FieldValueTooLong", "", "maxLength"},
			{"FieldValueTooMany", "", "maxItems"},
			{"FieldValueNotSupported", "", "enum"},
			{"FieldValueRequired", "", "required"},
			{"FieldValueDuplicate", "", "unique"},
			{"FieldValueInvalid", "should match", "pattern"},
			{"FieldValueInvalid", "chars long", "minLength"},
			{"FieldValueInvalid", "at least", "minItems"},
			{"FieldValueInvalid", "greater than or equal", "minimum"},
			{"FieldValueInvalid", "less than or equal", "maximum"},
		} {
			if cause.Type == rule.kind && strings.Contains(cause.Message, rule.text) {
				noted[fmt.Sprintf("%s %s of %s", kind, rule.name, path)] = true
				break
			}
		}
	}
}

// rules are those of one place in a schema, as assertRefused notes them.
func rules(n node) []string {
	s := n.schema
	var all []string
	add := func(set bool, name, path string) {
		if set {
			all = append(all, fmt.Sprintf("%s of %s", name, path))
		}
	}
	add(s.MaxLength != nil, "maxLength", n.path)
	add(s.MinLength != nil, "minLength", n.path)
	add(s.MaxItems != nil, "maxItems", n.path)
	add(s.MinItems != nil, "minItems", n.path)
	add(s.Maximum != nil, "maximum", n.path)
	add(s.Minimum != nil, "minimum", n.path)
	add(s.Pattern != "", "pattern", n.path)
	add(len(s.Enum) > 0, "enum", n.path)
	add(s.XListType != nil && *s.XListType != "atomic", "unique", n.path+"[*]")
	for _, name := range s.Required {
		add(true, "required", strings.TrimPrefix(n.path+"."+name, "."))
	}
	return all
}

// Every rule in CEL has its sentence in the tables of what is refused.
func TestEveryRuleIsRefusedByName(t *testing.T) {
	said := map[string]bool{unchanged: true} // by TestTenantID_CannotBeChanged
	for _, fields := range specFields() {
		for _, f := range fields {
			for _, r := range f.refuses {
				said[r.says] = true
			}
		}
	}
	found := 0
	for kind, definition := range definitions(t) {
		for _, n := range nodes(definition) {
			for _, rule := range n.schema.XValidations {
				found++
				if !said[rule.Message] {
					t.Errorf("%s: no test is refused with %q (%s)", kind, rule.Message, rule.Rule)
				}
			}
		}
	}
	if found < 9 {
		t.Errorf("only %d rules were found", found)
	}
}

func TestTenantID_CannotBeChanged(t *testing.T) {
	stored := base(t, "DefenderTenant")
	stored.SetName("immutable")
	store(t, stored)
	t.Run("another tenant is refused", func(t *testing.T) {
		changed := stored.DeepCopy()
		set(t, changed, "spec.tenantID", guid)
		err := api.Update(t.Context(), changed)
		if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "tenantID cannot be changed: create another DefenderTenant") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no tenant is refused", func(t *testing.T) {
		changed := stored.DeepCopy()
		set(t, changed, "spec.tenantID", absent{})
		if err := api.Update(t.Context(), changed); !apierrors.IsInvalid(err) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("everything else can be changed", func(t *testing.T) {
		changed := stored.DeepCopy()
		for path, value := range map[string]any{
			"spec.app": "other", "spec.region": "US", "spec.suspend": false, "spec.tokens[0].api": "MicrosoftGraph", "spec.tokens[0].secretName": "other",
		} {
			set(t, changed, path, value)
		}
		if err := api.Update(t.Context(), changed); err != nil {
			t.Error(err)
		}
	})
}

func TestStatus_StartsAtGenerationMinusOne(t *testing.T) {
	for _, kind := range []string{"DefenderTenant", "DefenderApp"} {
		t.Run(kind, func(t *testing.T) {
			o := base(t, kind)
			o.SetName("unseen")
			set(t, o, "status", map[string]any{"observedGeneration": 5, "consentURL": "https://evil.example"})
			store(t, o)
			read := &unstructured.Unstructured{}
			read.SetGroupVersionKind(o.GroupVersionKind())
			if err := api.Get(t.Context(), client.ObjectKeyFromObject(o), read); err != nil {
				t.Fatal(err)
			}
			status, _ := read.Object["status"].(map[string]any)
			if got := slices.Collect(maps.Keys(status)); !slices.Equal(got, []string{"observedGeneration"}) || status["observedGeneration"] != int64(-1) {
				t.Errorf("got %v", status)
			}
		})
	}
}
