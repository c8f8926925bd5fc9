package app

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

const (
	// cacheLag is how soon to look again when the cache does not show our own last write.
	cacheLag = 20 * time.Millisecond
	// maxLags is how often to look again before our own last write is held for lost.
	maxLags = 500
)

// written remembers our last write of each application. Acting on a sight from before it
// would tell of every change twice.
type written struct {
	mu   sync.Mutex
	last map[string]write
}

type write struct {
	uid     types.UID
	version string
	lags    int
}

func (w *written) note(app *v1alpha1.DefenderApp) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil {
		w.last = map[string]write{}
	}
	w.last[app.Name] = write{uid: app.UID, version: app.ResourceVersion}
}

func (w *written) forget(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.last, name)
}

// behind tells whether an application is shown as it was before our last write.
func (w *written) behind(app *v1alpha1.DefenderApp) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, ok := w.last[app.Name]
	if !ok || last.uid != app.UID {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(app.ResourceVersion, last.version)
	if last.lags++; err != nil || order >= 0 || last.lags > maxLags {
		delete(w.last, app.Name)
		return false
	}
	w.last[app.Name] = last
	return true
}
