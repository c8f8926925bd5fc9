package config_test

import (
	"encoding/json"
	"testing"

	lua "github.com/yuin/gopher-lua"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

func TestArgoCDTellsHealth(t *testing.T) {
	const current = 3
	condition := func(kind string, status metav1.ConditionStatus, reason string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: kind + " says " + reason}
	}
	ready := func(status metav1.ConditionStatus, reason string) metav1.Condition {
		return condition(v1alpha1.ConditionReady, status, reason)
	}
	stalled := condition(v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonAppNotFound)
	for name, c := range map[string]struct {
		observed   int64
		suspend    bool
		conditions []metav1.Condition
		want       string
		message    string
	}{
		"fresh, before the first look": {observed: -1, want: "Progressing", message: "The operator has not looked at this version yet."},
		"edited, the status is of the version before": {
			observed: current - 1, conditions: []metav1.Condition{ready(metav1.ConditionTrue, v1alpha1.ReasonTokensReady)},
			want: "Progressing", message: "The operator has not looked at this version yet.",
		},
		"ready": {
			observed: current, conditions: []metav1.Condition{ready(metav1.ConditionTrue, v1alpha1.ReasonTokensReady)},
			want: "Healthy", message: "Ready says TokensReady",
		},
		"waiting for consent": {
			observed: current, conditions: []metav1.Condition{ready(metav1.ConditionFalse, v1alpha1.ReasonConsentRequired)},
			want: "Progressing", message: "Ready says ConsentRequired",
		},
		"somebody must edit something": {
			observed: current, conditions: []metav1.Condition{ready(metav1.ConditionFalse, v1alpha1.ReasonAccessDenied), stalled},
			want: "Degraded", message: "Stalled says AppNotFound",
		},
		"the token works, but somebody must edit something": {
			observed: current, conditions: []metav1.Condition{ready(metav1.ConditionTrue, v1alpha1.ReasonTokensReady), stalled},
			want: "Degraded", message: "Stalled says AppNotFound",
		},
		"suspended": {
			observed: current, suspend: true, conditions: []metav1.Condition{ready(metav1.ConditionTrue, v1alpha1.ReasonTokensReady)},
			want: "Suspended", message: "Token requests are suspended.",
		},
		"suspended by its app": {
			observed: current, conditions: []metav1.Condition{ready(metav1.ConditionFalse, v1alpha1.ReasonSuspended)},
			want: "Suspended", message: "Token requests are suspended.",
		},
		"expired": {
			observed: current, conditions: []metav1.Condition{ready(metav1.ConditionFalse, v1alpha1.ReasonTokenExpired)},
			want: "Degraded", message: "Ready says TokenExpired",
		},
	} {
		t.Run(name, func(t *testing.T) {
			status, message := argoHealth(t, v1alpha1.DefenderTenant{
				ObjectMeta: metav1.ObjectMeta{Generation: current},
				Spec:       v1alpha1.DefenderTenantSpec{Suspend: c.suspend},
				Status:     v1alpha1.DefenderTenantStatus{ObservedGeneration: c.observed, Conditions: c.conditions},
			})
			if status != c.want || message != c.message {
				t.Errorf("got %s: %q", status, message)
			}
		})
	}
}

// argoHealth runs the check as Argo CD does: the object is the global obj, the answer is returned.
func argoHealth(t *testing.T, tenant v1alpha1.DefenderTenant) (status, message string) {
	t.Helper()
	encoded, err := json.Marshal(tenant)
	if err != nil {
		t.Fatal(err)
	}
	var object any
	if err := json.Unmarshal(encoded, &object); err != nil {
		t.Fatal(err)
	}
	machine := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer machine.Close()
	lua.OpenBase(machine)
	machine.SetGlobal("obj", luaValue(machine, object))
	if err := machine.DoFile("argocd/health.lua"); err != nil {
		t.Fatal(err)
	}
	answer, isTable := machine.Get(-1).(*lua.LTable)
	if !isTable {
		t.Fatalf("the check returned no table: %v", machine.Get(-1))
	}
	return answer.RawGetString("status").String(), answer.RawGetString("message").String()
}

func luaValue(machine *lua.LState, value any) lua.LValue {
	switch v := value.(type) {
	case map[string]any:
		table := machine.NewTable()
		for key, member := range v {
			table.RawSetString(key, luaValue(machine, member))
		}
		return table
	case []any:
		table := machine.NewTable()
		for _, member := range v {
			table.Append(luaValue(machine, member))
		}
		return table
	case string:
		return lua.LString(v)
	case float64:
		return lua.LNumber(v)
	case bool:
		return lua.LBool(v)
	default:
		return lua.LNil
	}
}
