package main

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/cloud"
)

// notify tells the controller of applications, or leaves it to its next look if that has
// more to do than it can take.
func notify(judged chan<- event.GenericEvent) func(string) {
	return func(name string) {
		object := &v1alpha1.DefenderApp{}
		object.Name = name
		select {
		case judged <- event.GenericEvent{Object: object}:
		default:
		}
	}
}

// tellAll tells of every application that signs in at a login host.
func tellAll(ctx context.Context, c client.Reader, catalog cloud.Catalog, tell func(string)) func(string) {
	return func(host string) {
		var apps v1alpha1.DefenderAppList
		if err := c.List(ctx, &apps); err != nil {
			ctrl.Log.WithName("health").Error(err, "Could not list DefenderApps; the hourly look will tell", "host", host)
			return
		}
		for _, app := range apps.Items {
			if catalog.Login(app.Spec.Cloud).Host() == host {
				tell(app.Name)
			}
		}
	}
}
