package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/entra"
)

// row is one fault of the matrix.
type row struct {
	// matrix is the number in docs/fault-matrix.md; several rows may share it.
	matrix string
	name   string
	// always is for rows that are played for every change, and not by `make chaos` alone.
	always bool
	// tenants is how many customers the scene has. Default 1.
	tenants int
	// life of the customers' tokens. Default that of the stage.
	life time.Duration
	// budget bounds the token requests of all customers together, from the fault to the recovery.
	budget int
	// bare is for how long, at most, a customer may be without a token. Most faults cost nothing.
	bare time.Duration
	// earlier allows that a token is replaced by one that ends earlier.
	earlier bool
	// errors allows that passes end with an error, because the API server fails or the process is told to stop.
	errors bool
	// play brings the fault about, looks at what it does and ends it.
	play func(*scene)
}

// scene is what one row has for itself.
type scene struct {
	*stage
	row row

	namespace, app, clientID, secret string

	tenantIDs []string
	requests  int               // made before the fault
	foreign   map[string]string // objects of other people, as they were
}

// perform plays a row and judges it.
func (s *stage) perform(t *testing.T, r row) {
	t.Helper()
	sc := s.set(t, r)
	sc.requests = sc.count()
	r.play(sc)
	sc.within(patience, "all customers have recovered", sc.recovered)
	sc.judge()
}

// set builds the scene and waits until every customer is served.
func (s *stage) set(t *testing.T, r row) *scene {
	t.Helper()
	r.tenants = max(r.tenants, 1)
	if r.life == 0 {
		r.life = lifetime
	}
	number := int(s.scenes.Add(1))
	name := fmt.Sprintf("row-%03d", number)
	sc := &scene{
		stage: s.in(t), row: r, namespace: name, app: name,
		clientID: fmt.Sprintf("00000000-0000-4000-9000-%012d", number),
		secret:   fmt.Sprintf("a-client-secret-of-row-%03d-that-nobody-may-see", number),
		foreign:  map[string]string{},
	}
	sc.register()
	for i := range r.tenants {
		sc.tenantIDs = append(sc.tenantIDs, entra.TenantID(fmt.Sprintf("%x", number), i))
	}
	sc.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	sc.t.Cleanup(sc.strike)
	sc.strangers()
	for i := range sc.tenantIDs {
		sc.admit(i)
		sc.create(sc.tenant(i))
	}
	sc.eventually("every customer is served", sc.recovered)
	sc.eventually("the prober has seen it", sc.seen)
	return sc
}

// register makes the application, here and at Entra ID.
func (sc *scene) register() {
	sc.t.Helper()
	sc.secrets.add(sc.secret)
	sc.entra.RegisterApp(entra.App{ClientID: sc.clientID, DisplayName: sc.app, Permissions: map[string][]string{entra.DefenderXDR: {"Incident.Read.All"}}})
	sc.entra.AddSecret(sc.clientID, sc.secret, time.Time{})
	sc.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: operators, Name: sc.app},
		Data:       map[string][]byte{v1alpha1.DefaultClientSecretKey: []byte(sc.secret)},
	})
	sc.create(&v1alpha1.DefenderApp{ObjectMeta: metav1.ObjectMeta{Name: sc.app}, Spec: v1alpha1.DefenderAppSpec{
		ClientID:    sc.clientID,
		Credentials: []v1alpha1.Credential{{Name: "secret", ClientSecret: &v1alpha1.ClientSecretCredential{SecretRef: v1alpha1.SecretKeyReference{Name: sc.app}}}},
	}})
	sc.create(&v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: sc.app}, Spec: v1alpha1.DefenderGrantSpec{
		App: sc.app, Namespaces: []string{sc.namespace}, TenantIDs: []string{v1alpha1.AnyTenant}, APIs: []string{"DefenderXDR"},
	}})
}

// admit makes a customer exist and consent.
func (sc *scene) admit(i int) {
	id := sc.tenantIDs[i]
	sc.entra.AddTenant(id)
	sc.entra.Consent(id, sc.clientID)
	sc.entra.SetLifetime(id, sc.row.life)
	sc.prober.expect(sc.key(i), customer{tenantID: id, clientID: sc.clientID, earlier: sc.row.earlier})
}

