// Package scrape lets those read the metrics whom the API server lets: it is asked who the reader is, and whether
// that user may get the path.
//
// controller-runtime has a filter that does the same with the library of the API server itself. That library makes
// the program half as large again, and keeps the linker from dropping what is never called.
//
// Sources: kubernetes.io/docs/reference/access-authn-authz/webhook, kubernetes.io/docs/reference/access-authn-authz/authorization.
package scrape
