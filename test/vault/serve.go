package vault

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/defender-tenant/operator/test/entra"
)

// refusal is an answer with an error.
type refusal struct {
	status      int
	code, inner string
}

// serve answers one request and writes it down.
func (e *Emulator) serve(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	held := e.hold
	e.mu.Unlock()
	if held != nil {
		held.arrived <- struct{}{}
		select {
		case <-held.end:
		case <-r.Context().Done():
			return
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	clientID := e.holder(r)
	status, body := http.StatusOK, any(nil)
	body, refused := e.answer(clientID, r)
	if refused != nil {
		status, body = refused.status, e.complaint(*refused)
	}
	e.requests = append(e.requests, Request{Method: r.Method, Path: r.URL.Path, ClientID: clientID, Status: status})
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer authorization="%s/%s", resource="%s"`, e.options.Entra.URL(), e.options.TenantID, entra.KeyVault))
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that has gone is its own affair
}

// holder is the application whose token came, empty without a good token.
func (e *Emulator) holder(r *http.Request) string {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	tenantID, clientID, err := e.options.Entra.Holder(token, entra.KeyVault)
	if err != nil || !strings.EqualFold(tenantID, e.options.TenantID) {
		return ""
	}
	return clientID
}

// answer follows Key Vault's order: identity, right, object.
func (e *Emulator) answer(clientID string, r *http.Request) (any, *refusal) {
	if len(e.failures) > 0 {
		status := e.failures[0]
		e.failures = e.failures[1:]
		return nil, &refusal{status, "Injected", ""}
	}
	if clientID == "" {
		return nil, &refusal{http.StatusUnauthorized, "Unauthorized", ""}
	}
	parts := append(strings.Split(strings.Trim(r.URL.Path, "/"), "/"), "", "", "")
	if parts[2] == "sign" { // without a version: the newest
		parts = slices.Insert(parts, 2, "")
	}
	kind, name, id := parts[0], parts[1], parts[2]
	switch {
	case r.URL.Query().Get("api-version") == "":
		return nil, &refusal{http.StatusBadRequest, "BadParameter", ""}
	case r.Method == http.MethodGet && kind == "certificates":
		return e.use(clientID, Read, "certificate", name, id, e.describe)
	case r.Method == http.MethodGet && kind == "secrets":
		return e.use(clientID, Get, "secret", name, id, e.reveal)
	case r.Method == http.MethodPost && kind == "keys" && parts[3] == "sign":
		return e.use(clientID, Sign, "certificate", name, id, func(name string, v *version, _ bool) (any, *refusal) {
			return e.sign(r, name, v)
		})
	}
	return nil, &refusal{http.StatusNotFound, "NotFound", ""}
}

func (e *Emulator) use(clientID string, right Right, kind, name, id string, do func(string, *version, bool) (any, *refusal)) (any, *refusal) {
	if !slices.Contains(e.rights[clientID], right) {
		return nil, &refusal{http.StatusForbidden, "Forbidden", "ForbiddenByRbac"}
	}
	found := e.objects[kind+"/"+name]
	v := found.of(id)
	if v == nil {
		return nil, &refusal{http.StatusNotFound, map[string]string{"certificate": "CertificateNotFound", "secret": "SecretNotFound"}[kind], ""}
	}
	if found.disabled && right != Read {
		return nil, &refusal{http.StatusForbidden, "Forbidden", map[Right]string{Get: "SecretDisabled", Sign: "KeyDisabled"}[right]}
	}
	return do(name, v, !found.disabled)
}

// describe is a certificate without its key.
func (e *Emulator) describe(name string, v *version, enabled bool) (any, *refusal) {
	return map[string]any{
		"id": e.URL() + "/certificates/" + name + "/" + v.id, "kid": e.URL() + "/keys/" + name + "/" + v.id,
		"sid": e.URL() + "/secrets/" + name + "/" + v.id, "cer": v.certificate.Raw,
		"attributes": map[string]any{"enabled": enabled, "exp": v.expires.Unix(), "nbf": v.certificate.NotBefore.Unix()},
	}, nil
}

func (e *Emulator) reveal(name string, v *version, enabled bool) (any, *refusal) {
	about := map[string]any{"enabled": enabled}
	if !v.expires.IsZero() {
		about["exp"] = v.expires.Unix()
	}
	return map[string]any{"id": e.URL() + "/secrets/" + name + "/" + v.id, "value": v.value, "attributes": about}, nil
}

func (e *Emulator) sign(r *http.Request, name string, v *version) (any, *refusal) {
	var asked struct{ Alg, Value string }
	if json.NewDecoder(r.Body).Decode(&asked) != nil || asked.Alg != "PS256" || v.key == nil {
		return nil, &refusal{http.StatusBadRequest, "BadParameter", ""}
	}
	digest, err := base64.RawURLEncoding.DecodeString(asked.Value)
	if err != nil || len(digest) != crypto.SHA256.Size() {
		return nil, &refusal{http.StatusBadRequest, "BadParameter", ""}
	}
	signature, err := rsa.SignPSS(rand.Reader, v.key, crypto.SHA256, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	if err != nil {
		return nil, &refusal{http.StatusInternalServerError, "InternalServerError", ""}
	}
	return map[string]any{"kid": e.URL() + "/keys/" + name + "/" + v.id, "value": base64.RawURLEncoding.EncodeToString(signature)}, nil
}

func (e *Emulator) complaint(why refusal) any {
	about := map[string]any{"code": why.code, "message": "The request was refused. Marker: " + e.options.Marker}
	if why.inner != "" {
		about["innererror"] = map[string]any{"code": why.inner}
	}
	return map[string]any{"error": about}
}
