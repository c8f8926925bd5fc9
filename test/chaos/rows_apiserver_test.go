package chaos

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/test/proxy"
)

// apiServerRows are about the API server, etcd and the way to them.
func apiServerRows() []row {
	return []row{
		{matrix: "33", name: "API server killed and back after 3 s", tenants: 5, budget: 15, errors: true, play: apiServerAway(3 * time.Second)},
		{matrix: "33", name: "API server killed and back after 8 s", always: true, tenants: 5, budget: 15, errors: true, play: apiServerAway(8 * time.Second)},
		{matrix: "33", name: "API server killed and back after 20 s", tenants: 5, life: 2 * time.Minute, budget: 15, errors: true, play: apiServerAway(20 * time.Second)},
		{matrix: "34", name: "API server away much longer than a lease", tenants: 5, life: 5 * time.Minute, budget: 15, errors: true, play: apiServerAway(75 * time.Second)},
		{matrix: "35", name: "half-open connections to the API server", always: true, tenants: 5, budget: 15, errors: true, play: halfOpen},
		{matrix: "35", name: "lost watches", tenants: 5, budget: 15, errors: true, play: lostWatches},
		{matrix: "35", name: "the way to the API server is black for 25 s", tenants: 5, life: 2 * time.Minute, budget: 15, errors: true, play: blackWay},
		{matrix: "36", name: "etcd hangs for 6 s", tenants: 5, budget: 15, errors: true, play: etcdHangs},
		{matrix: "37", name: "etcd has no space", tenants: 5, life: 5 * time.Minute, budget: 15, bare: 2 * time.Minute, errors: true, play: noSpace("--leader-elect")},
		{matrix: "37", name: "etcd has no space and there is one replica without a lease", tenants: 5, life: 5 * time.Minute, budget: 15, bare: 2 * time.Minute, errors: true, play: noSpace()},
		{matrix: "38", name: "conflict at every second write", always: true, tenants: 5, life: 5 * time.Minute, budget: 5, play: conflicts},
		{matrix: "39", name: "the role is taken away and given back", always: true, tenants: 3, life: 5 * time.Minute, budget: 12, play: withoutRole},
		{matrix: "44", name: "each write takes 2 s", tenants: 20, budget: 60, play: slowWrites},
	}
}

// apiServerAway kills kube-apiserver. A leader that cannot renew its lease has to end; it must not end again and again.
func apiServerAway(outage time.Duration) func(*scene) {
	return func(sc *scene) {
		pods := sc.deploy(2, "--leader-elect")
		sc.leader(pods)
		server, err := sc.plane.APIServer()
		sc.must(err)
		sc.must(server.Kill(sc.t.Context()))
		<-time.After(outage)
		sc.must(server.Start(sc.t.Context()))
		sc.resumes(pods, 1)
	}
}

// resumes checks that, from now on, it takes no longer than the oracle allows until a replica leads and works, and that
// not more processes ended than may.
func (sc *scene) resumes(pods []*pod, ends int) {
	sc.t.Helper()
	started := time.Now()
	sc.leader(pods)
	sc.t.Logf("a replica leads after %s", time.Since(started).Round(10*time.Millisecond))
	sc.renews()
	for _, p := range pods {
		p.awaitReady()
	}
	took := time.Since(started)
	sc.t.Logf("new tokens were there after %s; %d processes ended, %d token requests", took.Round(10*time.Millisecond), endings(pods), sc.made())
	if took > patience {
		sc.t.Errorf("that took %s", took)
	}
	if now := endings(pods); now > ends {
		sc.t.Errorf("%d processes ended by themselves, at most %d may", now, ends)
	}
}

// via writes a kubeconfig of a cluster administrator who takes another way to the API server.
func (sc *scene) via(p *proxy.Proxy) string {
	sc.t.Helper()
	config, err := clientcmd.LoadFromFile(sc.kubeconfig)
	sc.must(err)
	for _, c := range config.Clusters {
		c.Server = "https://" + p.Address()
	}
	kubeconfig := filepath.Join(sc.t.TempDir(), "kubeconfig")
	sc.must(clientcmd.WriteToFile(*config, kubeconfig))
	return kubeconfig
}

// way is a proxy between the replicas and the API server.
func (sc *scene) way() *proxy.Proxy {
	sc.t.Helper()
	_, host, _ := strings.Cut(strings.TrimSuffix(sc.plane.Config.Host, "/"), "://")
	p, err := proxy.Start(host)
	sc.must(err)
	sc.root.Cleanup(p.Close)
	return p
}

