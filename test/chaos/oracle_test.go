package chaos

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// judge is the oracle: what holds after every row, whatever the fault was.
func (sc *scene) judge() {
	sc.t.Helper()
	sc.eventually("the prober has looked at the end", sc.seen)
	for i := range sc.tenantIDs {
		if bare := sc.prober.bare(sc.key(i)); bare > sc.row.bare {
			sc.t.Errorf("%s had no token for %s, at most %s are allowed", sc.key(i).Name, bare, sc.row.bare)
		}
	}
	if made := sc.made(); made > sc.row.budget {
		sc.t.Errorf("%d token requests, at most %d are allowed", made, sc.row.budget)
	}
	sc.untouched()
	sc.discreet()
	sc.sound()
}

// untouched looks after the objects of other people.
func (sc *scene) untouched() {
	sc.t.Helper()
	key := types.NamespacedName{Namespace: sc.namespace}
	for name, before := range sc.foreign {
		kind, base, _ := strings.Cut(name, "/")
		key.Name = base
		var object client.Object = &corev1.Secret{}
		if kind == "*v1.ConfigMap" {
			object = &corev1.ConfigMap{}
		}
		object.SetNamespace(key.Namespace)
		object.SetName(key.Name)
		if now := sc.bytes(object); now != before {
			sc.t.Errorf("%s of somebody else was\n%s\nand is\n%s", name, before, now)
		}
	}
}

// sound looks for signs of a defect in the log.
func (sc *scene) sound() {
	sc.t.Helper()
	text := sc.operator.log.text()
	signs := []string{"DATA RACE", "Observed a panic", "panic:"}
	if !sc.row.errors {
		signs = append(signs, "Reconciler error")
	}
	for _, sign := range signs {
		if i := strings.Index(text, sign); i >= 0 {
			sc.t.Errorf("the operator's log has %q: %s", sign, text[i:min(len(text), i+400)])
		}
	}
}

// discreet looks for anything secret wherever people can read.
func (sc *scene) discreet() {
	sc.t.Helper()
	pages := map[string]string{"log": sc.operator.log.text(), "metrics": fetch(sc.t.Context(), sc.operator.metrics)}
	for kind, list := range map[string]client.ObjectList{
		"DefenderTenants": &v1alpha1.DefenderTenantList{}, "DefenderApps": &v1alpha1.DefenderAppList{},
		"events": &eventsv1.EventList{}, "old events": &corev1.EventList{}, "Secrets": &corev1.SecretList{},
	} {
		sc.must(sc.List(sc.t.Context(), list))
		if secrets, ok := list.(*corev1.SecretList); ok {
			for i := range secrets.Items {
				secrets.Items[i].Data = nil // that is where tokens belong
			}
		}
		text, err := json.Marshal(list)
		sc.must(err)
		pages[kind] = string(text)
	}
	// The beginning of every JWT of Entra ID, in plain and in base64. Less of it comes up by chance in a token's ID.
	for _, secret := range append(append(sc.entra.Marks(), "eyJ0eXAi", "ZXlKMGVYQW"), sc.secrets.all()...) {
		for page, text := range pages {
			if i := strings.Index(text, secret); i >= 0 {
				sc.t.Errorf("%q is in the %s: …%s…", secret, page, text[max(0, i-200):min(len(text), i+30)])
			}
		}
	}
}

// secretList are the client secrets of all scenes.
type secretList struct {
	mu   sync.Mutex
	list []string
}

func (l *secretList) add(secret string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, secret, base64.StdEncoding.EncodeToString([]byte(secret)))
}

func (l *secretList) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.list...)
}
