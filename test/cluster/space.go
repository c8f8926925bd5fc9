package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// FillSpace writes what nobody reads until etcd is at its quota (Options.EtcdQuota) and refuses writes.
func (c *Cluster) FillSpace(ctx context.Context) error {
	// As bytes they are stored once, and the next value of a key costs as much as a key.
	filling := map[string]any{"key": []byte("/filling"), "value": make([]byte, 1<<20)}
	for {
		if full, err := c.OutOfSpace(ctx); full || err != nil {
			return err
		}
		if err := c.etcd(ctx, "kv/put", filling, nil); err != nil && !strings.Contains(err.Error(), "database space exceeded") {
			return err
		}
	}
}

// FreeSpace does what an administrator does when etcd ran out of space: forgets what was deleted or
// replaced, gives the space back and takes the alarm away that forbids writes.
func (c *Cluster) FreeSpace(ctx context.Context) error {
	var status struct {
		Header struct{ Revision string } `json:"header"`
	}
	if err := c.etcd(ctx, "maintenance/status", nil, &status); err != nil {
		return err
	}
	compaction := map[string]any{"revision": status.Header.Revision, "physical": true}
	if err := c.etcd(ctx, "kv/compaction", compaction, nil); err != nil {
		return err
	}
	if err := c.etcd(ctx, "maintenance/defragment", nil, nil); err != nil {
		return err
	}
	alarms, err := c.alarms(ctx, "GET", "0")
	for _, alarm := range alarms {
		_, problem := c.alarms(ctx, "DEACTIVATE", alarm.MemberID)
		err = errors.Join(err, problem)
	}
	return err
}

// OutOfSpace tells whether etcd refuses writes for lack of space.
func (c *Cluster) OutOfSpace(ctx context.Context) (bool, error) {
	alarms, err := c.alarms(ctx, "GET", "0")
	return len(alarms) > 0, err
}

// alarm is one that etcd has raised.
type alarm struct {
	MemberID string `json:"memberID"`
}

func (c *Cluster) alarms(ctx context.Context, action, member string) ([]alarm, error) {
	var answer struct {
		Alarms []alarm `json:"alarms"`
	}
	err := c.etcd(ctx, "maintenance/alarm", map[string]any{"action": action, "memberID": member, "alarm": "NOSPACE"}, &answer)
	return answer.Alarms, err
}

// etcd calls its API through the JSON gateway that it serves beside gRPC.
func (c *Cluster) etcd(ctx context.Context, method string, ask map[string]any, answer any) error {
	if ask == nil {
		ask = map[string]any{}
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return err
	}
	url := c.env.ControlPlane.Etcd.URL.JoinPath("v3", method)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd %s: %s: %s", method, response.Status, text)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}
