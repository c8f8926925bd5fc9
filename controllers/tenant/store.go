package tenant

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/defender-tenant/operator/api/v1alpha1"
	"github.com/defender-tenant/operator/internal/token"
)

// writeTries bounds how often a write is tried again with the token in hand after
// somebody else wrote in between.
const writeTries = 3

// lookup asks the API server for a name that the cache does not show. It finds our own
// Secret, nothing, or somebody else's, before Entra ID is asked for anything.
func (r *Reconciler) lookup(ctx context.Context, owner *v1alpha1.DefenderTenant, name string) (*holding, *token.Fault) {
	secret := &corev1.Secret{}
	err := r.readLive(ctx, types.NamespacedName{Namespace: owner.Namespace, Name: name}, secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, r.storeFault(ctx, err, owner.Namespace, name)
	case !ownedBy(secret, owner):
		return nil, conflict(owner, name)
	}
	if _, err := StripSecret(secret); err != nil {
		return nil, r.storeFault(ctx, err, owner.Namespace, name)
	}
	return newHolding(secret), nil
}

// publish stores a token: POST if there is no Secret, otherwise an update of ours under
// its resourceVersion. It never adopts.
func (r *Reconciler) publish(ctx context.Context, seen *observed, res *result, s slot, c contents, known *remembered) {
	if s.held != nil {
		res.held = s.held
		r.rewrite(ctx, seen, res, c, known)
		return
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: seen.tenant.Namespace, Name: s.secretName,
			OwnerReferences: []metav1.OwnerReference{ownerReference(seen.tenant)},
		},
		Type: v1alpha1.SecretType,
	}
	c.writeTo(secret)
	err := patiently(ctx, func(ctx context.Context) error { return r.Create(ctx, secret) })
	if apierrors.IsAlreadyExists(err) {
		// Somebody else's, or that of another operator that was faster: the next pass sees it.
		if _, res.fault = r.lookup(ctx, seen.tenant, s.secretName); res.fault == nil {
			res.fault = r.storeFault(ctx, err, seen.tenant.Namespace, s.secretName)
		}
		return
	}
	r.wrote(ctx, seen, res, secret, err, known)
}

// rewrite updates the Secret that res holds. After a conflict only a token in hand is
// tried again: whether a Secret is to be emptied is decided anew from what it holds by then,
// because another operator may have renewed it.
func (r *Reconciler) rewrite(ctx context.Context, seen *observed, res *result, c contents, known *remembered) {
	secret := res.held.secret.DeepCopy()
	for try := 1; ; try++ {
		c.writeTo(secret)
		err := r.overwrite(ctx, secret)
		carriesToken := len(c.data[v1alpha1.KeyToken]) > 0
		if !apierrors.IsConflict(err) || !carriesToken || try == writeTries {
			r.wrote(ctx, seen, res, secret, err, known)
			return
		}
		settled, fault := r.reread(ctx, seen, res, c, secret)
		if settled || fault != nil {
			res.fault = fault
			return
		}
	}
}

// overwrite updates a Secret of ours under its resourceVersion. One that somebody made
// immutable is replaced instead, or its token would outlive everything.
func (r *Reconciler) overwrite(ctx context.Context, secret *corev1.Secret) error {
	if !immutable(secret) {
		return patiently(ctx, func(ctx context.Context) error { return r.Update(ctx, secret) })
	}
	if err := r.deleteOwned(ctx, secret); err != nil {
		return err
	}
	secret.Immutable = nil
	secret.ObjectMeta = ownMetadata(secret)
	return patiently(ctx, func(ctx context.Context) error { return r.Create(ctx, secret) })
}

func immutable(secret *corev1.Secret) bool { return secret.Immutable != nil && *secret.Immutable }

// ownMetadata is what of a Secret's metadata is ours. What other people added is not the operator's to create.
func ownMetadata(secret *corev1.Secret) metav1.ObjectMeta {
	own := metav1.ObjectMeta{
		Namespace: secret.Namespace, Name: secret.Name,
		Labels:          map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue},
		Annotations:     map[string]string{},
		OwnerReferences: []metav1.OwnerReference{*metav1.GetControllerOf(secret)},
	}
	for _, key := range stampedAnnotations() {
		if value, ok := secret.Annotations[key]; ok {
			own.Annotations[key] = value
		}
	}
	own.OwnerReferences[0].BlockOwnerDeletion = nil
	return own
}

// reread prepares another try after a conflict. The token in hand still goes in, unless
// the Secret is no longer ours. Where another operator put in one that ends later, the
// matter is settled: that one is as good.
func (r *Reconciler) reread(ctx context.Context, seen *observed, res *result, c contents, secret *corev1.Secret) (settled bool, fault *token.Fault) {
	if err := r.readLive(ctx, client.ObjectKeyFromObject(secret), secret); err != nil {
		return false, r.storeFault(ctx, err, secret.Namespace, secret.Name)
	}
	if !ownedBy(secret, seen.tenant) {
		return false, conflict(seen.tenant, secret.Name)
	}
	current := secret.DeepCopy()
	if _, err := StripSecret(current); err != nil {
		return false, r.storeFault(ctx, err, secret.Namespace, secret.Name)
	}
	h := newHolding(current)
	mine := c.annotations[v1alpha1.ExpiresAtAnnotation]
	if res.slot.fits(h) && h.secret.Annotations[v1alpha1.ExpiresAtAnnotation] > mine {
		res.held = h
		logf.FromContext(ctx).Info("Left the token of another operator, which ends later", "secret", secret.Name)
		return true, nil
	}
	return false, nil
}

