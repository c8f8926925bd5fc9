package tenant

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/redacted"
	"github.com/defender-tenant/operator/internal/token"
)

// someJWT is a token with the claims that goodSlot wants, signed by nobody.
func someJWT() string {
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	return part(`{"typ":"JWT","alg":"RS256"}`) + "." + part(fmt.Sprintf(
		`{"tid":%q,"aud":%q,"appid":%q,"roles":["Incident.Read.All"],"uti":"uti-1","idtyp":"app","iat":%d,"nbf":%d,"exp":%d}`,
		customerID, xdrURI, partnerID, after(-5*time.Minute).Unix(), after(-5*time.Minute).Unix(), after(time.Hour).Unix())) + "." + part("a signature")
}

// filled gives the Secret that is published for goodSlot, as the API server has it.
func filled(formats ...v1alpha1.Format) *corev1.Secret {
	s := goodSlot()
	s.spec.Formats = formats
	raw := redacted.New(someJWT())
	claims, err := token.Parse(raw)
	if err != nil {
		panic(err)
	}
	admitted := token.Admitted{Claims: claims, Life: token.Life{IssuedAt: noon(), ExpiresAt: after(time.Hour)}}
	controller := true
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "soc", Name: "contoso-xdr", UID: "uid-of-secret", ResourceVersion: "90",
			OwnerReferences: []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "DefenderTenant", Name: "contoso", UID: "uid-of-contoso", Controller: &controller}},
		},
		Type: v1alpha1.SecretType,
	}
	fill(s, token.Issued{Token: raw}, admitted, after(27*time.Minute)).writeTo(secret)
	return secret
}

func strip(tb testing.TB, secret *corev1.Secret) *corev1.Secret {
	tb.Helper()
	stripped, err := StripSecret(secret.DeepCopy())
	if err != nil {
		tb.Fatal(err)
	}
	return stripped.(*corev1.Secret)
}

func TestFill_WritesTheTokenAndItsFacts(t *testing.T) {
	jwt := someJWT()
	want := map[string]string{
		"token": jwt, "authorization": "Bearer " + jwt, "expiresAt": "2026-11-02T13:00:00Z",
		"tenantID": "11111111-1111-1111-1111-111111111111", "clientID": "00000000-0000-0000-0000-00000000000a",
		"resource": "https://api.security.microsoft.com", "apiURL": "https://api.security.microsoft.com", "state": "Valid",
	}
	wantJSON := fmt.Sprintf(`{"apiURL":"https://api.security.microsoft.com","authorization":"Bearer %[1]s","clientID":"00000000-0000-0000-0000-00000000000a","expiresAt":"2026-11-02T13:00:00Z","resource":"https://api.security.microsoft.com","tenantID":"11111111-1111-1111-1111-111111111111","token":"%[1]s"}`, jwt)
	wantEnv := fmt.Sprintf("DEFENDER_TOKEN='%[1]s'\nDEFENDER_AUTHORIZATION='Bearer %[1]s'\nDEFENDER_EXPIRES_AT='2026-11-02T13:00:00Z'\nDEFENDER_TENANT_ID='11111111-1111-1111-1111-111111111111'\nDEFENDER_CLIENT_ID='00000000-0000-0000-0000-00000000000a'\nDEFENDER_RESOURCE='https://api.security.microsoft.com'\nDEFENDER_API_URL='https://api.security.microsoft.com'\n", jwt)
	for name, row := range map[string]struct {
		formats []v1alpha1.Format
		extra   map[string]string
	}{
		"no format":    {nil, nil},
		"JSON":         {[]v1alpha1.Format{"JSON"}, map[string]string{"token.json": wantJSON}},
		"Env":          {[]v1alpha1.Format{"Env"}, map[string]string{"token.env": wantEnv}},
		"Env and JSON": {[]v1alpha1.Format{"Env", "JSON"}, map[string]string{"token.env": wantEnv, "token.json": wantJSON}},
	} {
		t.Run(name, func(t *testing.T) {
			secret := filled(row.formats...)
			all := maps.Clone(want)
			maps.Copy(all, row.extra)
			if got, want := slices.Sorted(maps.Keys(secret.Data)), slices.Sorted(maps.Keys(all)); !slices.Equal(got, want) {
				t.Fatalf("keys %v, want %v", got, want)
			}
			for key, text := range all {
				if got := string(secret.Data[key]); got != text {
					t.Errorf("%s is %q, want %q", key, got, text)
				}
			}
			for key, text := range map[string]string{"issued-at": "2026-11-02T12:00:00Z", "expires-at": "2026-11-02T13:00:00Z", "refresh-at": "2026-11-02T12:27:00Z"} {
				if got := secret.Annotations["defender.tenant-operator.dev/"+key]; got != text {
					t.Errorf("annotation %s is %q, want %q", key, got, text)
				}
			}
			if secret.Labels["app.kubernetes.io/managed-by"] != "defender-tenant-operator" {
				t.Errorf("labels %v", secret.Labels)
			}
			h := newHolding(strip(t, secret))
			s := goodSlot()
			s.spec.Formats = row.formats
			if !h.Intact || !s.fits(h) || !h.life.ExpiresAt.Equal(after(time.Hour)) || !h.life.IssuedAt.Equal(noon()) {
				t.Errorf("what was filled does not fit: %+v", h.facts)
			}
		})
	}
}