// strangers puts objects of other people beside ours.
func (sc *scene) strangers() {
	sc.t.Helper()
	meta := metav1.ObjectMeta{
		Namespace: sc.namespace, Name: "stranger",
		Labels: map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue}, // whatever it says
	}
	sc.guard(&corev1.Secret{ObjectMeta: meta, Type: v1alpha1.SecretType, Data: map[string][]byte{v1alpha1.KeyToken: []byte("somebody else's")}})
	sc.guard(&corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"key": "value"}})
}

// guard creates an object that has to stay as it is.
func (sc *scene) guard(object client.Object) {
	sc.t.Helper()
	sc.create(object)
	sc.foreign[fmt.Sprintf("%T/%s", object, object.GetName())] = sc.bytes(object)
}

// bytes is an object as the API server has it, version and all.
func (sc *scene) bytes(object client.Object) string {
	sc.t.Helper()
	sc.must(sc.Get(sc.t.Context(), client.ObjectKeyFromObject(object), object))
	data, err := json.Marshal(object)
	sc.must(err)
	return string(data)
}

// strike takes the scene down, so that it costs the next ones nothing.
func (sc *scene) strike() {
	ctx := context.WithoutCancel(sc.t.Context())
	if found := sc.prober.found(sc.namespace); len(found) > 0 { // also when the row came to no end
		const enough = 5
		sc.t.Errorf("%d findings of the prober:\n%s", len(found), strings.Join(found[:min(len(found), enough)], "\n"))
	}
	if sc.t.Failed() {
		sc.t.Logf("the operator's log of %s:\n%s", sc.namespace, sc.operator.log.tail(sc.namespace))
	}
	sc.prober.forget(sc.namespace)
	for _, id := range sc.tenantIDs {
		sc.entra.Clear(id)
	}
	sc.must(client.IgnoreNotFound(sc.DeleteAllOf(ctx, &v1alpha1.DefenderTenant{}, client.InNamespace(sc.namespace))))
	meta := metav1.ObjectMeta{Name: sc.app}
	for _, object := range []client.Object{
		&v1alpha1.DefenderGrant{ObjectMeta: meta}, &v1alpha1.DefenderApp{ObjectMeta: meta},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operators, Name: sc.app}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: sc.namespace}},
	} {
		sc.gone(object)
	}
}

func (sc *scene) key(i int) types.NamespacedName {
	return types.NamespacedName{Namespace: sc.namespace, Name: fmt.Sprintf("customer-%03d", i)}
}

// tenant is a customer's object as it is created.
func (sc *scene) tenant(i int) *v1alpha1.DefenderTenant {
	key := sc.key(i)
	return &v1alpha1.DefenderTenant{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name},
		Spec:       v1alpha1.DefenderTenantSpec{TenantID: sc.tenantIDs[i], App: sc.app},
	}
}

// now is a customer's object as it stands.
func (sc *scene) now(i int) *v1alpha1.DefenderTenant {
	sc.t.Helper()
	object := &v1alpha1.DefenderTenant{}
	sc.must(client.IgnoreNotFound(sc.Get(sc.t.Context(), sc.key(i), object)))
	return object
}

// held is a customer's Secret as it stands, an empty one if there is none.
func (sc *scene) held(i int) *corev1.Secret {
	sc.t.Helper()
	key := sc.key(i)
	key.Name += "-xdr"
	secret := &corev1.Secret{}
	sc.must(client.IgnoreNotFound(sc.Get(sc.t.Context(), key, secret)))
	return secret
}

func (sc *scene) token(i int) string {
	sc.t.Helper()
	return string(sc.held(i).Data[v1alpha1.KeyToken])
}

// refresh asks for a new token of a customer.
func (sc *scene) refresh(i int) {
	sc.t.Helper()
	sc.must(sc.wish(sc.t.Context(), i))
}

