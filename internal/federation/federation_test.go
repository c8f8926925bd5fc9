package federation_test

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/federation"
)

const (
	clientID = "22222222-2222-2222-2222-222222222222"
	who      = `"iss":"https://cluster.example","sub":"system:serviceaccount:defender-system:operator"`
	public   = `"aud":["api://AzureADTokenExchange"]`
)

func noon() time.Time { return time.Date(2026, time.May, 4, 12, 0, 0, 0, time.UTC) }

// jwt is a token that says so, until an hour after noon unless it says otherwise.
func jwt(claims string) string {
	if !strings.Contains(claims, `"exp"`) {
		claims += `,"exp":` + strconv.FormatInt(noon().Add(time.Hour).Unix(), 10)
	}
	return "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte("{"+claims+"}")) + ".c2lnbmF0dXJlLWNhbmFyeQ"
}

type stage struct {
	t      *testing.T
	tokens federation.Tokens
}

func newStage(t *testing.T) *stage {
	t.Helper()
	return &stage{t, federation.Tokens{File: filepath.Join(t.TempDir(), "token"), Now: noon}}
}

func (s *stage) write(suffix, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.tokens.File+suffix, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) credential(in v1alpha1.Cloud) credential.Credential {
	s.t.Helper()
	held, err := s.tokens.Credential("federated", clientID, in)
	if err != nil {
		s.t.Fatal(err)
	}
	return held
}

func (s *stage) assertion(held credential.Credential) string {
	s.t.Helper()
	got, err := held.Assert(s.t.Context(), "any")
	if err != nil {
		s.t.Fatal(err)
	}
	return got.Reveal()
}

func TestCredential_TheFileIsReadAnewForEachAssertion(t *testing.T) {
	s := newStage(t)
	first, second := jwt(who+","+public+`,"jti":"1"`), jwt(who+","+public+`,"jti":"2"`)
	s.write("", first+"\n")
	held := s.credential("")
	if held.Name != "federated" || !held.ExpiresAt.IsZero() || !held.Secret.IsEmpty() || held.Key != nil ||
		held.Presents != "issuer https://cluster.example, subject system:serviceaccount:defender-system:operator, audience api://AzureADTokenExchange" {
		t.Errorf("got %+v", held)
	}
	if got := s.assertion(held); got != first {
		t.Errorf("got %q", got)
	}
	s.write("", second)
	if got := s.assertion(held); got != second {
		t.Errorf("after the kubelet renewed it: got %q", got)
	}
	if got := s.credential("").Fingerprint; got != held.Fingerprint || len(got) != 8 {
		t.Errorf("the renewal changed the fingerprint to %q", got)
	}
}

// A kubelet writes into a new folder, and swaps the link to it.
func TestCredential_TheFileIsAKubeletsLink(t *testing.T) {
	s := newStage(t)
	volume := filepath.Dir(s.tokens.File)
	project := func(folder, text string) {
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(os.Mkdir(filepath.Join(volume, folder), 0o700))
		must(os.WriteFile(filepath.Join(volume, folder, "token"), []byte(text), 0o600))
		must(os.Symlink(folder, filepath.Join(volume, "..data_tmp")))
		must(os.Rename(filepath.Join(volume, "..data_tmp"), filepath.Join(volume, "..data")))
	}
	first, second := jwt(who+","+public+`,"jti":"1"`), jwt(who+","+public+`,"jti":"2"`)
	project("..2026_05_04_11", first)
	if err := os.Symlink(filepath.Join("..data", "token"), s.tokens.File); err != nil {
		t.Fatal(err)
	}
	held := s.credential("")
	if got := s.assertion(held); got != first {
		t.Errorf("got %q", got)
	}
	project("..2026_05_04_12", second)
	if err := os.RemoveAll(filepath.Join(volume, "..2026_05_04_11")); err != nil {
		t.Fatal(err)
	}
	if got := s.assertion(held); got != second {
		t.Errorf("after the link was swapped: got %q", got)
	}
}

func TestCredential_AFingerprintTellsIdentitiesApart(t *testing.T) {
	s := newStage(t)
	seen := map[string]string{}
	for _, claims := range []string{
		who + "," + public,
		strings.Replace(who, "cluster", "other", 1) + "," + public,
		strings.Replace(who, ":operator", ":other", 1) + "," + public,
		who + `,"aud":"api://other"`,
	} {
		s.write("", jwt(claims))
		held := s.credential("")
		if before, known := seen[held.Fingerprint]; known {
			t.Errorf("%s has the fingerprint of %s", claims, before)
		}
		seen[held.Fingerprint] = claims
	}
}

