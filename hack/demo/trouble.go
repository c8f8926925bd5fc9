package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/defender-tenant/operator/api/v1alpha1"
)

// allConditions prints one line per condition.
const allConditions = `jsonpath={range .status.conditions[*]}{.type}={.status}, {.reason}{"\n"}{end}`

func surviveOutage(ctx context.Context, s *stage) error {
	s.emulator.Down(true)
	s.tell.say("From now on nobody listens at Entra ID's address, and the next renewal fails.")
	if err := s.awaitFailure(ctx); err != nil {
		return err
	}
	if err := s.show(ctx, "get", "dt", customer, "-n", namespace, "-o", allConditions); err != nil {
		return err
	}
	s.tell.say("Ready says what the workload needs to know: the token works. (APIRetiring: Microsoft ends this API on 2027-02-01,",
		"which is why the sample asks for a token for Microsoft Graph as well.) Degraded tells the platform team:")
	if err := s.show(ctx, "get", "dt", customer, "-n", namespace, "-o", `jsonpath={.status.conditions[?(@.type=="Degraded")].message}`); err != nil {
		return err
	}
	s.tell.say("The workload goes on with the token that it has:")
	if err := s.callAPI(ctx); err != nil {
		return err
	}
	before, err := s.held(ctx)
	if err != nil {
		return err
	}
	s.emulator.Down(false)
	s.tell.say(fmt.Sprintf("Entra ID is back, %.0f seconds before the token ends. Nobody has to do anything.", time.Until(before.expires()).Seconds()))
	if err := s.awaitSuccessor(ctx, before); err != nil {
		return err
	}
	if err := s.awaitCondition(ctx, customer, v1alpha1.ConditionDegraded, metav1.ConditionFalse, ""); err != nil {
		return err
	}
	return s.show(ctx, "get", "dt", customer, "-n", namespace, "-o", allConditions)
}

func withdrawGrant(ctx context.Context, s *stage) error {
	s.tell.say("The contract ends. The grant goes, and with it the token, at once and long before it would have expired.")
	if err := s.show(ctx, "delete", "dgrant", customer); err != nil {
		return err
	}
	err := s.tell.await(ctx, "the Secret to be emptied", func(ctx context.Context) error {
		secret, err := s.secret(ctx)
		if err == nil && (string(secret.Data[v1alpha1.KeyState]) != string(v1alpha1.StateAccessRevoked) || len(secret.Data[v1alpha1.KeyToken]) > 0) {
			err = fmt.Errorf("its state is %s", secret.Data[v1alpha1.KeyState])
		}
		return err
	})
	if err != nil {
		return err
	}
	s.tell.say("The Secret keeps its keys, so that mounted files change too. They are empty, and state says why:")
	err = s.show(ctx, "get", "secret", secretName, "-n", namespace, "-o",
		`go-template=token: {{len .data.token}} bytes, state: {{.data.state | base64decode}}{{"\n"}}`)
	if err != nil {
		return err
	}
	if err := s.awaitCondition(ctx, customer, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAccessDenied); err != nil {
		return err
	}
	if err := s.show(ctx, "get", "dt", "-n", namespace); err != nil {
		return err
	}
	s.tell.say("The whole story once more, as events. kubectl describe shows them with their sentences.")
	return s.show(ctx, "get", "events", "-n", namespace, "--sort-by=.metadata.creationTimestamp",
		"-o", `custom-columns=OBJECT:.involvedObject.name,TYPE:.type,REASON:.reason`)
}

// searchLeaks looks for the canary that every token carries, plain and as it stands inside a token, and for
// the client secret.
func searchLeaks(ctx context.Context, s *stage) error {
	log, err := os.ReadFile(s.operatorLog())
	if err != nil {
		return err
	}
	objects, err := s.kubectl(ctx, "get", "dt,dapp,dgrant,events,leases", "-A", "-o", "yaml")
	if err != nil {
		return err
	}
	marks := s.emulator.Marks()
	for _, value := range s.cast.secret.StringData {
		marks = append(marks, value)
	}
	for where, text := range map[string]string{"operator's log": string(log), "objects outside of Secrets": objects} {
		for _, mark := range marks {
			if strings.Contains(text, mark) {
				return fmt.Errorf("the %s contain %q, which is part of a secret", where, mark)
			}
		}
	}
	s.tell.say(fmt.Sprintf("%d tokens were issued. No part of them and no client secret stands in the operator's log (%d lines),",
		s.emulator.CountTokens(), strings.Count(string(log), "\n")), "in an event or in the status of an object.")
	return nil
}

// tellToken says what a token says.
func (s *stage) tellToken(ctx context.Context, introduction string) error {
	token, err := s.held(ctx)
	if err != nil {
		return err
	}
	s.tell.say(introduction,
		"    customer  "+token.Tenant,
		"    for       "+token.Audience,
		"    roles     "+strings.Join(token.Roles, ", "),
		fmt.Sprintf("    ends      %s, in %.0f seconds", token.expires().UTC().Format(time.RFC3339), time.Until(token.expires()).Seconds()))
	return nil
}

// awaitFailure waits until the renewal of the token that the workload uses has failed.
func (s *stage) awaitFailure(ctx context.Context) error {
	return s.tell.await(ctx, "a renewal to fail", func(ctx context.Context) error {
		tenant, err := s.tenant(ctx, customer)
		for _, token := range tenant.Status.Tokens {
			if token.SecretName == secretName && token.Failure != nil {
				return nil
			}
		}
		return errors.Join(errors.New("no renewal failed"), err)
	})
}

// awaitSuccessor waits for another token than the one before, that ends later.
func (s *stage) awaitSuccessor(ctx context.Context, before claims) error {
	return s.tell.await(ctx, "the next token", func(ctx context.Context) error {
		now, err := s.held(ctx)
		if err == nil && (now.ID == before.ID || now.Expires <= before.Expires) {
			err = fmt.Errorf("the Secret holds the token that ends %s", now.expires().UTC().Format(time.RFC3339))
		}
		return err
	})
}
