package consent_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/consent"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	tenantID = "11111111-1111-1111-1111-111111111111"
	clientID = "00001111-aaaa-2222-bbbb-3333cccc4444"
)

func TestLetter(t *testing.T) {
	for name, c := range map[string]struct {
		provider, app, link string
		tokens              []v1alpha1.TokenSpec
	}{
		"xdr-and-graph": {
			provider: "Example Security", app: "Example Monitoring",
			link: "https://login.microsoftonline.com/" + tenantID + "/adminconsent?client_id=" + clientID,
			tokens: []v1alpha1.TokenSpec{
				{Name: "xdr", API: v1alpha1.APIDefenderXDR, RequiredRoles: []string{"Incident.Read.All", "Incident.ReadWrite.All"}},
				{Name: "again", API: v1alpha1.APIDefenderXDR, RequiredRoles: []string{"Incident.Read.All", "AdvancedHunting.Read.All"}},
				{Name: "graph", Resource: "https://graph.microsoft.com", RequiredRoles: []string{"SecurityIncident.Read.All", "Brand.New.Role"}},
			},
		},
		"least": {
			provider: "Example Security", app: "partner",
			link: "https://login.microsoftonline.com/" + tenantID + "/adminconsent?client_id=" + clientID,
		},
		"own-resource-and-long-names": {
			provider: "The Very Long Established Security Monitoring Company of Northern Europe and Beyond", app: "Überwachung der Sicherheit",
			link:   "https://127.0.0.1:40123/" + tenantID + "/adminconsent?client_id=" + clientID,
			tokens: []v1alpha1.TokenSpec{{Name: "own", Resource: "https://api.example", RequiredRoles: []string{"Things.Read"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := consent.Letter(consent.Question{
				Provider: c.provider, AppName: c.app, ClientID: clientID, TenantID: tenantID, Link: c.link,
				Wishes: consent.WishesOf(v1alpha1.DefenderTenantSpec{TenantID: tenantID, Tokens: c.tokens}),
			})
			golden := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("differs from %s (go test -update writes it):\n%s", golden, got)
			}
			for line := range strings.Lines(got) {
				if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > 78 && !strings.Contains(line, c.link) {
					t.Errorf("too long: %q", line)
				}
				if strings.TrimRight(line, " \n") != strings.TrimSuffix(line, "\n") {
					t.Errorf("spaces at the end: %q", line)
				}
			}
		})
	}
}