func TestCredential_EachCloudHasItsFile(t *testing.T) {
	s := newStage(t)
	for suffix, audience := range map[string]string{"": "api://AzureADTokenExchange", "-usgovernment": "api://AzureADTokenExchangeUSGov", "-china": "api://AzureADTokenExchangeChina"} {
		s.write(suffix, jwt(who+`,"aud":"`+audience+`"`))
	}
	for in, audience := range map[v1alpha1.Cloud]string{
		"": "api://AzureADTokenExchange", "Public": "api://AzureADTokenExchange",
		"USGovernment": "api://AzureADTokenExchangeUSGov", "China": "api://AzureADTokenExchangeChina",
	} {
		held := s.credential(in)
		if !strings.HasSuffix(held.Presents, "audience "+audience) || s.assertion(held) != jwt(who+`,"aud":"`+audience+`"`) {
			t.Errorf("%s: got %s", in, held.Presents)
		}
	}
}

func TestCredential_SaysWhatIsWrongWithTheFile(t *testing.T) {
	s := newStage(t)
	file := s.tokens.File
	for name, test := range map[string]struct {
		in      v1alpha1.Cloud
		arrange func()
		passing bool
		says    string
	}{
		"missing":                  {"", func() {}, false, "file " + file + " does not exist: mount a projected service-account token with audience api://AzureADTokenExchange there"},
		"missing in another cloud": {"China", func() {}, false, "file " + file + "-china does not exist: mount a projected service-account token with audience api://AzureADTokenExchangeChina there"},
		"empty":                    {"", func() { s.write("", " \n") }, false, "file " + file + " is empty: mount a projected service-account token with audience api://AzureADTokenExchange there"},
		"too large":                {"", func() { s.write("", strings.Repeat("a", 64<<10+1)) }, false, "file " + file + " has more than 65536 bytes: it must hold one service-account token alone"},
		"a folder":                 {"", func() { s.t.Helper(); _ = os.Mkdir(file, 0o700) }, false, "file " + file + " cannot be read: mount the service-account token so that the user of the operator's container may read it"},
		"no token":                 {"", func() { s.write("", "a-client-secret-canary") }, false, "file " + file + " holds no service-account token: mount a projected one with audience api://AzureADTokenExchange there"},
		"no claims":                {"", func() { s.write("", jwt(`"a":1`)) }, false, "file " + file + " holds no service-account token: mount a projected one with audience api://AzureADTokenExchange there"},
		"claims of other types":    {"", func() { s.write("", jwt(who+`,"aud":7`)) }, false, "file " + file + " holds no service-account token: mount a projected one with audience api://AzureADTokenExchange there"},
		"no end":                   {"", func() { s.write("", jwt(who+","+public+`,"exp":0`)) }, false, "file " + file + " holds no service-account token: mount a projected one with audience api://AzureADTokenExchange there"},
		"ended": {"", func() { s.write("", jwt(who+","+public+`,"exp":1777896000`)) }, true, "the service-account token in file " + file +
			" ended at 2026-05-04T12:00:00Z and the kubelet has not renewed it: look at the events of the operator's Pod and at the clock of its node"},
	} {
		t.Run(name, func(t *testing.T) {
			_ = os.RemoveAll(file)
			s.write("", jwt(who+","+public))
			held := s.credential("")
			_ = os.RemoveAll(file)
			test.arrange()
			_, err := s.tokens.Credential("federated", clientID, test.in)
			errs := []error{err}
			if test.in == "" { // it can become so after it was good
				_, err = held.Assert(t.Context(), "any")
				errs = append(errs, err)
			}
			for _, err := range errs {
				flaw, ok := errors.AsType[*credential.Defect](err)
				if !ok || flaw.Text != test.says || flaw.Passing != test.passing || flaw.Reason != "" {
					t.Errorf("got %v\nwant %s", err, test.says)
				}
			}
		})
	}
}

func TestCredential_ShowsNothingThatBreaksALine(t *testing.T) {
	s := newStage(t)
	s.write("", jwt(`"iss":"https://a\u0000\r\nb\u001b[31m","sub":"`+strings.Repeat("s", 3000)+`",`+public))
	got := s.credential("").Presents
	if len(got) > 400 || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) || !strings.HasPrefix(got, "issuer https://a???b?[31m, subject sss") {
		t.Errorf("got %q", got)
	}
}

func FuzzCredential(f *testing.F) {
	f.Add(jwt(who + "," + public))
	f.Add("a.e30.c")
	f.Add("..")
	file := filepath.Join(f.TempDir(), "token")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		held, err := federation.Tokens{File: file, Now: noon}.Credential("federated", clientID, "")
		if err == nil && (held.Presents == "" || held.Assert == nil || len(held.Presents) > 700) {
			t.Errorf("got %+v", held)
		}
		if _, ok := errors.AsType[*credential.Defect](err); err != nil && !ok {
			t.Errorf("got %T", err)
		}
	})
}