// halfOpen loses the open connections without telling anybody. Client and server have to find out.
func halfOpen(sc *scene) {
	way := sc.way()
	pods := sc.deploy(2, "--leader-elect", "--kubeconfig="+sc.via(way))
	sc.leader(pods)
	way.Black()
	sc.must(way.Heal())
	sc.hears(15 * time.Second)
	sc.resumes(pods, 0)
}

// hears checks how long it takes until the operator learns of an edit.
func (sc *scene) hears(limit time.Duration) {
	sc.t.Helper()
	lost, held := time.Now(), sc.token(0)
	sc.refresh(0)
	sc.within(limit, "the operator heard of an edit", func() bool { return sc.token(0) != held })
	sc.t.Logf("the operator heard of an edit after %s", time.Since(lost).Round(10*time.Millisecond))
}

// lostWatches resets all connections. What happened meanwhile must not be missed.
func lostWatches(sc *scene) {
	way := sc.way()
	pods := sc.deploy(2, "--leader-elect", "--kubeconfig="+sc.via(way))
	sc.leader(pods)
	for range 3 {
		way.Cut()
		sc.hears(15 * time.Second)
	}
	sc.resumes(pods, 0)
}

// blackWay lets everything vanish for longer than the lease lasts.
func blackWay(sc *scene) {
	way := sc.way()
	pods := sc.deploy(2, "--leader-elect", "--kubeconfig="+sc.via(way))
	sc.leader(pods)
	way.Black()
	<-time.After(25 * time.Second)
	sc.must(way.Heal())
	sc.resumes(pods, 1)
}

// etcdHangs stops etcd for less than the leader has to renew its lease.
func etcdHangs(sc *scene) {
	pods := sc.deploy(2, "--leader-elect")
	sc.leader(pods)
	etcd, err := sc.plane.Etcd()
	sc.must(err)
	sc.must(etcd.Pause())
	resume := sync.OnceFunc(func() { sc.must(etcd.Resume()) })
	defer resume()
	<-time.After(6 * time.Second)
	resume()
	sc.resumes(pods, 0)
}

// noSpace fills etcd. Reads work, and writes fail, that of the lease among them.
func noSpace(args ...string) func(*scene) {
	const full = 30 * time.Second
	return func(sc *scene) {
		pods := sc.deploy(max(1, 2*len(args)), args...)
		if len(args) > 0 {
			sc.leader(pods)
		}
		sc.must(sc.plane.FillSpace(sc.t.Context()))
		empty := sync.OnceFunc(func() { sc.must(sc.plane.FreeSpace(sc.t.Context())) })
		defer empty()
		lines, asked := sc.lines(), sc.made()
		sc.must(sc.Delete(sc.t.Context(), sc.held(0))) // this works, and makes work
		<-time.After(full)
		sc.t.Logf("%d lines and %d token requests in %s without space", sc.lines()-lines, sc.made()-asked, full)
		// A process that ends and starts again says a dozen lines.
		if said := sc.lines() - lines; said > int(full.Seconds())+30*len(pods) {
			sc.t.Errorf("%d lines in %s", said, full)
		}
		empty()
		freed := time.Now()
		// The status still says what it said before.
		sc.within(patience, "every customer has recovered", func() bool { return sc.token(0) != "" && sc.recovered() })
		sc.t.Logf("every customer had recovered %s after there was space", time.Since(freed).Round(10*time.Millisecond))
		if len(args) == 0 {
			sc.renews()
			sc.unbroken(pods)
			return
		}
		sc.resumes(pods, 1)
	}
}

// lines that all replicas logged.
func (sc *scene) lines() int { return strings.Count(sc.operator.log.text(), "\n") }

