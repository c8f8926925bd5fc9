package entra

import (
	"bytes"
	"errors"
	"maps"
	"net/http"
	"slices"
)

// messagePage says one thing.
type messagePage struct {
	Title, Text string
}

// consentView is what the consent page shows.
type consentView struct {
	App         App
	Tenant      string // empty: there is a field for it
	Action      string // where the form goes: the link itself
	Redirect    string
	Problem     string // what was wrong with the last attempt
	Permissions []permissionView
}

type permissionView struct {
	Resource, URI string
	Roles         []string
}

func (e *Emulator) consentPage(v *visit, ask consentAsk, problem string) answer {
	view := consentView{
		App: ask.app, Tenant: ask.tenant, Action: v.request.URL.RequestURI(), Redirect: ask.redirect, Problem: problem,
	}
	for _, uri := range slices.Sorted(maps.Keys(ask.app.Permissions)) {
		view.Permissions = append(view.Permissions, permissionView{resourceName(uri), uri, ask.app.Permissions[uri]})
	}
	status := http.StatusOK
	if problem != "" {
		status = http.StatusBadRequest
	}
	return e.page(status, "consent.html", view)
}

// problemPage is an error for people, who are not redirected anywhere.
func (e *Emulator) problemPage(v *visit, err error) answer {
	var why refused
	if !errors.As(err, &why) {
		why = refused{code: codeServiceUnavailable}
	}
	a := e.page(e.refusalFor(why.code).Status, "message.html", messagePage{Title: "Sorry, but this did not work", Text: e.describe(v, why)})
	a.code = why.code
	return a
}

func (e *Emulator) page(status int, name string, view any) answer {
	var body bytes.Buffer
	if err := e.pages.ExecuteTemplate(&body, name, view); err != nil {
		return answer{status: http.StatusInternalServerError, header: http.Header{}, body: []byte(err.Error())}
	}
	return answer{
		status: status,
		header: http.Header{
			"Content-Type":            {"text/html; charset=utf-8"},
			"Content-Security-Policy": {"default-src 'none'; style-src 'unsafe-inline'"},
			"Referrer-Policy":         {"no-referrer"},
		},
		body: body.Bytes(),
	}
}

// copy is a registration's description that may be read without the directory's lock.
func (r *registration) copy() App {
	a := r.App
	a.Permissions = maps.Clone(r.Permissions)
	a.RedirectURIs = slices.Clone(r.RedirectURIs)
	return a
}