func TestFill_NotesTheSkewOfTheClocks(t *testing.T) {
	c := fill(goodSlot(), token.Issued{Token: redacted.New(someJWT())}, token.Admitted{Skew: -7*time.Minute - 400*time.Millisecond}, noon())
	if got := c.annotations["defender.tenant-operator.dev/clock-skew"]; got != "-7m0s" {
		t.Errorf("got %q, want -7m0s", got)
	}
}

func TestEmptied_KeepsEveryKeyAndNoToken(t *testing.T) {
	for _, state := range []v1alpha1.SecretState{"Expired", "AccessRevoked", "Suspended"} {
		for name, formats := range map[string][]v1alpha1.Format{"no format": nil, "both formats": {"Env", "JSON"}} {
			t.Run(string(state)+" with "+name, func(t *testing.T) {
				secret := filled(formats...)
				keys := slices.Sorted(maps.Keys(secret.Data))
				newHolding(strip(t, secret)).emptied(goodSlot(), state).writeTo(secret)
				if got := slices.Sorted(maps.Keys(secret.Data)); !slices.Equal(got, keys) {
					t.Errorf("keys %v, want %v", got, keys)
				}
				for _, key := range []string{"token", "authorization", "expiresAt", "token.json", "token.env"} {
					if len(secret.Data[key]) > 0 {
						t.Errorf("%s is not empty", key)
					}
				}
				for key, want := range map[string]string{
					"state": string(state), "tenantID": customerID, "clientID": partnerID, "resource": xdrURI, "apiURL": xdrURI,
				} {
					if got := string(secret.Data[key]); got != want {
						t.Errorf("%s is %q, want %q", key, got, want)
					}
				}
				for _, key := range timeAnnotations() {
					if _, there := secret.Annotations[key]; there {
						t.Errorf("annotation %s still speaks of the token", key)
					}
				}
				h := newHolding(strip(t, secret))
				if !h.Intact || h.HasToken || h.State != state || h.Claims != nil {
					t.Errorf("got %+v", h.facts)
				}
			})
		}
	}
}

func TestEmptied_KeepsNothingThatSomebodyElseWrote(t *testing.T) {
	secret := filled()
	for _, key := range []string{"clientID", "resource", "apiURL", "tenantID", "note"} {
		secret.Data[key] = []byte("https://evil.example")
	}
	newHolding(strip(t, secret)).emptied(goodSlot(), v1alpha1.StateAccessRevoked).writeTo(secret)
	for key, value := range secret.Data {
		if strings.Contains(string(value), "evil") {
			t.Errorf("%s still is %q", key, value)
		}
	}
	if string(secret.Data["apiURL"]) != "https://api.security.microsoft.com" {
		t.Errorf("apiURL is %q", secret.Data["apiURL"])
	}
}

func TestWriteTo_LeavesWhatOthersWriteInMetadata(t *testing.T) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Labels:      map[string]string{"team": "blue", "app.kubernetes.io/managed-by": "helm"},
		Annotations: map[string]string{"note": "ours", "defender.tenant-operator.dev/clock-skew": "7m0s", "defender.tenant-operator.dev/digest": "old"},
	}}
	contents{data: map[string][]byte{"state": []byte("Expired")}, annotations: map[string]string{"defender.tenant-operator.dev/digest": "new"}}.writeTo(secret)
	if secret.Labels["team"] != "blue" || secret.Annotations["note"] != "ours" {
		t.Errorf("labels %v, annotations %v", secret.Labels, secret.Annotations)
	}
	if secret.Labels["app.kubernetes.io/managed-by"] != "defender-tenant-operator" || secret.Annotations["defender.tenant-operator.dev/digest"] != "new" {
		t.Errorf("labels %v, annotations %v", secret.Labels, secret.Annotations)
	}
	if _, there := secret.Annotations["defender.tenant-operator.dev/clock-skew"]; there {
		t.Error("an old clock skew stays")
	}
}

