package guard

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// A failure tells the seed and the round, which play it again alone.
var (
	seed      = flag.Uint64("seed", 1, "of the property test")
	caseCount = flag.Int("cases", defaultCases, "of the property test")
	oneRound  = flag.Int("round", -1, "of the property test, alone")
)

// TestATokenAppearsIfAndOnlyIfItWasGranted is the promise of the product, against a real API server and the real
// controller. A case is one token that somebody wants, and what becomes of it when the grants change. What is expected is
// worked out here, from what was asked and granted, with nothing of the operator's code.
func TestATokenAppearsIfAndOnlyIfItWasGranted(t *testing.T) {
	lab := newLab(t)
	t.Run("under the guard", func(t *testing.T) { lab.play(t, true, *caseCount) })
	t.Run("without it", func(t *testing.T) {
		must(t, shared.kubectl(t.Context(), "delete", "validatingadmissionpolicybinding", "defender-tenant-authors"))
		t.Cleanup(func() {
			must(t, shared.kubectl(context.Background(), "apply", "--server-side", "-k", "../../config/guard"))
			must(t, shared.awaitPolicy(context.Background(), "defender-tenant-authors", true))
		})
		must(t, shared.awaitPolicy(t.Context(), "defender-tenant-authors", false))
		lab.play(t, false, *caseCount/10)
	})
}

// The stock that cases are made of.
const (
	spacesPerRound  = 6
	tenantsPerRound = 220
	grantsPerRound  = 40
)

// public and government are the resources behind the presets, by cloud.
func resources() map[string][2]string {
	return map[string][2]string{
		"DefenderXDR":         {"https://api.security.microsoft.com", "https://api-gov.security.microsoft.us"},
		"DefenderForEndpoint": {"https://api.securitycenter.microsoft.com", "https://api-gov.securitycenter.microsoft.us"},
		"MicrosoftGraph":      {"https://graph.microsoft.com", "https://graph.microsoft.us"},
	}
}

// apis are entries of a grant, and what a token may be for.
func apis() []string {
	return []string{
		"DefenderXDR", "DefenderForEndpoint", "MicrosoftGraph",
		"https://api.security.microsoft.com", "https://graph.microsoft.us", "https://api.example.com",
	}
}

// customers are six, and the home tenants of two of the applications.
func customers() []string {
	var ids []string
	for i := range 8 {
		ids = append(ids, fmt.Sprintf("00000000-0000-4000-a000-00000000000%d", i))
	}
	return ids
}

// application is a DefenderApp as the oracle knows it.
type application struct{ clientID, home, cloud string }

// applications exist all but one, which only specs and grants name.
func applications() map[string]application {
	return map[string]application{
		"first":      {clientID: "00000000-0000-4000-b000-000000000001", home: customers()[6]},
		"second":     {clientID: "00000000-0000-4000-b000-000000000002", home: customers()[7]},
		"government": {clientID: "00000000-0000-4000-b000-000000000003", cloud: "USGovernment"},
		"nobody":     {},
	}
}

// wish is one token that a DefenderTenant asks for.
type wish struct {
	name, api  string // a preset, or a resource
	secretName string // as written in the spec, or empty
	writable   bool   // the user named may write this very Secret
	taken      bool   // the name is somebody else's
}

// request is one DefenderTenant and who creates it.
type request struct {
	user, group           string
	namespace, name       string
	customer, application string
	wishes                []wish
	accepted              bool // as it turned out
}

func (q *request) secret(w wish) string { return cmp.Or(w.secretName, q.name+"-"+w.name) }

// round is a world of its own in namespaces of its own.
type round struct {
	t        *testing.T
	lab      *lab
	random   *rand.Rand
	id       string
	spaces   []string
	grants   map[string]v1alpha1.DefenderGrantSpec
	requests []*request
	foreign  []*corev1.Secret
	made     int // grants so far
}

// play runs rounds until there were enough cases.
func (l *lab) play(t *testing.T, guarded bool, cases int) {
	t.Helper()
	judged, granted, refused := 0, 0, 0
	for n := 0; judged < cases && !t.Failed(); n++ {
		if *oneRound >= 0 && *oneRound != n {
			if n > *oneRound {
				break
			}
			continue
		}
		r := &round{
			t: t, lab: l, random: rand.New(rand.NewPCG(*seed, uint64(n))), grants: map[string]v1alpha1.DefenderGrantSpec{},
			id: strings.ToLower(fmt.Sprintf("r%d-%t", n, guarded)),
		}
		r.invent()
		r.furnish()
		r.ask(guarded)
		for phase := range 2 {
			r.barrier(phase)
			yes, all := r.judge(fmt.Sprintf("seed %d, round %d, phase %d", *seed, n, phase))
			judged, granted = judged+all, granted+yes
			if phase == 0 {
				refused += r.refused()
				judged += r.refused()
				r.change()
			}
		}
	}
	t.Logf("%d cases: %d tokens granted, %d not, %d refused at creation", judged, granted, judged-granted-refused, refused)
}

