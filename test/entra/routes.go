package entra

import "net/http"

// routes is everything that the emulator serves. Hosts do not matter: no two of them use the same path.
func (e *Emulator) routes() http.Handler {
	mux := http.NewServeMux()
	attend := func(pattern string, kind Kind, handle func(*visit) answer) {
		mux.HandleFunc(pattern, e.attend(kind, handle))
	}
	attend("GET /common/discovery/instance", Discovery, e.instance)
	attend("GET /{tenant}/.well-known/openid-configuration", OpenIDConfiguration, e.configurationV1)
	attend("GET /{tenant}/v2.0/.well-known/openid-configuration", OpenIDConfiguration, e.configurationV2)
	attend("GET /{tenant}/discovery/keys", JWKS, e.keys)
	attend("GET /{tenant}/discovery/v2.0/keys", JWKS, e.keys)

	attend("POST /{tenant}/oauth2/token", Token, e.tokenV1)
	attend("POST /{tenant}/oauth2/v2.0/token", Token, e.tokenV2)

	for _, method := range []string{"GET ", "POST "} {
		attend(method+"/{tenant}/adminconsent", Consent, e.consentV1)
		attend(method+"/{tenant}/v2.0/adminconsent", Consent, e.consentV2)
		attend(method+"/{tenant}/oauth2/authorize", Consent, e.consentAuthorize)
	}
	for _, endpoint := range protectedEndpoints() {
		attend("GET "+endpoint.path, API, e.protect(endpoint))
	}
	attend("/", Other, func(*visit) answer {
		return jsonAnswer(http.StatusNotFound, map[string]any{"error": "not_found"})
	})
	e.controlRoutes(mux)
	return mux
}