// intact tells what the operator thinks of a Secret.
func intact(tb testing.TB, secret *corev1.Secret) bool {
	tb.Helper()
	return newHolding(strip(tb, secret)).Intact
}

func TestDigest_NoticesEverySingleByte(t *testing.T) {
	secret := filled("JSON", "Env")
	if !intact(t, secret) {
		t.Fatal("the Secret as it was written is not intact")
	}
	for key, value := range secret.Data {
		for i := range value {
			value[i] ^= 1
			if factsOf(secret).Intact {
				t.Errorf("byte %d of %s can be changed unnoticed", i, key)
			}
			value[i] ^= 1
		}
	}
	if !intact(t, secret) {
		t.Fatal("the test did not undo its changes")
	}
}

func TestDigest_NoticesEveryOtherEdit(t *testing.T) {
	for name, edit := range map[string]func(*corev1.Secret){
		"a key more":           func(s *corev1.Secret) { s.Data["note"] = []byte("mine") },
		"an empty key more":    func(s *corev1.Secret) { s.Data["note"] = nil },
		"a key less":           func(s *corev1.Secret) { delete(s.Data, "apiURL") },
		"no data":              func(s *corev1.Secret) { s.Data = nil },
		"a value cut off":      func(s *corev1.Secret) { s.Data["token"] = s.Data["token"][:10] },
		"a value emptied":      func(s *corev1.Secret) { s.Data["token"] = nil },
		"two values exchanged": func(s *corev1.Secret) { s.Data["state"], s.Data["clientID"] = s.Data["clientID"], s.Data["state"] },
		"the end put off": func(s *corev1.Secret) {
			s.Annotations["defender.tenant-operator.dev/expires-at"] = "2027-11-02T13:00:00Z"
		},
		"the renewal put off": func(s *corev1.Secret) {
			s.Annotations["defender.tenant-operator.dev/refresh-at"] = "2027-11-02T13:00:00Z"
		},
		"another time of issue": func(s *corev1.Secret) {
			s.Annotations["defender.tenant-operator.dev/issued-at"] = "2020-11-02T13:00:00Z"
		},
		"a skew that was not there":   func(s *corev1.Secret) { s.Annotations["defender.tenant-operator.dev/clock-skew"] = "9m0s" },
		"no time of issue":            func(s *corev1.Secret) { delete(s.Annotations, "defender.tenant-operator.dev/issued-at") },
		"no digest":                   func(s *corev1.Secret) { delete(s.Annotations, "defender.tenant-operator.dev/digest") },
		"another digest":              func(s *corev1.Secret) { s.Annotations["defender.tenant-operator.dev/digest"] += "0" },
		"no annotations":              func(s *corev1.Secret) { s.Annotations = nil },
		"no label":                    func(s *corev1.Secret) { s.Labels = nil },
		"another manager":             func(s *corev1.Secret) { s.Labels["app.kubernetes.io/managed-by"] = "helm" },
		"a digest that fits no token": func(s *corev1.Secret) { s.Data["token"] = []byte("not a token"); reseal(s) },
		"a digest that fits no times": func(s *corev1.Secret) {
			s.Annotations["defender.tenant-operator.dev/issued-at"] = "yesterday"
			reseal(s)
		},
		"a digest that fits no end":     func(s *corev1.Secret) { delete(s.Annotations, "defender.tenant-operator.dev/expires-at"); reseal(s) },
		"a digest of another algorithm": func(s *corev1.Secret) { s.Annotations["defender.tenant-operator.dev/digest"] = "md5:0" },
	} {
		t.Run(name, func(t *testing.T) {
			secret := filled("JSON")
			edit(secret)
			if intact(t, secret) {
				t.Error("it goes unnoticed")
			}
		})
	}
}