// pick gives one of several with the same chance.
func pick[T any](r *round, from []T) T { return from[r.random.IntN(len(from))] }

// chance is true so many times in a hundred.
func (r *round) chance(percent int) bool { return r.random.IntN(100) < percent }

// some gives up to n different ones.
func some[T comparable](r *round, from []T, n int) []T {
	var chosen []T
	for range 1 + r.random.IntN(n) {
		if one := pick(r, from); !slices.Contains(chosen, one) {
			chosen = append(chosen, one)
		}
	}
	return chosen
}

// invent makes up the round.
func (r *round) invent() {
	for i := range spacesPerRound {
		r.spaces = append(r.spaces, fmt.Sprintf("%s-%d", r.id, i))
	}
	for range grantsPerRound {
		r.grants[r.grantName()] = r.inventGrant()
	}
	names := slices.Sorted(maps.Keys(applications()))
	for i := range tenantsPerRound {
		q := &request{
			namespace: pick(r, r.spaces), name: fmt.Sprintf("t%d", i), customer: pick(r, customers()), application: pick(r, names),
		}
		if q.application == "nobody" && r.chance(70) {
			q.application = "first"
		}
		q.user, q.group = r.inventUser(q.namespace)
		for j := range 1 + r.random.IntN(4) {
			w := wish{name: fmt.Sprintf("k%d", j), api: pick(r, apis()), writable: r.chance(70), taken: r.chance(8)}
			if r.chance(40) || w.taken {
				w.secretName = fmt.Sprintf("chosen-%d-%d", i, j)
			}
			q.wishes = append(q.wishes, w)
		}
		r.requests = append(r.requests, q)
	}
}

func (r *round) grantName() string {
	r.made++
	return fmt.Sprintf("%s-%d", r.id, r.made)
}

func (r *round) inventGrant() v1alpha1.DefenderGrantSpec {
	spec := v1alpha1.DefenderGrantSpec{
		App: pick(r, slices.Sorted(maps.Keys(applications()))), Namespaces: some(r, r.spaces, 3),
		TenantIDs: some(r, customers(), 3), APIs: some(r, apis(), 3),
	}
	if r.chance(30) {
		spec.TenantIDs = []string{"*"}
	}
	switch r.random.IntN(10) {
	case 0:
		spec.MaxRoles = []string{"Incident.Read.All", "Alert.Read.All"}
	case 1:
		spec.MaxRoles = []string{"Alert.Read.All"} // every token carries another one
	}
	return spec
}

// inventUser gives a user and a group. The group authors may write DefenderTenants everywhere.
func (r *round) inventUser(namespace string) (user, group string) {
	switch n := r.random.IntN(100); {
	case n < 50:
		return "editor-of-" + namespace, "authors"
	case n < 60:
		return "root", "system:masters"
	case n < 72:
		return "author", "authors"
	case n < 84:
		return "named", "authors"
	case n < 92:
		return "editor-of-" + pick(r, r.spaces), "authors"
	default:
		return "stranger", ""
	}
}

// mayCreate is what roles and guard say of a request.
func (q *request) mayCreate(guarded bool) bool {
	mayWrite := func(w wish) bool {
		switch q.user {
		case "root", "editor-of-" + q.namespace:
			return true
		case "named":
			return w.writable
		}
		return false
	}
	if q.user == "stranger" {
		return false
	}
	return !guarded || !slices.ContainsFunc(q.wishes, func(w wish) bool { return !mayWrite(w) })
}

