package keyring_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/credential"
	"github.com/defender-tenant/operator/internal/keyring"
	"github.com/defender-tenant/operator/internal/token"
)

// notASecret is the ID of a client secret, stored in place of its value.
const notASecret = "88888888-8888-8888-8888-888888888888"

// The casts of the stories below. A capital letter had tokens before, a small one had not.
func asker(name string) keyring.Asker {
	return keyring.Asker{TenantID: strings.ToLower(name), Served: name != strings.ToLower(name), Canary: name == "CANARY"}
}

// story is a bench whose attempts are told as "X asks, and is refused".
type story struct {
	*bench
	app *v1alpha1.DefenderApp
	now time.Time
}

// newStory has one client secret for each name, of the value <name>-1.
func newStory(t *testing.T, names ...string) *story {
	t.Helper()
	s := &story{bench: newBench(t), app: appWith(names...), now: noon()}
	for _, name := range names {
		if err := s.secrets.Create(t.Context(), secret(name, "client-secret", name+"-1")); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// would is the value that somebody would ask with.
func (s *story) would(who string, tried ...credential.Credential) string {
	s.t.Helper()
	var prints []string
	for _, c := range tried {
		prints = append(prints, c.Fingerprint)
	}
	got, err := s.Pick(s.t.Context(), s.app, asker(who), s.now, prints...)
	if err != nil {
		return "nothing"
	}
	text := got.Credential.Secret.Reveal()
	if got.Refused != nil {
		text += ", all refused"
	}
	return text
}

// asks lets somebody ask as a pass does: with the next credential after each refusal.
// good are the values that Entra ID accepts. It tells what was tried.
func (s *story) asks(who string, good ...string) string {
	s.t.Helper()
	var values, prints []string
	for {
		got, err := s.Pick(s.t.Context(), s.app, asker(who), s.now, prints...)
		if err != nil {
			return strings.Join(values, " ")
		}
		values = append(values, got.Credential.Secret.Reveal())
		prints = append(prints, got.Credential.Fingerprint)
		if s.judge(who, got.Credential, good...) {
			return strings.Join(values, " ")
		}
	}
}

// judge reports what Entra ID says of a credential.
func (s *story) judge(who string, used credential.Credential, good ...string) bool {
	for _, value := range good {
		if used.Secret.Reveal() == value {
			s.Judge(s.app, used, asker(who), nil, s.now)
			return true
		}
	}
	s.Judge(s.app, used, asker(who), refused(), s.now)
	return false
}

// proves carries the wanted proof out, if one is due. It tells which.
func (s *story) proves(good ...string) string {
	s.t.Helper()
	s.Entries(s.t.Context(), s.app)
	proof := s.Wanted(s.app, s.now)
	if proof == nil || proof.Due.After(s.now) {
		return "nothing"
	}
	s.judge("CANARY", proof.Credential, good...)
	return proof.Credential.Secret.Reveal() + " (" + proof.Why + ")"
}

func (s *story) stores(name, value string) { s.t.Helper(); s.store(name, "client-secret", value) }

// stands tells what is known of each credential.
func (s *story) stands() string {
	s.t.Helper()
	var all []string
	for _, e := range s.Entries(s.t.Context(), s.app) {
		text := e.Name + " untested"
		switch {
		case e.Err != nil:
			text = e.Name + " unusable"
		case e.Verdict != nil && e.Verdict.Refused != nil:
			text = e.Name + " refused"
		case e.Verdict != nil:
			text = e.Name + " accepted"
		}
		if e.Suspected != nil {
			text += " suspected"
		}
		if e.Away != nil {
			text += " away"
		}
		if e.Former != nil {
			text += " former " + e.Former.Secret.Reveal()
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func (s *story) expect(what, got, want string) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestARefusalIsAFactOnlyWithWitnesses(t *testing.T) {
	for name, test := range map[string]struct {
		acceptedBefore bool
		refused        string // who, one after the other; + is a token in between
		want           string
	}{
		"one served customer":                                   {true, "A", "main accepted suspected"},
		"one served customer, again and again":                  {true, "A A A A", "main accepted suspected"},
		"two served customers":                                  {true, "A B", "main refused"},
		"two served customers, with a token in between":         {true, "A + B", "main accepted suspected"},
		"two served customers, after a token":                   {true, "A + B C", "main refused"},
		"a served one and many that never were":                 {true, "A b c d e f", "main accepted suspected"},
		"many that never were":                                  {true, "a b c d e f", "main accepted suspected"},
		"the canary":                                            {true, "CANARY", "main refused"},
		"nobody was ever served: one customer":                  {false, "a a a", "main untested suspected"},
		"nobody was ever served: two customers":                 {false, "a b a b", "main untested suspected"},
		"nobody was ever served: three customers":               {false, "a b c", "main refused"},
		"nobody was ever served: three with a token in between": {false, "a b + c", "main accepted suspected"},
		"somebody was served by a process before: three others": {false, "A b c d", "main untested suspected"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, "main")
			if test.acceptedBefore {
				s.asks("Z", "main-1")
			}
			for who := range strings.FieldsSeq(test.refused) {
				if who == "+" {
					s.asks("Z", "main-1")
				} else {
					s.judge(who, s.pick(s.app, s.now))
				}
			}
			s.expect("then", s.stands(), test.want)
		})
	}
}

func away() *token.Fault {
	return &token.Fault{Reason: "VaultUnavailable", Message: "Vault contoso is away.", Scope: token.ScopeCredential, Cure: token.ByRetry, Unsent: true}
}

func TestACredentialWhoseVaultIsAwayRestsWithoutAVerdict(t *testing.T) {
	s := newStory(t, "vaulted", "standby")
	s.asks("A", "vaulted-1")
	vaulted := s.pick(s.app, s.now)
	changed := len(s.changed)
	s.Judge(s.app, vaulted, asker("A"), away(), s.now)
	s.Judge(s.app, vaulted, asker("B"), away(), s.now)
	s.expect("after two signatures that failed", s.stands(), "vaulted accepted away, standby untested")
	if got := len(s.changed) - changed; got != 1 {
		t.Errorf("told %d times", got)
	}
	s.expect("the next one is used", s.would("C"), "standby-1")
	s.now = s.now.Add(30*time.Second - time.Nanosecond)
	s.expect("for half a minute", s.would("C"), "standby-1")
	s.now = s.now.Add(time.Nanosecond)
	s.expect("then the first is tried again", s.asks("C", "vaulted-1"), "vaulted-1")
	s.expect("and works", s.stands(), "vaulted accepted, standby untested")
}

func TestWhenNoCredentialCanBeUsedOneAsksForAll(t *testing.T) {
	s := newStory(t, "first", "second")
	s.asks("A", "first-1")
	first := s.pick(s.app, s.now)
	second, err := s.Pick(t.Context(), s.app, asker("A"), s.now, first.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	s.Judge(s.app, first, asker("A"), away(), s.now)
	s.Judge(s.app, second.Credential, asker("A"), away(), s.now)
	got, err := s.Pick(t.Context(), s.app, asker("B"), s.now)
	if err != nil || got.Refused == nil || got.Refused.Reason != "VaultUnavailable" || !got.Refused.Unsent || got.Credential.Secret.Reveal() != "first-1" {
		t.Errorf("got %+v, %v", got.Refused, err)
	}
	s.expect("those who need a token see for themselves", s.proves(), "nothing")
	s.now = s.now.Add(29 * time.Second)
	s.expect("still", s.would("B"), "first-1, all refused")
	s.now = s.now.Add(time.Second)
	s.expect("it ends by itself", s.would("B"), "first-1")
	s.expect("and is proved", s.proves("first-1"), "first-1 (could not be used)")
	s.expect("one of them works again", s.stands(), "first accepted, second untested away")
}

func TestOneIsRefusedAndTheVaultOfTheOtherIsAway(t *testing.T) {
	s := newStory(t, "first", "second")
	s.judge("CANARY", s.pick(s.app, s.now))
	s.asks("A", "second-1")
	second, err := s.Pick(t.Context(), s.app, asker("A"), s.now)
	if err != nil {
		t.Fatal(err)
	}
	s.Judge(s.app, second.Credential, asker("A"), away(), s.now)
	s.expect("each has its own trouble", s.stands(), "first refused, second accepted away")
	got, err := s.Pick(t.Context(), s.app, asker("B"), s.now)
	if err != nil || got.Refused == nil || got.Refused.Reason != "VaultUnavailable" || got.Credential.Secret.Reveal() != "second-1" {
		t.Errorf("got %+v, %v", got.Refused, err)
	}
	s.now = s.now.Add(30 * time.Second)
	s.expect("half a minute later", s.would("B"), "second-1")
}

func TestOnlyARefusalOfTheCredentialCounts(t *testing.T) {
	for name, fault := range map[string]*token.Fault{
		"of the tenant": {Reason: v1alpha1.ReasonConsentRequired, Scope: token.ScopeTenant},
		"of the host":   {Reason: v1alpha1.ReasonEntraUnavailable, Scope: token.ScopeHost},
		"of the app":    {Reason: v1alpha1.ReasonAppMisconfigured, Scope: token.ScopeApp},
		"by name only":  {Reason: v1alpha1.ReasonCredentialRefused, Scope: token.ScopeTenant},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, "main")
			for _, who := range []string{"A", "B", "c", "CANARY"} {
				s.Judge(s.app, s.pick(s.app, s.now), asker(who), fault, s.now)
			}
			s.expect("then", s.stands(), "main untested")
		})
	}
}

func TestTheOneWhoWasRefusedTakesTheNextAndTheOthersDoNot(t *testing.T) {
	s := newStory(t, "first", "second")
	s.asks("A", "first-1")
	s.expect("refused once, and served by the next", s.asks("B", "second-1"), "first-1 second-1")
	s.expect("the same again", s.would("B"), "second-1")
	s.expect("another one", s.would("A"), "first-1")
	s.now = s.now.Add(5*time.Minute - time.Second)
	s.expect("within five minutes", s.would("B"), "second-1")
	s.now = s.now.Add(time.Second)
	s.expect("after five minutes", s.would("B"), "first-1")
}

func TestANewVersionIsOnTrialWhileTheFormerOneStaysInUse(t *testing.T) {
	s := newStory(t, "main")
	s.asks("A", "main-1")
	s.stores("main", "wrong")
	s.expect("on trial", s.stands(), "main untested former main-1")
	s.expect("meanwhile", s.would("A"), "main-1")
	s.expect("meanwhile, for a new customer", s.would("b"), "main-1")

	s.expect("it is proved at once", s.proves("main-1"), "wrong (new)")
	s.expect("refused", s.stands(), "main refused former main-1")
	s.expect("no customer notices", s.asks("A", "main-1"), "main-1")

	s.stores("main", "right")
	s.now = s.now.Add(time.Minute)
	s.expect("the next one is on trial too", s.stands(), "main untested former main-1")
	s.expect("and is proved", s.proves("main-1", "right"), "right (new)")
	s.expect("accepted", s.stands(), "main accepted")
	s.expect("now it is used", s.asks("A", "right"), "right")
}

func TestTheFormerVersionCoversTheMinutesAfterAChange(t *testing.T) {
	s := newStory(t, "main")
	s.asks("A", "main-1")
	s.stores("main", "main-2")
	s.proves("main-2")
	s.now = s.now.Add(10 * time.Minute)
	s.expect("a part of Entra ID does not know it yet", s.asks("A", "main-1"), "main-2 main-1")
	s.expect("nor does another", s.asks("B", "main-1"), "main-2 main-1")
	s.expect("that is a fact", s.stands(), "main refused former main-1")
	s.now = s.now.Add(6 * time.Minute)
	s.expect("it is tried again", s.proves("main-2"), "main-2 (refused)")
	s.asks("A", "main-2")
	s.now = s.now.Add(15*time.Minute + time.Second)
	s.asks("A", "main-2")
	s.expect("a quarter of an hour later nothing is left of the former one", s.asks("A", "main-1"), "main-2")
}

func TestAChangeThatOnlyACustomerFindsIsTold(t *testing.T) {
	s := newStory(t, "main")
	s.asks("A", "main-1")
	for _, change := range []struct {
		name, value string
		want        int
	}{
		{"the same", "main-1", 0},
		{"another version", "main-2", 1},
		{"the same again", "main-2", 0},
		{"one that cannot be read", notASecret, 1},
		{"still", notASecret, 0},
		{"the version before", "main-2", 1},
	} {
		s.stores("main", change.value)
		before := len(s.changed)
		s.would("A")
		if got := len(s.changed) - before; got != change.want {
			t.Errorf("%s: told of %d changes, want %d", change.name, got, change.want)
		}
	}
}

func TestTheFormerVersionIsBack(t *testing.T) {
	s := newStory(t, "main")
	s.asks("A", "main-1")
	s.stores("main", "wrong")
	s.proves("main-1")
	s.stores("main", "main-1")
	s.expect("it needs no proof", s.stands(), "main accepted")
	s.now = s.now.Add(time.Hour)
	s.expect("none", s.proves("main-1"), "nothing")
}

func TestWhatCannotBeReadIsOnTrialAndWhatIsGoneIsNot(t *testing.T) {
	s := newStory(t, "main")
	s.asks("A", "main-1")
	s.stores("main", notASecret)
	s.expect("a secret's ID", s.stands(), "main unusable former main-1")
	s.expect("a secret's ID", s.would("A"), "main-1")
	s.stores("main", " ")
	s.expect("empty", s.stands(), "main unusable")
	s.expect("empty", s.would("A"), "nothing")
	s.store("main", "other", "value")
	s.expect("the key is gone", s.stands(), "main unusable")
	s.expect("the key is gone", s.would("A"), "nothing")
	s.stores("main", "main-2")
	s.expect("there again, with another value", s.stands(), "main untested former main-1")
	if err := s.secrets.Delete(t.Context(), secret("main", "", "")); err != nil {
		t.Fatal(err)
	}
	s.expect("the Secret is gone", s.stands(), "main unusable")
	s.expect("the Secret is gone", s.would("A"), "nothing")
}

func TestWhatWasNeverAcceptedIsNotKept(t *testing.T) {
	s := newStory(t, "main")
	s.would("A")
	s.stores("main", "main-2")
	s.expect("an untested one was replaced", s.stands(), "main untested")
	s.expect("the new one is used at once", s.would("A"), "main-2")
	s.expect("refused", s.asks("A"), "main-2")
	s.expect("refused", s.asks("B"), "main-2")
	s.stores("main", "main-3")
	s.expect("a refused one was replaced", s.would("A"), "main-3")
	s.stores("main", notASecret)
	s.expect("an untested one cannot be read any more", s.would("A"), "nothing")
}

func TestWhenEveryCredentialIsRefused(t *testing.T) {
	s := newStory(t, "first", "second")
	s.asks("A", "first-1")
	s.expect("refused by both", s.asks("A"), "first-1 second-1")
	s.expect("one witness is not enough", s.would("B"), "first-1")
	s.asks("B")
	s.expect("refused for certain", s.stands(), "first refused, second refused")
	s.expect("who is asked with", s.would("C"), "first-1, all refused")
	s.expect("and then", s.would("C", s.pick(s.app, s.now)), "second-1, all refused")
	got, err := s.Pick(t.Context(), s.app, asker("C"), s.now)
	if err != nil || got.Refused.Scope != token.ScopeCredential || got.Refused.Message != "Entra ID refuses the client secret." {
		t.Errorf("got %+v, %v", got.Refused, err)
	}
	s.stores("second", "second-2")
	s.expect("a new version is asked with first, by one at a time", s.would("C"), "second-2, all refused")
	s.asks("C", "second-2")
	s.expect("it works", s.would("D"), "second-2")
}

func TestANewVersionOfARefusedOneIsForOneCanary(t *testing.T) {
	s := newStory(t, "main")
	s.asks("A", "main-1")
	s.asks("A")
	s.asks("B")
	s.stores("main", "main-2")
	s.expect("not for everybody at once", s.would("C"), "main-2, all refused")
	s.expect("the prover need not wait", s.proves("main-2"), "main-2 (new)")
	s.expect("accepted", s.would("C"), "main-2")
}

func TestPick_SaysThatNothingIsLeft(t *testing.T) {
	s := newStory(t, "main")
	only := s.pick(s.app, s.now)
	_, err := s.Pick(t.Context(), s.app, asker("A"), s.now, only.Fingerprint)
	fault := token.AsFault(err, "", "")
	if fault == nil || fault.Scope != token.ScopeCredential ||
		fault.Error() != "CredentialRefused: Every credential of DefenderApp partner was tried. The platform team must compare them with the application registration." {
		t.Errorf("got %v", err)
	}
}

func TestACredentialThatIsRemovedOrOfAnotherApplicationIsForgotten(t *testing.T) {
	for name, change := range map[string]func(*story){
		"the app is gone":        func(s *story) { s.Forget("partner") },
		"the app was made anew":  func(s *story) { s.app.UID = "another" },
		"another registration":   func(s *story) { s.app.Spec.ClientID, s.app.Generation = "33333333-3333-3333-3333-333333333333", 2 },
		"another cloud":          func(s *story) { s.app.Spec.Cloud, s.app.Generation = v1alpha1.CloudChina, 2 },
		"removed and back again": func(s *story) { s.without("first"); s.app = appWith("first", "second"); s.app.Generation = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, "first", "second")
			s.asks("A", "first-1")
			s.stores("first", "first-2")
			change(s)
			s.expect("then", s.stands(), "first untested, second untested")
		})
	}
}