// wrote takes the answer of the API server to a write into the result.
func (r *Reconciler) wrote(ctx context.Context, seen *observed, res *result, secret *corev1.Secret, err error, known *remembered) {
	if err != nil {
		res.fault = r.storeFault(ctx, err, seen.tenant.Namespace, secret.Name)
		logf.FromContext(ctx).Info("Could not write Secret", "secret", secret.Name, "cause", apierrors.ReasonForError(err))
		return
	}
	r.Metrics.wrote()
	known.wrote(secret)
	if res.fault != nil && unstored(res.fault) {
		res.fault = nil // of a pass before
	}
	if _, err := StripSecret(secret); err != nil {
		res.fault = r.storeFault(ctx, err, secret.Namespace, secret.Name)
		return
	}
	res.held = newHolding(secret)
}

// markEnded says in the Secret that its token ended and leaves the token in it. Only the
// API server still has the data.
func (r *Reconciler) markEnded(ctx context.Context, seen *observed, res *result, state v1alpha1.SecretState, known *remembered) {
	secret := &corev1.Secret{}
	err := r.readLive(ctx, client.ObjectKeyFromObject(res.held.secret), secret)
	if err == nil && !ownedBy(secret, seen.tenant) {
		res.fault = conflict(seen.tenant, secret.Name)
		return
	}
	if err != nil || secret.ResourceVersion != res.held.secret.ResourceVersion {
		// Somebody wrote it since: the digest must not vouch for what they wrote.
		res.fault = r.storeFault(ctx, err, seen.tenant.Namespace, res.slot.secretName)
		return
	}
	secret.Data[v1alpha1.KeyState] = []byte(state)
	secret.Annotations[v1alpha1.DigestAnnotation] = digest(secret.Data, secret.Annotations)
	r.wrote(ctx, seen, res, secret, r.overwrite(ctx, secret), known)
}

// move publishes the token of a Secret that the token's former name left behind. Entra
// ID is not asked, so that a rename works during an outage too.
func (r *Reconciler) move(ctx context.Context, seen *observed, s slot, known *remembered) result {
	res := result{slot: s}
	found, fault := r.lookup(ctx, seen.tenant, s.secretName)
	if fault != nil || found != nil {
		res.held, res.fault = found, fault
		return res
	}
	former := &corev1.Secret{}
	err := r.readLive(ctx, client.ObjectKeyFromObject(s.donor.secret), former)
	if err != nil || !ownedBy(former, seen.tenant) || former.ResourceVersion != s.donor.secret.ResourceVersion {
		res.fault = r.storeFault(ctx, err, seen.tenant.Namespace, s.donor.secret.Name)
		return res
	}
	c := contents{data: former.Data, annotations: map[string]string{}}
	for _, key := range stampedAnnotations() {
		if value, ok := former.Annotations[key]; ok {
			c.annotations[key] = value
		}
	}
	r.publish(ctx, seen, &res, s, c, known)
	return res
}

// sweepSpare deletes the Secrets that no token wants any more. One whose token could
// still be moved stays until the move has succeeded. It tells whether one stayed that
// should have gone.
func (r *Reconciler) sweepSpare(ctx context.Context, seen *observed, results []result) (leftover bool) {
	needed := map[string]bool{}
	for _, res := range results {
		if res.slot.donor != nil && res.held == nil {
			needed[res.slot.donor.secret.Name] = true
		}
	}
	for _, h := range seen.spare {
		if needed[h.secret.Name] || !h.secret.DeletionTimestamp.IsZero() {
			continue
		}
		if err := r.deleteOwned(ctx, h.secret); err != nil {
			logf.FromContext(ctx).Info("Could not delete Secret", "secret", h.secret.Name, "cause", apierrors.ReasonForError(err))
			leftover = leftover || r.storeFault(ctx, err, h.secret.Namespace, h.secret.Name).Cure != token.ByWatch
		}
	}
	return leftover
}

// deleteOwned deletes exactly the Secret that was seen, in the version that was seen.
func (r *Reconciler) deleteOwned(ctx context.Context, secret *corev1.Secret) error {
	return client.IgnoreNotFound(patiently(ctx, func(ctx context.Context) error {
		return r.Delete(ctx, secret.DeepCopy(), client.Preconditions{UID: &secret.UID, ResourceVersion: &secret.ResourceVersion})
	}))
}

// ownerReference lets the garbage collector remove the Secret with its owner. It does
// not block the owner's deletion.
func ownerReference(owner *v1alpha1.DefenderTenant) metav1.OwnerReference {
	controller := true
	return metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "DefenderTenant",
		Name: owner.Name, UID: owner.UID, Controller: &controller,
	}
}