// granted is the oracle: what somebody would say who reads the grants.
func (r *round) granted(q *request, w wish) bool {
	if q.application == "nobody" || w.taken || !q.accepted {
		return false
	}
	app := applications()[q.application]
	resource := r.resource(q, w)
	for _, g := range r.grants {
		names := slices.Contains(g.TenantIDs, q.customer) || slices.Contains(g.TenantIDs, "*") && q.customer != app.home
		covers := slices.ContainsFunc(g.APIs, func(entry string) bool {
			both := resources()[entry]
			return entry == resource || slices.Contains(both[:], resource)
		})
		roles := len(g.MaxRoles) == 0 || slices.Contains(g.MaxRoles, "Incident.Read.All")
		if g.App == q.application && slices.Contains(g.Namespaces, q.namespace) && names && covers && roles {
			return true
		}
	}
	return false
}

// resource is what the token of a wish is for.
func (*round) resource(q *request, w wish) string {
	both, isPreset := resources()[w.api]
	switch {
	case !isPreset:
		return w.api
	case applications()[q.application].cloud == "USGovernment":
		return both[1]
	}
	return both[0]
}

// furnish creates everything but the DefenderTenants.
func (r *round) furnish() {
	r.t.Helper()
	for _, space := range r.spaces {
		must(r.t, shared.Create(r.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: space}}))
	}
	for _, space := range r.spaces {
		bindEdit(r.t, space, "editor-of-"+space)
		writable := []string{"at-least-one"}
		for _, q := range r.requests {
			for _, w := range q.wishes {
				if q.namespace == space && w.writable {
					writable = append(writable, q.secret(w))
				}
			}
		}
		bindSecrets(r.t, space, "named", []string{"create", "update"}, writable...)
	}
	for name, spec := range r.grants {
		must(r.t, shared.Create(r.t.Context(), &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}))
	}
	for _, q := range r.requests {
		for _, w := range q.wishes {
			if w.taken {
				r.occupy(q, w)
			}
		}
	}
}

// occupy lets a name be somebody else's, more or less like one of ours.
func (r *round) occupy(q *request, w wish) {
	r.t.Helper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: q.namespace, Name: q.secret(w)},
		Data:       map[string][]byte{"token": []byte("somebody else's")},
	}
	switch r.random.IntN(3) {
	case 1:
		secret.Labels = map[string]string{"app.kubernetes.io/managed-by": "defender-tenant-operator"}
	case 2:
		secret.Type = v1alpha1.SecretType
	}
	must(r.t, r.lab.exempt.Create(r.t.Context(), secret))
	r.foreign = append(r.foreign, secret)
}

// ask creates the DefenderTenants, each by its user.
func (r *round) ask(guarded bool) {
	r.t.Helper()
	clients := map[string]client.Client{}
	for _, q := range r.requests {
		if clients[q.user] == nil {
			clients[q.user] = as(r.t, q.user, q.group)
		}
	}
	r.each(r.requests, func(q *request) error {
		var tokens []v1alpha1.TokenSpec
		for _, w := range q.wishes {
			spec := v1alpha1.TokenSpec{Name: w.name, SecretName: w.secretName, API: v1alpha1.API(w.api)}
			if strings.HasPrefix(w.api, "https:") {
				spec.API, spec.Resource = "", w.api
			}
			tokens = append(tokens, spec)
		}
		err := clients[q.user].Create(r.t.Context(), &v1alpha1.DefenderTenant{
			ObjectMeta: metav1.ObjectMeta{Namespace: q.namespace, Name: q.name},
			Spec:       v1alpha1.DefenderTenantSpec{TenantID: q.customer, App: q.application, Tokens: tokens},
		})
		q.accepted = err == nil
		if want := q.mayCreate(guarded); q.accepted != want || err != nil && !apierrors.IsForbidden(err) {
			return fmt.Errorf("seed %d, %s: %s creates DefenderTenant %s/%s: want %t, got %w", *seed, r.id, q.user, q.namespace, q.name, want, err)
		}
		return nil
	})
}

// each works on several at a time.
func (r *round) each(requests []*request, do func(*request) error) {
	r.t.Helper()
	var group sync.WaitGroup
	queue := make(chan *request)
	for range 8 {
		group.Go(func() {
			for q := range queue {
				if err := do(q); err != nil {
					r.t.Error(err)
				}
			}
		})
	}
	for _, q := range requests {
		queue <- q
	}
	close(queue)
	group.Wait()
}

// refused counts the cases that ended at the API server.
func (r *round) refused() int {
	count := 0
	for _, q := range r.requests {
		if !q.accepted {
			count += len(q.wishes)
		}
	}
	return count
}

