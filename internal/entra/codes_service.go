package entra

import "time"

// loopWait is what Entra ID asks for after it found a loop.
const loopWait = time.Minute

func serviceCodes() []Code {
	const (
		nothing = "Nothing: the operator tries again with growing waits."
		ticket  = "Nothing at first. If it stays for an hour, open a support request with status.tokens[].failure.traceID."
	)
	loop := tenantThrottled()
	loop.After = loopWait
	return []Code{
		{90055, "the tenant gets too many requests", "Nothing: the operator waits as long as it is told to. If it stays, look for another program that uses the application.", tenantThrottled()},
		{50196, "the same request came again and again", "Look for another program that uses the application, and for requests that a proxy repeats.", loop},
		{90033, "the directory is not available", nothing, unavailable()},
		{90006, "an external error that may pass", nothing, unavailable()},
		{90024, "the request ran out of its budget", nothing, unavailable()},
		{90012, "the request took too long", nothing, unavailable()},
		{50033, "an error that may pass", nothing, unavailable()},
		{90090, "the directory had an error that may pass", nothing, unavailable()},
		{90091, "the directory cannot be reached", nothing, unavailable()},
		{51005, "the request should go elsewhere for now", nothing + " It does not follow: a credential goes to one host only.", unavailable()},
		{50000, "the token could not be issued", ticket, unavailable()},
		{90036, "the directory had an error that does not pass by itself", ticket, unavailable()},
		{90092, "the directory had an error that does not pass by itself", ticket, unavailable()},
	}
}
