// Package health is what all tenants share when they ask Entra ID: one rate per login host
// with turns that are fair between namespaces, the knowledge that a host is away or wants
// fewer requests, and the rule that a few slow or failing tenants stop nobody else.
//
// A tenant that wants to ask enters. It gets a turn, or waits in the room without holding
// anybody up until its turn is called. While a host is away, or every credential of an
// application is refused, one canary at a time asks for all of them.
//
// It is pure logic: no network, no cluster, and the time is given with each call.
package health
