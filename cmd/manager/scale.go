package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// scale is the number of the operator's replicas.
type scale struct {
	client     client.Client
	log        logr.Logger
	deployment types.NamespacedName
}

// scaledDown does work while the operator has no replicas. If that fails it gets them back: nobody uninstalls it then,
// and its customers need their tokens.
func scaledDown(ctx context.Context, s *scale, work func() error) error {
	replicas, err := s.read(ctx)
	if err != nil {
		return err
	}
	if err := s.set(ctx, 0); err != nil {
		return err
	}
	s.log.Info("Scaled the operator to zero", "deployment", s.deployment.Name, "before", replicas)
	err = work()
	if err == nil || replicas == 0 {
		return err
	}
	// Also if somebody stops this command, in the time that the kubelet leaves it.
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer stop()
	if back := s.set(ctx, replicas); back != nil {
		return errors.Join(err, back)
	}
	s.log.Info("Gave the operator its replicas back", "deployment", s.deployment.Name, "replicas", replicas)
	return err
}

func (s *scale) object() *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: s.deployment.Namespace, Name: s.deployment.Name}}
}

// read takes an operator that is gone already for one that has stopped.
func (s *scale) read(ctx context.Context) (int32, error) {
	var now autoscalingv1.Scale
	if err := s.client.SubResource("scale").Get(ctx, s.object(), &now); client.IgnoreNotFound(err) != nil {
		return 0, fmt.Errorf("read the replicas of Deployment %s: %w", s.deployment, err)
	}
	return now.Spec.Replicas, nil
}

func (s *scale) set(ctx context.Context, replicas int32) error {
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	err := s.client.SubResource("scale").Patch(ctx, s.object(), client.RawPatch(types.MergePatchType, patch))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("scale Deployment %s to %d: %w", s.deployment, replicas, err)
	}
	return nil
}