// conflicts touches a Secret just before every second write of it. The token in hand goes in with the next try.
func conflicts(sc *scene) {
	check := sc.openCheckpoint(sc.plane.Config)
	pods := sc.deploy(1, "--kubeconfig="+check.kubeconfig)
	var mu sync.Mutex
	writes := map[string]int{} // by Secret
	check.inspect(func(r *http.Request) bool {
		if name := path.Base(r.URL.Path); r.Method == http.MethodPut && path.Base(path.Dir(r.URL.Path)) == "secrets" {
			mu.Lock()
			defer mu.Unlock()
			if writes[name]++; writes[name]%2 == 1 {
				sc.touch(name)
			}
		}
		return true
	}, nil)
	sc.renews()
	check.inspect(nil, nil)
	mu.Lock()
	defer mu.Unlock()
	for i := range sc.tenantIDs {
		if name := sc.held(i).Name; writes[name] != 2 {
			sc.t.Errorf("%d writes of Secret %s: the first one has to meet a conflict", writes[name], name)
		}
	}
	sc.unbroken(pods)
}

// touch changes a Secret in a way that concerns nobody.
func (sc *scene) touch(name string) {
	secret := &corev1.Secret{}
	secret.Namespace, secret.Name = sc.namespace, name
	patch := fmt.Sprintf(`{"metadata":{"annotations":{"example.com/touched":%q}}}`, time.Now().Format(time.RFC3339Nano))
	if err := sc.Patch(sc.t.Context(), secret, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		sc.t.Errorf("touch Secret %s: %v", name, err)
	}
}

// withoutRole runs the operator with its own role, takes from it what it needs for Secrets and gives that back.
func withoutRole(sc *scene) {
	access := sc.serviceAccount()
	check := sc.openCheckpoint(access)
	pods := sc.deploy(1, "--kubeconfig="+check.kubeconfig)
	held := sc.token(0)
	role := &rbacv1.ClusterRole{}
	sc.must(sc.Get(sc.t.Context(), types.NamespacedName{Name: roleName + "-secrets"}, role))
	whole := role.DeepCopy()
	for i := range role.Rules {
		if len(role.Rules[i].Resources) == 1 && role.Rules[i].Resources[0] == "secrets" {
			role.Rules[i].Verbs = []string{"list", "watch"}
		}
	}
	sc.must(sc.Update(sc.t.Context(), role))
	sc.refreshAll()
	sc.fails(0, v1alpha1.ReasonNoSecretRight)
	if message := sc.failure(0).Message; !strings.Contains(message, "may not get, create, update or delete secrets in all namespaces") {
		sc.t.Errorf("the failure says %q", message)
	}
	if sc.token(0) != held {
		sc.t.Error("the token that was held is gone")
	}
	sc.pass(10 * time.Second)
	sc.t.Logf("%d token requests without the role", sc.made())
	whole.ResourceVersion = ""
	sc.must(sc.Update(sc.t.Context(), whole))
	sc.within(patience, "every customer has recovered", func() bool { return sc.token(0) != held && sc.recovered() })
	sc.unbroken(pods)
}

// roleName is the name of everything in config/rbac that is the operator's own.
const roleName = "defender-tenant-operator"

// serviceAccount gives the access that config/rbac gives the operator.
func (sc *scene) serviceAccount() *rest.Config {
	sc.t.Helper()
	for _, file := range []string{"role.yaml", "bindings.yaml", "secrets-everywhere.yaml"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "config", "rbac", file))
		sc.must(err)
		documents := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(bytes.ReplaceAll(text, []byte("namespace: defender-system"), []byte("namespace: "+operators)))))
		for {
			document := make([]byte, len(text)+len(operators))
			n, err := documents.Read(document)
			if err == io.EOF {
				break
			}
			sc.must(err)
			object := &unstructured.Unstructured{}
			sc.must(yaml.Unmarshal(document[:n], &object.Object))
			sc.create(object)
			sc.t.Cleanup(func() { sc.gone(object) })
		}
	}
	access := rest.CopyConfig(sc.plane.Config)
	access.QPS = -1
	access.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + operators + ":" + roleName}
	return access
}

// slowWrites delays each write by two seconds. With customers side by side that costs time and nothing else.
func slowWrites(sc *scene) {
	check := sc.openCheckpoint(sc.plane.Config)
	pods := sc.deploy(2, "--leader-elect", "--kubeconfig="+check.kubeconfig)
	check.inspect(func(*http.Request) bool {
		<-time.After(2 * time.Second)
		return true
	}, nil)
	sc.leader(pods)
	started := time.Now()
	sc.renews()
	sc.t.Logf("%d customers had new tokens after %s", len(sc.tenantIDs), time.Since(started).Round(10*time.Millisecond))
	sc.within(patience, "every customer has recovered", sc.recovered)
	check.inspect(nil, nil)
	sc.unbroken(pods)
}
