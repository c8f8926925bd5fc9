package tenant

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/redacted"
	"github.com/defender-tenant/operator/internal/token"
)

// factsKey holds, in the cache only, what is known of a Secret's data in place of the
// data. A real Secret can have no key with a slash.
const factsKey = v1alpha1.Group + "/facts"

// facts is what stays of the data of a Secret: nothing that could be used as a token.
type facts struct {
	Claims   *token.Claims        `json:"claims,omitempty"` // nil: no token, or none that can be read
	HasToken bool                 `json:"hasToken,omitempty"`
	Intact   bool                 `json:"intact,omitempty"`
	State    v1alpha1.SecretState `json:"state,omitempty"`
	TenantID string               `json:"tenantID,omitempty"`
	ClientID string               `json:"clientID,omitempty"`
	Resource string               `json:"resource,omitempty"`
	APIURL   string               `json:"apiURL,omitempty"`
	Formats  []v1alpha1.Format    `json:"formats,omitempty"`
}

// StripSecret is the cache transform for token Secrets: it replaces the values by what
// the controller has to know of them, so that no token stays in memory. Stripping twice
// changes nothing.
func StripSecret(object any) (any, error) {
	secret, ok := object.(*corev1.Secret)
	if !ok || secret.Data[factsKey] != nil {
		return object, nil
	}
	kept, err := json.Marshal(factsOf(secret))
	if err != nil {
		return nil, fmt.Errorf("encode facts of Secret %s/%s: %w", secret.Namespace, secret.Name, err)
	}
	secret.Data = map[string][]byte{factsKey: kept}
	secret.StringData = nil
	secret.ManagedFields = nil
	return secret, nil
}

func factsOf(secret *corev1.Secret) facts {
	text := func(key string) string { return string(secret.Data[key]) }
	f := facts{
		HasToken: len(secret.Data[v1alpha1.KeyToken]) > 0,
		Intact:   secret.Annotations[v1alpha1.DigestAnnotation] == digest(secret.Data, secret.Annotations),
		State:    v1alpha1.SecretState(text(v1alpha1.KeyState)),
		TenantID: text(v1alpha1.KeyTenantID),
		ClientID: text(v1alpha1.KeyClientID),
		Resource: text(v1alpha1.KeyResource),
		APIURL:   text(v1alpha1.KeyAPIURL),
	}
	if _, ok := secret.Data[v1alpha1.KeyTokenEnv]; ok {
		f.Formats = append(f.Formats, v1alpha1.FormatEnv)
	}
	if _, ok := secret.Data[v1alpha1.KeyTokenJSON]; ok {
		f.Formats = append(f.Formats, v1alpha1.FormatJSON)
	}
	if f.HasToken {
		if claims, err := token.Parse(redacted.New(text(v1alpha1.KeyToken))); err == nil {
			f.Claims = &claims
		}
	}
	return f
}