// without takes a credential out of the spec, and looks.
func (s *story) without(name string) {
	s.t.Helper()
	s.app = appWith()
	s.app.Generation = 2
	for _, other := range []string{"first", "second"} {
		if other != name {
			s.app.Spec.Credentials = append(s.app.Spec.Credentials, clientSecret(other, other, ""))
		}
	}
	s.Entries(s.t.Context(), s.app)
}

func TestAPassThatSeesAnOlderSpecDecidesNothing(t *testing.T) {
	s := newStory(t, "first", "second")
	older := s.app
	s.without("first")
	older.Spec.Credentials = older.Spec.Credentials[:1]
	s.asks("A", "second-1")
	if _, err := s.Pick(t.Context(), older, asker("B"), s.now); err != nil {
		t.Fatal(err)
	}
	s.expect("the later spec holds", s.stands(), "second accepted")
}

func TestAVersionThatIsAcceptedAfterItWasReplaced(t *testing.T) {
	s := newStory(t, "main")
	slow := s.pick(s.app, s.now)
	s.stores("main", "main-2")
	s.would("B")
	s.judge("A", slow, "main-1")
	s.expect("it covers the new one", s.stands(), "main untested former main-1")

	s.proves("main-2")
	s.now = s.now.Add(16 * time.Minute)
	s.asks("A", "main-2")
	s.judge("A", slow, "main-1")
	s.expect("nobody needs it any more", s.would("A", s.pick(s.app, s.now)), "nothing")
}