// reseal does what somebody would do who knows how the digest is made.
func reseal(s *corev1.Secret) {
	s.Annotations["defender.tenant-operator.dev/digest"] = digest(s.Data, s.Annotations)
}

func TestDigest_LeavesOtherPeoplesMetadataAlone(t *testing.T) {
	secret := filled()
	secret.Labels["team"], secret.Annotations["note"] = "blue", "mine"
	if !intact(t, secret) {
		t.Error("a label of somebody else counts as an edit")
	}
}

func TestDigest_IsNeverAmbiguous(t *testing.T) {
	type row struct {
		data        map[string]string
		annotations map[string]string
	}
	issued, expires := "defender.tenant-operator.dev/issued-at", "defender.tenant-operator.dev/expires-at"
	rows := []row{
		{nil, nil},
		{map[string]string{"a": ""}, nil},
		{map[string]string{"a": "b"}, nil},
		{map[string]string{"ab": ""}, nil},
		{map[string]string{"": "ab"}, nil},
		{map[string]string{"a": "b", "c": ""}, nil},
		{map[string]string{"a": "", "c": "b"}, nil},
		{map[string]string{"a": "1:c0:"}, nil},
		{map[string]string{"a": "", "c": ""}, nil},
		{map[string]string{"a1": ":c0:"}, nil},
		{map[string]string{"1": "0:", "0": ""}, nil},
		{map[string]string{"1:a": "0:"}, nil},
		{nil, map[string]string{issued: "x"}},
		{nil, map[string]string{expires: "x"}},
		{nil, map[string]string{issued: "x", expires: "y"}},
		{nil, map[string]string{issued: "xy"}},
		{nil, map[string]string{issued: "x1:y"}},
		{map[string]string{"": ""}, nil},
		{map[string]string{"": "", "a": ""}, nil},
		{map[string]string{"a": "0:0:0:0:"}, nil},
	}
	seen := map[string]row{}
	for _, r := range rows {
		data := map[string][]byte{}
		for key, value := range r.data {
			data[key] = []byte(value)
		}
		sum := digest(data, r.annotations)
		if other, known := seen[sum]; known {
			t.Errorf("%v and %v have the same digest", r, other)
		}
		seen[sum] = r
		if again := digest(data, r.annotations); again != sum {
			t.Errorf("%v has two digests", r)
		}
	}
}

func TestStripSecret_KeepsNothingThatCouldBeUsed(t *testing.T) {
	secret := filled("JSON", "Env")
	secret.StringData = map[string]string{"token": someJWT()}
	secret.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "defender-tenant-operator"}}
	stripped := strip(t, secret)
	kept := stripped.Data[factsKey]
	rest := stripped.DeepCopy()
	rest.Data = nil // JSON would encode it
	text, err := json.Marshal(rest)
	if err != nil {
		t.Fatal(err)
	}
	assertNoPartOf(t, secret, append(text, kept...))
	if len(stripped.ManagedFields) > 0 || len(stripped.StringData) > 0 {
		t.Error("more is kept than needed")
	}
	if stripped.Name != "contoso-xdr" || stripped.UID != "uid-of-secret" || stripped.ResourceVersion != "90" || len(stripped.OwnerReferences) != 1 {
		t.Errorf("what names the Secret is gone: %+v", stripped.ObjectMeta)
	}
	if size := len(stripped.Data[factsKey]); size > 1024 {
		t.Errorf("%d bytes are kept of a Secret", size)
	}
}

// assertNoPartOf looks for pieces of the token, as it is and encoded once more.
func assertNoPartOf(tb testing.TB, secret *corev1.Secret, text []byte) {
	tb.Helper()
	assertNoPiece(tb, secret.Data["token"], text)
}

func assertNoPiece(tb testing.TB, of, text []byte) {
	tb.Helper()
	const piece = 24
	for i := 0; i+piece <= len(of); i++ {
		part := of[i : i+piece]
		if bytes.Contains(text, part) || bytes.Contains(text, []byte(base64.StdEncoding.EncodeToString(part))) {
			tb.Fatalf("%q of the token is still there", part)
		}
	}
}

func TestStripSecret_TwiceIsOnce(t *testing.T) {
	once := strip(t, filled("JSON"))
	twice := strip(t, once)
	if !apiequality.Semantic.DeepEqual(once, twice) {
		t.Errorf("got %v, then %v", once, twice)
	}
}