// digest covers all data and the times that go with it. Each part is hashed with its
// length, so that no two Secrets look alike.
func digest(data map[string][]byte, annotations map[string]string) string {
	h := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(data)) {
		fmt.Fprintf(h, "%d:%s%d:", len(key), key, len(data[key]))
		h.Write(data[key])
	}
	for _, key := range timeAnnotations() {
		fmt.Fprintf(h, "%d:%s", len(annotations[key]), annotations[key])
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// timeAnnotations are covered by the digest.
func timeAnnotations() []string {
	return []string{
		v1alpha1.IssuedAtAnnotation, v1alpha1.ExpiresAtAnnotation, v1alpha1.RefreshAtAnnotation, v1alpha1.ClockSkewAnnotation,
	}
}

// stampedAnnotations are all annotations that the operator writes.
func stampedAnnotations() []string { return append(timeAnnotations(), v1alpha1.DigestAnnotation) }

// holding is one Secret of ours as the cache shows it.
type holding struct {
	facts
	secret *corev1.Secret
	life   token.Life
	skew   string
}

func newHolding(secret *corev1.Secret) *holding {
	h := &holding{secret: secret, skew: secret.Annotations[v1alpha1.ClockSkewAnnotation]}
	if err := json.Unmarshal(secret.Data[factsKey], &h.facts); err != nil {
		return h // never stripped: nothing is known of it, so it is not intact
	}
	issued, errIssued := time.Parse(time.RFC3339, secret.Annotations[v1alpha1.IssuedAtAnnotation])
	expires, errExpires := time.Parse(time.RFC3339, secret.Annotations[v1alpha1.ExpiresAtAnnotation])
	if h.HasToken && (errIssued != nil || errExpires != nil || h.Claims == nil) {
		h.Intact = false
	}
	h.life = token.Life{IssuedAt: issued, ExpiresAt: expires}
	h.Intact = h.Intact && secret.Labels[v1alpha1.ManagedByLabel] == v1alpha1.ManagedByValue
	return h
}

// contents is what is written into a Secret.
type contents struct {
	data        map[string][]byte
	annotations map[string]string
}

// fill composes the data of a Secret that holds a token.
func fill(s slot, issued token.Issued, admitted token.Admitted, refreshAt time.Time) contents {
	stamp := admitted.Life.ExpiresAt
	secret := issued.Token.Reveal()
	c := contents{
		data: map[string][]byte{
			v1alpha1.KeyToken:         []byte(secret),
			v1alpha1.KeyAuthorization: []byte("Bearer " + secret),
			v1alpha1.KeyExpiresAt:     []byte(stamp.Format(time.RFC3339)),
			v1alpha1.KeyTenantID:      []byte(admitted.Claims.TenantID),
			v1alpha1.KeyClientID:      []byte(admitted.Claims.ClientID),
			v1alpha1.KeyResource:      []byte(s.target.Resource),
			v1alpha1.KeyAPIURL:        []byte(s.target.APIURL),
			v1alpha1.KeyState:         []byte(v1alpha1.StateValid),
		},
		annotations: map[string]string{
			v1alpha1.IssuedAtAnnotation:  admitted.Life.IssuedAt.Format(time.RFC3339),
			v1alpha1.ExpiresAtAnnotation: stamp.Format(time.RFC3339),
			v1alpha1.RefreshAtAnnotation: refreshAt.UTC().Format(time.RFC3339),
		},
	}
	if admitted.Skew != 0 {
		c.annotations[v1alpha1.ClockSkewAnnotation] = admitted.Skew.Round(time.Second).String()
	}
	for _, format := range s.spec.Formats {
		addFormat(c.data, format)
	}
	c.seal()
	return c
}

// addFormat writes the same facts once more, as JSON or as lines for a shell. Tokens
// and URLs hold no character that either would have to escape.
func addFormat(data map[string][]byte, format v1alpha1.Format) {
	names := []string{
		v1alpha1.KeyToken, v1alpha1.KeyAuthorization, v1alpha1.KeyExpiresAt, v1alpha1.KeyTenantID,
		v1alpha1.KeyClientID, v1alpha1.KeyResource, v1alpha1.KeyAPIURL,
	}
	switch format {
	case v1alpha1.FormatJSON:
		object := map[string]string{}
		for _, name := range names {
			object[name] = string(data[name])
		}
		encoded, err := json.Marshal(object)
		if err == nil { // a map of strings always encodes
			data[v1alpha1.KeyTokenJSON] = encoded
		}
	case v1alpha1.FormatEnv:
		var lines strings.Builder
		for i, variable := range []string{"TOKEN", "AUTHORIZATION", "EXPIRES_AT", "TENANT_ID", "CLIENT_ID", "RESOURCE", "API_URL"} {
			fmt.Fprintf(&lines, "DEFENDER_%s='%s'\n", variable, data[names[i]])
		}
		data[v1alpha1.KeyTokenEnv] = []byte(lines.String())
	}
}

// emptied composes the data of a Secret whose token is gone. All keys stay: the kubelet
// stops updating a volume whose Secret lacks a key that a Pod names.
func (h *holding) emptied(s slot, state v1alpha1.SecretState) contents {
	known := h.facts
	if !h.Intact { // somebody else wrote it: nothing of that stays
		known.ClientID, known.Resource, known.APIURL = s.want.ClientID, s.target.Resource, s.target.APIURL
	}
	c := contents{
		data: map[string][]byte{
			v1alpha1.KeyToken: {}, v1alpha1.KeyAuthorization: {}, v1alpha1.KeyExpiresAt: {},
			v1alpha1.KeyTenantID: []byte(s.want.TenantID),
			v1alpha1.KeyClientID: []byte(known.ClientID),
			v1alpha1.KeyResource: []byte(known.Resource),
			v1alpha1.KeyAPIURL:   []byte(known.APIURL),
			v1alpha1.KeyState:    []byte(state),
		},
		annotations: map[string]string{},
	}
	for _, format := range h.Formats {
		switch format {
		case v1alpha1.FormatJSON:
			c.data[v1alpha1.KeyTokenJSON] = []byte{}
		case v1alpha1.FormatEnv:
			c.data[v1alpha1.KeyTokenEnv] = []byte{}
		}
	}
	c.seal()
	return c
}

func (c contents) seal() {
	c.annotations[v1alpha1.DigestAnnotation] = digest(c.data, c.annotations)
}

// writeTo puts the contents into a Secret and leaves other people's labels and
// annotations alone.
func (c contents) writeTo(secret *corev1.Secret) {
	secret.Data = c.data
	if secret.Labels == nil {
		secret.Labels = map[string]string{}
	}
	secret.Labels[v1alpha1.ManagedByLabel] = v1alpha1.ManagedByValue
	if secret.Annotations == nil {
		secret.Annotations = map[string]string{}
	}
	for _, key := range timeAnnotations() {
		delete(secret.Annotations, key)
	}
	maps.Copy(secret.Annotations, c.annotations)
}

// ownedBy tells whether a Secret is ours for this owner: its type and its controller.
func ownedBy(secret *corev1.Secret, owner metav1.Object) bool {
	return secret.Type == v1alpha1.SecretType && controllerUID(secret) == owner.GetUID() && owner.GetUID() != ""
}
