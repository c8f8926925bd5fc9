package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// allTokens prints one line per token.
const allTokens = `jsonpath={range .status.tokens[*]}{.name}: issued {.issuedAt}, ends {.expiresAt}, renewal at {.refreshAt}{"\n"}{end}`

const (
	provider = "Example Security"
	appName  = "Example Security Monitoring"
)

// chapters are the story, in order.
func chapters() []chapter {
	return []chapter{
		{"Kubernetes, an emulated Entra ID and the operator start", raiseCurtain},
		{"A customer is a file", applySamples},
		{"The customer's administrator consents", giveConsent},
		{"A Secret appears, and a workload uses it", useSecret},
		{"Somebody deletes the Secret", deleteSecret},
		{"The token is renewed before it ends", watchRenewal},
		{"Entra ID fails", surviveOutage},
		{"The platform team withdraws the grant", withdrawGrant},
		{"Nothing secret was said", searchLeaks},
	}
}

func raiseCurtain(ctx context.Context, s *stage) error {
	s.tell.say("A Kubernetes control plane, an Entra ID with Defender APIs and the operator, all on this machine alone.")
	if err := s.tell.during("building the operator and its kubectl plugin", func() error { return s.build(ctx) }); err != nil {
		return err
	}
	err := s.tell.during("starting etcd, kube-apiserver and kube-controller-manager", func() error { return s.startCluster(ctx) })
	if err = errors.Join(err, s.startEmulator()); err != nil {
		return err
	}
	if err := s.show(ctx, "apply", "--server-side", "-k", "config/default"); err != nil {
		return err
	}
	s.tell.say("There are no nodes here, so the operator runs as a process beside the cluster, with a token of its service",
		"account: it may do what config/rbac allows, and nothing else. The emulated Entra ID issues tokens that live",
		fmt.Sprintf("for %.0f seconds, in place of an hour, so that you can watch their whole life.", lifetime.Seconds()))
	return s.startOperator(ctx)
}

func applySamples(ctx context.Context, s *stage) error {
	s.tell.say("The platform team describes its application, and in a grant per customer who may have tokens. The team of",
		"namespace soc describes two customers. The files are in config/samples.")
	if err := s.show(ctx, "apply", "-k", "config/samples"); err != nil {
		return err
	}
	for _, customer := range s.cast.customers {
		if err := s.awaitCondition(ctx, customer.Name, v1alpha1.ConditionConsentGranted, metav1.ConditionFalse, v1alpha1.ReasonConsentRequired); err != nil {
			return err
		}
	}
	s.tell.say("The operator asked Entra ID, which knows both customers, but neither has consented.")
	if err := s.show(ctx, "get", "dt", "-n", namespace); err != nil {
		return err
	}
	s.tell.say("Who has to do what, in a sentence:")
	return s.show(ctx, "get", "dt", customer, "-n", namespace, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].message}`)
}

func giveConsent(ctx context.Context, s *stage) error {
	s.tell.say("A letter for the customer can be had from the kubectl plugin. This is its beginning:")
	err := s.excerpt(ctx, beginning, "defender", "consent-mail", customer, "-n", namespace, "--provider", provider, "--app-name", appName)
	if err != nil {
		return err
	}
	tenant, err := s.tenant(ctx, customer)
	if err != nil {
		return err
	}
	s.tell.say("The administrator opens the link in the letter:", "", tenant.Status.ConsentURL)
	page, err := s.open(ctx, tenant.Status.ConsentURL)
	if err != nil {
		return err
	}
	s.tell.say("┌─", "│ "+page.title, "│   "+strings.Join(page.permissions, "\n  │   "), "│ [Accept]  [Cancel]", "└─")
	answer, err := s.accept(ctx, page)
	if err != nil {
		return err
	}
	s.tell.say("The administrator compares that with the letter and accepts. The page answers: " + answer)
	s.tell.say("The operator would find out by itself, at first every 15 seconds. Whoever does not want to wait says so:")
	if err := s.show(ctx, "annotate", "dt", customer, "-n", namespace, v1alpha1.RefreshRequestedAnnotation+"=consented"); err != nil {
		return err
	}
	if err := s.show(ctx, "wait", "dt", customer, "-n", namespace, "--for=condition=Ready", "--timeout=60s"); err != nil {
		return err
	}
	return s.show(ctx, "get", "dt", "-n", namespace)
}

// beginning is a text up to what it says about how to consent.
func beginning(text string) string {
	head, _, _ := strings.Cut(text, "HOW TO CONSENT")
	return strings.TrimRight(head, "\n") + "\n\n[…]\n"
}

func useSecret(ctx context.Context, s *stage) error {
	s.tell.say("One Secret per API, owned by the DefenderTenant. A Pod mounts it as files; config/samples/workload.yaml",
		"shows how. The token itself is not shown here, only how long it is.")
	if err := s.show(ctx, "describe", "secret", secretName, "-n", namespace); err != nil {
		return err
	}
	if err := s.tellToken(ctx, "Decoded, the token says:"); err != nil {
		return err
	}
	s.tell.say("The workload reads the files apiURL and authorization, and calls:")
	return s.callAPI(ctx)
}

func deleteSecret(ctx context.Context, s *stage) error {
	before, err := s.secret(ctx)
	if err != nil {
		return err
	}
	if err := s.show(ctx, "delete", "secret", secretName, "-n", namespace); err != nil {
		return err
	}
	err = s.tell.await(ctx, "a new Secret", func(ctx context.Context) error {
		now, err := s.secret(ctx)
		if err == nil && now.UID == before.UID {
			err = errors.New("the old Secret is still there")
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.show(ctx, "get", "secret", secretName, "-n", namespace)
}

func watchRenewal(ctx context.Context, s *stage) error {
	s.tell.say("After about half of its life a token is replaced by a new one. The other half is the time that an outage",
		"of Entra ID may last without harm. Workloads notice nothing: their files change.")
	before, err := s.held(ctx)
	if err != nil {
		return err
	}
	if err := s.show(ctx, "get", "dt", customer, "-n", namespace, "-o", allTokens); err != nil {
		return err
	}
	if err := s.awaitSuccessor(ctx, before); err != nil {
		return err
	}
	if err := s.show(ctx, "get", "dt", customer, "-n", namespace, "-o", allTokens); err != nil {
		return err
	}
	after, err := s.held(ctx)
	if err != nil {
		return err
	}
	s.tell.say(fmt.Sprintf("The new xdr token ends %.0f seconds after the one before, which had %.0f seconds left.",
		after.expires().Sub(before.expires()).Seconds(), time.Until(before.expires()).Seconds()))
	return nil
}