// change edits the grants: some more, some others, some less, in an order in which few are taken away and given back.
func (r *round) change() {
	r.t.Helper()
	names := slices.Sorted(maps.Keys(r.grants))
	for range grantsPerRound / 4 {
		name := r.grantName()
		r.grants[name] = r.inventGrant()
		must(r.t, shared.Create(r.t.Context(), &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: r.grants[name]}))
	}
	for _, name := range names {
		grant := &v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: name}}
		switch n := r.random.IntN(100); {
		case n < 25:
			r.grants[name] = r.inventGrant()
			edit(r.t, grant, func() { grant.Spec = r.grants[name] })
		case n < 45:
			delete(r.grants, name)
			must(r.t, shared.Delete(r.t.Context(), grant))
		}
	}
}

// barrier returns when the operator has dealt with all that was written before: with the DefenderTenants when it has
// refused one that came later, with the grants when one that came later had its effect, in the order of the watches.
func (r *round) barrier(phase int) {
	r.t.Helper()
	name := fmt.Sprintf("%s-last-%d", r.id, phase)
	last := newTenant("sentinel", name, v1alpha1.TokenSpec{Name: "xdr", API: "DefenderXDR"})
	last.Spec.App = "first"
	must(r.t, shared.Create(r.t.Context(), last))
	eventually(r.t, "the last one is refused", func() bool {
		must(r.t, shared.Get(r.t.Context(), client.ObjectKeyFromObject(last), last))
		return last.Status.ObservedGeneration == last.Generation
	})
	grant := newGrant("sentinel")
	grant.Name, grant.Spec.App = name, "first"
	must(r.t, shared.Create(r.t.Context(), grant))
	eventually(r.t, "the last one has a token", func() bool { return state(r.t, "sentinel", name+"-xdr") == "Valid" })
	must(r.t, shared.Delete(r.t.Context(), last))
	must(r.t, shared.Delete(r.t.Context(), grant))
	eventually(r.t, "the operator is idle", r.lab.idle)
}

// judge compares what there is with what was granted, and counts the cases. What was not written at the first attempt
// may come later; what must not be there has had its time.
func (r *round) judge(when string) (granted, all int) {
	r.t.Helper()
	expected := map[types.NamespacedName]string{}
	for _, q := range r.requests {
		if !q.accepted {
			continue
		}
		for _, w := range q.wishes {
			all++
			if r.granted(q, w) {
				granted++
				key := types.NamespacedName{Namespace: q.namespace, Name: q.secret(w)}
				expected[key] = fmt.Sprintf("tenant %s, application %s, for %s", q.customer, applications()[q.application].clientID, r.resource(q, w))
			}
		}
	}
	var differences []string
	defer func() {
		if r.t.Failed() {
			r.t.Logf("%s: %d differences, the first: %s", when, len(differences), strings.Join(differences[:min(5, len(differences))], "\n"))
		}
	}()
	eventually(r.t, when+": a token is there if and only if it was granted", func() bool {
		differences = nil
		found := r.tokens()
		for key, want := range expected {
			if found[key] != want {
				differences = append(differences, fmt.Sprintf("Secret %s: want %s, got %q", key, want, found[key]))
			}
		}
		for key, got := range found {
			if expected[key] == "" {
				differences = append(differences, fmt.Sprintf("Secret %s: want nothing, got %s", key, got))
			}
		}
		return len(differences) == 0
	})
	for _, before := range r.foreign {
		now := read(r.t, before.Namespace, before.Name)
		if now.ResourceVersion != before.ResourceVersion {
			r.t.Errorf("%s: Secret %s/%s of somebody else was written", when, before.Namespace, before.Name)
		}
	}
	return granted, all
}

// tokens are what the Secrets of the round hold, by what the tokens say of themselves.
func (r *round) tokens() map[types.NamespacedName]string {
	r.t.Helper()
	found := map[types.NamespacedName]string{}
	for _, space := range r.spaces {
		var list corev1.SecretList
		must(r.t, shared.List(r.t.Context(), &list, client.InNamespace(space)))
		for _, secret := range list.Items {
			raw := string(secret.Data["token"])
			if raw == "" || raw == "somebody else's" {
				continue
			}
			found[client.ObjectKeyFromObject(&secret)] = claimsOf(raw)
		}
	}
	return found
}

// claimsOf reads a token as anybody could.
func claimsOf(raw string) string {
	var claims struct{ TID, AppID, Aud string }
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return "no token"
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(body, &claims) != nil {
		return "no claims"
	}
	return fmt.Sprintf("tenant %s, application %s, for %s", claims.TID, claims.AppID, claims.Aud)
}