// TestInvariant5_ARestartRemembersWhatTheStatusTells.
func TestInvariant5_ARestartRemembersWhatTheStatusTells(t *testing.T) {
	at := metav1.NewTime(noon())
	yes, no := true, false
	for name, test := range map[string]struct {
		edit  func(*v1alpha1.DefenderApp)
		want  string
		would string
	}{
		"accepted and refused": {
			func(*v1alpha1.DefenderApp) {}, "first refused, second accepted", "second-1",
		},
		"another version since then": {
			func(a *v1alpha1.DefenderApp) { a.Status.Credentials[1].Fingerprint = "another" }, "first refused, second untested", "second-1, all refused",
		},
		"a status of another spec": {
			func(a *v1alpha1.DefenderApp) { a.Status.ObservedGeneration = 7 }, "first untested, second untested", "first-1",
		},
		"never judged": {
			func(a *v1alpha1.DefenderApp) {
				a.Status.Credentials[0].Accepted, a.Status.Credentials[1].Accepted = nil, nil
			},
			"first untested, second untested", "first-1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, "first", "second")
			entries := s.Entries(t.Context(), s.app)
			s.Forget(s.app.Name)
			s.app.Status = v1alpha1.DefenderAppStatus{ObservedGeneration: 1, Credentials: []v1alpha1.CredentialStatus{
				{Name: "first", Fingerprint: entries[0].Credential.Fingerprint, Accepted: &no, Reason: "CredentialRefused", CheckedAt: &at},
				{Name: "second", Fingerprint: entries[1].Credential.Fingerprint, Accepted: &yes, CheckedAt: &at, LastUsedAt: &at},
			}}
			test.edit(s.app)
			s.expect("then", s.stands(), test.want)
			s.expect("asked with", s.would("A"), test.would)
			if entry := s.Entries(t.Context(), s.app)[1]; test.want == "first refused, second accepted" &&
				(!entry.Verdict.CheckedAt.Equal(noon()) || !entry.Verdict.LastUsedAt.Equal(noon())) {
				t.Errorf("got %+v", entry.Verdict)
			}
		})
	}
}

