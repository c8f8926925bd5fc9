// Package cloud is what the operator knows of Microsoft's clouds as data: login hosts,
// APIs with their audiences, roles and hosts, and consent links.
//
// It is pure. Hosts come from here and from the operator's flags, never from a custom
// resource: whoever writes one cannot choose where credentials are sent.
package cloud
