// Package simulate lets the operator live through a day in virtual time: in a bubble of testing/synctest, where time passes
// as soon as everybody waits for it, the real reconciler, controller, priority queue, keyring and publish gate serve a
// fleet of tenants, while Entra ID, the API server and the clocks misbehave as a scenario has it. The same seed gives
// the same day, to the last request.
//
// What is real and what is not is written down in docs/simulation.md.
package simulate
