package keyring_test

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

// next tells which proof is wanted, and when.
func (s *story) next() string {
	s.t.Helper()
	s.Entries(s.t.Context(), s.app)
	proof := s.Wanted(s.app, s.now)
	if proof == nil {
		return "nothing"
	}
	wait := "now"
	if d := proof.Due.Sub(s.now); d > 0 {
		wait = "in " + d.String()
	}
	return proof.Credential.Secret.Reveal() + " (" + proof.Why + ") " + wait
}

func (s *story) later(d time.Duration) { s.now = s.now.Add(d) }

func TestWanted(t *testing.T) {
	for name, test := range map[string]struct {
		credentials []string
		tell        func(*story)
		want        string
	}{
		"never used":                {[]string{"a"}, func(*story) {}, "a-1 (new) now"},
		"in use":                    {[]string{"a"}, func(s *story) { s.asks("A", "a-1") }, "a-1 (unused for a day) in 24h0m0s"},
		"in use for an hour":        {[]string{"a"}, func(s *story) { s.asks("A", "a-1"); s.later(time.Hour); s.asks("A", "a-1") }, "a-1 (unused for a day) in 24h0m0s"},
		"a standby":                 {[]string{"a", "b"}, func(s *story) { s.asks("A", "a-1") }, "b-1 (new) now"},
		"a standby that was proved": {[]string{"a", "b"}, func(s *story) { s.asks("A", "a-1"); s.proves("b-1"); s.later(time.Hour); s.asks("A", "a-1") }, "b-1 (unused for a day) in 23h0m0s"},
		"a new version":             {[]string{"a"}, func(s *story) { s.asks("A", "a-1"); s.stores("a", "a-2") }, "a-2 (new) now"},
		"a suspicion":               {[]string{"a"}, func(s *story) { s.asks("A", "a-1"); s.asks("B") }, "a-1 (suspected) now"},
		"a suspicion just after a proof": {[]string{"a"}, func(s *story) {
			s.asks("A", "a-1")
			s.asks("B")
			s.proves("a-1")
			s.later(10 * time.Second)
			s.asks("B")
		}, "a-1 (suspected) in 50s"},
		"refused while another one works":              {[]string{"a", "b"}, func(s *story) { s.proves("b-1"); s.asks("A", "b-1") }, "a-1 (refused) in 5m0s"},
		"all refused: those who need a token try them": {[]string{"a"}, func(s *story) { s.proves() }, "nothing"},
		"refused, with the former version in use":      {[]string{"a"}, func(s *story) { s.asks("A", "a-1"); s.stores("a", "a-2"); s.proves() }, "a-2 (refused) in 5m0s"},
		"two at once are five seconds apart":           {[]string{"a", "b", "c"}, func(s *story) { s.asks("A", "a-1"); s.proves("b-1") }, "c-1 (new) in 5s"},
		"the former version is proved only if it is doubted": {[]string{"a"}, func(s *story) {
			s.asks("A", "a-1")
			s.stores("a", notASecret)
			s.later(48 * time.Hour)
		}, "nothing"},
		"a former version that is doubted": {[]string{"a"}, func(s *story) {
			s.asks("A", "a-1")
			s.stores("a", notASecret)
			s.asks("B")
		}, "a-1 (suspected) now"},
		"a former version that is refused is left alone": {[]string{"a"}, func(s *story) {
			s.asks("A", "a-1")
			s.stores("a", "a-2")
			s.proves("a-2")
			former := s.Entries(s.t.Context(), s.app)[0].Former
			if former != nil {
				s.t.Error("the stored one is in use")
			}
			s.asks("A")
			s.asks("B")
			s.asks("B", "a-2")
		}, "a-2 (unused for a day) in 24h0m0s"},
		"what cannot be read": {[]string{"a"}, func(s *story) { s.stores("a", notASecret) }, "nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, test.credentials...)
			test.tell(s)
			s.expect("wanted", s.next(), test.want)
		})
	}
}

func TestWanted_OfAnAppThatNobodyLookedAt(t *testing.T) {
	s := newStory(t, "a")
	if got := s.Wanted(s.app, s.now); got != nil {
		t.Errorf("got %+v", got)
	}
}

func TestAProofIsNoUse(t *testing.T) {
	s := newStory(t, "a", "b")
	s.asks("A", "a-1")
	s.later(time.Hour)
	s.proves("b-1")
	standby := s.Entries(t.Context(), s.app)[1].Verdict
	if !standby.CheckedAt.Equal(noon().Add(time.Hour)) || !standby.LastUsedAt.IsZero() {
		t.Errorf("got %+v", standby)
	}
}

func TestAProofThatSaysNothingIsMadeAgainWithAnotherCanary(t *testing.T) {
	s := newStory(t, "a", "b")
	s.asks("A", "a-1")
	s.Entries(t.Context(), s.app)
	proof := s.Wanted(s.app, s.now)
	s.Judge(s.app, proof.Credential, asker("CANARY"), &token.Fault{Reason: v1alpha1.ReasonEntraUnavailable, Scope: token.ScopeHost}, s.now)
	s.expect("not at once", s.next(), "b-1 (new) in 1m0s")
	s.expect("it stays untested", s.stands(), "a accepted, b untested")
	if got := s.Wanted(s.app, s.now).Spared; !slices.Equal(got, []string{"canary"}) {
		t.Errorf("spared %v", got)
	}
	s.later(time.Minute)
	s.proves("b-1")
	if got := s.Wanted(s.app, s.now).Spared; len(got) != 0 {
		t.Errorf("spared after an answer: %v", got)
	}
}

func TestAProofOfASuspicionSparesThoseWhoRaisedIt(t *testing.T) {
	s := newStory(t, "a")
	s.asks("Z", "a-1")
	s.judge("B", s.pick(s.app, s.now))
	s.judge("c", s.pick(s.app, s.now))
	if got := s.Wanted(s.app, s.now).Spared; !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("spared %v", got)
	}
}

func TestASuspicionIsToldOnce(t *testing.T) {
	s := newStory(t, "a")
	s.asks("Z", "a-1")
	before := len(s.changed)
	for range 5 {
		s.asks("B")
	}
	if got := len(s.changed) - before; got != 1 {
		t.Errorf("told of %d changes, want 1", got)
	}
}

func TestARestartProvesNothingThatItRemembers(t *testing.T) {
	s := newStory(t, "a", "b")
	entries := s.Entries(t.Context(), s.app)
	s.Forget(s.app.Name)
	yes, no := true, false
	long, lately := metav1.NewTime(noon().Add(-time.Hour)), metav1.NewTime(noon().Add(-time.Minute))
	s.app.Status = v1alpha1.DefenderAppStatus{ObservedGeneration: 1, Credentials: []v1alpha1.CredentialStatus{
		{Name: "a", Fingerprint: entries[0].Credential.Fingerprint, Accepted: &no, Reason: "CredentialRefused", CheckedAt: &long},
		{Name: "b", Fingerprint: entries[1].Credential.Fingerprint, Accepted: &yes, CheckedAt: &lately, LastUsedAt: &lately},
	}}
	s.expect("the refused one rests first", s.next(), "a-1 (refused) in 5m0s")
}
