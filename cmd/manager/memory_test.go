package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// heapDump names a file. With it, this test binary is the manager, and writes its heap there at each SIGUSR1.
const heapDump = "TEST_MANAGER_HEAP_DUMP"

func TestMain(m *testing.M) {
	if file := os.Getenv(heapDump); file != "" {
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGUSR1)
		go func() {
			for range asked {
				if err := dumpHeap(file); err != nil {
					panic(err)
				}
			}
		}()
		main()
		return
	}
	os.Exit(m.Run())
}

// dumpHeap writes every object that something still refers to. What a sync.Pool keeps survives one collection.
func dumpHeap(file string) error {
	for range 3 {
		runtime.GC()
	}
	dump, err := os.Create(file + ".new")
	if err != nil {
		return err
	}
	debug.WriteHeapDump(dump.Fd())
	if err := dump.Close(); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// crowd are the customers of a memory test, and every token that was published for them.
type crowd struct {
	s      *stage
	ids    []string
	tokens map[string]bool
}

func (s *stage) newCrowd(n int) *crowd {
	s.t.Helper()
	c := &crowd{s: s, tokens: map[string]bool{}}
	s.create(&v1alpha1.DefenderGrant{ObjectMeta: metav1.ObjectMeta{Name: "crowd"}, Spec: v1alpha1.DefenderGrantSpec{
		App: "partner", Namespaces: []string{"soc"}, TenantIDs: []string{"*"}, APIs: []string{"DefenderXDR"},
	}})
	for i := range n {
		id := fmt.Sprintf("22222222-2222-2222-2222-%012d", i)
		c.ids = append(c.ids, id)
		s.entra.AddTenant(id)
		s.entra.SetLifetime(id, time.Hour)
		s.entra.Consent(id, clientID)
		s.create(&v1alpha1.DefenderTenant{
			ObjectMeta: metav1.ObjectMeta{Namespace: "soc", Name: name(i)},
			Spec:       v1alpha1.DefenderTenantSpec{TenantID: id, App: "partner"},
		})
	}
	return c
}

func name(i int) string { return fmt.Sprintf("customer-%03d", i) }

// collect reads the tokens of all customers and tells whether each is a new one.
func (c *crowd) collect() bool {
	c.s.t.Helper()
	var secrets corev1.SecretList
	c.s.must(c.s.List(c.s.t.Context(), &secrets, client.InNamespace("soc")))
	fresh := map[string]bool{}
	for _, secret := range secrets.Items {
		if token := string(secret.Data["token"]); token != "" && !c.tokens[token] {
			fresh[token] = true
		}
	}
	if len(fresh) < len(c.ids) {
		return false
	}
	for token := range fresh {
		c.tokens[token] = true
	}
	return true
}

// refresh asks for another token for everybody.
func (c *crowd) refresh(round int) {
	c.s.t.Helper()
	for i := range c.ids {
		object := &v1alpha1.DefenderTenant{}
		c.s.must(c.s.Get(c.s.t.Context(), types.NamespacedName{Namespace: "soc", Name: name(i)}, object))
		before := client.MergeFrom(object.DeepCopy())
		object.SetAnnotations(map[string]string{v1alpha1.RefreshRequestedAnnotation: fmt.Sprint(round)})
		c.s.must(c.s.Patch(c.s.t.Context(), object, before))
	}
}

// held counts the tokens of which memory holds all.
func (c *crowd) held(memory []byte) int {
	n := 0
	for token := range c.tokens {
		if bytes.Contains(memory, []byte(token)) || bytes.Contains(memory, []byte(base64.StdEncoding.EncodeToString([]byte(token)))) {
			n++
		}
	}
	return n
}

// dump is the heap of the process without what nothing refers to.
func (p *process) dump(file string) []byte {
	p.s.t.Helper()
	_ = os.Remove(file)
	p.s.must(p.command.Process.Signal(syscall.SIGUSR1))
	p.eventually("the heap is written", func() bool { _, err := os.Stat(file); return err == nil })
	memory, err := os.ReadFile(file)
	p.s.must(err)
	return memory
}

// TestInvariant2_MemoryKeepsNoTokens looks into the heap of the whole operator after many renewals, when nothing is under way.
func TestInvariant2_MemoryKeepsNoTokens(t *testing.T) {
	s := newStage(t)
	var err error
	s.binary, err = os.Executable()
	s.must(err)
	file := filepath.Join(t.TempDir(), "heap")
	s.env = []string{heapDump + "=" + file}
	for _, namespace := range []string{"soc", "noc"} { // they renew every few seconds
		s.must(s.Delete(t.Context(), &v1alpha1.DefenderTenant{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "contoso"}}))
	}
	c := s.newCrowd(40)
	p := s.start()
	const rounds = 3
	for round := range rounds {
		if round > 0 {
			c.refresh(round)
		}
		p.eventually(fmt.Sprint("everybody has token ", round), c.collect)
	}
	if got := s.entra.CountTokens(); got != rounds*40 || len(c.tokens) != got {
		t.Fatalf("%d tokens were issued and %d published, want %d", got, len(c.tokens), rounds*40)
	}
	p.eventually("all status is written", func() bool {
		var all v1alpha1.DefenderTenantList
		s.must(s.List(t.Context(), &all))
		for _, object := range all.Items {
			if object.Status.LastHandledRefresh != fmt.Sprint(rounds-1) {
				return false
			}
		}
		return true
	})
	// The buffers of a connection keep what came over it last. Those to Entra ID are closed when they are idle. The one to
	// the API server stays: the last record of it has 16 KiB and room for four Secrets, its frames and the decoder have one
	// each. So many are left, however many customers there are.
	const inBuffers = 8
	p.eventually("at most what is in the buffers of one connection is left", func() bool {
		memory := p.dump(file)
		if !bytes.Contains(memory, []byte(clientSecret)) {
			t.Fatal("the client secret, which has to be there, is not found: does the test see?")
		}
		left := c.held(memory)
		t.Logf("%d KiB of live heap hold %d of %d tokens", len(memory)>>10, left, len(c.tokens))
		return left <= inBuffers
	})
}