func TestStripSecret_LeavesOtherObjectsAlone(t *testing.T) {
	object := &corev1.ConfigMap{Data: map[string]string{"token": "x"}}
	got, err := StripSecret(object)
	if err != nil || got != any(object) || object.Data["token"] != "x" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestNewHolding_TrustsNothingThatWasNotStripped(t *testing.T) {
	h := newHolding(filled())
	if h.Intact || h.HasToken || h.Claims != nil {
		t.Errorf("got %+v", h.facts)
	}
}

func TestOwnedBy_NeedsTypeAndController(t *testing.T) {
	yes, no := true, false
	owner := someTenant()
	for name, row := range map[string]struct {
		change func(*corev1.Secret)
		want   bool
	}{
		"as we write it":             {func(*corev1.Secret) {}, true},
		"another type":               {func(s *corev1.Secret) { s.Type = corev1.SecretTypeOpaque }, false},
		"no owner":                   {func(s *corev1.Secret) { s.OwnerReferences = nil }, false},
		"an owner of another UID":    {func(s *corev1.Secret) { s.OwnerReferences[0].UID = "uid-of-the-one-before" }, false},
		"an owner without a UID":     {func(s *corev1.Secret) { s.OwnerReferences[0].UID = "" }, false},
		"an owner, not a controller": {func(s *corev1.Secret) { s.OwnerReferences[0].Controller = &no }, false},
		"an owner of unclear part":   {func(s *corev1.Secret) { s.OwnerReferences[0].Controller = nil }, false},
		"another controller beside us": {func(s *corev1.Secret) {
			s.OwnerReferences[0].Controller = nil
			s.OwnerReferences = append(s.OwnerReferences, metav1.OwnerReference{Kind: "Deployment", UID: "uid-of-another", Controller: &yes})
		}, false},
		"a further owner that controls nothing": {func(s *corev1.Secret) {
			s.OwnerReferences = append(s.OwnerReferences, metav1.OwnerReference{Kind: "Deployment", UID: "uid-of-another"})
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			secret := filled()
			row.change(secret)
			if got := ownedBy(secret, owner); got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
	t.Run("nobody owns by an empty UID", func(t *testing.T) {
		secret := filled()
		secret.OwnerReferences[0].UID, owner.UID = "", ""
		if ownedBy(secret, owner) {
			t.Error("owned")
		}
	})
}

func FuzzStripSecret(f *testing.F) {
	f.Add([]byte(someJWT()), "Valid", "token.json", []byte("{}"), "2026-11-02T13:00:00Z")
	f.Add([]byte("a.e30.c"), "", "note", []byte{0xff}, "")
	f.Add([]byte{}, "Expired", "", []byte(nil), "never")
	f.Fuzz(func(t *testing.T, raw []byte, state, key string, value []byte, issued string) {
		if key == factsKey { // no Secret can have it
			return
		}
		secret := filled()
		secret.Data["token"], secret.Data["state"], secret.Data[key] = raw, []byte(state), value
		secret.Annotations["defender.tenant-operator.dev/issued-at"] = issued
		stripped := strip(t, secret)
		if len(stripped.Data) != 1 {
			t.Fatalf("%d keys are left", len(stripped.Data))
		}
		if !apiequality.Semantic.DeepEqual(strip(t, stripped), stripped) {
			t.Fatal("stripping twice changes something")
		}
		// Of a token that can be read the claims are kept, and its last part may hold the same text.
		if parts := bytes.Split(secret.Data["token"], []byte(".")); len(parts) == 3 {
			assertNoPiece(t, parts[1], stripped.Data[factsKey])
		}
		if as := filled(); !apiequality.Semantic.DeepEqual(as, secret) && newHolding(stripped).Intact {
			t.Fatal("an edit goes unnoticed")
		}
		reseal(secret)
		if h := newHolding(strip(t, secret)); h.Intact && h.HasToken && h.Claims == nil {
			t.Fatal("a token that cannot be read counts as intact")
		}
	})
}

// jwtWith is someJWT with other roles.
func jwtWith(roles []string) redacted.String {
	parts := strings.Split(someJWT(), ".")
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		panic(err)
	}
	list, err := json.Marshal(roles)
	if err != nil {
		panic(err)
	}
	text := strings.Replace(string(body), `["Incident.Read.All"]`, string(list), 1)
	return redacted.New(parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(text)) + "." + parts[2])
}
