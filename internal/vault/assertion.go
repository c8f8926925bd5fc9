package vault

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/defender-tenant/operator/internal/redacted"
)

// assertionLife is the most that Entra ID recommends.
const assertionLife = 10 * time.Minute

// assert makes one client assertion: one request to the vault.
func (v *Vaults) assert(ctx context.Context, asked question, by *signer, audience string) (redacted.String, error) {
	if err := by.inTime(asked, v.now()); err != nil {
		return redacted.String{}, err
	}
	text, err := by.unsigned(asked.ClientID, audience, v.now())
	if err != nil {
		return redacted.String{}, asked.unusable("cannot be put into an assertion")
	}
	asked.kind, asked.name, asked.role = "key", by.key, "Key Vault Crypto User"
	if err := v.rests.ongoing(asked.place(), v.now()); err != nil {
		return redacted.String{}, err
	}
	signature, err := v.sign(ctx, asked, by.keyVersion, sha256.Sum256([]byte(text)))
	if err != nil {
		err = asked.defect(err)
	}
	if ctx.Err() == nil { // the caller's own end says nothing about the vault
		v.rests.note(asked.place(), v.now(), err)
	}
	if err != nil {
		return redacted.String{}, err
	}
	return redacted.New(text + "." + base64.RawURLEncoding.EncodeToString(signature)), nil
}

func (v *Vaults) sign(ctx context.Context, asked question, version string, digest [sha256.Size]byte) ([]byte, error) {
	client, err := azkeys.NewClient(asked.at.URL, nil, &azkeys.ClientOptions{ClientOptions: v.wire.options()})
	if err != nil {
		return nil, err
	}
	var answer azkeys.SignResponse
	err = v.visit(ctx, asked, func(ctx context.Context) (err error) {
		answer, err = client.Sign(ctx, asked.name, version, azkeys.SignParameters{
			Algorithm: to.Ptr(azkeys.SignatureAlgorithmPS256), Value: digest[:],
		}, nil)
		return err
	})
	if err == nil && len(answer.Result) == 0 {
		return nil, asked.stranger(http.StatusOK)
	}
	return answer.Result, err
}

// unsigned is an assertion but for its signature. The chain lets Entra ID accept a renewed
// certificate by its subject and issuer.
func (s *signer) unsigned(clientID, audience string, now time.Time) (string, error) {
	thumbprint := sha256.Sum256(s.certificate.Raw)
	var text string
	for _, members := range []map[string]any{
		{
			"alg": "PS256", "typ": "JWT",
			"x5t#S256": base64.RawURLEncoding.EncodeToString(thumbprint[:]),
			"x5c":      []string{base64.StdEncoding.EncodeToString(s.certificate.Raw)},
		},
		{
			"aud": audience, "iss": clientID, "sub": clientID, "jti": uuid.NewUUID(),
			"nbf": now.Unix(), "exp": now.Add(assertionLife).Unix(),
		},
	} {
		data, err := json.Marshal(members)
		if err != nil {
			return "", err
		}
		if text != "" {
			text += "."
		}
		text += base64.RawURLEncoding.EncodeToString(data)
	}
	return text, nil
}

// visit asks a vault with a token for it. A token that the vault refuses is not used again.
func (v *Vaults) visit(ctx context.Context, asked question, ask func(context.Context) error) error {
	pass, err := v.token(ctx, asked)
	if err != nil {
		return err
	}
	asked.token = pass
	err = ask(withQuestion(ctx, asked))
	if errors.Is(err, errUnauthorized) {
		v.passes.drop(asked.pass())
	}
	return err
}
