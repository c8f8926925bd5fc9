package credential_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/defender-tenant/operator/internal/credential"
)

const (
	clientID = "22222222-2222-2222-2222-222222222222"
	value    = "Jvq8Q~4f-tH1s.1s_n0T_a_s3cret.0f_anybody"
)

func TestFromSecret(t *testing.T) {
	expires := time.Date(2027, time.March, 1, 0, 0, 0, 0, time.UTC)
	for name, stored := range map[string]string{
		"the value alone":                    value,
		"with the line break of an editor":   value + "\n",
		"with the line break of Windows":     value + "\r\n",
		"with white space on both sides":     " \t" + value + " \n\n",
		"with white space beyond ASCII":      "\u00a0" + value + "\u2028",
		"with much white space, little else": strings.Repeat(" ", 5000) + value,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := credential.FromSecret("secret", clientID, []byte(stored), expires)
			if err != nil {
				t.Fatal(err)
			}
			if got.Name != "secret" || got.Secret.Reveal() != value || !got.ExpiresAt.Equal(expires) || got.Key != nil || got.Chain != nil {
				t.Errorf("got %+v", got)
			}
			if got.Fingerprint != "ff494450" {
				t.Errorf("fingerprint %q", got.Fingerprint)
			}
		})
	}
	for name, stored := range map[string]string{
		"of the greatest length":               strings.Repeat("s", 1024),
		"a GUID with something behind it":      "33333333-3333-3333-3333-333333333333x",
		"a GUID without hyphens":               "33333333333333333333333333333333",
		"letters beyond ASCII":                 "pässwörd",
		"white space in the middle is a value": "two words",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := credential.FromSecret("secret", clientID, []byte(stored), time.Time{})
			if err != nil || got.Secret.Reveal() != stored || !got.ExpiresAt.IsZero() {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestFromSecret_Refuses(t *testing.T) {
	for name, test := range map[string]struct{ stored, says string }{
		"nothing":                            {"", "is empty"},
		"white space alone":                  {" \n\t", "is empty"},
		"the ID of the secret":               {"0f3c6b1e-7f3a-4b52-9c1d-5a6b7c8d9e0f", "a GUID is stored"},
		"the ID of the secret in upper case": {"0F3C6B1E-7F3A-4B52-9C1D-5A6B7C8D9E0F\n", "a GUID is stored"},
		"one character too many":             {strings.Repeat("s", 1025), "more than 1024 characters"},
		"a file":                             {strings.Repeat("-----BEGIN", 10000), "more than 1024 characters"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := credential.FromSecret("secret", clientID, []byte(test.stored), time.Time{})
			assertDefect(t, err, test.says)
			if flaw, ok := errors.AsType[*credential.Defect](err); ok && flaw.Gone != (test.says == "is empty") {
				t.Errorf("gone: %t", flaw.Gone)
			}
			refuteReveals(t, err.Error(), strings.TrimSpace(test.stored))
			if !got.Secret.IsEmpty() || got.Fingerprint != "" {
				t.Errorf("something was read all the same: %+v", got)
			}
		})
	}
}

func TestFromSecret_AFingerprintTellsVersionsAndApplicationsApart(t *testing.T) {
	seen := map[string]string{}
	for _, app := range []string{clientID, "44444444-4444-4444-4444-444444444444"} {
		for _, stored := range []string{value, value + "x", "x" + value} {
			got, err := credential.FromSecret("any", app, []byte(stored), time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			if before, known := seen[got.Fingerprint]; known || len(got.Fingerprint) != 8 {
				t.Errorf("fingerprint %q of %s and %s", got.Fingerprint, before, stored)
			}
			seen[got.Fingerprint] = stored
		}
	}
}

func TestInvariant2_FormattingNeverShowsACredential(t *testing.T) {
	secret, err := credential.FromSecret("secret", clientID, []byte(value), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	pair := newPair(t)
	cert, err := credential.FromPEM("cert", pair.cert, pair.key)
	if err != nil {
		t.Fatal(err)
	}
	key := cert.Key.Reveal()
	forms := []string{value, fmt.Sprintf("%x", value), key.D.String(), key.D.Text(16), key.Primes[0].String(), key.Primes[0].Text(16), fmt.Sprint(key.D.Bits()[:2])}
	for name, holder := range map[string]any{
		"a secret":                     secret,
		"a pointer to a secret":        &secret,
		"a certificate":                cert,
		"a pointer to a certificate":   &cert,
		"a key":                        cert.Key,
		"what a key points to":         *cert.Key,
		"both in a list":               []credential.Credential{secret, cert},
		"a secret in a hidden field":   struct{ c credential.Credential }{secret},
		"a key in a hidden field":      struct{ c credential.Credential }{cert},
		"a hidden key":                 struct{ k *credential.Key }{cert.Key},
		"a value of a hidden key":      struct{ k credential.Key }{*cert.Key},
		"a map by name, in a pointer":  &map[string]credential.Credential{"a": secret, "b": cert},
		"an error that wraps a defect": fmt.Errorf("read: %w", &credential.Defect{Text: "tls.key is empty"}),
	} {
		t.Run(name, func(t *testing.T) {
			var texts []string
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%c", "%U", "%p"} {
				texts = append(texts, fmt.Sprintf(verb, holder))
			}
			encoded, err := json.Marshal(holder)
			texts = append(texts, string(encoded), fmt.Sprint(err))
			var text, object strings.Builder
			slog.New(slog.NewTextHandler(&text, nil)).Info("Line", "key", holder)
			slog.New(slog.NewJSONHandler(&object, nil)).Info("Line", "key", holder)
			for _, got := range append(texts, text.String(), object.String()) {
				for _, form := range forms {
					if strings.Contains(got, form) {
						t.Errorf("%.60q… shows the credential", got)
					}
				}
			}
		})
	}
	t.Run("a key shows that something is hidden", func(t *testing.T) {
		encoded, err := json.Marshal(cert.Key)
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range []string{fmt.Sprint(cert.Key), fmt.Sprintf("%#v", cert.Key), strings.Trim(string(encoded), `"`)} {
			if got != "[redacted]" {
				t.Errorf("got %q", got)
			}
		}
	})
}

func FuzzFromSecret(f *testing.F) {
	f.Add([]byte(value))
	f.Add([]byte("0f3c6b1e-7f3a-4b52-9c1d-5a6b7c8d9e0f"))
	f.Add([]byte(" \xff\n"))
	f.Fuzz(func(t *testing.T, stored []byte) {
		got, err := credential.FromSecret("name", clientID, stored, time.Time{})
		if err != nil {
			assertDefect(t, err, "")
			refuteReveals(t, err.Error(), strings.TrimSpace(string(stored)))
			return
		}
		secret := got.Secret.Reveal()
		if secret == "" || len(secret) > 1024 || secret != strings.TrimSpace(secret) || len(got.Fingerprint) != 8 {
			t.Fatalf("accepted %q", secret)
		}
		if len(secret) > 16 && strings.Contains(fmt.Sprintf("%+v", got), secret) {
			t.Fatal("formatting shows it")
		}
	})
}

func assertDefect(t *testing.T, err error, says string) {
	t.Helper()
	var flaw *credential.Defect
	if !errors.As(err, &flaw) || !strings.Contains(flaw.Text, says) || flaw.Text == "" {
		t.Fatalf("got %v, want a defect: …%s…", err, says)
	}
}

// refuteReveals fails if a text holds a piece of what was stored.
func refuteReveals(t *testing.T, text, stored string) {
	t.Helper()
	const piece = 16
	for i := 0; i+piece <= len(stored) && i < 1024; i++ {
		if strings.Contains(text, stored[i:i+piece]) {
			t.Fatalf("%q holds a piece of what was stored", text)
		}
	}
}
