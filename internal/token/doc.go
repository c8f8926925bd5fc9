// Package token knows what an access token must say before it may be published,
// when it has to be replaced, and how to speak of a failure to obtain one.
//
// It is pure: it reads no clock, opens no connection and knows no cluster.
package token
