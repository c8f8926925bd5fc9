package health_test

import (
	"slices"
	"testing"
	"time"

	"github.com/defender-tenant/operator/internal/health"
	"github.com/defender-tenant/operator/internal/token"
)

const api = "https://api.security.microsoft.com"

// unknownApp is what each tenant says if the client ID of the application is wrong.
func unknownApp() *token.Fault {
	return &token.Fault{
		Reason: "ConsentRequired", Message: "One tenant does not know it.", Scope: token.ScopeTenant, Code: 700016,
		InMany: &token.Fault{Reason: "AppMisconfigured", Message: "No tenant knows it.", Scope: token.ScopeApp, Code: 700016},
	}
}

func misconfigured() *token.Fault {
	return &token.Fault{Reason: "AppMisconfigured", Message: "The API is not in the registration.", Scope: token.ScopeApp}
}

// says lets a tenant tell of its token: what is the matter, and how old the one is that it holds.
func (d *desk) says(n int, fault *token.Fault, age time.Duration) {
	v := health.Voice{TenantID: d.visitor("soc", n).TenantID, App: "partner", Resource: api, Fault: fault, Served: age > 0}
	if age > 0 {
		v.IssuedAt = d.now.Add(-age)
	}
	d.Hear(d.visitor("soc", n).Key, []health.Voice{v}, d.now)
}

func TestChorus_AFailureOfManyIsTheApplications(t *testing.T) {
	for name, row := range map[string]struct {
		say  func(d *desk)
		want string // the message, empty: nothing is recognised
	}{
		"three that were never served, and nobody is": {func(d *desk) {
			for i := range 3 {
				d.says(i, unknownApp(), 0)
			}
		}, "No tenant knows it."},
		"two of them": {func(d *desk) {
			for i := range 2 {
				d.says(i, unknownApp(), 0)
			}
		}, ""},
		"three, while somebody is served": {func(d *desk) {
			d.says(9, nil, time.Minute)
			for i := range 3 {
				d.says(i, unknownApp(), 0)
			}
		}, ""},
		"two that were served, and nobody since": {func(d *desk) {
			d.says(9, nil, time.Minute)
			for i := range 2 {
				d.says(i, misconfigured(), 30*time.Minute)
			}
		}, "The API is not in the registration."},
		"one that was served": {func(d *desk) { d.says(1, misconfigured(), 30*time.Minute) }, ""},
		"two that fail, and then somebody succeeds": {func(d *desk) {
			for i := range 2 {
				d.says(i, misconfigured(), 30*time.Minute)
			}
			d.pass(time.Minute)
			d.says(9, nil, time.Second)
		}, ""},
		"two that fail and recover": {func(d *desk) {
			for i := range 2 {
				d.says(i, misconfigured(), 30*time.Minute)
			}
			d.says(0, nil, 30*time.Minute)
		}, ""},
		"each with a failure of its own": {func(d *desk) {
			for i := range 10 {
				d.says(i, notConsented(), 0)
			}
		}, ""},
		"those who only wait for the same host": {func(d *desk) {
			waiting := misconfigured()
			waiting.Shared = true
			for i := range 10 {
				d.says(i, waiting, 30*time.Minute)
			}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, 50, 64)
			row.say(d)
			got := ""
			if fault := d.OfApp("partner", d.now); fault != nil {
				got = fault.Message
			}
			if got != row.want {
				t.Errorf("recognised %q, want %q", got, row.want)
			}
			if d.OfApp("another", d.now) != nil {
				t.Error("another application got the blame")
			}
		})
	}
}

func TestChorus_TellsOfTheBeginningAndTheEnd(t *testing.T) {
	d := newDesk(t, 50, 64)
	for i := range 1000 {
		d.says(i, misconfigured(), 30*time.Minute)
	}
	d.pass(time.Hour)
	for i := range 1000 {
		d.says(i, nil, time.Second)
	}
	for i := range 1000 {
		d.Forget(d.visitor("soc", i).Key, d.now)
	}
	if want := []string{"partner", "partner"}; !slices.Equal(d.changedApps, want) {
		t.Errorf("told of %v, want %v", d.changedApps, want)
	}
}

// TestChorus_SaysNothingAnyMoreOfWhatIsNotWanted: the author corrected the resource, or the
// objects are gone.
func TestChorus_SaysNothingAnyMoreOfWhatIsNotWanted(t *testing.T) {
	d := newDesk(t, 50, 64)
	for i := range 3 {
		d.says(i, unknownApp(), 0)
	}
	v := health.Voice{TenantID: "customer-soc-0", App: "partner", Resource: "https://another.example"}
	d.Hear(d.visitor("soc", 0).Key, []health.Voice{v}, d.now)
	if d.OfApp("partner", d.now) != nil {
		t.Error("a corrected resource is still held against the application")
	}
	d.says(0, unknownApp(), 0)
	d.Forget(d.visitor("soc", 1).Key, d.now)
	if d.OfApp("partner", d.now) != nil {
		t.Error("a deleted object still complains")
	}
	if want := []string{"partner", "partner", "partner", "partner"}; !slices.Equal(d.changedApps, want) {
		t.Errorf("told of %v, want %v", d.changedApps, want)
	}
}

// TestChorus_ARestartMakesNoOldFailureANewOne: who withdrew days ago still fails, and everybody
// else holds tokens from before the restart.
func TestChorus_ARestartMakesNoOldFailureANewOne(t *testing.T) {
	d := newDesk(t, 50, 64)
	d.says(9, nil, 10*time.Minute)
	for i := range 2 {
		key := d.visitor("soc", i).Key
		v := health.Voice{TenantID: key.Name, App: "partner", Resource: api, Fault: unknownApp(), Served: true, Since: d.now.Add(-48 * time.Hour)}
		d.Hear(key, []health.Voice{v}, d.now)
	}
	if d.OfApp("partner", d.now) != nil {
		t.Error("two who withdrew days ago became the application's failure")
	}
}

// TestChorus_OneAuthorsMistakeIsNotTheApplications: a resource that is misspelled twice in one
// namespace, while another API of the application works.
func TestChorus_OneAuthorsMistakeIsNotTheApplications(t *testing.T) {
	d := newDesk(t, 50, 64)
	good := health.Voice{TenantID: "good", App: "partner", Resource: "https://another.example", IssuedAt: d.now, Served: true}
	d.Hear(d.visitor("others", 1).Key, []health.Voice{good}, d.now)
	d.pass(time.Minute)
	for i := range 2 {
		d.says(i, misconfigured(), 30*time.Minute)
	}
	if d.OfApp("partner", d.now) != nil {
		t.Error("the mistake of one namespace became the application's")
	}
	v := health.Voice{TenantID: "third", App: "partner", Resource: api, Fault: misconfigured(), Served: true}
	d.Hear(d.visitor("others", 2).Key, []health.Voice{v}, d.now)
	if d.OfApp("partner", d.now) == nil {
		t.Error("two namespaces, and it is still nobody's")
	}
}
