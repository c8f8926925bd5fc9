package token_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/defender-tenant/operator/internal/redacted"
	"github.com/defender-tenant/operator/internal/token"
)

const (
	tenantID = "11111111-1111-1111-1111-111111111111"
	clientID = "22222222-2222-2222-2222-222222222222"
	resource = "https://api.security.microsoft.com"
)

// issuedAt is the claim iat of the tokens in these tests.
func issuedAt() time.Time { return time.Date(2026, time.May, 4, 10, 0, 0, 0, time.UTC) }

// claims are those of a good token; changes replace some of them, nil leaves one out.
func claims(changes map[string]any) map[string]any {
	all := map[string]any{
		"tid": tenantID, "aud": resource, "appid": clientID, "idtyp": "app", "uti": "kQj1mP0aTkKcVrXh0aAAAA",
		"roles": []string{"Incident.Read.All", "AdvancedHunting.Read.All"},
		"iat":   issuedAt().Unix(), "nbf": issuedAt().Unix(), "exp": issuedAt().Add(3900 * time.Second).Unix(),
	}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

// jwt is a token with these claims and a signature that nobody checks.
func jwt(tb testing.TB, claims any) redacted.String {
	tb.Helper()
	body, err := json.Marshal(claims)
	if err != nil {
		tb.Fatal(err)
	}
	return compact(string(body))
}

// compact is a token with this text for a payload.
func compact(payload string) redacted.String {
	encode := base64.RawURLEncoding.EncodeToString
	return redacted.New(encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode([]byte(payload)) + "." + encode([]byte("signature")))
}

func TestParse(t *testing.T) {
	good := token.Claims{
		TenantID: tenantID, Audience: resource, ClientID: clientID, ID: "kQj1mP0aTkKcVrXh0aAAAA", AppOnly: true,
		Roles:     []string{"AdvancedHunting.Read.All", "Incident.Read.All"},
		IssuedAt:  time.Date(2026, time.May, 4, 10, 0, 0, 0, time.UTC),
		ExpiresAt: time.Date(2026, time.May, 4, 11, 5, 0, 0, time.UTC),
	}
	with := func(change func(*token.Claims)) token.Claims {
		c := good
		change(&c)
		return c
	}
	for name, test := range map[string]struct {
		changes map[string]any
		want    token.Claims
	}{
		"a v1.0 token is read": {nil, good},
		"a v2.0 token names the application azp": {
			map[string]any{"appid": nil, "azp": clientID}, good,
		},
		"identities are compared in lower case": {
			map[string]any{"tid": strings.ToUpper(tenantID), "appid": strings.ToUpper(clientID)}, good,
		},
		"a claim that is not known is ignored": {map[string]any{"xms_cc": []string{"CP1"}, "nested": map[string]any{"tid": "x"}}, good},
		"roles are sorted and each counts once": {
			map[string]any{"roles": []string{"Incident.Read.All", "AdvancedHunting.Read.All", "Incident.Read.All"}}, good,
		},
		"a token without roles has none": {
			map[string]any{"roles": nil}, with(func(c *token.Claims) { c.Roles = nil }),
		},
		"a token without idtyp is the application's if it has no scopes": {map[string]any{"idtyp": nil}, good},
		"a token of idtyp user is a user's": {
			map[string]any{"idtyp": "user"}, with(func(c *token.Claims) { c.AppOnly = false }),
		},
		"a token with scopes is a user's, whatever idtyp says": {
			map[string]any{"scp": "Incident.Read"}, with(func(c *token.Claims) { c.AppOnly = false }),
		},
		"nbf stands in for iat": {
			map[string]any{"iat": nil}, good,
		},
		"without iat and nbf the start is unknown": {
			map[string]any{"iat": nil, "nbf": nil}, with(func(c *token.Claims) { c.IssuedAt = time.Unix(0, 0).UTC() }),
		},
		"the last second of the year 9999 is a time": {
			map[string]any{"exp": 253402300799}, with(func(c *token.Claims) { c.ExpiresAt = time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC) }),
		},
		"a name of the greatest length is a role": {
			map[string]any{"roles": []string{strings.Repeat("r", 128)}}, with(func(c *token.Claims) { c.Roles = []string{strings.Repeat("r", 128)} }),
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := token.Parse(jwt(t, claims(test.changes)))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

func TestParse_APaddedPayloadIsRead(t *testing.T) {
	parts := strings.Split(compact(`{"exp":1777893300,"tid":"a"}`).Reveal(), ".")
	for _, padding := range []string{"", "=", "=="} {
		got, err := token.Parse(redacted.New(parts[0] + "." + parts[1] + padding + "." + parts[2]))
		if err != nil || got.TenantID != "a" {
			t.Errorf("padding %q: %+v, %v", padding, got, err)
		}
	}
}

func TestParse_Refuses(t *testing.T) {
	good := jwt(t, claims(nil)).Reveal()
	var manyRoles []string
	for i := range 129 {
		manyRoles = append(manyRoles, fmt.Sprintf("Role%d.Read.All", i))
	}
	changed := func(name string, value any) redacted.String { return jwt(t, claims(map[string]any{name: value})) }
	for name, test := range map[string]struct {
		raw  redacted.String
		want error
	}{
		"nothing":                          {redacted.String{}, token.ErrOpaque},
		"a token that is no JWT":           {redacted.New("EwBgA8l6BAAUO9chh8cJscQLmU+LSWpbnr0vmwwAAf"), token.ErrOpaque},
		"two parts":                        {redacted.New("e30.e30"), token.ErrOpaque},
		"four parts":                       {redacted.New("e30.e30.e30.e30"), token.ErrOpaque},
		"five parts, an encrypted token":   {redacted.New("e30.e30.e30.e30.e30"), token.ErrOpaque},
		"a payload that is no base64":      {redacted.New("e30.a.e30"), token.ErrOpaque},
		"padding within the payload":       {redacted.New("e30.e=30.e30"), token.ErrOpaque},
		"a line break at the end":          {redacted.New(good + "\n"), token.ErrOpaque},
		"a header smuggled in":             {redacted.New(good + "\r\nX-Evil: 1"), token.ErrOpaque},
		"a space in front":                 {redacted.New(" " + good), token.ErrOpaque},
		"a quote for a shell":              {redacted.New(good + "';id;'"), token.ErrOpaque},
		"a dollar for a shell":             {redacted.New(good + "$IFS"), token.ErrOpaque},
		"a null byte":                      {redacted.New(good + "\x00"), token.ErrOpaque},
		"a letter beyond ASCII":            {redacted.New(good + "é"), token.ErrOpaque},
		"bytes that are no UTF-8":          {redacted.New(good + "\xff"), token.ErrOpaque},
		"the other base64 alphabet":        {redacted.New(good + "+/"), token.ErrOpaque},
		"more than 16 KiB":                 {redacted.New(good + strings.Repeat("A", 16384-len(good)+1)), token.ErrMalformed},
		"a payload that is no JSON":        {compact("nonsense"), token.ErrMalformed},
		"a payload that is a list":         {compact("[]"), token.ErrMalformed},
		"a payload that is null":           {compact("null"), token.ErrMalformed},
		"a payload with something behind":  {compact(`{"exp":1777893300}{}`), token.ErrMalformed},
		"no end":                           {changed("exp", nil), token.ErrMalformed},
		"an end of zero":                   {changed("exp", 0), token.ErrMalformed},
		"an end before 1970":               {changed("exp", -1), token.ErrMalformed},
		"an end after the year 9999":       {changed("exp", 253402300800), token.ErrMalformed},
		"an end in text":                   {changed("exp", "1777893300"), token.ErrMalformed},
		"an end with a fraction":           {compact(`{"exp":1777893300.5}`), token.ErrMalformed},
		"an end beyond 64 bits":            {compact(`{"exp":99999999999999999999}`), token.ErrMalformed},
		"a start before 1970":              {changed("iat", -1), token.ErrMalformed},
		"a start after the year 9999":      {changed("iat", 253402300800), token.ErrMalformed},
		"roles that are no list":           {changed("roles", "Incident.Read.All"), token.ErrMalformed},
		"roles that are no text":           {changed("roles", []int{1}), token.ErrMalformed},
		"more roles than can be shown":     {changed("roles", manyRoles), token.ErrMalformed},
		"a role longer than can be shown":  {changed("roles", []string{strings.Repeat("r", 129)}), token.ErrMalformed},
		"a role without a name":            {changed("roles", []string{""}), token.ErrMalformed},
		"an ID longer than can be shown":   {changed("uti", strings.Repeat("u", 65)), token.ErrMalformed},
		"several audiences":                {changed("aud", []string{resource, "https://elsewhere.example"}), token.ErrMalformed},
		"a tenant that is no text":         {changed("tid", 1), token.ErrMalformed},
		"brackets nested ten thousandfold": {compact(strings.Repeat("[", 11000)), token.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := token.Parse(test.raw)
			if !errors.Is(err, test.want) {
				t.Errorf("got error %v, want %v", err, test.want)
			}
			if !reflect.DeepEqual(got, token.Claims{}) {
				t.Errorf("something was read all the same: %+v", got)
			}
		})
	}
}

func TestParse_ATokenOf16KiBIsRead(t *testing.T) {
	good := jwt(t, claims(nil)).Reveal()
	if _, err := token.Parse(redacted.New(good + strings.Repeat("A", 16384-len(good)))); err != nil {
		t.Error(err)
	}
}

func TestClaims_Roles(t *testing.T) {
	held := token.Claims{Roles: []string{"A", "B", "C"}}
	for name, test := range map[string]struct {
		got, want []string
	}{
		"nothing required, nothing missing":          {held.MissingRoles(nil), nil},
		"all that is required is there":              {held.MissingRoles([]string{"C", "A"}), nil},
		"what is missing keeps the order required":   {held.MissingRoles([]string{"Z", "A", "D"}), []string{"Z", "D"}},
		"a role is not another in lower case":        {held.MissingRoles([]string{"a"}), []string{"a"}},
		"without a ceiling nothing is beyond":        {held.RolesBeyond(nil), nil},
		"an empty ceiling is none":                   {held.RolesBeyond([]string{}), nil},
		"a ceiling that names all":                   {held.RolesBeyond([]string{"C", "B", "A", "Z"}), nil},
		"what a ceiling does not name is beyond it":  {held.RolesBeyond([]string{"B"}), []string{"A", "C"}},
		"a ceiling does not name a role by its case": {held.RolesBeyond([]string{"a", "B", "C"}), []string{"A"}},
	} {
		t.Run(name, func(t *testing.T) {
			if !slices.Equal(test.got, test.want) {
				t.Errorf("got %v, want %v", test.got, test.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(jwt(f, claims(nil)).Reveal())
	f.Add(jwt(f, claims(map[string]any{"exp": 1 << 62, "iat": -1 << 62})).Reveal())
	f.Add(compact(`{"exp":1e400,"roles":[null]}`).Reveal())
	f.Add("e30.e30.e30")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		for _, raw := range []redacted.String{redacted.New(text), compact(text)} {
			got, err := token.Parse(raw)
			if err != nil {
				if err != token.ErrOpaque && err != token.ErrMalformed { //nolint:errorlint // nothing may be wrapped around them
					t.Fatalf("an error with a text of its own: %v", err)
				}
				continue
			}
			for _, at := range []time.Time{got.ExpiresAt, got.IssuedAt} {
				if at.Before(time.Unix(0, 0)) || at.Year() > 9999 {
					t.Fatalf("a time that nobody can write: %v", at)
				}
			}
			if !slices.IsSorted(got.Roles) || len(got.Roles) > 128 || len(got.ID) > 64 || slices.Contains(got.Roles, "") {
				t.Fatalf("more than the API can show: %+v", got)
			}
		}
	})
}