// wish annotates a customer's object.
func (sc *scene) wish(ctx context.Context, i int) error {
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.RefreshRequestedAnnotation, time.Now().Format(time.RFC3339Nano))
	return sc.Patch(ctx, sc.tenant(i), client.RawPatch(types.MergePatchType, []byte(patch)))
}

// refreshAll asks for new tokens of all customers.
func (sc *scene) refreshAll() {
	sc.t.Helper()
	for i := range sc.tenantIDs {
		sc.refresh(i)
	}
}

// condition says how a condition of a customer stands, as in "Ready=False ConsentRequired".
func (sc *scene) condition(i int, kind string) string {
	sc.t.Helper()
	return stands(sc.now(i).Status.Conditions, kind)
}

// ofApp says how a condition of the scene's application stands.
func (sc *scene) ofApp(kind string) string {
	sc.t.Helper()
	object := &v1alpha1.DefenderApp{}
	sc.must(sc.Get(sc.t.Context(), types.NamespacedName{Name: sc.app}, object))
	return stands(object.Status.Conditions, kind)
}

func stands(conditions []metav1.Condition, kind string) string {
	if c := apimeta.FindStatusCondition(conditions, kind); c != nil {
		return fmt.Sprintf("%s=%s %s", kind, c.Status, c.Reason)
	}
	return kind + " is absent"
}

// failure is why a customer's token is not better, nil if nothing failed.
func (sc *scene) failure(i int) *v1alpha1.TokenFailure {
	sc.t.Helper()
	for _, t := range sc.now(i).Status.Tokens {
		return t.Failure
	}
	return nil
}

// fails waits until a customer's token has failed for a reason, and checks that this shows in the
// conditions and does the token that it has no harm.
func (sc *scene) fails(i int, reason string) {
	sc.t.Helper()
	last := ""
	defer func() {
		if sc.t.Failed() {
			sc.t.Logf("the last failure was %q", last)
		}
	}()
	sc.eventually("the failure "+reason, func() bool {
		failure := sc.failure(i)
		if failure != nil {
			last = failure.Reason
		}
		return last == reason
	})
	sc.is(i, "Ready=True TokensReady")
	sc.is(i, "Degraded=True RefreshFailing")
}

// is checks a condition.
func (sc *scene) is(i int, want string) {
	sc.t.Helper()
	kind, _, _ := strings.Cut(want, "=")
	if got := sc.condition(i, kind); got != want {
		sc.t.Errorf("%s: %s, want %s", sc.key(i).Name, got, want)
	}
}

// becomes waits for a condition.
func (sc *scene) becomes(i int, want string) {
	sc.t.Helper()
	kind, _, _ := strings.Cut(want, "=")
	sc.eventually(sc.key(i).Name+": "+want, func() bool { return sc.condition(i, kind) == want })
}

// count is how many token requests the customers caused.
func (sc *scene) count() int {
	sum := 0
	for _, id := range sc.tenantIDs {
		sum += sc.entra.CountRequests(entra.Token, id)
	}
	return sum
}

// made is how many token requests the customers caused since the fault began.
func (sc *scene) made() int { return sc.count() - sc.requests }

// recovered tells whether every customer has a token and nothing to complain of.
func (sc *scene) recovered() bool {
	sc.t.Helper()
	var list v1alpha1.DefenderTenantList
	sc.must(sc.List(sc.t.Context(), &list, client.InNamespace(sc.namespace)))
	for i := range list.Items {
		conditions := list.Items[i].Status.Conditions
		if !apimeta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady) || !apimeta.IsStatusConditionFalse(conditions, v1alpha1.ConditionDegraded) ||
			!apimeta.IsStatusConditionFalse(conditions, v1alpha1.ConditionStalled) {
			return false
		}
	}
	return len(list.Items) == len(sc.tenantIDs)
}

// seen tells whether the prober found every customer served.
func (sc *scene) seen() bool {
	for i := range sc.tenantIDs {
		if !sc.prober.served(sc.key(i)) {
			return false
		}
	}
	return true
}
