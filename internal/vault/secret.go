package vault

import (
	"context"
	"errors"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/defender-tenant/operator/internal/credential"
)

// readSecret reads the current version of a client secret.
func (v *Vaults) readSecret(ctx context.Context, asked question) (object, error) {
	client, err := azsecrets.NewClient(asked.at.URL, nil, &azsecrets.ClientOptions{ClientOptions: v.wire.options()})
	if err != nil {
		return object{}, err
	}
	var answer azsecrets.GetSecretResponse
	err = v.visit(ctx, asked, func(ctx context.Context) (err error) {
		answer, err = client.GetSecret(ctx, asked.name, "", nil)
		return err
	})
	if err != nil {
		return object{}, err
	}
	if answer.Value == nil {
		return object{}, asked.stranger(200)
	}
	var expires time.Time
	if about := answer.Attributes; about != nil && about.Expires != nil {
		expires = about.Expires.UTC()
	}
	found, err := credential.FromSecret("", asked.ClientID, []byte(*answer.Value), expires)
	if flaw, ok := errors.AsType[*credential.Defect](err); ok {
		own := asked.unusable("is no client secret: %s", flaw.Text)
		own.Gone = flaw.Gone
		return object{}, own
	}
	return object{credential: found}, err
}
