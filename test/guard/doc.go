// Package guard proves that nobody gets a token of a customer that is not theirs: the policies of config/guard against a
// real API server, the operator's life under them, and a property test over users, namespaces, customers, APIs, grants
// and names of Secrets.
package guard