func TestACustomerServedBeforeARestartCounts(t *testing.T) {
	s := newStory(t, "main")
	at := metav1.NewTime(noon())
	s.app.Status.Credentials = []v1alpha1.CredentialStatus{{Name: "main", Fingerprint: "another version", LastUsedAt: &at}}
	for _, who := range []string{"a", "b", "c"} {
		s.asks(who)
	}
	s.expect("those who never had a token are no witnesses", s.stands(), "main untested suspected")
}

func TestARefusalBeforeARestartKeepsItsWords(t *testing.T) {
	at, no := metav1.NewTime(noon()), false
	for name, test := range map[string]struct {
		condition metav1.ConditionStatus
		want      string
	}{
		"the condition told of it": {metav1.ConditionFalse, "Entra ID refuses main."},
		"no condition told of it":  {metav1.ConditionTrue, "Entra ID refuses credential main. The platform team must compare it with the application registration."},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, "main")
			entries := s.Entries(t.Context(), s.app)
			s.Forget(s.app.Name)
			s.app.Status = v1alpha1.DefenderAppStatus{
				ObservedGeneration: 1,
				Conditions:         []metav1.Condition{{Type: "CredentialAccepted", Status: test.condition, Message: "Entra ID refuses main."}},
				Credentials:        []v1alpha1.CredentialStatus{{Name: "main", Fingerprint: entries[0].Credential.Fingerprint, Accepted: &no, Reason: "CredentialRefused", CheckedAt: &at}},
			}
			fault := s.Entries(t.Context(), s.app)[0].Verdict.Refused
			if fault.Message != test.want || fault.Reason != "CredentialRefused" || fault.Scope != token.ScopeCredential {
				t.Errorf("got %+v", fault)
			}
		})
	}
}

func TestACertificateOfAnotherRegistrationIsNotTrusted(t *testing.T) {
	cert, key := pair(t)
	stored := secret("cert", "tls.crt", cert)
	stored.Data[corev1.TLSPrivateKeyKey] = []byte(key)
	s := &story{bench: newBench(t, stored), app: appWith(), now: noon()}
	s.app.Spec.Credentials = []v1alpha1.Credential{certificate("main", "cert")}
	s.Judge(s.app, s.pick(s.app, s.now), asker("A"), nil, s.now)
	s.expect("accepted", s.stands(), "main accepted")
	s.app.Spec.ClientID, s.app.Generation = "33333333-3333-3333-3333-333333333333", 2
	s.expect("for another application", s.stands(), "main untested")
}
