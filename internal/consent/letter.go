package consent

// Letter is a text for a customer's administrator: who asks for what, how to consent and
// how to take it back. It is plain text of at most 78 columns, but for the link, which
// must stay whole to be clicked.
func Letter(q Question) string {
	p := &page{}
	p.heading("Subject: Consent for " + q.AppName)
	p.paragraph(0, "Dear administrator,")
	p.paragraph(0, "%s asks for permission to work with security data of your organization. An administrator "+
		"of your organization gives it, on a page of Microsoft. This letter says what you would accept, how to "+
		"do so and how to take it back.", q.Provider)
	q.who(p)
	q.what(p)
	q.how(p)
	p.heading("AFTERWARDS")
	p.paragraph(2, "We see your consent by ourselves, as a rule within minutes; you need not answer. The application then "+
		"stands in your Microsoft Entra admin center under Enterprise applications. Should it need more permissions "+
		"one day, nothing happens until you consent again.")
	q.revoke(p)
	return p.String()
}

func (q Question) who(p *page) {
	p.heading("WHO ASKS")
	p.item("Provider      ", "%s", q.Provider)
	p.item("Application   ", "%s", q.AppName)
	p.item("Client ID     ", "%s", q.ClientID)
	p.item("Your tenant   ", "%s", q.TenantID)
	p.gap()
}

func (q Question) what(p *page) {
	p.heading("WHAT THE APPLICATION COULD DO THEN")
	for _, wish := range q.Wishes {
		p.line(2, "%s", wish.API)
		for _, role := range wish.Roles {
			p.line(4, "%s", role.Name)
			if role.Allows != "" {
				p.line(6, "%s", role.Allows)
			}
		}
		if len(wish.Roles) == 0 {
			p.line(4, "the permissions that the page lists for this API")
		}
	}
	p.gap()
	p.paragraph(2, "These are application permissions: the application uses them by itself, for the whole organization and "+
		"without a person who is signed in. It learns no password and gets no account of a user.")
}

func (q Question) how(p *page) {
	p.heading("HOW TO CONSENT")
	p.line(2, "1. Open this link:")
	p.gap()
	p.link(q.Link)
	p.gap()
	host, microsoft := q.host()
	if microsoft {
		p.item("  ", "Your browser must show %s, where Microsoft signs you in.", host)
	} else {
		p.item("  ", "Your browser must show %s.", host)
	}
	administrator := q.administrator()
	why := ""
	if administrator == privilegedRoleAdministrator {
		why = " Less is not enough, because permissions of Microsoft Graph are among those above."
	}
	p.item("2.", "Sign in with the role %s, or Global Administrator.%s", administrator, why)
	p.item("3.", "Compare the page with this letter. If it shows another application, or a permission that is not "+
		"listed above, cancel and ask us first. Otherwise choose Accept.")
	p.gap()
}

func (q Question) revoke(p *page) {
	p.heading("HOW TO TAKE IT BACK")
	p.paragraph(2, "At any time, in the Microsoft Entra admin center, under Enterprise applications > %s:", q.AppName)
	for _, way := range []struct{ where, effect string }{
		{"Permissions", "shows what the application may do, and removes single permissions."},
		{`Properties > "Enabled for users to sign-in?" > No`, "stops the application until you switch it on again."},
		{"Properties > Delete", "removes the application from your tenant with all its permissions."},
	} {
		p.item("-", "%s: %s", way.where, way.effect)
	}
	p.gap()
	p.paragraph(2, "The application gets no new access from then on. An access token that Microsoft issued before works until "+
		"it ends, which is about an hour, rarely longer.")
}
